# SPDX-License-Identifier: BSD-2-Clause
"""add_header and expires as in nginx; directives that only tune."""

import os
import stat
import time
import unittest

from support.nginx import CompareTestCase, Answer
from support.penstock import PenstockTestCase
from support.raw import Raw

FILES = {"html/a.txt": "0123456789"}


class AddHeaderTest(CompareTestCase):
    def test_statuses(self):
        moved = (301, 302, 303, 307, 308)
        codes = (200, 201, 204, *moved)
        codes += (400, 403, 404, 405, 500, 502, 503)
        both = self.both(
            "add_header X-Good $uri; add_header X-All $request_method always;"
            + "".join(
                f"location /{c} {{ return {c} {'/to' if c in moved else ''}; }}"
                for c in codes
            ),
            files=FILES,
        )
        for code in codes:
            both.same(f"/{code}")
        both.same("/a.txt")
        both.same("/a.txt", method="HEAD")
        both.same("/a.txt", Range="bytes=2-4")
        both.same("/none")
        date = "Sun, 09 Sep 2001 01:46:40 GMT"
        got = both.same("/a.txt", If_Modified_Since=date)
        self.assertEqual(304, got.status)

    def test_inheritance(self):
        both = self.both(
            "add_header X-Server s; add_header X-Two 2;"
            "location /has/ { add_header X-Own o; return 200; }"
            "location /none/ { return 200; }"
            "location /if/ { if ($arg_x) { add_header X-If i; } return 200; }"
            "location /nest/ { add_header X-Nest n;"
            " location /nest/in/ { return 200; } }"
            "error_page 404 /404; location = /404 { internal;"
            ' add_header X-Page p always; return 200 "page"; }',
            http="add_header X-Http h;",
            files=FILES,
        )
        for target in (
            "/has/", "/none/", "/if/", "/if/?x=1", "/nest/", "/nest/in/",
            "/missing", "/a.txt",
        ):
            both.same(target)

    def test_trailers(self):
        both = self.both(
            "add_trailer X-Status $status; add_trailer X-Empty $arg_e;"
            "add_trailer X-All $uri always;"
            "location /off { chunked_transfer_encoding off; alias @PREFIX@/html/a.txt; }"
            "location /r { return 200 text; }",
            files=FILES,
        )

        def ask(port, target, version="1.1", method="GET", *fields):
            with Raw(port) as s:
                s.get(target, "Connection: close", *fields, version=version, method=method)
                head, _, body = s.rest().partition(b"\r\n\r\n")
            lines = [x for x in head.split(b"\r\n")
                     if x.split(b":")[0] not in (b"Server", b"Date")]
            return sorted(lines), body

        for how in (
            ("/a.txt",), ("/a.txt", "1.0"), ("/a.txt", "1.1", "HEAD"), ("/off",), ("/r",),
            ("/a.txt", "1.1", "GET", "Range: bytes=2-4"),
        ):
            self.assertEqual(ask(both.nginx.port, *how), ask(both.ours.port(), *how), how)
        self.assertIn(b"X-All: /none", ask(both.ours.port(), "/none")[1])

    def test_values(self):
        both = self.both(
            "location / { add_header X-Empty $arg_e; add_header X-Twice 1;"
            " add_header X-Twice 2; add_header Cache-Control private;"
            " add_header Cache-Control no-transform; add_header Link '</a>';"
            " add_header X-Arg $arg_a; }"
            "location /etag { try_files /a.txt =404; add_header ETag '\"x\"';"
            " add_header Last-Modified 'Sun, 06 Nov 1994 08:49:37 GMT'; }"
            "location /bare { try_files /a.txt =404; add_header ETag '';"
            " add_header Last-Modified ''; }",
            files=FILES,
        )
        for target in ("/a.txt", "/a.txt?e=1&a=b%20c", "/etag", "/bare"):
            both.same(target)

    def test_proxied(self):
        both = self.both(
            "location /up/ { expires 1h; add_header X-Up $upstream_status;"
            " add_header Cache-Control public; add_header ETag e;"
            " proxy_pass http://127.0.0.1:@PORT1@/; }",
            http="server { listen 127.0.0.1:@PORT1@ reuseport;"
            " add_header Cache-Control private; add_header X-Origin o;"
            " expires -1; root @PREFIX@/html; }",
            files=FILES,
        )
        both.same("/up/a.txt", **self.within(both, "/up/a.txt"))

    def within(self, both, target):
        """Wait for the start of a second: dates are then the same."""
        time.sleep(1 - time.time() % 1)
        return {}

    def test_a_line_break_makes_no_field(self):
        p = self.penstock(
            "events { } http { server { listen 127.0.0.1:@PORT@;"
            "location / { add_header X-Uri $uri; add_header X-Ok ok;"
            " return 200 x; } } }"
        )
        got = Answer(p.port(), "GET", "/a%0d%0aX-Evil:1", {})
        self.assertEqual(200, got.status)
        names = [name for name, _ in got.headers]
        self.assertIn("x-ok", names)
        self.assertNotIn("x-evil", names)
        self.assertNotIn("x-uri", names)
        self.assertIn("line break", p.log())

    def test_inherit_is_off_or_merges(self):
        """Newer than the nginx that is compared with."""
        p = self.penstock(
            "events { } http { server { listen 127.0.0.1:@PORT@;"
            "add_header X-A a; location /on { add_header X-B b; return 200; }"
            "location /off { add_header_inherit off; return 200; }"
            "location /merge { add_header_inherit merge; add_header X-B b;"
            " return 200;"
            " location /merge/in { add_header X-C c; return 200; } } } }"
        )
        for target, expected in (
            ("/on", ["x-b"]),
            ("/off", []),
            ("/merge", ["x-a", "x-b"]),
            ("/merge/in", ["x-a", "x-b", "x-c"]),
        ):
            got = Answer(p.port(), "GET", target, {}).headers
            names = [name for name, _ in got if name.startswith("x-")]
            self.assertEqual(expected, names, target)


