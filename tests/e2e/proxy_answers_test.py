# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of an upstream's answer: cookies, places, X-Accel-*, hints."""

import unittest

from support.proxy import CompareProxyTestCase, ProxyTestCase, named, show


class LikeNginxTest(CompareProxyTestCase):
    def test_proxy_cookie(self):
        cookies = (
            "a=b", "a=b; Path=/in/x; Domain=in.example; Secure",
            "a=b; path=/in; domain=.in.example", "a=b;Path=/in/;HttpOnly;x=y",
            "c=d; Domain=other.example; Path=/other", "flag=1; SameSite=None",
            "a=b=c; Max-Age=5", "e", "f=; Path=", "Flag=1; secure; httponly; samesite=strict",
            "re-x=1; Domain=WWW.re.example; Path=/RE/more", 'q="x; y"; Path=/in/q',
        )
        both = self.both_before(
            lambda peer: peer.reply("x", *(f"Set-Cookie: {c}" for c in cookies)),
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location /domain { proxy_cookie_domain in.example out.example;"
            " proxy_cookie_domain ~\\.(re\\.example)$ $1; proxy_pass http://ORIGIN; }"
            "location /dot { proxy_cookie_domain .in.example $host; proxy_pass http://ORIGIN; }"
            "location /path { proxy_cookie_path /in/ /out/; proxy_cookie_path ~*^/re(.*)$ /new$1;"
            " proxy_cookie_path ~^/other /; proxy_pass http://ORIGIN; }"
            "location /flags { proxy_cookie_flags a secure httponly samesite=lax;"
            " proxy_cookie_flags ~^re samesite=none nosecure;"
            " proxy_cookie_flags flag nosecure nohttponly nosamesite; proxy_pass http://ORIGIN; }"
            "location /all { proxy_cookie_flags ~ secure; proxy_cookie_path / /p/;"
            " proxy_cookie_domain in.example x; proxy_pass http://ORIGIN;"
            "  location /all/off { proxy_cookie_flags off; proxy_cookie_path off;"
            "   proxy_cookie_domain off; proxy_pass http://ORIGIN; } }",
        )
        for target in ("/domain", "/dot", "/path", "/flags", "/all", "/all/off"):
            both.same(target)

    def test_proxy_redirect(self):
        def respond(peer):
            port = peer.request.get("Host").split(":")[1]
            peer.reply("", "Location: http://127.0.0.1:%s/in/there" % port, status="301 X")

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location /both { proxy_pass http://ORIGIN/in/; proxy_redirect /x /y; proxy_redirect default; }"
            "location /first { proxy_pass http://ORIGIN/in/; proxy_redirect default;"
            " proxy_redirect http://ORIGIN/ /second/; }"
            "location /vars { set $o ORIGIN; proxy_pass http://$o; proxy_redirect http://$o/ /v/; }"
            "location /named { proxy_redirect ~^http://[^/]+/(?<rest>.*)$ /n/$rest; proxy_pass http://ORIGIN; }"
            "location /off { proxy_pass http://ORIGIN/in/; proxy_redirect off; }"
        )
        for target in ("/both", "/first", "/vars", "/named", "/off"):
            both.same(target)

    def test_x_accel_redirect(self):
        fields = [
            "Content-Type: a/b", "Set-Cookie: a=b", "Cache-Control: no-cache",
            "Content-Disposition: attachment", "Expires: never", "X-Other: no",
            "ETag: \"theirs\"", "Content-Encoding: theirs", "Vary: theirs",
        ]

        def respond(peer):
            to = peer.request.get("X-To")
            peer.reply("theirs", *fields, *([f"X-Accel-Redirect: {to}"] if to else []),
                       status="403 Forbidden" if to else "200 OK")

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /ignoring { proxy_ignore_headers X-Accel-Redirect; proxy_pass http://ORIGIN; }"
            "location /passing { proxy_pass_header X-Accel-Redirect; proxy_ignore_headers X-Accel-Redirect;"
            " proxy_pass http://ORIGIN; }"
            "location /files/ { internal; alias @PREFIX@/html/; }"
            "location /text { internal; return 200 $request_method:$args:$uri; }"
            "location @named { return 201 named; }",
        )
        both.ours.write("html/a b.html", "<p>the file")
        both.ours.write("html/x.html", "<p>the file")
        for path in ("/ignoring", "/passing", "/"):
            for to in ("/files/x.html", "/files/a%20b.html", "/files/none", "/text?a=b",
                       "@named", "@nothing", "/../up", "nowhere", ""):
                for method in ("GET", "HEAD", "POST"):
                    got = both.same(path, X_To=to, method=method,
                                    **({"Content_Length": "0"} if method == "POST" else {}))
                    if path == "/" and to == "/text?a=b" and method != "HEAD":
                        self.assertEqual(got.body, b"GET:a=b:/text")

    def test_upstream_variables(self):
        def respond(peer):
            if "retry" in peer.request.target:
                peer.reply("four", status="503 X")
            else:
                peer.reply("12345", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "X-One: 1",
                           status="404 X" if "page" in peer.request.target else "200 OK")

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "add_header X-Status $upstream_status always;"
            "add_header X-A $upstream_cookie_a always; add_header X-B $upstream_cookie_b always;"
            "add_header X-C $upstream_cookie_c always; add_header X-H $upstream_http_x_one always;"
            "location / { proxy_pass http://ORIGIN; }"
            "location /page { proxy_intercept_errors on; error_page 404 = @other; proxy_pass http://ORIGIN; }"
            "location @other { proxy_pass http://ORIGIN; }"
            "location /retry { proxy_next_upstream http_503; proxy_pass http://two; }",
            http="upstream two { server ORIGIN; server ORIGIN; }",
        )
        for target in ("/", "/page", "/retry"):
            got = both.same(target)
        self.assertIn(("x-status", "503, 503"), got.headers)


