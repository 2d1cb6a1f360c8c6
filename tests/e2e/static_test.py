# SPDX-License-Identifier: BSD-2-Clause
"""Files, as nginx serves them."""

import os
import socket
import time
import unittest

from support.nginx import CompareTestCase
from support.penstock import wait_for

MODIFIED = "Sun, 09 Sep 2001 01:46:40 GMT"  # of every file: 1000000000

FILES = {
    "html/index.html": "<h1>index</h1>",
    "html/a.txt": "0123456789",
    "html/empty.txt": b"",
    "html/big.bin": bytes(i * 7 % 251 for i in range(300000)),
    "html/README": "no extension",
    "html/.hidden": "dot",
    "html/A.HTML": "upper case",
    "html/d/index.html": "index of d",
    "html/d/x y&z.txt": "spaces",
    "html/none/file.txt": "x",
    "html/404.txt": "our own 404",
}


class StaticTest(CompareTestCase):
    def test_files_and_types(self):
        both = self.both("location / { }", files=FILES)
        for target in (
            "/", "/a.txt", "/a.txt?x=1", "/empty.txt", "/big.bin", "/README",
            "/.hidden", "/A.HTML", "/d/x%20y%26z.txt", "/d/", "/d/?q=1",
        ):
            both.same(target)
            both.same(target, method="HEAD")

    def test_what_is_not_there(self):
        both = self.both("location / { }", files=FILES)
        for target in (
            "/no", "/no/", "/a.txt/", "/a.txt/b", "/none/", "/d", "/d?a=b",
            "/%2e%2e/etc/passwd", "/x" * 200, "/" + "n" * 300,
        ):
            both.same(target)
        self.assertIn(
            f'open() "{both.ours.prefix}/html/no" failed (2: No such file or '
            "directory)",
            both.ours.log(),
        )

    def test_methods(self):
        both = self.both("location / { }", files=FILES)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            for target in ("/a.txt", "/", "/no", "/d"):
                both.same(target, method=method, Content_Length="0")

    def test_conditions(self):
        both = self.both("location / { }", files=FILES)
        etag = '"3b9aca00-a"'
        later, earlier = (
            "Mon, 10 Sep 2001 01:46:40 GMT", "Sat, 08 Sep 2001 01:46:40 GMT",
        )
        for value in (etag, "W/" + etag, '"x"', '"x", ' + etag, "*"):
            both.same("/a.txt", If_None_Match=value)
            both.same("/a.txt", If_Match=value)
            both.same("/a.txt", method="HEAD", If_None_Match=value)
        for value in (MODIFIED, later, earlier):
            both.same("/a.txt", If_Modified_Since=value)
            both.same("/a.txt", If_Unmodified_Since=value)
        # nginx answers 412 to an If-Unmodified-Since that is no date; RFC
        # 9110 13.1.4 has it ignored, as we do.
        both.same("/a.txt", If_Modified_Since="rubbish")
        both.same("/a.txt", If_None_Match='"x"', If_Modified_Since=MODIFIED)

    def test_if_modified_since_off_and_before(self):
        both = self.both(
            "location /off/ { alias @PREFIX@/html/; if_modified_since off; }"
            "location /before/ { alias @PREFIX@/html/;"
            " if_modified_since before; }"
            "location /plain/ { alias @PREFIX@/html/; etag off; }",
            files=FILES,
        )
        for place in ("off", "before", "plain"):
            for value in (MODIFIED, "Mon, 10 Sep 2001 01:46:40 GMT"):
                both.same(f"/{place}/a.txt", If_Modified_Since=value)

    def test_ranges(self):
        both = self.both("location / { }", files=FILES)
        for value in (
            "bytes=0-4", "bytes=5-", "bytes=-3", "bytes=0-0", "bytes=9-20",
            "bytes=10-", "bytes=20-30", "bytes=5-2", "bytes=x", "lines=1-2",
            "bytes=0-1,3-4", "bytes=0-0,-1", "bytes=0-8,0-8",
        ):
            both.same("/a.txt", Range=value)
            both.same("/a.txt", method="HEAD", Range=value)
        for value in ("bytes=100-250000", "bytes=0-99999,150000-299999"):
            both.same("/big.bin", Range=value)
        both.same("/empty.txt", Range="bytes=0-0")
        for value in ('"3b9aca00-a"', '"x"', MODIFIED):
            both.same("/a.txt", Range="bytes=0-4", If_Range=value)

    def test_max_ranges(self):
        both = self.both(
            "location /none/ { alias @PREFIX@/html/; max_ranges 0; }"
            "location /one/ { alias @PREFIX@/html/; max_ranges 1; }",
            files=FILES,
        )
        for place in ("none", "one"):
            for value in ("bytes=0-1", "bytes=0-1,3-4"):
                both.same(f"/{place}/a.txt", Range=value)

    def test_alias(self):
        both = self.both(
            "location /i/ { alias @PREFIX@/html/d/; }"
            "location /noslash { alias @PREFIX@/html/d; }"
            r"location ~ ^/r/(.*)\.t$ { alias @PREFIX@/html/$1.txt; }"
            "location = /one { alias @PREFIX@/html/a.txt; }",
            files=FILES,
        )
        for target in (
            "/i/", "/i/index.html", "/i", "/noslash", "/noslash/",
            "/noslash/index.html", "/r/a.t", "/r/no.t", "/one",
        ):
            both.same(target)

    def test_an_alias_without_a_slash_is_no_way_out(self):
        p = self.both(
            "location /i { alias @PREFIX@/html/d/; }", files=FILES
        ).ours
        with socket.create_connection(("127.0.0.1", p.port())) as s:
            s.sendall(b"GET /i../a.txt HTTP/1.0\r\nHost: x\r\n\r\n")
            self.assertIn(b" 404 ", s.recv(100))

    def test_index(self):
        both = self.both(
            "location /a/ { alias @PREFIX@/html/none/; index no file.txt; }"
            "location /b/ { alias @PREFIX@/html/none/; index no /a.txt; }"
            "location /c/ { alias @PREFIX@/html/none/; index $arg_i; }",
            files=FILES,
        )
        for target in ("/a/", "/b/", "/c/?i=file.txt", "/c/?i=no"):
            both.same(target)

    def test_try_files(self):
        both = self.both(
            "location /a/ { try_files $uri $uri.txt /a.txt; }"
            "location /b/ { try_files $uri $uri/ =404; }"
            "location /c/ { try_files $uri @named; }"
            "location /d/ { try_files $uri $uri/ /index.html?x=$args; }"
            "location /loop/ { try_files /nothing /loop/; }"
            "location /s/ { alias @PREFIX@/html/; try_files $uri /a.txt; }"
            "location @named { return 200 named:$uri; }",
            files={**FILES, "html/b/y/index.html": "y"},
        )
        for target in (
            "/a/x", "/b/y/", "/b/y", "/b/no", "/c/no?q", "/d/index.html",
            "/d/", "/d/no?z", "/loop/", "/s/README", "/s/no",
        ):
            both.same(target)

    def test_types(self):
        both = self.both(
            "location / { } location /b/ { types { a/b txt; }"
            " default_type c/d; alias @PREFIX@/html/; }",
            http="types { x/y TXT; } default_type q/r;",
            files=FILES,
        )
        for target in ("/a.txt", "/README", "/b/a.txt", "/b/README"):
            both.same(target)

    def test_error_page_from_a_file(self):
        both = self.both(
            "error_page 404 /404.txt; location / { }", files=FILES
        )
        both.same("/no")
        both.same("/no", Range="bytes=0-1")
        both.same("/no", If_None_Match="*")
        both.same("/404.txt")

    def test_parts_for_a_slow_reader(self):
        both = self.both("location / { }", files=FILES)
        with socket.create_connection(("127.0.0.1", both.ours.port())) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(
                b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Range: bytes=0-139999,150000-299999\r\n\r\n"
            )
            time.sleep(0.5)
            data = s.makefile("rb").read()
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d\r\n" % len(body), head)
        for part in (slice(0, 140000), slice(150000, 300000)):
            self.assertIn(FILES["html/big.bin"][part], body)

    def test_a_reader_that_leaves(self):
        both = self.both("location / { }", files=FILES)
        for extra in (b"", b"Range: bytes=0-139999,150000-299999\r\n"):
            with socket.create_connection(
                ("127.0.0.1", both.ours.port())
            ) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(
                    b"GET /big.bin HTTP/1.1\r\nHost: x\r\n%b\r\n" % extra
                )
                s.recv(1000)
        both.same("/a.txt")

    def test_access(self):
        both = self.both(
            "location /1/ { alias @PREFIX@/html/; deny 127.0.0.0/8; }"
            "location /2/ { alias @PREFIX@/html/; allow 127.0.0.1;"
            " deny all; }"
            "location /3/ { alias @PREFIX@/html/; deny 10.0.0.0/8; }"
            "location /4/ { internal; return 200 x; }"
            "location /5/ { alias @PREFIX@/html/;"
            " limit_except GET { deny all; } }",
            files=FILES,
        )
        for i in range(1, 6):
            for method in ("GET", "HEAD", "PUT"):
                both.same(f"/{i}/a.txt", method=method, Content_Length="0")
        self.assertIn("access forbidden by rule", both.ours.log())

    def test_a_pipe_is_never_read(self):
        both = self.both("location / { }", files=FILES)
        os.mkfifo(both.ours.path("html", "pipe"))
        start = time.monotonic()
        both.same("/pipe")
        self.assertLess(time.monotonic() - start, 5)

    def test_access_log(self):
        config = """
            events { }
            http {
                log_format short '$request $status $body_bytes_sent "$arg_x"';
                log_format j escape=json '{"a":"$http_a","b":"$http_b"}';
                map $status $is_error { ~^[45] 1; default 0; }
                server {
                    listen 127.0.0.1:@PORT@;
                    access_log logs/short.log short;
                    access_log logs/json.log j;
                    access_log logs/errors.log short if=$is_error;
                    access_log logs/slow.log short buffer=32k;
                    location /quiet { access_log off; return 200; }
                    location / { return 200 hello; }
                    location /no { return 404; }
                }
                server { listen 127.0.0.1:@PORT1@; return 200 x; }
            }"""
        p = self.penstock(config)
        request = (
            b'GET /a?x="q HTTP/1.1\r\nHost: x\r\nA: "\xc3\xa9\r\n\r\n'
            b"GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", p.port())) as s:
            s.sendall(request)
            while s.recv(65536):
                pass
        with socket.create_connection(("127.0.0.1", p.port("PORT1"))) as s:
            s.sendall(b"GET /combined HTTP/1.0\r\nUser-Agent: me\r\n\r\n")
            while s.recv(65536):
                pass
        wait_for("lines", lambda: p.log("logs/short.log").count("\n") == 2)
        p.wait_for_log("/combined", "logs/access.log")
        first, second = p.log("logs/short.log").splitlines()
        self.assertEqual(first, r'GET /a?x=\x22q HTTP/1.1 200 5 "\x22q"')
        self.assertRegex(second, r'^GET /no HTTP/1.1 404 \d+ "-"$')
        self.assertEqual(
            p.log("logs/json.log").splitlines()[0], '{"a":"\\"é","b":""}'
        )
        self.assertEqual(p.log("logs/errors.log"), second + "\n")
        self.assertEqual(p.log("logs/slow.log"), "")
        self.assertRegex(
            p.log("logs/access.log"),
            r'^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
            r'"GET /combined HTTP/1\.0" 200 1 "-" "me"\n$',
        )
        p.stop()
        self.assertEqual(p.log("logs/slow.log"), p.log("logs/short.log"))


if __name__ == "__main__":
    unittest.main()
