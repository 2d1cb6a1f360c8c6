# SPDX-License-Identifier: BSD-2-Clause
"""allow_tunnel: tunnels of clients that speak TLS, and how they end."""

import random
import socket
import ssl
import struct
import unittest

from support.certificates import Authority
from support.gateway import CLOSE, CLOSED, frame
from support.penstock import wait_for
from support.websocket import handshake
from tunnel_test import (
    CONFIG, SWITCHING, TERMINATE, UPGRADE, Tunnels, TunnelTestCase, greeting,
)

TLS_CONFIG = CONFIG.replace("@PORT@;", """@PORT@ ssl;
        ssl_certificate server.pem; ssl_certificate_key server.key;""")


class TunnelTlsTest(TunnelTestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = Authority().issue("server", "test.example")

    def tunnels(self, **how):
        files = {"conf/" + name: self.ca.read(name) for name in ("server.pem", "server.key")}
        p = self.penstock(TLS_CONFIG % ("on", "", "", ""), start=False, files=files)
        b = Tunnels(p.path("a.sock"), greeting=greeting(), **how)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        return p, b

    def ask(self, p, b, request=None):
        """The TLS is on memory: its end and the socket's are told apart."""
        context = ssl.create_default_context(cafile=self.ca.path("ca.pem"))
        seen = len(b.got)
        self.s = socket.create_connection(("127.0.0.1", p.port()))
        self.addCleanup(self.s.close)
        self.s.settimeout(20)
        self.input, self.output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.input, self.output, server_hostname="test.example")
        self.step(self.tls.do_handshake)
        self.write(handshake(port=p.port()) if request is None else request)
        wait_for("the client", lambda: len(b.got) > seen)
        return b.cid()

    def step(self, f, *args):
        while True:
            try:
                result = f(*args)
                self.leave()
                return result
            except ssl.SSLWantReadError:
                self.leave()
                self.more()

    def leave(self):
        data = self.output.read()
        if data:
            self.s.sendall(data)

    def more(self):
        data = self.s.recv(65536)
        if data:
            self.input.write(data)
        else:
            self.input.write_eof()

    def write(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.step(self.tls.write, data)

    def read_all(self):
        """To a close_notify; anything else is an error."""
        data = b""
        while True:
            try:
                more = self.step(self.tls.read, 65536)
            except ssl.SSLZeroReturnError:
                return data
            if not more:
                return data
            data += more

    def read(self, n):
        data = b""
        while len(data) < n:
            data += self.step(self.tls.read, n - len(data))
        return data

    def end(self):
        """close_notify; what the peer sends comes on."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.leave()

    def test_bytes_are_carried_as_they_are(self):
        data = random.Random(3).randbytes(200000)
        for request in (None, UPGRADE):
            with self.subTest(request=request):
                p, b = self.tunnels(answer=SWITCHING)
                cid = self.ask(p, b, request)
                self.assertEqual(self.read(len(SWITCHING)), SWITCHING)
                b.bytes = lambda cid, payload, more: b.ack(cid, len(payload))
                self.write(data)
                wait_for("the bytes", lambda: len(b.got[cid]) == len(data))
                self.assertEqual(b.got[cid], data)
                b.say(cid, data[:60000])
                self.assertEqual(self.read(60000), data[:60000])
                p.stop()

    def test_a_client_that_ends_gets_the_answer(self):
        p, b = self.tunnels()
        cid = self.ask(p, b)
        self.write(b"question")
        self.end()
        wait_for("the client's end", lambda: cid in b.ended)
        self.assertEqual((b.got[cid], b.of(CLOSED)), (b"question", []))
        b.say(cid, b"answer")
        b.say(cid, b" and more", more=False)
        self.assertEqual(self.read_all(), b"answer and more")
        self.assertEqual(b.closed(cid), (0, 1, 1005))

    def test_a_backend_that_ends_hears_on(self):
        p, b = self.tunnels()
        cid = self.ask(p, b)
        b.say(cid, b"bye", more=False)
        self.assertEqual(self.read_all(), b"bye")
        self.write(b"still here")
        wait_for("the bytes", lambda: b.got[cid] == b"still here")
        self.assertEqual(b.of(CLOSED), [])
        self.end()
        self.s.close()
        self.assertEqual(b.closed(cid), (1, 3, 1005))

    def test_a_FIN_without_close_notify(self):
        """An end like any other: many clients send none."""
        p, b = self.tunnels()
        cid = self.ask(p, b)
        self.write(b"question")
        self.s.shutdown(socket.SHUT_WR)
        wait_for("the client's end", lambda: cid in b.ended)
        self.assertEqual((b.got[cid], b.of(CLOSED)), (b"question", []))
        b.say(cid, b"answer", more=False)
        self.assertEqual(self.read_all(), b"answer")
        self.assertEqual(b.closed(cid), (0, 1, 1005))

    def test_abrupt_ends(self):
        for why, how, ends in (
            ("a reset", lambda b, cid: self.reset(), (4, 0, 1006)),
            ("garbage", lambda b, cid: self.s.sendall(b"\x17\x03\x03\x00\x20" + bytes(32)), (4, 0, 1006)),
            ("TERMINATE", lambda b, cid: b.send(frame(TERMINATE, cid)), (2, 0, 1006)),
        ):
            with self.subTest(why):
                p, b = self.tunnels()
                cid = self.ask(p, b)
                b.say(cid, b"x")
                self.read(1)
                how(b, cid)
                self.assertEqual(b.closed(cid), ends)
                self.assertNotIn(cid, b.ended)
                p.stop()

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    def test_CLOSE_ends_both(self):
        p, b = self.tunnels()
        cid = self.ask(p, b)
        b.say(cid, b"last")
        b.send(frame(CLOSE, cid, b"why", aux=1000))
        self.assertEqual(self.read_all(), b"last")
        self.assertEqual(b.closed(cid), (1, 3, 1005))


if __name__ == "__main__":
    unittest.main()
