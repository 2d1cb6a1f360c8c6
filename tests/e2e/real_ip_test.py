# SPDX-License-Identifier: BSD-2-Clause
"""set_real_ip_from and the PROXY protocol, as in nginx."""

import re
import socket
import ssl
import struct
import unittest

from support.certificates import Authority
from support.gateway import ACCEPT, OPEN, READY, Backend, BridgeTestCase, frame
from support.nginx import CompareTestCase, Nginx
from support.penstock import PenstockTestCase, free_port
from support.raw import Raw

SHOW = (
    'return 200 "$remote_addr|$remote_port|$realip_remote_addr'
    '|$proxy_add_x_forwarded_for|$binary_remote_addr";'
)
HTTP_REQ, HTTP_RES = 0x50, 0x52
BACKEND = """
user root;
events { }
http {
    access_log off;
    backend echo { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@;
        set_real_ip_from 127.0.0.1;
        location / { websocket_pass echo; backend_pass echo; }
    }
}
"""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, port, tlvs=b"", command=0x21):
    body = socket.inet_aton(source) + socket.inet_aton("10.0.0.9")
    body += struct.pack("!HH", port, 443) + tlvs
    return SIGNATURE + struct.pack("!BBH", command, 0x11, len(body)) + body


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


class RealIpTest(CompareTestCase):
    def test_headers(self):
        places = {
            "x": "set_real_ip_from 127.0.0.1;",
            "net": "set_real_ip_from 127.0.0.0/8; real_ip_header X-Real-IP;",
            "not": "set_real_ip_from 10.0.0.0/8;",
            "unix": "set_real_ip_from unix:;",
            "xff": "set_real_ip_from 127.0.0.1;"
            "real_ip_header X-Forwarded-For;",
            "rec": "set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;"
            "set_real_ip_from 2001:db8::/32;"
            "real_ip_header X-Forwarded-For; real_ip_recursive on;",
            "own": "set_real_ip_from 127.0.0.1; real_ip_header CF-Client;"
            "real_ip_recursive on;",
            "host": "set_real_ip_from localhost;",
        }
        both = self.both(
            "error_page 404 = @show; location @show { "
            'add_header X-Show "$remote_addr|$remote_port|'
            '$realip_remote_addr|$proxy_add_x_forwarded_for";'
            "try_files /none =410; }"
            + "".join(
                f"location /{name} {{ {text} try_files /none =404; }}"
                for name, text in places.items()
            )
        )
        values = (
            "192.0.2.1", "192.0.2.1:8080", "2001:db8::1", "[2001:db8::1]:99",
            "192.0.2.1, 10.0.0.1", "10.0.0.2, 10.0.0.1", "192.0.2.1,10.0.0.1,",
            "192.0.2.7, 192.0.2.8, 2001:db8::7", "nothing", "", " , ",
            "bad, 10.0.0.1", "192.0.2.1 10.0.0.1", "unix:", "1.2.3.4:99999",
        )
        for name in places:
            both.same(f"/{name}")
            for value in values:
                both.same(
                    f"/{name}", X_Real_IP=value, X_Forwarded_For=value,
                    CF_Client=value,
                )

    def test_in_a_server_and_with_access(self):
        both = self.both(
            "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
            "if ($remote_addr = 192.0.2.66) { return 410; }"
            "location / { deny 192.0.2.1; try_files /no =404; }"
            f"location /show {{ {SHOW} }}"
        )
        for value in ("192.0.2.1", "192.0.2.66", "192.0.2.3", "127.0.0.1"):
            both.same("/", X_Forwarded_For=value)
            both.same("/show", X_Forwarded_For=value)