class AnswersTest(ProxyTestCase):
    def test_early_hints(self):
        def respond(peer):
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n"
                      "Connection: X-Gone\r\nX-Gone: 1\r\nServer: theirs\r\n\r\n"
                      "HTTP/1.1 102 Processing\r\n\r\n")
            peer.reply("body")

        o = self.origin(respond)
        p = self.before(o, location="early_hints $http_x_hints;")
        s = self.client(p)
        self.assertEqual(s.ask("/").interims, [])
        self.assertEqual(s.ask("/", "X-Hints: 0").interims, [])
        s.get("/", "X-Hints: 1")
        hints = s.head()
        self.assertEqual((hints.status, hints.fields), (103, [("Link", "</a>; rel=preload")]))
        self.assertEqual(s.answer().text, "body")
        self.assertEqual(self.client(p).ask("/", "X-Hints: 1", version="1.0").interims, [])

    def test_many_interim_answers(self):
        o = self.origin(lambda peer: peer.send("HTTP/1.1 102 X\r\n\r\n" * 200))
        p = self.before(o)
        self.assertEqual(self.client(p).ask("/").status, 502)
        self.assertEqual(p.log().count("upstream sent an invalid response"), 1)

    def test_proxy_method_head_and_back(self):
        o = self.origin(lambda peer: peer.reply("" if peer.request.method == "HEAD" else "body",
                                                "X-Method: " + peer.request.method))
        p = self.serve(
            "location /head { proxy_method HEAD; proxy_pass http://ORIGIN; }"
            "location /get { proxy_method GET; proxy_pass http://ORIGIN; }".replace(
                "ORIGIN", f"127.0.0.1:{o.port}"))
        s = self.client(p)
        self.assertEqual(s.ask("/head").get("X-Method"), "HEAD")
        m = s.ask("/get", method="HEAD")
        self.assertEqual((m.get("X-Method"), m.get("Content-Length")), ("GET", "4"))
        self.assertEqual(s.ask("/get").text, "body")

    def test_proxy_bind(self):
        seen = []

        def respond(peer):
            seen.append(peer.s.getpeername()[0])
            peer.reply("x")

        o = self.origin(respond)
        p = self.serve(
            ("location / { proxy_bind $arg_from; proxy_pass http://app; }"
             "location /fixed { proxy_bind 127.0.0.3; proxy_pass http://app;"
             "  location /fixed/off { proxy_bind off; proxy_pass http://app; } }"
             "location /six { proxy_bind ::1; proxy_pass http://app; }"),
            http=f"upstream app {{ server 127.0.0.1:{o.port}; }}")
        s = self.client(p)
        for _ in range(2):  # kept connections are told apart
            for target in ("/?from=127.0.0.2", "/fixed", "/", "/fixed/off", "/six", "/?from=nonsense"):
                self.assertEqual(s.ask(target).status, 200)
        one = ["127.0.0.2", "127.0.0.3"] + ["127.0.0.1"] * 4
        self.assertEqual(seen, one * 2)
        self.assertEqual(o.connections, 3)
        self.assertIn('invalid local address "nonsense"', p.log())
        self.assertEqual(s.ask("/?from=192.0.2.1").status, 502)

    def test_proxy_socket_options(self):
        o = self.origin(named("x"))
        p = self.before(o, location="proxy_socket_keepalive on; proxy_socket_sndbuf 8k;"
                        " proxy_socket_rcvbuf 8k;")
        self.assertEqual(self.client(p).ask("/").text, "x")

    def test_connection_fields_of_several_lines(self):
        o = self.origin(show)
        p = self.before(o, location="proxy_set_header X-Real-IP $remote_addr;")
        m = self.client(p).ask("/", "Connection: keep-alive", "Connection: X-One, x-real-ip",
                               "X-One: 1", "X-Real-IP: 192.0.2.1", "X-Two: 2")
        self.assertNotIn("x-one", m.text)
        self.assertIn("x-real-ip: 127.0.0.1\n", m.text)
        self.assertIn("x-two: 2\n", m.text)

    def test_variables_in_the_log(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                      "5\r\nhello\r\n0\r\nX-T: the trailer\r\n\r\n")

        o = self.origin(respond)
        p = self.before(o, http="log_format v '$upstream_bytes_sent $upstream_bytes_received"
                        " $upstream_response_length $upstream_trailer_x_t';",
                        location="access_log logs/v.log v;")
        self.assertEqual(self.client(p).ask("/").text, "hello")
        p.wait_for_log("trailer", "logs/v.log")
        sent, received, length, rest = p.log("logs/v.log").split(" ", 3)
        self.assertEqual(int(sent), len("GET / HTTP/1.1\r\nHost: app\r\n\r\n"))
        self.assertGreater(int(received), 80)
        self.assertEqual((length, rest), ("5", "the trailer\n"))

    def test_proxy_pass_trailers(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                      "5\r\nhello\r\n0\r\nX-T: the trailer\r\nX-Hidden: 1\r\nConnection: x\r\n\r\n")

        o = self.origin(respond)
        for on, trailers in (("on", b"X-T: the trailer\r\n"), ("off", b"")):
            p = self.before(o, location=f"proxy_pass_trailers {on}; proxy_hide_header X-Hidden;")
            s = self.client(p)
            s.get("/")
            s.head()
            self.assertEqual(s.until(b"0\r\n"), b"5\r\nhello\r\n")
            self.assertEqual(s.exactly(len(trailers) + 2), trailers + b"\r\n")
            self.assertEqual(s.ask("/", version="1.0").text, "hello")

    def test_a_chunked_body_may_end_after_the_answer(self):
        def respond(peer):
            peer.reply("early")
            for _ in peer.chunks():
                pass

        o = self.origin(respond, read_body=False)
        p = self.before(o, location="proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Transfer-Encoding: chunked", method="POST")
        s.send("5\r\nhello\r\n")
        m = s.answer()
        self.assertEqual((m.text, m.get("Connection")), ("early", "keep-alive"))
        s.send("5\r\nhello\r\n0\r\n\r\n")
        self.assertTrue(s.is_closed())


if __name__ == "__main__":
    unittest.main()
