# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP/1.1 server, byte by byte: connections and bodies."""

import time
import unittest

from support.http import GET, HttpTestCase, REST
from support.raw import seconds_of


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


if __name__ == "__main__":
    unittest.main()
