# SPDX-License-Identifier: BSD-2-Clause
"""Which app of a backend gets a handshake, and the ways to refuse one."""

import random
import socket
import struct
import threading
import time
import unittest

from support.gateway import (
    ACCEPT, ACK, CLOSED, ERROR, HELLO, HTTP_BODY, OPEN, READY, REJECT, TEXT,
    Backend, BridgeTestCase, frame, hello, tlv,
)
from support.penstock import wait_for
from support.websocket import Client, close_frame, encode, handshake
from support.websocket import TEXT as WS_TEXT

REGISTER, REGISTERED, HTTP_REQ, HTTP_RES = 0x70, 0x71, 0x50, 0x52
HOST, PATH, ORIGIN, MAX_CLIENTS = 0x26, 0x27, 0x28, 0x29
EXACT, PREFIX, SUFFIX, REGEX, ANY, NONE = range(6)
MORE, PASS = 1, 1
CONFIG = """
user root;
events { }
http {
    access_log logs/access.log;
    backend app { server unix:@PREFIX@/a.sock; %s }
    server {
        listen 127.0.0.1:@PORT@;
        location / {
            websocket_pass app;
            websocket_origin any;
            backend_pass app;
        }
    }
}
"""


def app(name, *patterns, more=b""):
    tlvs = tlv(0x01, name.encode()) + more
    for tag, kind, text in patterns:
        tlvs += tlv(tag, bytes([kind]) + text.encode())
    return frame(REGISTER, 0, tlvs)


def with_http():
    """HELLO with HTTP in it."""
    return hello()[:48] + struct.pack("<Q", 4 | 8) + hello()[56:]


class AppsTestCase(BridgeTestCase):
    def start(self, *apps, backend="", on_frame=None):
        p = self.penstock(CONFIG % backend, start=False)
        b = Backend(
            p.path("a.sock"), with_http() + b"".join(apps) + frame(READY), on_frame
        )
        self.addCleanup(b.stop)
        p.start()
        wait_for("the apps", lambda: len(b.of(REGISTERED)) == len(apps))
        self.wait_ready(p)
        return p, b

    def ask(self, p, path="/", **fields):
        named = {n.replace("_", "-"): v for n, v in fields.items()}
        c = Client(p.port(), handshake(named, f"GET {path} HTTP/1.1", p.port()))
        self.addCleanup(c.socket.close)
        return c

    def opened(self, b):
        """The app ids of the OPENs since the last call."""
        ids = [struct.unpack_from("<H", f[2], 4)[0] for f in b.of(OPEN)]
        b.frames.clear()
        return ids


