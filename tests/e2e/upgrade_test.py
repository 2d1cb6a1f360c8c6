# SPDX-License-Identifier: BSD-2-Clause
"""Who answers an upgrade, and what the answer says: websocket_pass beside
other handlers, tunnels, origins, subprotocols, fields of the backend."""

import random
import struct
import subprocess
import threading
import unittest

import os

from support import penstock
from support.gateway import (
    ACCEPT, OPEN, REJECT, BridgeTestCase, frame, tlv,
)
from support.nginx import CompareTestCase
from support.penstock import wait_for
from support.raw import Origin, Raw
from support.websocket import KEY, TEXT, Client, encode, handshake

HTTP = penstock.BINARY and os.path.join(
    os.path.dirname(penstock.BINARY), "..", "contrib", "examples", "example-http"
)
CONFIG = """
user root;
events { }
http {
    backend echo { server unix:@PREFIX@/echo.sock; }
    backend app { server unix:@PREFIX@/app.sock; }
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:@PORT@;
        root @PREFIX@/html;
        location /proxied {
            websocket_pass echo;
            proxy_pass http://127.0.0.1:%d;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
        location /files { websocket_pass echo; root @PREFIX@/html; }
        location /app { websocket_pass echo; backend_pass app; }
        location /returned { websocket_pass echo; return 200 "returned\\n"; }
        location /not { backend_pass app; }
    }
}
"""


def header(name, value):
    return tlv(0x10, struct.pack("<H", len(name)) + name + value)


class OneLocationTest(BridgeTestCase):
    """websocket_pass takes the handshakes, another handler all the rest."""

    def begin(self):
        origin = Origin(lambda peer: peer.reply("proxied " + peer.request.method))
        self.addCleanup(origin.stop)
        p = self.penstock(CONFIG % origin.port, start=False)
        p.write("html/files/a.txt", "a file\n")
        self.start_echo(p)
        app = subprocess.Popen([HTTP, p.path("app.sock")])
        self.addCleanup(app.wait)
        self.addCleanup(app.kill)
        wait_for("the app", lambda: os.path.exists(p.path("app.sock")))
        p.start()
        self.wait_ready(p, 2)
        return p

    def upgrade(self, p, path, **fields):
        c = Client(p.port(), handshake(fields, f"GET {path} HTTP/1.1", p.port()))
        self.addCleanup(c.socket.close)
        return c

    def test_upgrades_go_to_the_first_and_the_rest_to_the_others(self):
        p = self.begin()
        for path, text in (
            ("/proxied", "proxied GET"), ("/files/a.txt", "a file\n"),
            ("/app", None),
        ):
            c = self.upgrade(p, path)
            self.assertEqual(c.status, 101, path)
            c.send(encode(TEXT, b"hello"))
            self.assertEqual(c.message(), (TEXT, b"hello"))
            with Raw(p.port()) as s:
                for _ in range(2):
                    answer = s.ask(path)
                    self.assertEqual(answer.status, 200, path)
                    if text:
                        self.assertEqual(answer.text, text)

    def test_what_is_no_handshake_goes_to_the_others(self):
        p = self.begin()
        # h2c is no tunnel here, and websocket without Connection is none.
        for fields in (
            ["Upgrade: h2c", "Connection: Upgrade"], ["Upgrade: h2c"],
            ["Connection: Upgrade"],
        ):
            with Raw(p.port()) as s:
                self.assertEqual(s.ask("/proxied", *fields).text, "proxied GET")
                self.assertEqual(s.ask("/files/a.txt", *fields).text, "a file\n")
        with Raw(p.port()) as s:
            self.assertEqual(s.ask("/proxied", method="DELETE").text, "proxied DELETE")

    def test_errors_of_a_handshake_are_answered_here(self):
        p = self.begin()
        for path in ("/proxied", "/files/a.txt", "/app"):
            c = self.upgrade(p, path, **{"Sec-WebSocket-Version": "99"})
            self.assertEqual(c.status, 426, path)
            self.assertEqual(c.fields["sec-websocket-version"], "13, 8")
            c.read_body()
            # And on the same connection the next one is better.
            c.send(handshake(request=f"GET {path} HTTP/1.1", port=p.port()))
            self.assertEqual(c.read_head(), 101)

    def test_return_is_a_rewrite_and_comes_first(self):
        p = self.begin()
        self.assertEqual(self.upgrade(p, "/returned").status, 200)

    def test_a_location_without_websocket_pass_takes_none(self):
        p = self.begin()
        c = self.upgrade(p, "/not")
        self.assertNotEqual(c.status, 101)


