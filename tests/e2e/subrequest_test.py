# SPDX-License-Identifier: BSD-2-Clause
"""auth_request, auth_request_set and mirror, as in nginx."""

import threading
import unittest

from support.http import HttpTestCase
from support.nginx import CompareTestCase
from support.penstock import wait_for
from support.raw import Closed, Origin

FILES = {"html/a.txt": "0123456789"}


class AuthRequestLikeNginxTest(CompareTestCase):
    def test_statuses(self):
        codes = (200, 204, 301, 400, 401, 403, 404, 500, 502)
        both = self.both(
            "".join(
                f"location /is{c}/ {{ auth_request /auth{c}; alias @PREFIX@/html/; }}"
                f"location = /auth{c} {{ return {c} {'/x' if c == 301 else ''}; }}"
                for c in codes
            )
            + "location /off/ { auth_request off; alias @PREFIX@/html/; }"
            "location /internal/ { auth_request /inner; alias @PREFIX@/html/; }"
            "location = /inner { internal; return 200; }"
            "location /denied/ { auth_request /auth-denies; alias @PREFIX@/html/; }"
            "location = /auth-denies { deny all; return 200; }"
            "location /none/ { auth_request /nowhere; alias @PREFIX@/html/; }"
            "location /page/ { auth_request /auth403; error_page 403 = @page;"
            " alias @PREFIX@/html/; }"
            'location @page { return 299 "see"; }'
            "location /file/ { auth_request /a.txt; alias @PREFIX@/html/; }"
            "location /nofile/ { auth_request /b.txt; alias @PREFIX@/html/; }",
            files=FILES,
        )
        for code in codes:
            both.same(f"/is{code}/a.txt")
        for where in ("off", "internal", "denied", "none", "page", "file", "nofile"):
            both.same(f"/{where}/a.txt")
        both.same("/is200/a.txt", method="HEAD")
        both.same("/is200/a.txt", Range="bytes=1-2")
        both.same("/file/a.txt", Range="bytes=1-2")
        both.same("/file/a.txt", If_Modified_Since="Sun, 09 Sep 2001 01:46:40 GMT")

    def test_set_and_what_the_origin_sees(self):
        seen = []

        def respond(peer):
            fields = [f for f in peer.request.fields if f[0] != "Connection"]
            seen.append((peer.request.start, sorted(fields)))
            if peer.request.target == "/in":
                peer.reply("no", "WWW-Authenticate: Basic realm=\"x\"",
                           status="401 Unauthorized")
            else:
                peer.reply("body that nobody reads", "X-User: me", "X-Id: 7")

        o = Origin(respond)
        self.addCleanup(o.stop)
        both = self.both(
            f"""proxy_http_version 1.1; proxy_set_header Connection '';
            location / {{ auth_request /auth; auth_request_set $user
              $upstream_http_x_user; auth_request_set $st $upstream_status;
              auth_request_set $none $upstream_http_x_none;
              add_header X-Is "$user|$st|$none|$kept"; set $kept k; return 200; }}
            location /file {{ auth_request /auth; auth_request_set $user
              $upstream_http_x_user; add_header X-Is "$user" always; }}
            location = /auth {{ internal; proxy_pass_request_body off;
              proxy_set_header Content-Length ""; proxy_set_header X-URI $request_uri;
              proxy_set_header X-Method $request_method; proxy_set_header X-Own $uri;
              proxy_pass http://127.0.0.1:{o.port}/a; }}
            location /401 {{ auth_request /auth401; }}
            location /page {{ auth_request /auth401; error_page 401 /file; }}
            location /ok {{ auth_request /auth401; error_page 401 =200 /file; }}
            location /named {{ auth_request /auth401; error_page 401 = @n; }}
            location @n {{ return 200 named; }}
            location = /auth401 {{ proxy_pass http://127.0.0.1:{o.port}/in; }}
            """,
            files={"html/file": "text"},
        )
        both.same("/file?x=1", X_Field="1")
        self.assertEqual(seen[0], seen[1])
        del seen[:]
        both.same("/401")
        both.same("/ok")
        both.same("/named")
        del seen[2:]
        both.same("/file", method="PUT", Content_Length="0")
        self.assertEqual(seen[2], seen[3])


