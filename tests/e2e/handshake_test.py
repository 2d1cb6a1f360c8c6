# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket handshakes byte by byte, and how sessions end."""

import base64
import hashlib
import os
import struct
import time
import unittest

from support.gateway import (
    ACCEPT, CLOSED, OPEN, BridgeTestCase, SharedGatewayTestCase, frame, tlv,
)
from support.gateway import CLOSE as SLUICE_CLOSE
from support.gateway import PING as SLUICE_PING
from support.gateway import PONG as SLUICE_PONG
from support.penstock import wait_for
from support.websocket import (
    PING, PONG, TEXT, Client, Ended, close_frame, encode, handshake,
)


class RequestTest(SharedGatewayTestCase):
    def check_talk(self, c):
        c.send(encode(TEXT, b"hello"))
        self.assertEqual(c.message(), (TEXT, b"hello"))

    def accepted(self, fields=(), request="GET /ws HTTP/1.1"):
        c = self.ask(fields, request)
        self.assertEqual(c.status, 101, (fields, c.head))
        self.check_talk(c)
        return c

    def refused(self, status, fields=(), request="GET /ws HTTP/1.1"):
        c = self.ask(fields, request)
        self.assertEqual(c.status, status, (fields, request, c.head))
        self.assertNotIn("sec-websocket-accept", c.fields)
        fields = c.fields
        c.read_body()
        # What is left of the connection is as the answer says.
        if fields["connection"].lower() == "close":
            with self.assertRaises(Ended):
                c.more()
        else:
            c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(c.read_head(), 200)
            self.assertEqual(c.read_body(), b"plain\n")
        return fields

    def test_the_answer(self):
        key = base64.b64encode(os.urandom(16)).decode()
        c = self.accepted({"Sec-WebSocket-Key": key})
        digest = hashlib.sha1(
            (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
        ).digest()
        self.assertEqual(
            c.fields["sec-websocket-accept"], base64.b64encode(digest).decode()
        )
        self.assertTrue(c.head.startswith("HTTP/1.1 101 "))
        self.assertEqual(c.fields["upgrade"].lower(), "websocket")
        self.assertEqual(c.fields["connection"].lower(), "upgrade")
        for name in (
            "content-length", "transfer-encoding", "sec-websocket-protocol",
            "sec-websocket-extensions", "sec-websocket-version",
        ):
            self.assertNotIn(name, c.fields)
        # The example of RFC 6455 section 1.3.
        c = self.accepted({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        self.assertEqual(
            c.fields["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        )

    def test_names_and_tokens_in_any_case_and_in_lists(self):
        for fields in (
            {"Connection": "keep-alive, Upgrade"},
            {"Connection": "Upgrade,keep-alive"},
            {"Connection": ["keep-alive", "Upgrade"]},
            {"Connection": "UPGRADE", "Upgrade": "WebSocket"},
            {"Connection": " , upgrade ,"},
            {"Upgrade": "websocket, foo/2"},
            {"Upgrade": ["foo", "websocket"]},
            {"Upgrade": None, "uPGRADE": "websocket"},
            {"Connection": None, "CONNECTION": "upgrade"},
            {"Sec-WebSocket-Version": None, "sec-websocket-version": "13"},
            {"Sec-WebSocket-Key": None,
             "SEC-WEBSOCKET-KEY": "AAAAAAAAAAAAAAAAAAAAAA=="},
            {"Sec-WebSocket-Key": "  AAAAAAAAAAAAAAAAAAAAAA==  "},
            {"Content-Length": "0"},
            {"X-Unknown": "x" * 4000, "Cookie": "a=b; c=d"},
        ):
            self.accepted(fields)
        self.accepted(request="GET /ws?query=%20&x=/../ HTTP/1.1")
        self.accepted(request="GET /ws/below HTTP/1.1")

    def test_octet_by_octet(self):
        c = self.client(greeting=b"", wait=False)
        c.chop(handshake(port=self.p.port()))
        self.assertEqual(c.read_head(), 101)
        self.check_talk(c)

    def test_frames_behind_the_request(self):
        many = b"".join(encode(TEXT, b"%d" % i) for i in range(50))
        c = self.client(behind=many + encode(PING, b"p") + close_frame(1000))
        before, code, _ = c.finish()
        self.assertEqual(code, 1000)
        self.assertIn((0x80 | PONG, b"p"), before)
        # Cut at every place around the end of the head.
        whole = handshake(port=self.p.port()) + encode(TEXT, b"behind")
        end = whole.index(b"\r\n\r\n")
        for at in range(end, len(whole)):
            c = self.client(greeting=whole[:at], wait=False)
            c.send(whole[at:])
            self.assertEqual(c.read_head(), 101)
            self.assertEqual(c.message(), (TEXT, b"behind"))
        # A bad frame there ends the session, not the handshake.
        c = self.client(behind=b"\x81\x03bad")
        self.assertEqual(c.finish(), ([], 1002, b""))

    def test_a_handshake_behind_other_requests(self):
        ordinary = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        c = self.client(
            greeting=ordinary * 2 + handshake(port=self.p.port()),
            behind=encode(TEXT, b"x"),
        )
        self.assertEqual((c.status, c.read_body()), (200, b"plain\n"))
        self.assertEqual((c.read_head(), c.read_body()), (200, b"plain\n"))
        self.assertEqual(c.read_head(), 101)
        self.assertEqual(c.message(), (TEXT, b"x"))

    def test_versions(self):
        for version in ("0", "7", "12", "14", "255"):
            fields = self.refused(426, {"Sec-WebSocket-Version": version})
            self.assertEqual(fields["sec-websocket-version"], "13, 8")
            self.assertEqual(fields["upgrade"].lower(), "websocket")
            self.assertIn("upgrade", fields["connection"].lower())
        for version in (
            None, "", "013", "256", "-13", "13, 8", "13;", "x", ["13", "13"],
        ):
            self.refused(400, {"Sec-WebSocket-Version": version})

    def test_keys(self):
        for key in (
            None, "", "AAAA", "A" * 24, "A" * 21 + "===", "A" * 23 + "=",
            "A" * 22 + "= =", "AAAAAAAAAAAAAAAAAAAAA-==", "A" * 26 + "==",
            ["AAAAAAAAAAAAAAAAAAAAAA=="] * 2,
        ):
            self.refused(400, {"Sec-WebSocket-Key": key})

    def test_requests_that_are_no_handshakes(self):
        self.refused(400, {"Connection": None})
        self.refused(400, {"Connection": "keep-alive"})
        self.refused(400, {"Content-Length": "2"})
        fields = self.refused(405, request="POST /ws HTTP/1.1")
        self.assertEqual(fields["allow"], "GET")
        self.refused(405, request="OPTIONS /ws HTTP/1.1")
        c = self.ask(request="GET /ws HTTP/1.0")
        self.assertEqual(c.status, 400)

    def test_what_is_refused_leaves_the_connection_usable(self):
        for status, fields in (
            (400, {"Connection": "keep-alive"}),
            (400, {"Sec-WebSocket-Key": "AAAA"}),
            (400, {"Sec-WebSocket-Key": None}),
            (400, {"Sec-WebSocket-Version": "x"}),
            (400, {"Sec-WebSocket-Protocol": "a b"}),
            (426, {"Sec-WebSocket-Version": "14"}),
            (403, {"Origin": "https://evil.example"}),
        ):
            fields = self.refused(status, fields)
            self.assertNotEqual(fields["connection"].lower(), "close")
        # The same connection may then become a session.
        c = self.ask({"Sec-WebSocket-Key": "AAAA"})
        c.read_body()
        c.send(handshake(port=self.p.port()))
        self.assertEqual(c.read_head(), 101)
        self.check_talk(c)
        for fields in (
            {"Content-Length": "2"}, {"Transfer-Encoding": "chunked"},
            {"Connection": "Upgrade, close", "Sec-WebSocket-Key": "AAAA"},
        ):
            fields = self.refused(400, fields)
            self.assertEqual(fields["connection"].lower(), "close")

    def test_more_requests_and_where_they_lead(self):
        for fields in (
            {"Host": None}, {"Host": ["a", "b"]}, {"Host": "a b"},
            {"Sec-WebSocket-Key": "A" * 10 + " " + "A" * 11 + "=="},
            {"Connection": '"Upgrade"'}, {"Connection": "Upgradex"},
            {"Connection": "Up grade"}, {"Sec-WebSocket-Version": ["8", "13"]},
        ):
            self.refused(400, fields)
        for method in "HEAD", "PUT", "DELETE":
            self.assertEqual(self.ask(request=f"{method} /ws HTTP/1.1").status, 405)
        self.assertEqual(self.ask(request="GET /ws HTTP/1.2").status, 505)
        self.refused(400, request="GET /ws#fragment HTTP/1.1")
        self.accepted(request="GET http://127.0.0.1/ws HTTP/1.1")
        self.accepted({"Sec-WebSocket-Version": " 13 "})
        self.accepted({"Sec-WebSocket-Protocol": ""})
        self.accepted({"Connection": "Upgrade", "Expect": "100-continue"})

    def test_an_ordinary_request_is_not_taken(self):
        # There is no file of that name.
        self.refused(404, {"Upgrade": None, "Connection": None})
        self.refused(404, {"Upgrade": "h2c"})
        self.refused(404, {"Upgrade": "websocket/13"})

    def test_extensions_are_declined_in_silence(self):
        for offer in (
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
            ["permessage-deflate", "permessage-bzip2"], "", "junk;;=,",
        ):
            c = self.accepted({"Sec-WebSocket-Extensions": offer})
            self.assertNotIn("sec-websocket-extensions", c.fields)
            # And a compressed frame is one with a reserved bit.
            c.send(encode(TEXT, b"\xf2H\xcd\xc9\xc9\x07\x00", rsv=4))
            self.assertEqual(c.finish(), ([], 1002, b""))

    def test_origins(self):
        host = f"127.0.0.1:{self.p.port()}"
        for origin in (None, f"http://{host}", f"HTTP://{host}"):
            self.accepted({"Origin": origin})
        for origin in (
            "null", "", f"https://{host}", "http://127.0.0.1",
            f"http://{host}.example", f"http://x.{host}", f"{host}",
            f"http://{host}@evil.example", f"http://{host}/", "file://",
            [f"http://{host}", f"http://{host}"],
            [f"http://{host}", "http://evil.example"],
        ):
            self.refused(403, {"Origin": origin})

    def test_subprotocols_that_nobody_chooses(self):
        many = ", ".join(f"protocol-{i}" for i in range(60))
        for offer in ("chat", "a, b,c ,, d", ["a", "b, c"], many):
            c = self.accepted({"Sec-WebSocket-Protocol": offer})
            self.assertNotIn("sec-websocket-protocol", c.fields)
        for offer in ("a,a", ["a", "b", "a"], "a b", "a;b", "(a)", "a, \x7f"):
            self.refused(400, {"Sec-WebSocket-Protocol": offer})

    def test_very_many_subprotocols_cost_no_time(self):
        # As many as the head's buffers take.
        many = ["," * 7000, ", ".join(f"p{i}" for i in range(1200))]
        started = time.monotonic()
        c = self.ask({"Sec-WebSocket-Protocol": many})
        self.assertIn(c.status, (400, 431))
        self.assertLess(time.monotonic() - started, 2)


class ProtocolTest(SharedGatewayTestCase):
    location = "websocket_protocol v2 v1; websocket_accept auto;"

    def test_ours_is_chosen_by_our_order(self):
        for offer, chosen in (
            ("v1", "v1"), ("v1, v2", "v2"), (["v1", "v3", "v2"], "v2"),
            ("V1", None), ("v3", None), (None, None), ("v11,v1x", None),
        ):
            c = self.ask({"Sec-WebSocket-Protocol": offer})
            self.assertEqual(c.status, 101)
            self.assertEqual(c.fields.get("sec-websocket-protocol"), chosen)
            c.send(encode(TEXT, b"auto"))
            self.assertEqual(c.message(), (TEXT, b"auto"))


class EndTest(BridgeTestCase):
    """What the backend starts, with a backend of our own."""

    def one(self, **how):
        p, b = self.with_backend(**how)
        self.wait_ready(p)
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return p, b, c, b.of(OPEN)[-1][1]

    def closed(self, b, n=1):
        wait_for("CLOSED", lambda: len(b.of(CLOSED)) >= n)
        kind, cid, payload, code = b.of(CLOSED)[n - 1]
        return code, payload[0], payload[1], payload[32:]

    def test_the_backend_closes_and_the_client_answers(self):
        p, b, c, cid = self.one()
        for code, reason in ((1000, b""), (4999, b"r" * 123), (1011, b"\xc3\xa4")):
            b.send(frame(SLUICE_CLOSE, cid, reason, aux=code))
            first, payload = c.frame()
            self.assertEqual((first, payload), (0x88, struct.pack(">H", code) + reason))
            c.send(encode(TEXT, b"crosses"), close_frame(code, b"mine"))
            with self.assertRaises(Ended):
                c.more()
            n = len(b.of(OPEN))
            self.assertEqual(self.closed(b, n), (code, 1, 3, b"mine"))
            # What crossed the close frame is not lost.
            self.assertTrue(any(f[1] == cid and f[2] == b"crosses" for f in b.frames))
            c = Client(p.port())
            self.addCleanup(c.socket.close)
            cid = b.of(OPEN)[-1][1]
        b.send(frame(SLUICE_CLOSE, cid))
        self.assertEqual(c.frame(), (0x88, b""))

    def test_a_client_that_never_answers_our_close(self):
        p, b, c, cid = self.one(location="websocket_close_timeout 500ms;")
        started = time.monotonic()
        b.send(frame(SLUICE_CLOSE, cid, aux=1000))
        self.assertEqual(c.frame()[0], 0x88)
        c.send(encode(PING, b"not an answer"))
        with self.assertRaises(Ended):
            c.more()
        self.assertTrue(0.4 < time.monotonic() - started < 5)
        code, cause, flags, _ = self.closed(b)
        self.assertEqual((code, cause, flags), (1006, 1, 2))

    def test_a_client_that_is_held_can_still_be_closed(self):
        p, b, c, cid = self.one(location="websocket_close_timeout 10s;")
        b.send(frame(0x32, cid))  # PAUSE
        b.send(frame(SLUICE_CLOSE, cid, aux=1000))
        self.assertEqual(c.frame()[0], 0x88)
        started = time.monotonic()
        c.send(close_frame(1000))
        self.assertEqual(self.closed(b)[:3], (1000, 1, 3))
        self.assertLess(time.monotonic() - started, 5)

    def test_a_backend_that_never_accepts_what_was_accepted_for_it(self):
        p, b = self.with_backend(
            location="websocket_accept auto;", backend="accept_timeout 500ms;",
            on_frame=lambda *_: None,
        )
        self.wait_ready(p)
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        c.send(encode(TEXT, b"anybody?"))
        self.assertEqual(c.finish(), ([], 1013, b""))
        self.assertEqual(self.closed(b)[1], 14)

    def test_pings_of_the_backend(self):
        p, b, c, cid = self.one()
        b.send(frame(SLUICE_PING, cid, b"p" * 125) + frame(SLUICE_PONG, cid, b"q"))
        self.assertEqual(c.frame(), (0x89, b"p" * 125))
        self.assertEqual(c.frame(), (0x8A, b"q"))

    def test_a_silent_client_is_pinged_and_given_up(self):
        p, b, c, cid = self.one(location="websocket_ping 300ms timeout=300ms;")
        for _ in range(3):
            first, token = c.frame()
            self.assertEqual((first, len(token)), (0x89, 4))
            c.send(encode(PONG))
        first, token = c.frame()
        self.assertEqual((first, len(token)), (0x89, 4))
        with self.assertRaises(Ended):
            c.more()
        self.assertEqual(self.closed(b)[:2], (1006, 6))

    def test_an_idle_session_is_closed(self):
        p, b, c, cid = self.one(location="websocket_idle_timeout 500ms;")
        c.send(encode(TEXT, b"x"))
        started = time.monotonic()
        self.assertEqual(c.finish(), ([], 1001, b"idle timeout"))
        self.assertTrue(0.4 < time.monotonic() - started < 5)
        self.assertEqual(self.closed(b)[1], 5)

    def test_what_websocket_idle_timeout_counts(self):
        location = "websocket_idle_timeout 700ms; websocket_ping 300ms timeout=20s;"
        p, b, c, cid = self.one(location=location)
        started = time.monotonic()
        before, code, _ = c.finish()
        self.assertEqual(([first for first, _ in before], code), ([0x89], 1001))
        self.assertTrue(0.6 < time.monotonic() - started < 5)

        def data():
            b.send(frame(0x20, b.of(OPEN)[-1][1], b"x"))
            self.assertEqual(c.message(), (TEXT, b"x"))

        location = "websocket_idle_timeout 700ms; websocket_ping %s;"
        for ping, active in (
            ("100ms timeout=20s", lambda: c.send(encode(PONG, c.frame()[1]))),
            ("off", data),
            ("off", lambda: c.send(encode(PONG))),
        ):
            with self.subTest(ping):
                p, b, c, cid = self.one(location=location % ping)
                started = time.monotonic()
                while time.monotonic() - started < 1.2:
                    active()
                    time.sleep(0.1)
                c.send(encode(PING, b"alive"))
                while (got := c.frame())[0] == 0x89:
                    pass
                self.assertEqual(got, (0x8A, b"alive"))


if __name__ == "__main__":
    unittest.main()
