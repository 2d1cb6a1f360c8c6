# SPDX-License-Identifier: BSD-2-Clause
"""The versions before RFC 6455, over real connections: websocket_versions."""

import hashlib
import struct
import threading
import unittest

from support.gateway import BridgeTestCase, SharedGatewayTestCase
from support.penstock import PenstockTestCase, wait_for
from support.raw import Origin
from support.websocket import (
    BINARY, KEY, PING, PONG, TEXT, Client, Ended, close_frame, encode,
)

KEYS = {
    "Sec-WebSocket-Key1": "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
    "Sec-WebSocket-Key2": "1_ tx7X d  <  nw  334J702) 7]o}` 0",
}
SECRET, ANSWER = b"Tm[K T2u", b"fQJ,fN/4F4!~K~MH"


def answer(number1, number2, secret):
    return hashlib.md5(struct.pack(">II", number1, number2) + secret).digest()


class Old(Client):
    """One that talks 00 ... FF."""

    def __init__(self, port, fields=(), behind=b"", head=None, **more):
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "WebSocket",
            "Connection": "Upgrade",
            **dict(fields),
        }
        if head is None:
            head = "GET /ws HTTP/1.1\r\n" + "".join(
                f"{n}: {v}\r\n" for n, v in lines.items() if v is not None
            )
        super().__init__(port, (head + "\r\n").encode(), behind, **more)

    def text(self, message):
        self.send(b"\x00" + message + b"\xff")

    def message(self):
        assert self.take(1) == b"\x00"
        while b"\xff" not in self.data:
            self.more()
        got = self.take(self.data.index(b"\xff"))
        self.take(1)
        return got

    def rest(self):
        try:
            while True:
                self.more()
        except Ended:
            return bytes(self.data)


class DraftsTestCase(SharedGatewayTestCase):
    location = "websocket_versions 13 8 7 76 75;"

    def old(self, *args, **more):
        c = Old(self.p.port(), *args, **more)
        self.addCleanup(c.socket.close)
        return c


class Hixie76Test(DraftsTestCase):
    def open(self, behind=SECRET, **fields):
        c = self.old({**KEYS, **fields}, behind)
        self.assertEqual(c.status, 101, c.head)
        self.assertEqual(c.take(16), ANSWER)
        return c

    def test_the_answer(self):
        origin = f"http://127.0.0.1:{self.p.port()}"
        c = self.open(Origin=origin)
        self.assertTrue(c.head.startswith(
            "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
            "Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
        ))
        self.assertEqual(c.fields["sec-websocket-origin"], origin)
        self.assertEqual(
            c.fields["sec-websocket-location"],
            f"ws://127.0.0.1:{self.p.port()}/ws",
        )
        self.assertNotIn("sec-websocket-accept", c.fields)
        c.text(b"hello")
        self.assertEqual(c.message(), b"hello")

    def test_the_secret_may_come_late_and_in_pieces(self):
        for at in range(9):
            c = self.old(KEYS, SECRET[:at], wait=False)
            c.send(SECRET[at:])
            c.read_head()
            self.assertEqual(c.take(16), ANSWER)
        c = self.old(KEYS, wait=False)
        c.chop(SECRET)
        c.read_head()
        self.assertEqual(c.take(16), ANSWER)

    def test_the_secret_may_be_any_bytes(self):
        for secret in (bytes(8), b"\r\n\r\nGET ", b"\xff\x00" * 4, b"\r\n" * 4):
            c = self.old(KEYS, secret)
            self.assertEqual(c.take(16), answer(155712099, 173347027, secret))

    def test_frames_may_follow_the_secret_at_once(self):
        c = self.open(SECRET + b"\x00early\xff\x00and more\xff")
        self.assertEqual(c.message(), b"early")
        self.assertEqual(c.message(), b"and more")

    def test_messages_of_many_sizes(self):
        c = self.open()
        for n in (0, 1, 125, 1000, 65535, 65536, 300000):
            c.text(b"t" * n)
            self.assertEqual(c.message(), b"t" * n)
        c.chop(b"\x00" + "\u00e4\u20ac\U0001f600".encode() + b"\xff")
        self.assertEqual(c.message().decode(), "\u00e4\u20ac\U0001f600")

    def test_what_has_a_length_is_dropped(self):
        c = self.open()
        c.send(b"\x80\x05binar\x90\x81\x00" + bytes(128) + b"\xff\x01!\x00x\xff")
        self.assertEqual(c.message(), b"x")

    def test_the_closing_frame_is_answered(self):
        c = self.open()
        c.send(b"\xff\x00")
        self.assertEqual(c.rest(), b"\xff\x00")

    def test_bad_text_ends_it(self):
        c = self.open()
        c.send(b"\x00\xc3(\xff")
        self.assertEqual(c.rest(), b"\xff\x00")

    def refused(self, status, fields, behind=SECRET, closed=True):
        c = self.old({**KEYS, **fields}, behind)
        self.assertEqual(c.status, status, c.head)
        body = c.read_body()
        self.assertEqual(c.fields["connection"], "close")
        self.assertEqual(c.rest(), b"", body)

    def test_what_is_refused(self):
        self.refused(400, {"Sec-WebSocket-Key1": "12"})
        self.refused(400, {"Sec-WebSocket-Key2": None})
        self.refused(400, {"Sec-WebSocket-Key2": "1 2 5"})
        self.refused(403, {"Origin": "http://evil.example"})
        # Whoever says that there is a body means something else.
        self.refused(400, {"Content-Length": "8"})

    def test_a_secret_that_never_comes(self):
        c = self.old(KEYS, SECRET[:7], wait=False)
        c.socket.shutdown(1)
        with self.assertRaises(Ended):
            c.more()