class AuthRequestTest(HttpTestCase):
    def test_the_body_waits_for_the_verdict(self):
        asked, go = threading.Event(), threading.Event()

        def respond(peer):
            if peer.request.target == "/auth":
                asked.set()
                go.wait(20)
                peer.reply("")
            else:
                peer.reply(peer.request.body)

        o = self.origin(respond)
        p = self.serve(
            f"location / {{ auth_request /auth; proxy_pass http://127.0.0.1:{o.port}; }}"
            f"location = /auth {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        s = self.client(p)
        body = b"x" * 300000
        s.send(
            f"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        sender = threading.Thread(target=s.send, args=(body,))
        sender.start()
        self.assertTrue(asked.wait(20))
        go.set()
        got = s.answer()
        sender.join()
        self.assertEqual((200, body), (got.status, got.body))
        self.assertEqual(200, s.ask("/again").status)

    def test_a_client_that_leaves_is_forgotten(self):
        asked, gone = threading.Event(), threading.Event()

        def respond(peer):
            asked.set()
            try:
                peer.more()
            except Closed:
                gone.set()
            return True

        o = self.origin(respond)
        p = self.serve(
            "location / { auth_request /auth; }"
            f"location = /auth {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        s = self.client(p)
        s.get("/")
        self.assertTrue(asked.wait(20))
        s.close()
        self.assertTrue(gone.wait(20))

    def test_an_auth_server_that_is_away_or_cut_off(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            return True

        o = self.origin(respond)
        p = self.serve(
            "location /away { auth_request /a; return 200; }"
            "location /cut { auth_request /b; }"
            "location = /a { proxy_pass http://127.0.0.1:@PORT9@; }"
            f"location = /b {{ proxy_pass http://127.0.0.1:{o.port}; }}",
            files={"html/away": "x", "html/cut": "y"},
        )
        self.assertEqual(200, self.client(p).ask("/away").status)  # rewrite first
        self.assertEqual(200, self.client(p).ask("/cut").status)

    def test_depth(self):
        p = self.serve("location / { auth_request /b; }", files={"html/x": "x"})
        # A subrequest is not asked who it is, so it does not turn in circles.
        self.assertEqual(500, self.client(p).ask("/x").status)


class MirrorTest(HttpTestCase):
    def test_copies(self):
        o = self.origin(lambda peer: peer.reply("mirrored"))
        p = self.serve(
            'location / { mirror /m; mirror /n; return 200 "own"; }'
            "location /file { mirror /m; }"
            "location /off { mirror off; }"
            "location = /m { internal; proxy_pass http://127.0.0.1:%d/m$request_uri; }"
            "location = /n { internal; proxy_pass http://127.0.0.1:%d; }"
            % (o.port, o.port),
            http="mirror /m;",
            files={"html/file": "f", "html/off": "o"},
        )
        s = self.client(p)
        got = s.ask("/file?a=b", "X-Is: here")
        self.assertEqual((200, "f"), (got.status, got.text))
        wait_for("a copy", lambda: o.requests)
        self.assertEqual("GET /m/file?a=b HTTP/1.1", o.requests[0].start)
        self.assertEqual("here", o.requests[0].get("X-Is"))
        self.assertEqual("o", s.ask("/off").text)

    def test_bodies(self):
        main = self.origin(lambda peer: peer.reply(str(len(peer.request.body))))
        copies = []

        def copied(peer):
            copies.append((peer.request.method, peer.request.body))
            peer.reply("")

        copy = self.origin(copied)
        p = self.serve(
            "client_max_body_size 10m;"
            "location / { mirror /m; proxy_pass http://127.0.0.1:%d; }"
            "location /without { mirror /m; mirror_request_body off;"
            " proxy_pass http://127.0.0.1:%d; }"
            "location /file { mirror /m; }"
            "location = /m { internal; proxy_pass http://127.0.0.1:%d; }"
            % (main.port, main.port, copy.port),
            files={"html/file": "x"},
        )
        body = bytes(range(256)) * 4000
        s = self.client(p)
        for chunked in (False, True):
            if chunked:
                s.send("PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                s.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
            else:
                s.send(f"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
                s.send(body)
            self.assertEqual(str(len(body)), s.answer().text)
            wait_for("the copy", lambda: copies)
            self.assertEqual(("PUT", body), copies.pop())
        s.send("POST /without HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        self.assertEqual("3", s.answer().text)
        wait_for("the copy", lambda: copies)
        self.assertEqual(("POST", b""), copies.pop())
        s.send(f"POST /file HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
        s.send(body)
        self.assertEqual(405, s.answer().status)
        wait_for("the copy", lambda: copies)
        self.assertEqual(body, copies.pop()[1])

    def test_a_copy_that_fails_is_nobodys_business(self):
        p = self.serve(
            "client_max_body_size 10m;"
            "location / { mirror /m; mirror /m2; return 200 own; }"
            "location /f { mirror /m; mirror /m2; }"
            "location = /m { proxy_pass http://127.0.0.1:@PORT9@; }"
            "location = /m2 { return 444; }",
            files={"html/f": "file"},
        )
        s = self.client(p)
        for _ in range(3):
            self.assertEqual("file", s.ask("/f").text)
        self.assertIn("subrequest: \"/m\"", p.log())

    def test_the_client_goes_while_copies_are_made(self):
        asked, gone = threading.Event(), threading.Event()

        def slow(peer):
            asked.set()
            try:
                peer.more()
            except Closed:
                gone.set()
            return True

        o = self.origin(slow)
        p = self.serve(
            "location / { mirror /m; }"
            f"location = /m {{ proxy_pass http://127.0.0.1:{o.port}; }}",
            files=FILES,
        )
        s = self.client(p)
        self.assertEqual(200, s.ask("/a.txt").status)
        self.assertTrue(asked.wait(20))
        s.close()
        self.assertTrue(gone.wait(20))

    def test_log_subrequest(self):
        p = self.serve(
            "location / { mirror /m; } location /quiet { mirror /n; }"
            "location = /m { log_subrequest on; return 201; }"
            "location = /n { return 202; }",
            http="log_format l '$uri $status'; access_log logs/l.log l;",
            files={"html/a.txt": "x", "html/quiet": "x"},
        )
        s = self.client(p)
        s.ask("/a.txt")
        s.ask("/quiet")
        wait_for("lines", lambda: p.read("logs/l.log").count("\n") >= 3)
        self.assertEqual(
            ["/a.txt 200", "/m 201", "/quiet 200"],
            sorted(p.read("logs/l.log").splitlines()),
        )


if __name__ == "__main__":
    unittest.main()
