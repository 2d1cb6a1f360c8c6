# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP/1.1 server, byte by byte."""

import os
import socket
import time
import unittest

from support.penstock import PenstockTestCase, free_port, wait_for
from support.raw import Closed, Origin, Raw, seconds_of, silence

CONFIG = """
pid logs/penstock.pid;
events { }
http {
    access_log logs/access.log;
    %s
    server { listen 127.0.0.1:@PORT@; root @PREFIX@/html; %s }
}
"""

REST = "location / { return 200 'uri $uri\\n'; }"
GET = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class HttpTestCase(PenstockTestCase):
    def serve(self, server=REST, http="", **how):
        return self.penstock(CONFIG % (http, server), **how)

    def client(self, p, **how):
        s = Raw(p.port(), **how)
        self.addCleanup(s.close)
        return s

    def origin(self, respond, **how):
        o = Origin(respond, **how)
        self.addCleanup(o.stop)
        return o


class ConnectionTest(HttpTestCase):
    def test_keep_alive(self):
        s = self.client(self.serve())
        for i in range(5):
            m = s.ask(f"/{i}")
            self.assertEqual((m.status, m.text), (200, f"uri /{i}\n"))
            self.assertEqual(m.get("Connection"), "keep-alive")
            self.assertTrue(m.get("Date").endswith(" GMT"))
            self.assertIn("penstock", m.get("Server").lower())
        s.ask("/", "Connection: close")
        self.assertTrue(s.is_closed())

    def test_http_1_0(self):
        p = self.serve()
        s = self.client(p)
        m = s.ask("/old", version="1.0")
        self.assertEqual((m.text, m.get("Connection")), ("uri /old\n", "close"))
        self.assertTrue(s.is_closed())
        s = self.client(p)
        for i in range(3):
            m = s.ask("/", "Connection: keep-alive", version="1.0")
            self.assertEqual(m.get("Connection"), "keep-alive")
        s = self.client(p)
        s.send("GET /nohost HTTP/1.0\r\n\r\n")
        self.assertEqual(s.answer().text, "uri /nohost\n")

    def test_pipelining(self):
        p = self.serve(
            REST + "location /file { }", files={"html/file": "x" * 200000}
        )
        s = self.client(p)
        wanted = [f"/{i}" if i % 10 else "/file" for i in range(200)]
        s.send("".join(GET % target for target in wanted))
        for target in wanted:
            text = "x" * 200000 if target == "/file" else f"uri {target}\n"
            self.assertEqual(s.answer().text, text)

    def test_pipelining_behind_bodies_and_a_proxy(self):
        o = self.origin(lambda peer: peer.reply(peer.request.body))
        p = self.serve(
            REST + f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        s = self.client(p)
        n = 60
        s.send(
            "".join(
                f"POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{i:03}"
                + GET % f"/{i}"
                + "POST /o HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                f"\r\n\r\n3\r\n{i:03}\r\n0\r\n\r\n"
                + "POST /drop HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET "
                for i in range(n)
            )
        )
        for i in range(n):
            self.assertEqual(s.answer().text, f"{i:03}")
            self.assertEqual(s.answer().text, f"uri /{i}\n")
            self.assertEqual(s.answer().text, f"{i:03}")
            self.assertEqual(s.answer().text, "uri /drop\n")

    def test_a_long_pipeline_waits_for_a_slow_handler(self):
        def respond(peer):
            time.sleep(0.5)
            peer.reply("slow")

        o = self.origin(respond)
        p = self.serve(
            REST + f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}",
            http="keepalive_requests 10000;",
        )
        s = self.client(p)
        n = 3000  # more bytes than wait in the program
        s.send((GET % "/o") + (GET % "/fast") * n)
        self.assertEqual(s.answer().text, "slow")
        for _ in range(n):
            self.assertEqual(s.answer().text, "uri /fast\n")

    def test_head(self):
        s = self.client(self.serve())
        m = s.ask("/abc", method="HEAD")
        self.assertEqual((m.status, m.get("Content-Length")), (200, "9"))
        self.assertEqual(s.ask("/b").text, "uri /b\n")
        m = s.ask("/", method="HEAD", version="1.0")
        self.assertEqual(m.get("Content-Length"), "6")
        self.assertTrue(s.is_closed())

    def test_one_byte_at_a_time(self):
        o = self.origin(lambda peer: peer.reply(peer.request.body))
        p = self.serve(
            REST + f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        s = self.client(p)
        s.slowly(
            "\r\nPOST /o HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"
            + GET % "/next"
        )
        self.assertEqual(s.answer().text, "hello world")
        self.assertEqual(s.answer().text, "uri /next\n")

    def test_a_client_that_half_closes_gets_its_answers(self):
        p = self.serve(REST + "location /file { }", files={"html/file": "x" * 900000})
        s = self.client(p, small=True)
        s.send((GET % "/a") + (GET % "/file"))
        s.end()
        self.assertEqual(s.answer().text, "uri /a\n")
        self.assertEqual(len(s.answer().body), 900000)
        self.assertTrue(s.is_closed())

    def test_a_half_close_within_a_request_is_no_request(self):
        p = self.serve()
        for part in ("GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n"):
            s = self.client(p)
            s.send(part)
            s.end()
            self.assertTrue(s.is_closed())

    def test_many_connections_come_and_go(self):
        p = self.serve()
        for _ in range(20):
            batch = [self.client(p) for _ in range(20)]
            for s in batch[::2]:
                s.get("/x")
            for s in batch[::2]:
                self.assertEqual(s.answer().status, 200)
            for s in batch:
                s.close()


class BodyTest(HttpTestCase):
    HEAD = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"

    def both(self):
        o = self.origin(lambda peer: peer.reply(peer.request.body))
        return self.serve(
            REST + f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}"
            "location /small { client_max_body_size 4;"
            f" proxy_pass http://127.0.0.1:{o.port}; }}"
            "location /deny { deny all; }"
        )

    def test_continue_is_sent_when_the_body_is_read(self):
        s = self.client(self.both())
        s.send(self.HEAD % ("/o", 5))
        self.assertEqual(s.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue")
        s.send("hello")
        self.assertEqual(s.answer().text, "hello")
        self.assertEqual(s.ask("/k").text, "uri /k\n")

    def test_no_continue_when_refused(self):
        p = self.both()
        for target, status in (("/small", 413), ("/deny", 403)):
            s = self.client(p)
            s.send(self.HEAD % (target, 5))
            m = s.answer()
            self.assertEqual((m.status, m.interims), (status, []))

    def test_an_answer_without_the_body_closes(self):
        """Nobody can know whether the body follows."""
        s = self.client(self.both())
        s.send(self.HEAD % ("/return", 5))
        m = s.answer()
        self.assertEqual((m.status, m.interims), (200, []))
        self.assertEqual(m.get("Connection"), "close")

    def test_no_continue_for_http_1_0_or_when_the_body_is_there(self):
        p = self.both()
        s = self.client(p)
        s.send((self.HEAD % ("/o", 5)).replace("1.1", "1.0") + "hello")
        m = s.answer()
        self.assertEqual((m.text, m.interims), ("hello", []))

    def test_chunked(self):
        s = self.client(self.both())
        head = "POST /o HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for body, text in (
            ("0\r\n\r\n", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("0003\r\nabc\r\n000\r\n\r\n", "abc"),
            ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n", "0123456789" * 2),
            ("3;x=\"y\";z\r\nabc\r\n0;q\r\n\r\n", "abc"),
            ("10000\r\n" + "z" * 65536 + "\r\n0\r\n\r\n", "z" * 65536),
        ):
            s.send(head + body)
            self.assertEqual(s.answer().text, text)

    def test_a_broken_chunk_ends_it_all(self):
        p = self.both()
        head = "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for body in (
            "g\r\nabc\r\n", "3\r\nabcd\r\n", "3\nabc\r\n", "-3\r\nabc\r\n",
            "3\r\nabc\n0\r\n\r\n", "8000000000000000\r\nx", "\r\n3\r\nabc\r\n",
            "ffffffffffffffffff\r\nx", "0x3\r\nabc\r\n", "3 \r\nabc\r\n",
            "3\r\nabc0\r\n\r\n", "3;a\rb\r\nabc\r\n", "3;a\x00\r\nabc\r\n",
            "0\r\nBad name: x\r\n\r\n", "0\r\nX: \x01\r\n\r\n",
        ):
            for target in ("/o", "/ret"):
                s = self.client(p)
                s.send(head % target + body + "\r\n0\r\n\r\n" + GET % "/evil")
                data = s.rest()
                self.assertNotIn(b"evil", data, (target, body))
                if target == "/o":
                    self.assertEqual(data[:12], b"HTTP/1.1 400", body)

    def test_413(self):
        p = self.both()
        s = self.client(p)
        s.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        m = s.answer()
        self.assertEqual((m.status, m.get("Connection")), (413, "close"))
        self.assertTrue(s.is_closed())
        s = self.client(p)
        s.send("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n2\r\nde\r\n")
        m = s.answer()
        self.assertEqual((m.status, m.get("Connection")), (413, "close"))
        s = self.client(p)
        s.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfour")
        self.assertEqual(s.answer().text, "four")

    def test_lingering_close(self):
        """A client that only reads when it has sent it all gets the 413."""
        p = self.both()
        s = self.client(p)
        size = 8 << 20
        s.send(f"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size >> 16):
            s.send(b"x" * 65536)
        self.assertEqual(s.answer().status, 413)

    def test_lingering_ends(self):
        p = self.serve(
            "lingering_timeout 1s; lingering_time 2s; client_max_body_size 1;"
            + REST
        )
        s = self.client(p)
        s.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
        self.assertEqual(s.answer().status, 413)
        self.assertTrue(s.is_closed())  # its FIN

        def trickle():
            try:
                while True:
                    s.send("x")
                    time.sleep(0.1)
            except OSError:
                return True

        _, seconds = seconds_of(trickle)
        self.assertGreater(seconds, 0.9)
        self.assertLess(seconds, 10)

    def test_an_unread_body_is_no_request(self):
        s = self.client(self.both())
        inner = GET % "/evil"
        s.send(f"POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n"
               + inner + GET % "/good")
        self.assertEqual(s.answer().text, "uri /r\n")
        self.assertEqual(s.answer().text, "uri /good\n")

    def test_a_large_unread_body_closes(self):
        s = self.client(self.serve("client_max_body_size 0;" + REST))
        s.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nx")
        m = s.answer()
        self.assertEqual((m.status, m.get("Connection")), (200, "close"))


class SmugglingTest(HttpTestCase):
    """What two readers could take for different requests is refused, and
    nothing behind it is answered."""

    REFUSED = (
        # why, request line and fields, status
        ("both lengths", "POST / HTTP/1.1|Host: x|Content-Length: 4|Transfer-Encoding: chunked", 400),
        ("both, other order", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked|Content-Length: 4", 400),
        ("differing lengths", "POST / HTTP/1.1|Host: x|Content-Length: 4|Content-Length: 5", 400),
        ("lengths in a list", "POST / HTTP/1.1|Host: x|Content-Length: 4, 5", 400),
        ("length with a sign", "POST / HTTP/1.1|Host: x|Content-Length: +4", 400),
        ("negative length", "POST / HTTP/1.1|Host: x|Content-Length: -4", 400),
        ("length in hex", "POST / HTTP/1.1|Host: x|Content-Length: 0x4", 400),
        ("length with a space", "POST / HTTP/1.1|Host: x|Content-Length: 4 4", 400),
        ("empty length", "POST / HTTP/1.1|Host: x|Content-Length:", 400),
        ("length of 2^63", "POST / HTTP/1.1|Host: x|Content-Length: 9223372036854775808", 400),
        ("length of 2^64", "POST / HTTP/1.1|Host: x|Content-Length: 18446744073709551616", 400),
        ("chunked is not last", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked, gzip", 400),
        ("chunked twice", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked, chunked", 400),
        ("two codings fields", "POST / HTTP/1.1|Host: x|Transfer-Encoding: chunked|Transfer-Encoding: chunked", 400),
        ("coding then chunked", "POST / HTTP/1.1|Host: x|Transfer-Encoding: gzip, chunked", 501),
        ("unknown coding", "POST / HTTP/1.1|Host: x|Transfer-Encoding: gzip", 501),
        ("xchunked", "POST / HTTP/1.1|Host: x|Transfer-Encoding: xchunked", 501),
        ("VT before chunked", "POST / HTTP/1.1|Host: x|Transfer-Encoding: \vchunked", 400),
        ("coding in 1.0", "POST / HTTP/1.0|Host: x|Transfer-Encoding: chunked", 400),
        ("space before colon", "POST / HTTP/1.1|Host: x|Content-Length : 4", 400),
        ("tab before colon", "POST / HTTP/1.1|Host: x|Transfer-Encoding\t: chunked", 400),
        ("space before name", "POST / HTTP/1.1| Host: x|X: y", 400),
        ("obs-fold", "GET / HTTP/1.1|Host: x|X: a| b", 400),
        ("obs-fold with a tab", "GET / HTTP/1.1|Host: x|X: a|\tb", 400),
        ("bare CR in a value", "GET / HTTP/1.1|Host: x|X: a\rY: b", 400),
        ("bare CR in the line", "GET /a\rb HTTP/1.1|Host: x", 400),
        ("NUL in a value", "GET / HTTP/1.1|Host: x|X: a\0b", 400),
        ("NUL in the target", "GET /a\0b HTTP/1.1|Host: x", 400),
        ("control character", "GET / HTTP/1.1|Host: x|X: a\x01b", 400),
        ("DEL", "GET / HTTP/1.1|Host: x|X: a\x7fb", 400),
        ("empty name", "GET / HTTP/1.1|Host: x|: a", 400),
        ("no colon", "GET / HTTP/1.1|Host: x|X", 400),
        ("no Host", "GET / HTTP/1.1|X: y", 400),
        ("two Hosts", "GET / HTTP/1.1|Host: x|Host: x", 400),
        ("Host with a path", "GET / HTTP/1.1|Host: x/y", 400),
        ("Host with a user", "GET / HTTP/1.1|Host: a@b", 400),
        ("Host with a space", "GET / HTTP/1.1|Host: a b", 400),
        ("Host with two ports", "GET / HTTP/1.1|Host: a:1:2", 400),
        ("Host with a bad port", "GET / HTTP/1.1|Host: a:x", 400),
        ("list in Host", "GET / HTTP/1.1|Host: a, b", 400),
        ("open bracket", "GET / HTTP/1.1|Host: [::1", 400),
        ("no version", "GET /|Host: x", 400),
        ("HTTP/2.0", "GET / HTTP/2.0|Host: x", 505),
        ("HTTP/1.2 and on", "GET / HTTP/3.1|Host: x", 505),
        ("small letters", "GET / http/1.1|Host: x", 400),
        ("two spaces", "GET  / HTTP/1.1|Host: x", 400),
        ("space in the target", "GET /a b HTTP/1.1|Host: x", 400),
        ("relative target", "GET a HTTP/1.1|Host: x", 400),
        ("other scheme", "GET ftp://x/ HTTP/1.1|Host: x", 400),
        ("bad escape", "GET /%zz HTTP/1.1|Host: x", 400),
        ("escaped NUL", "GET /%00 HTTP/1.1|Host: x", 400),
        ("above the root", "GET /../a HTTP/1.1|Host: x", 400),
        ("bad method", "G(T / HTTP/1.1|Host: x", 400),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    )

    def test_each_is_refused(self):
        p = self.serve("merge_slashes on;" + REST)
        for why, text, status in self.REFUSED:
            with self.subTest(why):
                s = self.client(p)
                s.send(text.replace("|", "\r\n") + "\r\n\r\n" + GET % "/evil")
                m = s.answer()
                self.assertEqual(m.status, status)
                self.assertEqual(m.get("Connection"), "close")
                self.assertTrue(s.is_closed())

    def test_upgrade_with_a_body(self):
        """Where we would switch, the body would be the new protocol's."""
        o = self.origin(lambda peer: peer.reply("plain"))
        p = self.serve(
            "location /t { proxy_http_version 1.1;"
            " proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection upgrade;"
            f" proxy_pass http://127.0.0.1:{o.port}; }}"
            "location /w { websocket_pass app; }" + REST,
            http="backend app { server unix:@PREFIX@/no.sock; }",
        )
        ask = (
            "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n\r\n%s"
        )
        for target in ("/w", "/t"):
            for framing, body in (
                ("Content-Length: 3", "abc"),
                ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
            ):
                with self.subTest(target=target, framing=framing):
                    s = self.client(p)
                    s.send(ask % (target, framing, body) + GET % "/evil")
                    m = s.answer()
                    self.assertEqual(m.status, 400)
                    self.assertTrue(s.is_closed())
        # Where nobody switches the field says nothing.
        s = self.client(p)
        s.send(ask % ("/r", "Content-Length: 3", "abc") + GET % "/good")
        self.assertEqual(s.answer().text, "uri /r\n")
        self.assertEqual(s.answer().text, "uri /good\n")

    def test_log_lines_of_garbage_are_one_line_each(self):
        p = self.serve()
        s = self.client(p)
        s.send(b"\x00\xff\n\n\r\nGET / HTTP/1.1\r\n\r\n")
        self.assertEqual(s.answer().status, 400)
        s.rest()
        p.stop()
        lines = p.read("logs/access.log").splitlines()
        self.assertEqual(len(lines), 1)
        self.assertIn(" 400 ", lines[0])


class LimitTest(HttpTestCase):
    def refused(self, p, text, status):
        s = self.client(p)
        s.send(text)
        m = s.answer()
        self.assertEqual((m.status, m.get("Connection")), (status, "close"))
        self.assertTrue(s.is_closed())
        return m

    def test_the_head(self):
        p = self.serve(
            "client_header_buffer_size 512; large_client_header_buffers 2 1k;"
            "max_headers 5;" + REST
        )
        s = self.client(p)
        fits = "a" * 900
        self.assertEqual(s.ask("/" + fits).status, 200)
        self.assertEqual(s.ask("/", "X: " + fits).status, 200)
        self.refused(p, GET % ("/" + "a" * 1100), 414)
        m = self.refused(p, f"GET / HTTP/1.1\r\nHost: x\r\nX: {'a' * 1100}\r\n\r\n", 400)
        self.assertIn("Too Large", m.text)
        self.refused(p, "GET / HTTP/1.1\r\nHost: x\r\n" + f"X: {'a' * 700}\r\n" * 4 + "\r\n", 400)
        self.assertEqual(s.ask("/", *["X: y"] * 4).status, 200)
        self.refused(p, "GET / HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 5 + "\r\n", 400)
        # Without an end they are refused as well, not gathered.
        self.refused(p, "GET /" + "a" * 5000, 414)
        self.refused(p, "GET / HTTP/1.1\r\nHost: x\r\nX: " + "a" * 5000, 400)

    def test_client_header_timeout(self):
        p = self.serve("client_header_timeout 1s;" + REST)
        s = self.client(p)
        s.send("GET / HTTP/1.1\r\nHos")
        data, seconds = seconds_of(s.rest)
        self.assertIn(data[:12], (b"", b"HTTP/1.1 408"))
        self.assertGreater(seconds, 0.5)
        self.assertLess(seconds, 10)
        # It is for the whole head: a byte now and then does not help.
        s = self.client(p)
        begin = time.monotonic()
        with self.assertRaises(OSError):
            for c in GET % ("/" + "a" * 300):
                s.send(c)
                time.sleep(0.1)
        self.assertLess(time.monotonic() - begin, 10)
        # Nothing at all.
        s = self.client(p)
        self.assertEqual(s.rest(), b"")

    def test_client_body_timeout(self):
        o = self.origin(lambda peer: peer.reply(peer.request.body))
        p = self.serve(
            "client_body_timeout 1s;"
            f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}" + REST
        )
        for start in ("", "he"):
            s = self.client(p)
            s.send("POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n" + start)
            data, seconds = seconds_of(s.rest)
            self.assertIn(data[:12], (b"", b"HTTP/1.1 408"))
            self.assertLess(seconds, 10)
        # It is for the time between two reads.
        s = self.client(p)
        s.send("POST /o HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for c in "hello":
            time.sleep(0.4)
            s.send(c)
        self.assertEqual(s.answer().text, "hello")
        # A body that is only thrown away has the same time.
        s = self.client(p)
        s.send("POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(s.answer().status, 200)
        data, seconds = seconds_of(s.rest)
        self.assertLess(seconds, 10)

    def test_send_timeout(self):
        o = self.origin(lambda peer: peer.reply(b"x" * (16 << 20)))
        p = self.serve(
            "send_timeout 1s; location /file { }"
            f"location /o {{ proxy_pass http://127.0.0.1:{o.port}; }}",
            files={"html/file": b"x" * (16 << 20)},
        )
        for target in ("/file", "/o"):
            s = self.client(p, small=True)
            s.get(target)
            wait_for("the timeout", lambda: p.log().count("client timed out") > 0)
            self.assertLess(len(s.rest()), 16 << 20)
            p.write("logs/error.log", "")
        # A slow reader is not a dead one.
        s = self.client(p, small=True)
        s.get("/file")
        m = s.head()
        left = int(m.get("Content-Length"))
        for _ in range(5):
            left -= len(s.exactly(2 << 20))
            time.sleep(0.4)
        s.exactly(left)

    def test_keepalive_timeout(self):
        p = self.serve("keepalive_timeout 1s 7s;" + REST)
        s = self.client(p)
        m = s.ask("/")
        self.assertEqual(m.get("Keep-Alive"), "timeout=7")
        closed, seconds = seconds_of(s.is_closed)
        self.assertTrue(closed)
        self.assertGreater(seconds, 0.5)
        self.assertLess(seconds, 10)
        s = self.client(self.serve("keepalive_timeout 0;" + REST))
        self.assertEqual(s.ask("/").get("Connection"), "close")
        self.assertTrue(s.is_closed())

    def test_keepalive_requests(self):
        s = self.client(self.serve("keepalive_requests 3;" + REST))
        s.send((GET % "/") * 5)
        self.assertEqual(
            [s.answer().get("Connection") for _ in range(3)],
            ["keep-alive", "keep-alive", "close"],
        )
        self.assertTrue(s.is_closed())


class ServerTest(HttpTestCase):
    def texts(self, port, hosts):
        with Raw(port) as s:
            return [s.ask("/", host=h).text for h in hosts]

    def test_server_names(self):
        def server(name, text, listen=""):
            return (
                f"server {{ listen 127.0.0.1:@PORT@{listen}; server_name {name};"
                f" return 200 {text}; }}"
            )

        p = self.penstock(
            "events { } http {"
            + server("exact.example", "first")
            + server("fallback", "fallback", " default_server")
            + server("*.wild.example", "front")
            + server("*.sub.wild.example", "longer")
            + server("tail.*", "tail")
            + server(".dot.example", "dot")
            + server(r"~^(?<user>[a-z]+)\.users\.example$", "user-$user")
            + server(r"~^(\d+)\.num\.example$", "num-$1")
            + server('"" [::1]', "none")
            + "}"
        )
        self.assertEqual(
            self.texts(
                p.port(),
                ("exact.example", "EXACT.Example:99", "exact.example.", "other",
                 "a.wild.example", "a.sub.wild.example", "wild.example",
                 "tail.org", "tail.a.b", "dot.example", "a.b.dot.example",
                 "joe.users.example", "42.num.example", "x.num.example",
                 "[::1]:80", "127.0.0.1"),
            ),
            ["first", "first", "first", "fallback", "front", "longer",
             "fallback", "tail", "tail", "dot", "dot", "user-joe", "num-42",
             "fallback", "none", "fallback"],
        )
        with Raw(p.port()) as s:  # no Host, and one in the target
            s.send("GET / HTTP/1.0\r\n\r\n")
            self.assertEqual(s.answer().text, "none")
        with Raw(p.port()) as s:
            s.send("GET http://tail.org/ HTTP/1.1\r\nHost: exact.example\r\n\r\n")
            self.assertEqual(s.answer().text, "tail")

    def test_listens(self):
        if not socket.has_ipv6:
            self.skipTest("no IPv6")
        for base in range(20000, 60000, 7):
            try:  # three ports in a row
                held = [socket.create_server(("127.0.0.1", base + i)) for i in range(3)]
            except OSError:
                continue
            for h in held:
                h.close()
            break
        six = free_port(socket.AF_INET6, "::1")
        p = self.penstock(
            "events { } http { server { listen 127.0.0.1:@PORT@;"
            f"listen [::1]:{six}; listen unix:@PREFIX@/s.sock;"
            f"listen 127.0.0.1:{base}-{base + 2};"
            "return 200 '$server_addr $server_port $remote_addr'; }"
            "server { listen 127.0.0.1:@PORT@; listen unix:@PREFIX@/s.sock;"
            " server_name other; return 200 other; } }"
        )

        def text(to, host="127.0.0.1", name="x"):
            with Raw(to, host) as s:
                return s.ask("/", host=name).text

        self.assertEqual(text(p.port()), f"127.0.0.1 {p.port()} 127.0.0.1")
        self.assertEqual(text(p.port(), name="other"), "other")
        self.assertEqual(text(six, "::1"), f"::1 {six} ::1")
        for port in range(base, base + 3):
            self.assertEqual(text(port), f"127.0.0.1 {port} 127.0.0.1")
        self.assertEqual(text(p.path("s.sock")), f"unix:{p.path('s.sock')}  unix:")
        self.assertEqual(text(p.path("s.sock"), name="other"), "other")
        p.stop()
        self.assertFalse(os.path.exists(p.path("s.sock")))

    def test_default_server_of_each_address(self):
        p = self.penstock(
            "events { } http {"
            "server { listen 127.0.0.1:@PORT@; server_name a; return 200 a; }"
            "server { listen 127.0.0.1:@PORT@; listen 127.0.0.1:@PORT1@;"
            " server_name b; return 200 b; }"
            "server { listen 127.0.0.1:@PORT1@ default_server; server_name c;"
            " return 200 c; } }"
        )
        self.assertEqual(self.texts(p.port(), ("a", "b", "c", "z")), list("abaa"))
        self.assertEqual(self.texts(p.port("PORT1"), ("a", "b", "c", "z")), list("cbcc"))


class LocationTest(HttpTestCase):
    def test_selection(self):
        p = self.serve(
            "location = / { return 200 root; }"
            "location = /exact { return 200 exact; }"
            "location / { return 200 rest; }"
            "location /docs/ { return 200 docs; }"
            "location ^~ /images/ { return 200 images; }"
            "location ~ \\.(gif|png)$ { return 200 'picture $1'; }"
            "location ~* \\.JPG$ { return 200 jpg; }"
            "location /outer/ { location /outer/in { return 200 inner; }"
            " location ~ \\.txt$ { return 200 'inner text'; } return 200 outer; }"
            "location ~ ^/late { return 200 late; }"
            "location @named { return 200 named; }"
        )
        s = self.client(p)
        for target, text in (
            ("/", "root"), ("/exact", "exact"), ("/exact/", "rest"),
            ("/x", "rest"), ("/docs/a", "docs"), ("/docs", "rest"),
            ("/docs/a.gif", "picture gif"), ("/images/a.gif", "images"),
            ("/a.jpg", "jpg"), ("/a.GIF", "rest"), ("/outer/", "outer"),
            ("/outer/in", "inner"), ("/outer/a.txt", "inner text"),
            ("/a.txt", "rest"), ("/outer/a.png", "picture png"),
            ("/%69mages/a.gif", "images"), ("//docs///a", "docs"),
            ("/x/../docs/./a", "docs"), ("/x%2f..%2fdocs/", "docs"),
            ("/docs/?a=/exact", "docs"), ("/@named", "rest"),
            ("/late.gif", "picture gif"), ("/late", "late"),
        ):
            with self.subTest(target):
                self.assertEqual(s.ask(target).text, text)

    def test_error_pages(self):
        p = self.serve(
            "error_page 404 /404.html; error_page 403 = @denied;"
            "error_page 410 =200 /gone.html; error_page 500 502 @broken;"
            "error_page 405 http://other.example/why; error_page 409 =301 /abs;"
            "error_page 402 =307 http://pay.example/; error_page 400 /400.html;"
            "error_page 401 = /answer;"
            "location / { } location /r403 { return 403; }"
            "location /r410 { return 410; } location /r500 { return 500; }"
            "location /r405 { return 405; } location /r402 { return 402; }"
            "location /r401 { return 401; } location /answer { return 418 own; }"
            "location /r503 { return 503; }"
            "location @denied { return 201 'denied $uri'; }"
            "location @broken { return 200 broken; }"
            "location = /gone.html { internal; }"
            "location /own { error_page 404 = /elsewhere; }"
            "location /elsewhere { return 200 elsewhere; }",
            files={
                "html/404.html": "my 404", "html/gone.html": "it is gone",
                "html/400.html": "my 400",
            },
        )
        s = self.client(p)
        for target, status, text in (
            ("/none", 404, "my 404"), ("/r403", 201, "denied /r403"),
            ("/r410", 200, "it is gone"), ("/gone.html", 404, "my 404"),
            ("/own/x", 200, "elsewhere"), ("/r401", 418, "own"),
        ):
            with self.subTest(target):
                m = s.ask(target)
                self.assertEqual((m.status, m.text), (status, text))
        m = s.ask("/r405")
        self.assertEqual((m.status, m.get("Location")), (302, "http://other.example/why"))
        m = s.ask("/r402")
        self.assertEqual((m.status, m.get("Location")), (307, "http://pay.example/"))
        m = s.ask("/none", method="HEAD")
        self.assertEqual((m.status, m.get("Content-Length")), (404, "6"))
        s = self.client(p)
        s.send("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET % "/own/y")
        self.assertEqual(s.answer().text, "my 404")
        self.assertEqual(s.answer().text, "elsewhere")
        s = self.client(p)
        s.send("GET / HTTP/1.1\r\n\r\n" + GET % "/elsewhere")
        m = s.answer()
        self.assertEqual((m.status, m.text), (400, "my 400"))
        self.assertTrue(s.is_closed())

    def test_444_says_nothing(self):
        s = self.client(self.serve("location / { return 444; }"))
        s.get("/")
        self.assertEqual(s.rest(), b"")

    def test_methods_and_targets(self):
        s = self.client(self.serve())
        self.assertEqual(s.ask("*", method="OPTIONS").status, 200)
        self.assertEqual(s.ask("http://y.example/p?q").text, "uri /p\n")
        self.assertEqual(s.ask("/", method="TRACE").status, 405)
        s = self.client(self.serve())
        self.assertEqual(s.ask("x:1", method="CONNECT").status, 405)


if __name__ == "__main__":
    unittest.main()