class TunnelTest(CompareTestCase):
    """The recipe of nginx is a tunnel of bytes, whatever they are."""

    RNG = random.Random(8)

    def both_around(self, origin):
        return self.both(
            f"location / {{ proxy_pass http://127.0.0.1:{origin.port};"
            " proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection $connection_upgrade; }",
            http="map $http_upgrade $connection_upgrade"
            " { default upgrade; '' close; }",
        )

    def test_every_byte_arrives_as_it_was_sent(self):
        ours = self.RNG.randbytes(300000)
        theirs = b"".join((
            encode(TEXT, b"x", key=b""), b"\x00hello\xff", b"\xff\x00",
            encode(3, b"reserved", rsv=7), encode(TEXT, b"", length=1 << 62),
            self.RNG.randbytes(200000),
        ))
        seen = []

        def respond(peer):
            peer.send(b"HTTP/1.1 101 Any Phrase\r\nUpgrade: websocket\r\n"
                      b"Connection: Upgrade\r\nSec-WebSocket-Accept: whatever\r\n"
                      b"X-Other: 1\r\n\r\n" + ours[:10])
            got = peer.exactly(len(theirs) // 2)
            peer.send(ours[10:])
            seen.append(got + peer.exactly(len(theirs) - len(got)))
            return True

        origin = Origin(respond)
        self.addCleanup(origin.stop)
        both = self.both_around(origin)
        answers = []
        for port in (both.ours.port(), both.nginx.port):
            s = Raw(port)
            self.addCleanup(s.close)
            s.send(
                "GET /t?q HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: a; b=1\r\n"
                "Sec-WebSocket-Protocol: p, q\r\nOrigin: http://evil.example\r\n\r\n"
            )
            answer = s.head()
            self.assertEqual(answer.status, 101)
            answers.append(sorted(
                (n.lower(), v) for n, v in answer.fields
                if n.lower() not in ("date", "server")
            ))
            sender = threading.Thread(target=s.send, args=(theirs,))
            sender.start()
            self.assertEqual(s.exactly(len(ours)), ours)
            sender.join()
        wait_for("both", lambda: len(seen) == 2)
        self.assertEqual(seen, [theirs, theirs])
        self.assertEqual(
            [(n, v.lower()) for n, v in answers[0]],
            [(n, v.lower()) for n, v in answers[1]],
        )
        # And the origin was asked the same.
        asked = [
            sorted((n.lower(), v) for n, v in r.fields
                   if n.lower().startswith(("sec-", "upgrade", "origin")))
            for r in origin.requests
        ]
        self.assertEqual(asked[0], asked[1])
        self.assertIn(("sec-websocket-extensions", "a; b=1"), asked[0])


class AnswerTest(BridgeTestCase):
    def begin(self, location="", answer=None):
        """A backend that answers OPEN with what answer(payload) makes."""
        def on_frame(kind, cid, payload):
            if kind == OPEN:
                self.opened = payload
                kind, body = answer(payload) if answer else (ACCEPT, bytes(8))
                b.send(frame(kind, cid, body))

        p, b = self.with_backend(location=location, on_frame=on_frame)
        self.wait_ready(p)
        return p

    def ask(self, p, **fields):
        fields = {k.replace("_", "-"): v for k, v in fields.items()}
        c = Client(p.port(), handshake(fields, port=p.port()))
        self.addCleanup(c.socket.close)
        return c

    def refused(self, c, status):
        self.assertEqual(c.status, status, c.head)
        c.read_body()
        if c.fields["connection"] != "close":
            c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual((c.read_head(), c.read_body()), (200, b"plain\n"))

    def test_protocols_that_are_required(self):
        p = self.begin("websocket_protocol v2 v1 required;")
        for offer, chosen in (("v1", "v1"), ("x, v1, v2", "v2"), ("v2", "v2")):
            c = self.ask(p, Sec_WebSocket_Protocol=offer)
            self.assertEqual(c.status, 101)
            self.assertEqual(c.fields["sec-websocket-protocol"], chosen)
        for offer in (None, "v3", "V1"):
            self.refused(self.ask(p, Sec_WebSocket_Protocol=offer), 400)

    def test_any_protocol_that_is_required(self):
        p = self.begin("websocket_protocol any required;")
        c = self.ask(p, Sec_WebSocket_Protocol="b, a")
        self.assertEqual(c.fields["sec-websocket-protocol"], "b")
        self.refused(self.ask(p), 400)

    def test_protocols_that_are_not(self):
        p = self.begin("websocket_protocol v2 v1;")
        c = self.ask(p, Sec_WebSocket_Protocol="v1, v2")
        self.assertEqual(c.status, 101)
        self.assertNotIn("sec-websocket-protocol", c.fields)
        # By our preference, and nothing that is not ours.
        at = self.opened.index(tlv(0x19, b"v2"))
        self.assertGreater(self.opened.index(tlv(0x19, b"v1")), at)
        self.assertEqual(self.ask(p).status, 101)

    def test_fields_of_the_backend(self):
        p = self.begin(answer=lambda payload: (
            ACCEPT, bytes(8) + header(b"Set-Cookie", b"a=1")
            + header(b"Set-Cookie", b"b=2") + header(b"X-Served-By", b"one"),
        ))
        c = self.ask(p)
        self.assertEqual(c.status, 101)
        self.assertEqual(c.fields["set-cookie"], "a=1, b=2")
        self.assertEqual(c.fields["x-served-by"], "one")

    def test_fields_of_a_rejection(self):
        p = self.begin(answer=lambda payload: (
            REJECT, struct.pack("<HH", 401, 0) + header(b"WWW-Authenticate", b"Basic")
            + header(b"Set-Cookie", b"a=1"),
        ))
        for _ in range(2):
            c = self.ask(p)
            self.assertEqual(c.fields["www-authenticate"], "Basic")
            self.assertEqual(c.fields["set-cookie"], "a=1")
            self.refused(c, 401)

    def test_origins_that_are_reported_only(self):
        p = self.begin("websocket_origin https://a.example;"
                       "websocket_origin_mode report;")
        for origin, line in (
            ("https://b.example", 'origin "https://b.example" would be refused'),
            (None, 'origin "" would be refused'),
        ):
            before = p.log().count(line)
            self.assertEqual(self.ask(p, Origin=origin).status, 101)
            p.wait_for_log(line)
            self.assertEqual(p.log().count(line), before + 1)
        lines = p.log().count("would be refused")
        self.assertEqual(self.ask(p, Origin="https://a.example").status, 101)
        self.assertEqual(p.log().count("would be refused"), lines)

    def test_the_same_origin_behind_a_proxy(self):
        forwarded = {
            "X_Forwarded_Proto": "https", "X_Forwarded_Host": "public.example",
            "Origin": "https://public.example",
        }
        for trusted, status in (("127.0.0.1", 101), ("192.0.2.1", 403), (None, 403)):
            p = self.begin(trusted and f"set_real_ip_from {trusted};" or "")
            self.assertEqual(self.ask(p, **forwarded).status, status, trusted)
            own = self.ask(p, Origin=f"http://127.0.0.1:{p.port()}")
            self.assertEqual(own.status, 101)
            p.stop()

    def test_a_missing_origin(self):
        for rules, status in (
            ("same", 101), ("any", 101), ("none", 101), ("null", 403),
            ("https://a.example", 403), ("https://a.example none", 101),
            ("~.", 403), ("same https://a.example", 101),
        ):
            p = self.begin(f"websocket_origin {rules};")
            self.assertEqual(self.ask(p).status, status, rules)
            p.stop()


if __name__ == "__main__":
    unittest.main()
