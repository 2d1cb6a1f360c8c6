# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP/1.1 server: limits, and which server and location answer."""

import os
import socket
import time
import unittest

from support.penstock import free_port, wait_for
from support.http import GET, HttpTestCase, REST
from support.raw import Raw, seconds_of


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
