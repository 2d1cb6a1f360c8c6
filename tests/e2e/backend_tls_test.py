# SPDX-License-Identifier: BSD-2-Clause
"""What a backend hears of its clients' TLS: the TLV of OPEN and HTTP_REQ."""

import socket
import ssl
import struct
import unittest

from support.certificates import Authority
from support.gateway import (
    ACCEPT, OPEN, READY, Backend, BridgeTestCase, frame,
)
from support.penstock import wait_for
from support.websocket import handshake

HELLO, RESUME, HTTP_REQ, HTTP_RES = 1, 0x17, 0x50, 0x52
VERSION, CIPHER, SNI, ALPN, VERIFY, DN, CERT, OWN = range(1, 9)
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend echo { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@ ssl;
        listen 127.0.0.1:@PORT1@;
        server_name test.example;
        ssl_certificate server.pem; ssl_certificate_key server.key;
        ssl_client_certificate ca.pem; ssl_verify_client optional_no_ca;
        location /ws { websocket_pass echo; backend_pass echo; }
        location /own { websocket_pass echo; backend_server_certificate on; }
        location /kept { websocket_pass echo; backend_resume_headers on; }
    }
}
"""


def tlvs(data):
    found = {}
    while data:
        word, = struct.unpack_from("<I", data)
        found.setdefault(word & 0xFF, data[4 : 4 + (word >> 8)])
        data = data[4 + (word >> 8) :]
    return found


class BackendTlsTest(BridgeTestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = Authority().issue("server", "test.example").issue("client", "a client")
        cls.stranger = Authority("Others").issue("client", "stranger")

    def setUp(self):
        files = {"conf/" + name: self.ca.read(name)
                 for name in ("server.pem", "server.key", "ca.pem")}
        self.p = p = self.penstock(CONFIG, start=False, files=files)
        greeting = frame(HELLO, 0, struct.pack(
            "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20, 0,
            1 | 4 | 8, 7)) + frame(READY)
        self.b = Backend(p.path("echo.sock"), greeting, self.on_frame)
        self.addCleanup(self.b.stop)
        p.start()
        self.wait_ready(p)

    def on_frame(self, kind, cid, payload):
        if kind == OPEN:
            self.b.send(frame(ACCEPT, cid, bytes(8)))
        if kind == HTTP_REQ:
            self.b.send(frame(HTTP_RES, cid, struct.pack("<HH", 204, 0)))

    def ask(self, path="/ws", identity=None, name="test.example", version=None,
            upgrade=True, port="PORT"):
        context = ssl.create_default_context(cafile=self.ca.path("ca.pem"))
        context.check_hostname = False
        context.set_alpn_protocols(["http/1.1"])
        if version:
            context.maximum_version = version
        if identity:
            context.load_cert_chain(identity.path("client.pem"), identity.path("client.key"))
        s = socket.create_connection(("127.0.0.1", self.p.port(port)))
        self.addCleanup(s.close)
        if port == "PORT":
            s = context.wrap_socket(s, server_hostname=name)
        self.addCleanup(s.close)
        s.settimeout(20)
        fields = {} if upgrade else {"Upgrade": None, "Connection": None}
        s.sendall(handshake(fields, request=f"GET {path} HTTP/1.1"))
        self.assertIn(b"101" if upgrade else b"204", self.read_head(s).encode())
        kind = OPEN if upgrade else HTTP_REQ
        payload = wait_for("it", lambda: self.b.of(kind))[-1][2]
        self.socket = s
        return payload[3], tlvs(payload[32:]).get(0x17)

    def test_a_client_without_a_certificate(self):
        for version, number in ((None, 0x0304), (ssl.TLSVersion.TLSv1_2, 0x0303)):
            flags, tls = self.ask(version=version)
            self.assertEqual(flags & 1, 1)
            cipher = self.socket.cipher()[0]
            ids = {c["name"]: c["id"] & 0xFFFF
                   for c in ssl.create_default_context().get_ciphers()}
            self.assertEqual(tlvs(tls), {
                VERSION: struct.pack("<H", number),
                CIPHER: struct.pack("<H", ids[cipher]),
                SNI: b"test.example", ALPN: b"http/1.1"})

    def test_a_certificate(self):
        flags, tls = self.ask(identity=self.ca)
        found = tlvs(tls)
        self.assertEqual(found[DN], b"CN=a client,O=Penstock")
        self.assertEqual(found[CERT].split(b"\n-")[0],
                         self.ca.read("client.pem").split(b"\n-")[0])
        self.assertNotIn(VERIFY, found)
        self.assertNotIn(OWN, found)

    def test_a_certificate_of_others(self):
        found = tlvs(self.ask(identity=self.stranger)[1])
        self.assertEqual(found[DN], b"CN=stranger,O=Penstock")
        self.assertIn(b"unable to", found[VERIFY])

    def test_our_own(self):
        found = tlvs(self.ask("/own")[1])
        self.assertEqual(found[OWN].split(b"\n-")[0],
                         self.ca.read("server.pem").split(b"\n-")[0])

    def test_requests(self):
        flags, tls = self.ask(identity=self.ca, upgrade=False)
        self.assertEqual(flags & 1, 1)
        self.assertEqual(tlvs(tls)[DN], b"CN=a client,O=Penstock")

    def test_without_tls(self):
        self.assertEqual(self.ask(port="PORT1"), (4, None))
        flags, tls = self.ask(port="PORT1", upgrade=False)
        self.assertEqual((flags & 1, tls), (0, None))

    def test_after_a_loss_as_the_fields(self):
        for path, kept in (("/ws", False), ("/kept", True)):
            self.ask(path, identity=self.ca)
            before = len(self.b.of(RESUME))
            self.b.link.shutdown(2)
            resumed = wait_for("RESUME", lambda: len(self.b.of(RESUME)) > before
                               and self.b.of(RESUME))[-1]
            self.assertEqual(0x17 in tlvs(resumed[2][32:]), kept)


if __name__ == "__main__":
    unittest.main()