class ProxyProtocolTest(CompareTestCase):
    """The same bytes to both."""

    def ask(self, port, data):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(20)
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                answer = s.makefile("rb").read()
            except TimeoutError:
                raise
            except OSError:
                return None
            head, _, body = answer.partition(b"\r\n\r\n")
            # The port of who asked is nobody's business.
            body = re.sub(rb"^127.0.0.1\|\d+", b"127.0.0.1|PORT", body)
            return (head.split(b"\r\n")[0], body) if answer else None

    def test_listen_proxy_protocol(self):
        server = (
            "listen 127.0.0.1:@PORT1@ proxy_protocol;"
            "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"
            'location / { return 200 "$remote_addr|$remote_port|'
            "$proxy_protocol_addr|$proxy_protocol_port|"
            '$proxy_protocol_server_addr|$proxy_protocol_server_port"; }'
        )
        ours = self.penstock(
            "http { server { listen 127.0.0.1:@PORT@;" + server + "} }"
        )
        port = free_port()
        nginx = Nginx(server.replace("@PORT1@", str(port)), "", ours.prefix)
        self.addCleanup(nginx.stop)
        get = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for header in (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n",
            b"PROXY TCP6 2001:db8::1 ::1 65535 443\r\n",
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN of any kind\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
            b"PROXY TCP4 x 192.0.2.2 1234 80\r\n",
            b"PROXY \r\n",
            b"",
            v2("192.0.2.9", 4321),
            v2("192.0.2.9", 4321, tlv(1, b"h2") + tlv(2, b"host")),
            v2("192.0.2.9", 4321, command=0x20),
            SIGNATURE + b"\x21\x00\x00\x00",
        ):
            expected = self.ask(port, header + get)
            got = self.ask(ours.port("PORT1"), header + get)
            self.assertEqual(got, expected, header)
        ours.wait_for_log('broken header: "PROXY TCP4 x 192.0.2.2 1234 80" ')
        self.assertIsNone(self.ask(ours.port("PORT1"), b"PROXY TCP4"))

    def test_fields_of_version_2(self):
        p = self.penstock(
            "http { server { listen 127.0.0.1:@PORT@ proxy_protocol;"
            'location / { return 200 "$remote_addr|$proxy_protocol_tlv_alpn|'
            "$proxy_protocol_tlv_authority|$proxy_protocol_tlv_ssl_verify|"
            "$proxy_protocol_tlv_ssl_version|$proxy_protocol_tlv_ssl_cn|"
            "$proxy_protocol_tlv_unique_id|$proxy_protocol_tlv_0xEA|"
            '$proxy_protocol_tlv_ssl_0x22|$proxy_protocol_tlv_netns"; } } }'
        )
        inside = b"\x01\0\0\0\x02" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"me")
        fields = tlv(1, b"h2") + tlv(2, b"host") + tlv(0x20, inside)
        fields += tlv(0xEA, b"own")
        get = b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"
        self.assertEqual(
            self.ask(p.port(), v2("192.0.2.1", 99, fields) + get)[1],
            b"127.0.0.1|h2|host|2|TLSv1.3|me||own|me|",
        )

    def test_it_may_come_in_pieces(self):
        p = self.penstock(
            "http { server { listen 127.0.0.1:@PORT@ proxy_protocol;"
            "location / { return 200 $proxy_protocol_addr; } } }"
        )
        data = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nGET / HTTP/1.0\r\n"
        with socket.create_connection(("127.0.0.1", p.port())) as s:
            s.settimeout(20)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(data)):
                s.send(data[i : i + 1])
            s.sendall(b"\r\n")
            self.assertIn(b"\r\n\r\n192.0.2.1", s.makefile("rb").read())

    def test_a_header_that_does_not_come(self):
        p = self.penstock(
            "http { client_header_timeout 200ms;"
            "server { listen 127.0.0.1:@PORT@ proxy_protocol; } }"
        )
        with socket.create_connection(("127.0.0.1", p.port())) as s:
            s.settimeout(20)
            s.sendall(b"PROXY ")
            try:
                self.assertEqual(s.recv(10), b"")
            except ConnectionResetError:
                pass
        idle = socket.create_connection(("127.0.0.1", p.port()))
        idle.sendall(b"PROXY ")
        self.addCleanup(idle.close)
        p.reload()