class PatternsTest(AppsTestCase):
    def check(self, p, b, cases):
        for fields, expected in cases:
            c = self.ask(p, **fields)
            if isinstance(expected, int) and expected < 100:
                self.assertEqual((c.status, self.opened(b)), (101, [expected]), fields)
            else:
                self.assertEqual((c.status, self.opened(b)), (expected, []), fields)
            c.socket.close()

    def test_paths(self):
        p, b = self.start(
            app("exact", (PATH, EXACT, "/one")),
            app("prefix", (PATH, PREFIX, "/pre/")),
            app("suffix", (PATH, SUFFIX, ".ws")),
            app("regex", (PATH, REGEX, r"^/r/\d+$")),
            app("two", (PATH, EXACT, "/a"), (PATH, EXACT, "/b c")),
        )
        self.check(p, b, (
            ({"path": "/one"}, 1), ({"path": "/one?x=/pre/"}, 1),
            ({"path": "/One"}, 404), ({"path": "/one/"}, 404),
            ({"path": "/pre/"}, 2), ({"path": "/pre/x.ws"}, 2),
            ({"path": "/x.ws"}, 3), ({"path": "/r/12"}, 4), ({"path": "/r/x"}, 404),
            ({"path": "/a"}, 5), ({"path": "/b%20c"}, 5), ({"path": "/x/../a"}, 5),
        ))

    def test_hosts(self):
        p, b = self.start(
            app("exact", (HOST, EXACT, "One.example")),
            app("suffix", (HOST, SUFFIX, ".Two.example")),
            app("prefix", (HOST, PREFIX, "Www.")),
            app("regex", (HOST, REGEX, r"^R\d+$")),
            app("none", (HOST, NONE, "")),
        )
        self.check(p, b, (
            ({"Host": "one.example"}, 1), ({"Host": "ONE.example:8080"}, 1),
            ({"Host": "a.two.EXAMPLE"}, 2), ({"Host": "two.example"}, 404),
            ({"Host": "WWW.x"}, 3), ({"Host": "r12"}, 4), ({"Host": "rx"}, 404),
        ))

    def test_origins(self):
        p, b = self.start(
            app("exact", (ORIGIN, EXACT, "https://a.example")),
            app("suffix", (ORIGIN, SUFFIX, ".b.example")),
            app("none", (ORIGIN, NONE, "")),
            app("place", (PATH, EXACT, "/any"), (ORIGIN, ANY, "")),
        )
        self.check(p, b, (
            ({"Origin": "https://a.example"}, 1),
            ({"Origin": "http://x.b.example"}, 2),
            ({}, 3), ({"Origin": "https://evil.example"}, 403),
            ({"path": "/any", "Origin": "https://evil.example"}, 4),
        ))

    def test_all_must_match_and_the_first_one_wins(self):
        p, b = self.start(
            app("narrow", (HOST, EXACT, "h"), (PATH, PREFIX, "/x"),
                (ORIGIN, EXACT, "http://o")),
            app("host", (HOST, EXACT, "h")),
            app("any"),
            app("never"),
        )
        self.check(p, b, (
            ({"path": "/x1", "Host": "h", "Origin": "http://o"}, 1),
            ({"path": "/x1", "Host": "h", "Origin": "http://p"}, 2),
            ({"path": "/y", "Host": "h", "Origin": "http://o"}, 2),
            ({"path": "/x1", "Host": "g", "Origin": "http://o"}, 3),
        ))

    def test_requests_choose_in_the_same_way(self):
        def on_frame(kind, cid, payload):
            if kind == HTTP_REQ:
                app_id = struct.unpack_from("<H", payload, 4)[0]
                b.send(frame(HTTP_RES, cid, struct.pack("<HH", 200 + app_id, 0)))

        p, b = self.start(
            app("one", (PATH, PREFIX, "/one")), app("rest"), on_frame=on_frame
        )
        for path, status in (("/one/x", 201), ("/two", 202)):
            c = self.ask(p, path, Upgrade=None, Connection=None)
            self.assertEqual(c.status, status)

    def test_an_app_that_is_full_leaves_them_to_the_next(self):
        p, b = self.start(
            app("few", more=tlv(MAX_CLIENTS, struct.pack("<I", 1))), app("more")
        )
        first = self.ask(p)
        self.ask(p)
        self.assertEqual(self.opened(b), [1, 2])
        first.send(close_frame(1000))
        wait_for("CLOSED", lambda: b.of(CLOSED))
        b.frames.clear()
        self.ask(p)
        self.assertEqual(self.opened(b), [1])


class PassTest(AppsTestCase):
    def rejecting(self, *passing, **how):
        """The first apps pass; the others accept."""

        def on_frame(kind, cid, payload):
            if kind != OPEN:
                return
            if struct.unpack_from("<H", payload, 4)[0] in passing:
                b.send(frame(REJECT, cid, struct.pack("<HH", 0, PASS)))
            else:
                b.send(frame(ACCEPT, cid, bytes(8)))

        p, b = self.start(
            app("one"), app("other", (PATH, EXACT, "/other")),
            app("three", (HOST, SUFFIX, ".example")),
            app("four", (ORIGIN, EXACT, "http://o")), app("five"),
            on_frame=on_frame, **how,
        )
        return p, b

    def test_the_next_app_that_matches_gets_it(self):
        p, b = self.rejecting(1, 3)
        c = self.ask(p, Host="a.example", Origin="http://o")
        self.assertEqual(c.status, 101)
        opens = b.of(OPEN)
        self.assertEqual([struct.unpack_from("<H", f[2], 4)[0] for f in opens], [1, 3, 4])
        # Each OPEN has an id and an end of its own.
        self.assertEqual(len({f[1] for f in opens}), 3)
        closed = {f[1]: (f[2][0], f[3]) for f in b.of(CLOSED)}
        self.assertEqual(closed, {f[1]: (13, 1006) for f in opens[:2]})
        b.send(frame(TEXT, opens[2][1], b"yours"))
        self.assertEqual(c.message(), (WS_TEXT, b"yours"))
        c = self.ask(p, "/other", Host="b")
        self.assertEqual(c.status, 101)
        self.assertEqual(
            [struct.unpack_from("<H", f[2], 4)[0] for f in b.of(OPEN)[3:]], [1, 2]
        )

    def test_nobody_wants_it(self):
        p, b = self.rejecting(1, 2, 3, 4, 5)
        with self.ask(p, "/other", Host="a.example", Origin="http://o") as c:
            self.assertIn(c.status, (403, 404))
        self.assertEqual(self.opened(b), [1, 2, 3, 4, 5])

    def test_what_the_client_sent_meanwhile_arrives(self):
        p, b = self.rejecting(1)
        c = Client(p.port(), handshake(port=p.port()), encode(WS_TEXT, b"early"))
        self.addCleanup(c.socket.close)
        got = wait_for("the message", lambda: b.of(TEXT))
        self.assertEqual((got[0][1], got[0][2]), (b.of(OPEN)[-1][1], b"early"))


