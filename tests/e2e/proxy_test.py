# SPDX-License-Identifier: BSD-2-Clause
"""proxy_pass: what is asked of an origin, and what comes back."""

import unittest

from support.penstock import free_port
from support.proxy import CompareProxyTestCase, ProxyTestCase, echo, show


class LikeNginxTest(CompareProxyTestCase):
    """What is asked of the origin, and what the client sees of its answer."""

    def test_the_uri(self):
        both = self.both_before(
            show,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /slash/ { proxy_pass http://ORIGIN/; }"
            "location /cut { proxy_pass http://ORIGIN/; }"
            "location /to/ { proxy_pass http://ORIGIN/a/b; }"
            "location /args/ { proxy_pass http://ORIGIN/x?y=1; }"
            "location /var/ { proxy_pass http://ORIGIN$request_uri; }"
            "location /var2/ { proxy_pass http://ORIGIN/v$uri?q=$arg_q; }"
            "location /var3/ { set $o ORIGIN; proxy_pass http://$o; }"
            "location ~ ^/re/(.*)$ { proxy_pass http://ORIGIN/$1; }"
            "location ~ ^/plain/ { proxy_pass http://ORIGIN; }"
            "location /rw/ { rewrite ^/rw/(.*)$ /new/$1 break; proxy_pass http://ORIGIN; }"
            "location /rwu/ { rewrite ^/rwu/(.*)$ /new/$1 break; proxy_pass http://ORIGIN/u/; }"
            "location /err/ { error_page 418 = @n; return 418; }"
            "location @n { proxy_pass http://ORIGIN; }"
            "location /limit/ { limit_except GET { deny all; } proxy_pass http://ORIGIN/l/; }",
        )
        for target in (
            "/", "/a?b=c", "/a%20b", "/a%2fb", "/a//b", "/a/../b", "/a/./b?x#y",
            "/%41", "/a%3Fb?c", "/slash/", "/slash/x", "/slash/x%20y?z",
            "/slash/a%2fb", "/slash//x", "/slash/a%3fb%23c%25d", "/slash/%e4;,:@&=+$",
            "/slash", "/cut", "/cutter/x", "/to/x", "/args/x", "/args/x?z",
            "/var/a%20b?c", "/var2/a%20b?q=1&r=2", "/var3/a%20b?q", "/re/a%20b",
            "/re/x?y", "/plain/a%2fb?c", "/rw/a%20b?c", "/rwu/x?c", "/err/x%20y?z",
            "/limit/x", '/a"b', "/a?", "/slash/?",
        ):
            both.same(target.split("#")[0])
        both.same("/limit/x", method="PUT", Content_Length="0")
        both.same("http://other.example/abs?x", Host="other.example")

    def test_the_fields(self):
        both = self.both_before(
            show,
            "location / { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass http://ORIGIN; }"
            "location /v10 { proxy_http_version 1.0; proxy_set_header Connection close;"
            " proxy_pass http://ORIGIN; }"
            "location /app { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass http://app; }"
            "location /own { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_set_header Host $host:81;"
            " proxy_set_header X-Real-IP $remote_addr;"
            " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            " proxy_set_header X-Forwarded-Proto $scheme;"
            " proxy_set_header Accept ''; proxy_set_header x-lower 'a b';"
            " proxy_pass http://ORIGIN;"
            "  location /own/in { proxy_pass http://ORIGIN; }"
            "  location /own/other { proxy_http_version 1.1; proxy_set_header Connection '';"
            "   proxy_set_header Other 1; proxy_pass http://ORIGIN; } }"
            "location /no { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass_request_headers off; proxy_pass_request_body off;"
            " proxy_set_header Content-Length ''; proxy_pass http://ORIGIN; }"
            "location /method { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_method PUT; proxy_set_body 'body $arg_x'; proxy_pass http://ORIGIN; }",
            http="upstream app { server ORIGIN; }",
        )
        fields = {
            "Accept": "a/b", "User-Agent": "me", "Cookie": "a=b; c",
            "X-Forwarded-For": "192.0.2.1", "Keep-Alive": "timeout=5",
            "TE": "trailers", "Upgrade": "h2c", "Expect": "", "X-Mine": "1",
            "Accept-Encoding": "gzip", "Authorization": "Basic eA==",
        }
        for target in ("/v10", "/own/x", "/own/in", "/own/other", "/no", "/method?x=y", "/app"):
            for headers in ({}, {"Accept": "a/b", "X-Forwarded-For": "192.0.2.1", "X-Mine": "1", "Cookie": "a=b"}):
                both.same(target, **headers)
        del fields["TE"], fields["Upgrade"], fields["Keep-Alive"], fields["Expect"]
        both.same("/", **fields)
        both.same("/", method="HEAD")
        both.same("/", method="DELETE")
        both.same("/", Content_Length="0", method="POST")

    def test_the_answer(self):
        def respond(peer):
            port = peer.request.get("Host").split(":")[1]
            peer.reply(
                "body", "Server: theirs", "Date: Thu, 01 Jan 1970 00:00:00 GMT",
                "Content-Type: a/b", "X-Accel-Expires: 1", "X-Pad: x",
                "Set-Cookie: a=b", "Set-Cookie: c=d", "ETag: \"x\"",
                "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", "Vary: A",
                "X-Hidden: 1", "Keep-Alive: timeout=1", "Cache-Control: no-store",
                "Refresh: 5; url=http://127.0.0.1:%s/in/r" % port,
                "Location: http://127.0.0.1:%s/in/there?a" % port
                if "abs" in peer.request.target else "Location: /in/rel",
                status="302 Whatever",
            )

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /out/ { proxy_pass http://ORIGIN/in/; }"
            "location /off/ { proxy_redirect off; proxy_pass http://ORIGIN/in/; }"
            "location /own/ { proxy_redirect http://ORIGIN/in/ http://x.example/o/;"
            " proxy_redirect ~*^/IN/(.*)$ /re/$1; proxy_pass http://ORIGIN/in/; }"
            "location /hide/ { proxy_hide_header X-Hidden; proxy_pass_header X-Pad;"
            " proxy_pass http://ORIGIN; }",
        )
        for target in ("/abs", "/rel", "/out/abs", "/out/rel", "/off/abs",
                       "/own/abs", "/own/rel", "/hide/abs"):
            both.same(target)

    def test_statuses(self):
        def respond(peer):
            code = int(peer.request.target.split("/")[-1])
            peer.reply("" if code in (204, 304) else "text", status=f"{code} X",
                       length=code not in (204, 304))

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /page/ { error_page 404 =200 /own; error_page 500 /own; proxy_intercept_errors on;"
            " proxy_pass http://ORIGIN/; }"
            "location /own { return 200 own; }",
        )
        for code in (200, 201, 204, 206, 301, 304, 400, 401, 404, 418, 500, 502, 503, 599, 299):
            both.same(f"/{code}")
            both.same(f"/page/{code}")
            both.same(f"/{code}", method="HEAD")

    def test_down(self):
        both = self.both_before(
            echo,
            "location / { proxy_pass http://127.0.0.1:%d; }" % free_port()
            + "location /down { proxy_pass http://down; error_page 502 /sorry; }"
            "location /sorry { return 200 sorry; }"
            "location /var { proxy_pass http://$arg_x; }",
            http="upstream down { server ORIGIN down; }",
        )
        for target in ("/", "/down", "/var?x=nowhere.invalid"):
            both.same(target)


class FieldsTest(ProxyTestCase):
    """Where we do better than nginx, or what it cannot be asked."""

    def asked(self, p, *fields, **how):
        return self.client(p).ask("/", *fields, **how).text.split("\n")

    def test_hop_by_hop_fields_stay_here(self):
        p = self.before(self.origin(show))
        lines = self.asked(
            p, "Connection: keep-alive, X-Secret, Host, X-Real", "X-Secret: 1",
            "Keep-Alive: 5", "TE: trailers", "Trailer: x", "X-Kept: 1",
            "Proxy-Connection: x", "Upgrade: h2c", "X-Real: client",
        )
        names = [line.split(":")[0] for line in lines[1:-1]]
        self.assertEqual(names, ["host", "x-kept"])
        self.assertEqual(lines[1], "host: app")

    def test_connection_does_not_name_what_we_set(self):
        p = self.before(self.origin(show), location="proxy_set_header X-Real mine;")
        lines = self.asked(p, "Connection: X-Real, Host", "X-Real: theirs")
        self.assertIn("x-real: mine", lines)

    def test_h2c_is_not_passed(self):
        p = self.before(
            self.origin(show),
            location="proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection upgrade;",
        )
        lines = self.asked(p, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                           "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
        names = [line.split(":")[0] for line in lines[1:-1]]
        self.assertEqual(names, ["host"])

    def test_hop_by_hop_fields_of_the_answer(self):
        o = self.origin(lambda peer: peer.reply(
            "x", "Connection: X-Theirs", "X-Theirs: 1", "Keep-Alive: 1",
            "Proxy-Connection: x", "Upgrade: h2", "X-Kept: 1"))
        m = self.client(self.before(o)).ask("/")
        self.assertEqual(
            m.names(), ["connection", "content-length", "date", "server", "x-kept"])

    def test_unix_and_variables(self):
        o = self.origin(show, unix=True)
        p = self.serve(
            f"location / {{ proxy_pass http://unix:{o.path}; }}"
            f"location /u/ {{ proxy_pass http://unix:{o.path}:/v/; }}"
        )
        s = self.client(p)
        lines = s.ask("/a?b").text.split("\n")
        self.assertEqual((lines[0], "host: localhost" in lines), ("GET /a?b HTTP/1.1", True))
        self.assertTrue(s.ask("/u/x").text.startswith("GET /v/x HTTP/1.1\n"))


if __name__ == "__main__":
    unittest.main()