class ExpiresTest(CompareTestCase):
    def test_forms(self):
        forms = {
            "epoch": "epoch", "max": "max", "off": "off", "zero": "0",
            "later": "1h", "plus": "+1d", "minus": "-1", "from": "modified 1h",
            "past": "modified -1d", "day": "@15h30m", "var": "$arg_t",
            "varfrom": "modified $arg_t",
        }
        both = self.both(
            "expires 30d;"
            + "".join(
                f"location /{name} {{ try_files /a.txt =404; expires {form}; }}"
                for name, form in forms.items()
            )
            + "location /bad { expires 1h; return 404; }"
            "location /moved { expires 1h; return 302 /x; }",
            files=FILES,
        )
        targets = ["/a.txt", "/bad", "/moved", *(f"/{n}" for n in forms)]
        targets += [f"/var?t={t}" for t in ("1h", "max", "off", "epoch", "x")]
        targets += ["/varfrom?t=1h", "/varfrom?t=max"]
        for target in targets:
            self.twice(both, target)

    def twice(self, both, target):
        """The second may change between the two answers; not twice."""
        try:
            both.same(target)
        except AssertionError:
            time.sleep(1 - time.time() % 1)
            both.same(target)


class TuningTest(PenstockTestCase):
    CONFIG = (
        "events { } http { %s server { listen 127.0.0.1:@PORT@;"
        " location / { return 200 x; } } }"
    )

    def check_config(self, directives):
        p = self.penstock(self.CONFIG % directives, start=False)
        return p, p.run("-t")

    def test_accepted_with_a_warning(self):
        directives = (
            "connection_pool_size 512", "request_pool_size 4k",
            "server_names_hash_max_size 512",
            "server_names_hash_bucket_size 64",
            "variables_hash_max_size 1024", "variables_hash_bucket_size 64",
            "types_hash_max_size 2048", "types_hash_bucket_size 64",
            "map_hash_max_size 2048", "map_hash_bucket_size 64",
            "proxy_headers_hash_max_size 512",
            "proxy_headers_hash_bucket_size 64",
            "client_body_in_single_buffer on",
            "output_buffers 2 32k", "aio threads=default", "directio 4m",
        )
        _, got = self.check_config(";".join(directives) + ";")
        self.assertEqual(0, got.returncode, got.stderr)
        for directive in directives:
            name = directive.split()[0]
            self.assertIn(f'the "{name}" directive has no effect', got.stderr)

    def test_accepted_without_a_word(self):
        for directive in ("on", "off"):
            directive = f"proxy_request_buffering {directive}"
            _, got = self.check_config(directive + ";")
            self.assertEqual(0, got.returncode, got.stderr)
            self.assertNotIn("[warn]", got.stderr)

    def test_arguments_are_checked(self):
        for directive in (
            "connection_pool_size x", "variables_hash_max_size 1k",
            "client_body_in_single_buffer maybe", "output_buffers 0 32k",
            "output_buffers 2 x", "aio maybe", "directio on",
            "proxy_temp_path a 4", "proxy_temp_path a 0",
        ):
            _, got = self.check_config(directive + ";")
            self.assertNotEqual(0, got.returncode, directive)
            self.assertIn(directive.split()[0], got.stderr)

    def test_temp_paths_are_made(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        p = self.penstock(
            self.CONFIG
            % "".join(f"{k}_temp_path {k}_temp 1 2;" for k in kinds),
            start=False,
        )
        os.mkdir(p.path("proxy_temp"), 0o500)  # there already
        p.start()
        for kind in kinds:
            st = os.stat(p.path(f"{kind}_temp"))
            self.assertTrue(stat.S_ISDIR(st.st_mode))
            self.assertEqual(0o700, st.st_mode & 0o700)
        p.reload()

    def test_temp_paths_that_cannot_be_made(self):
        _, got = self.check_config("proxy_temp_path no/such;")
        self.assertEqual(1, got.returncode)
        self.assertRegex(got.stderr, r'mkdir\(\) ".*/no/such" failed \(2')
        p = self.penstock(
            self.CONFIG % "proxy_temp_path logs/file;", start=False
        )
        p.write("logs/file", "x")
        got = p.run("-t")
        self.assertEqual(1, got.returncode)
        self.assertIn("is not a directory", got.stderr)


if __name__ == "__main__":
    unittest.main()