class RejectTest(AppsTestCase):
    def reject(self, cid, status, tlvs=b"", more=False):
        return frame(REJECT, cid, struct.pack("<HH", status, 0) + tlvs, more)

    def test_a_body_in_pieces(self):
        def on_frame(kind, cid, payload):
            if kind == OPEN:
                b.send(self.reject(cid, 403, tlv(0x21, b"you "), True))
                b.send(frame(HTTP_BODY, cid, b"may ", MORE))
                b.send(frame(HTTP_BODY, cid, b"not"))

        p, b = self.start(on_frame=on_frame)
        c = self.ask(p)
        self.assertEqual(c.status, 403)
        self.assertEqual(c.read_body(), b"you may not")
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual([(f[2][0], f[3]) for f in b.of(CLOSED)], [(13, 1006)])
        # The connection is as good as before.
        c.send(handshake(port=p.port()))
        self.assertEqual(c.read_head(), 403)

    def long(self, size, **how):
        body = random.Random(size).randbytes(size)
        credit = threading.Semaphore(0)

        def write(cid):
            at, left = 0, 65536
            while at < size:
                while left <= 0:
                    if not credit.acquire(timeout=20):
                        return
                    left += self.acked(b, cid) - self.counted
                    self.counted = self.acked(b, cid)
                piece = body[at : at + 16000]
                at += len(piece)
                left -= len(piece)
                b.send(frame(HTTP_BODY, cid, piece, MORE if at < size else 0))

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                self.counted = 0
                b.send(self.reject(cid, 403, more=True))
                threading.Thread(target=write, args=(cid,), daemon=True).start()
            elif kind == ACK:
                credit.release()

        p, b = self.start(on_frame=on_frame, backend="reply_window 64k;", **how)
        return p, b, body

    def acked(self, b, cid):
        return sum(
            n for f in b.of(ACK) for c, n, _ in struct.iter_unpack("<QII", f[2])
            if c == cid
        )

    def test_a_body_larger_than_the_credit(self):
        p, b, body = self.long(1 << 20)
        c = self.ask(p)
        self.assertEqual(c.status, 403)
        self.assertEqual(c.fields["transfer-encoding"], "chunked")
        got = b""
        while True:
            line = b""
            while not line.endswith(b"\r\n"):
                line += c.take(1)
            n = int(line, 16)
            got += c.take(n)
            self.assertEqual(c.take(2), b"\r\n")
            if not n:
                break
        self.assertTrue(got == body)
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual(b.of(ERROR), [])

    def test_a_client_that_leaves_in_it(self):
        p, b, _ = self.long(64 << 20)
        c = self.ask(p)
        c.take(100000)
        c.socket.close()
        self.assertEqual(wait_for("CLOSED", lambda: b.of(CLOSED))[0][2][0], 17)

    def test_a_backend_that_forgets_the_rest(self):
        for first, status in ((b"begun", 504), (bytes(40000), 403)):
            p, b = self.start(
                backend="accept_timeout 500ms; reply_window 64k;",
                on_frame=lambda kind, cid, payload: kind == OPEN and b.send(
                    self.reject(cid, 403, more=True)
                    + frame(HTTP_BODY, cid, first, MORE)
                ),
            )
            c = self.ask(p)
            self.assertEqual(c.status, status)
            self.assertEqual(wait_for("CLOSED", lambda: b.of(CLOSED))[0][2][0], 14)
            c.socket.close()


if __name__ == "__main__":
    unittest.main()