class ProxyProtocolTlsTest(PenstockTestCase):
    def test_before_tls(self):
        p = self.penstock(
            "http { server { listen 127.0.0.1:@PORT@ ssl proxy_protocol;"
            "ssl_certificate @PREFIX@/conf/server.pem;"
            "ssl_certificate_key @PREFIX@/conf/server.key;"
            'location / { return 200 "$scheme $proxy_protocol_addr"; } } }',
            start=False,
        )
        ca = Authority()
        self.addCleanup(ca.remove)
        ca.issue("server", "localhost")
        for name, text in ca.files("server").items():
            p.write(name, text)
        p.start()
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for header in (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", v2("192.0.2.1", 5)
        ):
            raw = socket.create_connection(("127.0.0.1", p.port()))
            raw.settimeout(20)
            raw.sendall(header)
            with context.wrap_socket(raw) as s:
                s.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                self.assertIn(b"https 192.0.2.1", s.makefile("rb").read())


class BackendTest(BridgeTestCase):
    def test_backends_know_whose_word_an_address_is(self):
        p = self.penstock(BACKEND, start=False)
        greeting = frame(1, 0, struct.pack(
            "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20, 0, 8, 7,
        )) + frame(READY)
        seen = []

        def on_frame(kind, cid, payload):
            if kind in (OPEN, HTTP_REQ):
                seen.append((kind, payload[3] & 0x10, b"192.0.2.7" in payload))
            if kind == OPEN:
                b.send(frame(ACCEPT, cid, bytes(8)))
            if kind == HTTP_REQ:
                b.send(frame(HTTP_RES, cid, struct.pack("<HH", 204, 0)))

        b = Backend(p.path("echo.sock"), greeting, on_frame)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        for fields in ([], ["X-Real-IP: 192.0.2.7"]):
            with Raw(p.port()) as s:
                self.assertEqual(s.ask("/", *fields).status, 204)
                s.get("/", "Upgrade: websocket", "Connection: Upgrade",
                      "Sec-WebSocket-Version: 13",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *fields)
                self.assertEqual(s.answer().status, 101)
        self.assertEqual(seen, [(HTTP_REQ, 0, False), (OPEN, 0, False),
                                (HTTP_REQ, 0x10, True), (OPEN, 0x10, True)])


class OutTest(PenstockTestCase):
    CONFIG = """
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@;
        location /v1 { proxy_pass http://127.0.0.1:@PORT2@; proxy_protocol on; }
        location /v2 { proxy_pass http://127.0.0.1:@PORT2@; proxy_protocol v2; }
        location /off { proxy_pass http://127.0.0.1:@PORT@/bare; }
        location /tls { proxy_pass https://127.0.0.1:@PORT2@; proxy_protocol v1; }
        location /bare { return 200 "no $http_connection"; }
    }
    server {
        listen 127.0.0.1:@PORT2@ proxy_protocol;
        return 200 "$proxy_protocol_addr|$proxy_protocol_port|$connection_requests";
    }
}
"""

    def ask(self, s, path):
        s.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
        return s.answer()

    def test_proxy_protocol_tells_upstreams_who_the_client_is(self):
        p = self.penstock(self.CONFIG)
        with Raw(p.port()) as s:
            mine = s.s.getsockname()[1]
            for path in ("/v1", "/v2", "/v1", "/v2"):
                with self.subTest(path):
                    # Each request has a connection of its own.
                    self.assertEqual(
                        self.ask(s, path).text, f"127.0.0.1|{mine}|1"
                    )
            self.assertEqual(self.ask(s, "/off").status, 200)
            self.assertEqual(self.ask(s, "/tls").status, 500)
        p.wait_for_log("proxy_protocol can not be used with https://")


if __name__ == "__main__":
    unittest.main()
