# SPDX-License-Identifier: BSD-2-Clause
"""return, rewrite, if, set and break, and variables, as in nginx."""

import socket
import unittest

from support.nginx import CompareTestCase

FILES = {"html/a.txt": "0123456789", "html/d/index.html": "index of d"}

# Every byte but NUL, LF and the slash, as a client would code it.
BYTES = "".join(f"%{c:02X}" for c in range(1, 256) if c not in (10, 47))


class RewriteTest(CompareTestCase):
    def test_return(self):
        both = self.both(
            "location /200 { return 200; }"
            'location /text { return 200 "hello $uri\\n"; }'
            "location /h.html { return 200 html; }"
            "location /204 { return 204; }"
            "location /301 { return 301 /to$uri?$args; }"
            "location /302 { return 302 http://x.example/; }"
            "location /308 { return 308 https://x.example$request_uri; }"
            "location /url { return http://y.example/; }"
            "location /404 { return 404; }"
            'location /404t { return 404 "text"; }'
            "location /503 { return 503; }"
            "location /444 { return 444; }"
            "error_page 503 @busy; location @busy { return 503 busy; }"
        )
        for target in (
            "/200", "/text", "/h.html", "/204", "/301?a=b", "/302", "/308?x",
            "/url", "/404", "/404t", "/503", "/444",
        ):
            both.same(target)
        both.same("/text", method="HEAD")
        both.same("/text", method="PUT", Content_Length="0")

    def test_return_in_a_server(self):
        both = self.both("return 301 https://$host$request_uri;")
        both.same("/a%20b?c=d")
        both.same("/", Host="EXAMPLE.org.:8080")

    def test_a_newline_makes_no_field(self):
        p = self.both("location / { return 302 $uri; }").ours
        with socket.create_connection(("127.0.0.1", p.port())) as s:
            s.sendall(b"GET /%0d%0aX:1 HTTP/1.0\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"\nX:1", s.recv(4096))

    def test_rewrite(self):
        both = self.both(
            "location /last/ { rewrite ^/last/(.*)$ /show/$1?n=$1 last; }"
            "location /brk/ { rewrite ^/brk/(.*)$ /$1 break; }"
            "location /red/ { rewrite ^/red/(.*)$ /show/$1?n=$1 redirect; }"
            "location /redp/ { rewrite ^/redp/(.*)$ /show/$1 permanent; }"
            "location /noargs/ { rewrite ^/noargs/(.*)$ /show/$1? last; }"
            "location /abs/ { rewrite ^/abs/(.*)$ http://x.example/$1; }"
            "location /two/ { rewrite ^/two/ /three/; rewrite ^/three/"
            " /show/three; }"
            "location /undo/ { rewrite ^/undo/(.*) /$1; break; }"
            "location /loop { rewrite ^ /loop; }"
            "location /empty { rewrite ^ $arg_none last; }"
            "location /named/ { rewrite ^/named/(?<w>\\w+) /show/$w last; }"
            'location /show/ { return 200 "$uri|$args|$request_uri"; }',
            files=FILES,
        )
        for target in (
            "/last/x", "/last/x?q=1", "/last/a%20b%26c", "/last/a&b",
            "/brk/a.txt", "/brk/d/", "/brk/no", "/red/x", "/red/x?q",
            "/red/a%20b?q", "/redp/x", "/redp/a%26b%3Fc", "/noargs/x?q=1",
            "/abs/x?y", "/two/x?a", "/undo/a.txt", "/loop", "/empty",
            "/named/abc",
            "/last/" + BYTES, "/red/" + BYTES, "/redp/" + BYTES,
        ):
            both.same(target)

    def test_server_rewrites_come_first(self):
        both = self.both(
            "rewrite ^/s/(.*)$ /show/$1; rewrite ^/stop/(.*)$ /show/1 last;"
            "rewrite ^/show/1$ /show/2;"
            "location /s/ { return 200 wrong; }"
            'location /show/ { return 200 "$uri"; }'
        )
        for target in ("/s/x", "/s/1", "/stop/x", "/show/1"):
            both.same(target)

    def test_if(self):
        both = self.both(
            "location / { set $o ''; "
            'if ($arg_a) { set $o "${o}a"; }'
            'if ($arg_b = "x y") { set $o "${o}b"; }'
            'if ($arg_b != yes) { set $o "${o}c"; }'
            'if ($arg_r ~ ^(x)(.*)$) { set $o "${o}d$1-$2"; }'
            'if ($arg_r ~* ^XY) { set $o "${o}e"; }'
            'if ($arg_r !~ ^x) { set $o "${o}f"; }'
            'if ($arg_r !~* ^X) { set $o "${o}g"; }'
            'if (-f $document_root$arg_f) { set $o "${o}h"; }'
            'if (!-f $document_root$arg_f) { set $o "${o}i"; }'
            'if (-d $document_root$arg_f) { set $o "${o}j"; }'
            'if (-e $document_root$arg_f) { set $o "${o}k"; }'
            'if (!-e $document_root$arg_f) { set $o "${o}l"; }'
            'if (-x $document_root$arg_f) { set $o "${o}m"; }'
            'if ($request_method = POST) { return 405; }'
            'if ($arg_stop) { break; }'
            'if ($arg_ret) { return 200 "early $o"; }'
            'return 200 "$o|$args"; }',
            files=FILES,
        )
        for args in (
            "", "a=1", "a=0", "a=", "a=00", "b=yes", "b=no", "r=xyz", "r=XYZ",
            "r=", "f=/a.txt", "f=/d", "f=/no", "f=/", "ret=1", "stop=1&ret=1",
        ):
            both.same("/x?" + args)
        both.same("/x", method="POST", Content_Length="0")

    def test_an_if_has_settings_of_its_own(self):
        both = self.both(
            "location / { default_type a/b; if ($arg_x) { root"
            " @PREFIX@/html/d; } if ($arg_y) { set $z 1; } }",
            files={**FILES, "html/d/a.txt": "the other", "html/q": "q"},
        )
        for target in ("/a.txt", "/a.txt?x=1", "/q", "/q?y=1"):
            both.same(target)
        both.same("/a.txt?x=1&y=1")

    def test_if_in_a_server(self):
        both = self.both(
            "if ($host = old.example) { return 301 http://new.example/; }"
            "if ($arg_r) { rewrite ^ /r$arg_r; }"
            'location / { return 200 "$uri"; }'
        )
        both.same("/", Host="old.example")
        both.same("/", Host="OLD.example:99")
        both.same("/x")
        both.same("/x?r=7")

    def test_set_args(self):
        both = self.both(
            'location / { set $args "a=$arg_b"; return 200'
            ' "$args|$query_string|$arg_a|$is_args"; }'
        )
        both.same("/?b=2")
        both.same("/")

    def test_variables(self):
        names = (
            "host http_host http_x_y http_cookie arg_a cookie_c uri "
            "document_uri request_uri args query_string is_args scheme https "
            "server_name server_addr server_protocol remote_addr remote_user "
            "proxy_add_x_forwarded_for request request_method "
            "request_filename document_root realpath_root content_length "
            "content_type sent_http_x request_completion"
        ).split()
        text = "|".join(f"{n}=${{{n}}}" for n in names)
        both = self.both(
            "server_name first.example second.example;"
            f"location / {{ return 200 '{text}'; }}"
        )
        both.same("/a%20b/../c%2Fd?a=1&A=2")
        both.same("/?a")
        both.same(
            "/?x=1&a=%20", X_Y="1", Cookie="b=1; C=2",
            Authorization="Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            X_Forwarded_For="10.0.0.1, 10.0.0.2", Content_Type="a/b",
        )
        both.same("http://other.example:81/z", Host="other.example:81")

    def test_request_id_is_one_a_request(self):
        p = self.both('location / { return 200 "$request_id $request_id"; }')
        seen = set()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", p.ours.port())) as s:
                s.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                text = s.makefile("rb").read().split(b"\r\n\r\n")[1]
            self.assertRegex(text, rb"^([0-9a-f]{32}) \1$")
            seen.add(text)
        self.assertEqual(len(seen), 3)


if __name__ == "__main__":
    unittest.main()
