# SPDX-License-Identifier: BSD-2-Clause
"""proxy_pass: bodies both ways, and origins that do wrong, or nothing."""

import socket
import threading
import time
import unittest

from support.penstock import wait_for
from support.proxy import ProxyTestCase, echo
from support.raw import Closed, seconds_of


class BrokenOriginTest(ProxyTestCase):
    def test_bad_gateways(self):
        answers = {
            "/nothing": "",
            "/garbage": "\x00\x01 hello\r\n\r\n",
            "/http09": "<html>hello</html>",
            "/status": "HTTP/1.1 abc OK\r\n\r\n",
            "/cut": "HTTP/1.1 200 OK\r\nX: y\r\n",
            "/field": "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
            "/fold": "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "/nul": "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
            "/both": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "/lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            "/coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxy",
            "/huge": "HTTP/1.1 200 OK\r\nX: " + "a" * 70000 + "\r\n\r\n",
            "/101": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "/interims": "HTTP/1.1 100 Continue\r\n\r\n" * 100,
        }

        def respond(peer):
            peer.send(answers[peer.request.target])
            return True

        o = self.origin(respond)
        p = self.before(o, how="max_fails=0")
        s = self.client(p)
        for target in answers:
            with self.subTest(target):
                self.assertEqual(s.ask(target).status, 502)
        lines = [l for l in p.log().splitlines() if "upstream" in l and "[error]" in l]
        self.assertGreaterEqual(len(lines), len(answers))
        self.assertIn('request: "GET /fold HTTP/1.1"', p.log())

    def test_short_bodies_are_seen_to_be_short(self):
        def respond(peer):
            peer.send({
                "/length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
                "/chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
                "/bad": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n",
            }[peer.request.target])
            return True

        p = self.before(self.origin(respond))
        for target in ("/length", "/chunk", "/bad"):
            with self.subTest(target):
                s = self.client(p)
                s.get(target)
                m = s.head()
                if m.status == 502:
                    continue  # it was seen before anything was sent
                self.assertEqual(m.status, 200)
                with self.assertRaises(Closed):
                    s.body(m)
        # An HTTP/1.0 client can only be told by a length.
        s = self.client(p)
        self.assertEqual(len(s.ask("/chunk", version="1.0").body), 5)

    def test_silence(self):
        hold = threading.Event()
        o = self.origin(lambda peer: hold.wait(20))
        self.addCleanup(hold.set)
        p = self.before(o, location="proxy_read_timeout 1s;")
        s = self.client(p)
        m, seconds = seconds_of(lambda: s.ask("/"))
        self.assertEqual(m.status, 504)
        self.assertGreater(seconds, 0.5)
        self.assertIn("upstream timed out (110", p.log())
        self.assertEqual(s.ask("/").status, 504)

    def test_silence_within_a_body(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
            hold.wait(20)

        hold = threading.Event()
        o = self.origin(respond)
        self.addCleanup(hold.set)
        s = self.client(self.before(o, location="proxy_read_timeout 1s;"))
        s.get("/")
        m = s.head()
        with self.assertRaises(Closed):
            s.body(m)

    def test_no_way_there(self):
        """A listener whose queue is full: SYNs are dropped."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            fill = []
            for _ in range(4):
                f = socket.socket()
                f.setblocking(False)
                f.connect_ex(("127.0.0.1", port))
                fill.append(f)
            p = self.before(port, location="proxy_connect_timeout 1s;")
            m, seconds = seconds_of(lambda: self.client(p).ask("/"))
            self.assertEqual(m.status, 504)
            self.assertLess(seconds, 10)
            for f in fill:
                f.close()


class BodiesTest(ProxyTestCase):
    def test_framings(self):
        def respond(peer):
            t = peer.request.target
            if t == "/chunked":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: x\r\n\r\n")
            elif t == "/close":
                peer.send("HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil close")
                return True
            elif t == "/close0":
                peer.send("HTTP/1.0 200 OK\r\n\r\n")
                return True
            elif t == "/interim":
                peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                          "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal")
            elif t == "/204":
                peer.send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
            elif t == "/304":
                peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n")
            elif t == "/head":
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            elif t == "/headchunked":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            elif t == "/dribble":
                for c in "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n":
                    peer.send(c)
                    time.sleep(0.002)

        o = self.origin(respond)
        p = self.before(o)
        s = self.client(p)
        for target, text in (
            ("/chunked", "abcdefg"), ("/close", "until close"), ("/close0", ""),
            ("/interim", "real"), ("/204", ""), ("/304", ""), ("/dribble", "ab"),
            ("/chunked", "abcdefg"),
        ):
            with self.subTest(target):
                m = s.ask(target)
                self.assertEqual(m.text, text)
                self.assertEqual(m.get("Connection"), "keep-alive")
        m = s.ask("/head", method="HEAD")
        self.assertEqual(m.get("Content-Length"), "500")
        m = s.ask("/headchunked", method="HEAD")
        self.assertEqual((m.status, m.get("Content-Length")), (200, None))
        for target, text in (("/chunked", "abcdefg"), ("/close", "until close")):
            old = self.client(p)
            m = old.ask(target, "Connection: keep-alive", version="1.0")
            self.assertEqual((m.text, m.chunked, m.get("Connection")), (text, False, "close"))

    def resident(self, p):
        """The worker's memory, in bytes."""
        with open(f"/proc/{p.workers()[0]}/status") as f:
            line = next(l for l in f if l.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    SIZE = 48 << 20
    BOUND = 12 << 20  # far less than what passes; sanitizers keep freed blocks

    def test_a_large_answer_and_a_slow_reader(self):
        piece = b"x" * (1 << 20)

        def respond(peer):
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.SIZE}\r\n\r\n")
            for _ in range(self.SIZE >> 20):
                peer.send(piece)

        for buffering in ("on", "off"):
            p = self.before(self.origin(respond), location=f"proxy_buffering {buffering};")
            s = self.client(p, small=True)
            before = self.resident(p)
            s.get("/")
            m = s.head()
            time.sleep(1)
            left, most = self.SIZE, 0
            while left:
                left -= len(s.exactly(min(left, 4 << 20)))
                most = max(most, self.resident(p) - before)
            self.assertLess(most, self.BOUND)
            self.assertEqual(m.status, 200)

    def test_a_large_body_and_a_slow_origin(self):
        got = []

        def respond(peer):
            time.sleep(1)
            total = 0
            if peer.request.chunked:
                total = sum(len(c) for c in peer.chunks())
            else:
                left = int(peer.request.get("Content-Length"))
                while left:
                    left -= len(peer.exactly(min(left, 4 << 20)))
                    total += 0
                total = int(peer.request.get("Content-Length"))
            got.append(total)
            peer.reply(str(total))

        o = self.origin(respond, read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        q = self.before(o, server="client_max_body_size 0;")
        chunked, length = "Transfer-Encoding: chunked", f"Content-Length: {self.SIZE}"
        for p, framing in ((p, length), (p, chunked), (q, length), (q, chunked)):
            s = self.client(p)
            before = self.resident(p)
            s.get("/", framing, method="POST")
            most, piece = 0, b"y" * (1 << 20)
            if "chunked" in framing:
                piece = b"100000\r\n" + piece + b"\r\n"
            for _ in range(self.SIZE >> 20):
                s.send(piece)
                most = max(most, self.resident(p) - before)
            if "chunked" in framing:
                s.send("0\r\n\r\n")
            self.assertEqual(s.answer().text, str(self.SIZE))
            self.assertLess(most, self.BOUND)

    def test_both_ways_at_once(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for c in peer.chunks():
                peer.send(b"%x\r\n" % len(c) + c + b"\r\n")
            peer.send("0\r\n\r\n")

        p = self.before(self.origin(respond, read_body=False), server="client_max_body_size 0; proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Transfer-Encoding: chunked", method="POST")
        n = 200

        def send():
            for i in range(n):
                s.send(b"8000\r\n" + bytes([i]) * 0x8000 + b"\r\n")
            s.send("0\r\n\r\n")

        t = threading.Thread(target=send)
        t.start()
        m = s.answer()
        t.join()
        self.assertEqual(m.body, b"".join(bytes([i]) * 0x8000 for i in range(n)))

    def test_an_answer_before_the_body_ended(self):
        o = self.origin(lambda peer: peer.reply("no", status="403 No"), read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Content-Length: 100000", method="POST")
        s.send("x" * 1000)
        m = s.answer()
        self.assertEqual((m.status, m.text), (403, "no"))
        if m.get("Connection") == "keep-alive":  # then the rest is skipped
            s.send("x" * 99000)
            self.assertEqual(s.ask("/", "Content-Length: 0", method="POST").status, 403)
        # The origin's connection has half a request on it: not used again.
        self.assertEqual(o.connections, len(o.requests))
        s = self.client(p)
        s.get("/", "Transfer-Encoding: chunked", method="POST")
        s.send("5\r\nhello\r\n")
        self.assertEqual(s.answer().status, 403)

    def test_an_answer_and_a_close_before_the_body_ended(self):
        def respond(peer):
            peer.reply("no", "Connection: close", status="403 No")
            return True

        o = self.origin(respond, read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        for _ in range(5):
            s = self.client(p)
            s.get("/", "Content-Length: 4000000", method="POST")
            t = threading.Thread(target=self.try_to_send, args=(s, b"x" * 4000000))
            t.start()
            self.assertEqual(s.answer().status, 403)
            s.end()
            t.join()

    @staticmethod
    def try_to_send(s, data):
        try:
            s.send(data)
        except OSError:
            pass

    def test_a_client_that_leaves_takes_the_origin_along(self):
        ended = threading.Event()

        def respond(peer):
            if peer.request.target == "/stream":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    while True:
                        peer.send(b"8000\r\n" + b"z" * 0x8000 + b"\r\n")
                except OSError:
                    ended.set()
                    raise
            try:
                peer.more()
            except Closed:
                ended.set()
                raise

        o = self.origin(respond)
        p = self.before(o)
        for target in ("/wait", "/stream"):
            ended.clear()
            s = self.client(p)
            s.get(target)
            wait_for("the request", lambda: any(m.target == target for m in o.requests))
            s.close()
            self.assertTrue(ended.wait(20), target)
        p.stop()
        self.assertIn('"GET /wait HTTP/1.1" 499', p.log("logs/access.log"))
        self.assertIn('"GET /stream HTTP/1.1" 200', p.log("logs/access.log"))

    def test_a_slow_client_is_not_a_slow_origin(self):
        p = self.before(self.origin(echo), location="proxy_request_buffering off; proxy_send_timeout 1s; proxy_read_timeout 1s;")
        s = self.client(p)
        s.get("/", "Content-Length: 4", method="POST")
        for c in "slow":
            time.sleep(0.7 if c != "o" else 2)
            s.send(c)
        self.assertEqual(s.answer().text, "slow")

    def test_an_origin_that_does_not_read(self):
        hold = threading.Event()
        o = self.origin(lambda peer: hold.wait(20), read_body=False)
        self.addCleanup(hold.set)
        for buffering, length in (("off", 99999999), ("on", 30000000)):
            p = self.before(o, location="proxy_send_timeout 1s;",
                            server="client_max_body_size 0; proxy_request_buffering %s;" % buffering)
            s = self.client(p)
            s.get("/", f"Content-Length: {length}", method="POST")
            self.try_to_send(s, b"x" * 30000000)
            self.assertEqual(s.answer().status, 504, buffering)

    def test_a_body_that_stops_takes_the_origin_along(self):
        ended = threading.Event()

        def respond(peer):
            try:
                peer.exactly(100)
            except Closed:
                ended.set()
                raise

        p = self.before(self.origin(respond, read_body=False),
                        location="proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Content-Length: 100", method="POST")
        s.send("half")
        time.sleep(0.3)
        s.close()
        self.assertTrue(ended.wait(20))

    def test_ignore_client_abort(self):
        answered = threading.Event()

        def respond(peer):
            time.sleep(0.7)
            peer.reply("late")
            answered.set()

        p = self.before(self.origin(respond), location="proxy_ignore_client_abort on;")
        s = self.client(p)
        s.get("/")
        s.end()
        self.assertEqual(s.answer().text, "late")
        self.assertTrue(answered.wait(5))


if __name__ == "__main__":
    unittest.main()