class Hixie75Test(DraftsTestCase):
    def test_the_answer_begins_to_the_letter(self):
        c = self.old({"WebSocket-Protocol": "sample", "Origin": None})
        self.assertTrue(c.head.startswith(
            "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
            "Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
            f"WebSocket-Location: ws://127.0.0.1:{self.p.port()}/ws\r\n"
        ), c.head)
        c.text(b"hello")
        self.assertEqual(c.message(), b"hello")
        c.send(b"\xff\x00\x00still\xff")
        self.assertEqual(c.message(), b"still")
        line = "client closed the session"
        before = self.p.log().count(line)
        c.socket.close()
        wait_for("its end", lambda: self.p.log().count(line) > before)

    def test_a_refusal_leaves_the_connection_usable(self):
        c = self.old({"Origin": "http://evil.example"})
        self.assertEqual(c.status, 403)
        c.read_body()
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(c.read_head(), 200)
        self.assertEqual(c.read_body(), b"plain\n")


class HybiTest(DraftsTestCase):
    def open(self, version, **fields):
        c = self.ask({
            "Sec-WebSocket-Version": version, "Sec-WebSocket-Key": KEY, **fields
        })
        self.assertEqual(c.status, 101, c.head)
        return c

    def test_versions_7_and_8(self):
        origin = f"http://127.0.0.1:{self.p.port()}"
        for version in ("7", "8"):
            c = self.open(version, **{"Sec-WebSocket-Origin": origin})
            self.assertIn("sec-websocket-accept", c.fields)
            c.send(encode(TEXT, b"hello"), encode(BINARY, b"\x00\xff"))
            self.assertEqual(c.message(), (TEXT, b"hello"))
            self.assertEqual(c.message(), (BINARY, b"\x00\xff"))
            c.send(encode(PING, b"p"))
            self.assertEqual(c.frame(), (0x80 | PONG, b"p"))
            # Lengths in more bytes than needed were legal.
            c.send(encode(TEXT, b"long", form=8))
            self.assertEqual(c.message(), (TEXT, b"long"))
            c.send(close_frame(1004, b"too large"))
            self.assertEqual(c.finish()[1], 1009)
            c = self.ask({
                "Sec-WebSocket-Version": version,
                "Sec-WebSocket-Origin": "http://evil.example",
            })
            self.assertEqual(c.status, 403)

    def test_the_extensions_of_today_are_not_theirs(self):
        c = self.open("8", **{"Sec-WebSocket-Extensions": "permessage-deflate"})
        self.assertNotIn("sec-websocket-extensions", c.fields)


class DefaultTest(SharedGatewayTestCase):
    def test_the_oldest_are_not_offered(self):
        c = Old(self.p.port(), KEYS, SECRET)
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 426)
        self.assertEqual(c.fields["sec-websocket-version"], "13, 8")
        self.assertEqual(c.fields["connection"].lower(), "close, upgrade")
        c.read_body()
        self.assertEqual(c.rest(), b"")
        c = Old(self.p.port())
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 400)
        c = self.ask({"Sec-WebSocket-Version": "8"})
        self.assertEqual(c.status, 101)


class SecretTest(PenstockTestCase):
    def test_it_must_come_in_client_body_timeout(self):
        p = self.penstock("""
            events { }
            http {
                backend echo { server unix:@PREFIX@/no.sock; }
                server {
                    listen 127.0.0.1:@PORT@;
                    client_body_timeout 300ms;
                    location /ws {
                        websocket_pass echo;
                        websocket_versions 76;
                    }
                }
            }
        """)
        c = Old(p.port(), KEYS, SECRET[:3])
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 408)
        # And when it comes, the backend is missed.
        c = Old(p.port(), KEYS, SECRET)
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 503)
        # Nothing is left of it: the connection is as good as before.
        c.read_body()
        self.assertEqual(c.fields["connection"], "keep-alive")
        c.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(c.read_head(), 404)


class AuthTest(BridgeTestCase):
    def test_the_secret_behind_a_question_that_takes_its_time(self):
        told = threading.Event()

        def respond(peer):
            told.wait(20)
            peer.reply("")

        origin = Origin(respond)
        self.addCleanup(origin.stop)
        self.addCleanup(told.set)
        p, _ = self.gateway(
            location="websocket_versions 76; auth_request /auth;",
            front="",
        )
        config = p.config.replace("location /ws", (
            f"location /auth {{ proxy_pass http://127.0.0.1:{origin.port}; }}"
            " location /ws"
        ))
        p.configure(config)
        p.reload()
        for early in (8, 3, 0):
            told.clear()
            asked = len(origin.requests)
            c = Old(p.port(), KEYS, SECRET[:early], wait=False)
            self.addCleanup(c.socket.close)
            wait_for("the question", lambda: len(origin.requests) > asked)
            told.set()
            c.send(SECRET[early:])
            self.assertEqual(c.read_head(), 101)
            self.assertEqual(c.take(16), ANSWER)
            c.text(b"hello")
            self.assertEqual(c.message(), b"hello")


if __name__ == "__main__":
    unittest.main()
