# SPDX-License-Identifier: BSD-2-Clause
"""gzip, gunzip, gzip_static as in nginx; brotli as in its module."""

import gzip
import hashlib
import subprocess
import threading
import unittest
import zlib

from support.nginx import Answer, CompareTestCase
from support.penstock import PenstockTestCase, wait_for
from support.raw import Origin, Raw

TEXT = "".join(f"line {i} of a text that is long enough\n" for i in range(400))
FILES = {
    "html/a.html": TEXT,
    "html/a.txt": TEXT,
    "html/small.html": "x" * 19,
    "html/enough.html": "x" * 20,
    "html/big.html": TEXT * 60,
    "html/pre.html": TEXT,
    "html/pre.html.gz": gzip.compress(TEXT.encode(), mtime=0),
    "html/dir.html.gz/x": "",
    "html/dir.html": TEXT,
}
GZIP = {"Accept_Encoding": "gzip"}


def unbrotli(data):
    script = (
        "const z=require('zlib');let b=[];process.stdin.on('data',d=>b.push(d))"
        ".on('end',()=>process.stdout.write(z.brotliDecompressSync(Buffer.concat(b))))"
    )
    return subprocess.run(
        ["node", "-e", script], input=data, capture_output=True, check=True
    ).stdout


class Unpacked(Answer):
    """Two encoders need not make the same bytes."""

    def __init__(self, *args):
        super().__init__(*args)
        fields = dict(self.headers)
        if fields.get("content-encoding") == "gzip" and self.body:
            self.body = zlib.decompress(self.body, 47)
        if len(self.body) > 1000:  # a readable difference
            self.whole, digest = self.body, hashlib.sha256(self.body).hexdigest()
            self.body = f"{len(self.body)} {digest}"


class LikeNginx(CompareTestCase):
    def same(self, both, target, method="GET", **headers):
        headers = {n.replace("_", "-"): v for n, v in headers.items()}
        expected = Unpacked(both.nginx.port, method, target, headers)
        got = Unpacked(both.ours.port(), method, target, headers)
        self.assertEqual(repr(expected), repr(got), f"{method} {target} {headers}")
        return got

    def both_before(self, respond, server, http=""):
        o = Origin(respond)
        self.addCleanup(o.stop)
        return self.both(
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            + server.replace("ORIGIN", f"127.0.0.1:{o.port}"),
            http,
        )


class GzipTest(LikeNginx):
    def test_who_gets_it(self):
        both = self.both(
            "gzip on; location /v/ { alias @PREFIX@/html/; gzip_vary on; }"
            "location /off/ { alias @PREFIX@/html/; gzip off; gzip_vary on; }"
            "location /if/ { alias @PREFIX@/html/; gzip off; if ($arg_z) { gzip on; } }"
            "location /txt/ { alias @PREFIX@/html/; gzip_types text/plain; }"
            "location /any/ { alias @PREFIX@/html/; gzip_types *; }"
            "location /long/ { alias @PREFIX@/html/; gzip_min_length 1m; }"
            "location /10/ { alias @PREFIX@/html/; gzip_http_version 1.0; }"
            "location /level/ { alias @PREFIX@/html/; gzip_comp_level 9; gzip_buffers 4 8k; }"
            "location /ms/ { alias @PREFIX@/html/; gzip_disable msie6; }"
            "location /re/ { alias @PREFIX@/html/; gzip_disable 'bad[0-9]' Old; }",
            http="types { text/html html; text/plain txt; }",
            files=FILES,
        )
        got = self.same(both, "/a.html", **GZIP)
        self.assertIn(("content-encoding", "gzip"), got.headers)
        self.assertEqual(TEXT.encode(), got.whole)
        for accept in (
            "", "gzip", "GZIP", "deflate, gzip", "gzip;q=0", "gzip;q=0.5", "gzip;q=0.000",
            "gzip ; q=0.1", "*", "identity", "x-gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8",
        ):
            for where in ("", "/v", "/off", "/any"):
                self.same(both, where + "/a.html", Accept_Encoding=accept)
        for target in (
            "/a.txt", "/txt/a.txt", "/txt/a.html", "/any/a.txt", "/long/a.html", "/if/a.html",
            "/if/a.html?z=1", "/small.html", "/enough.html", "/big.html", "/level/big.html",
            "/v/small.html", "/10/a.html",
        ):
            self.same(both, target, **GZIP)
            self.same(both, target, method="HEAD", **GZIP)
        for agent in (
            "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
            "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)",
            "Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)",
            "Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 8.0",
            "bad7", "old", "good",
        ):
            for where in ("/ms", "/re", ""):
                self.same(both, where + "/a.html", User_Agent=agent, **GZIP)

    def test_validators_and_ranges(self):
        both = self.both("gzip on; location /t.txt { }", files=FILES)
        date = "Sun, 09 Sep 2001 01:46:40 GMT"
        for headers in (
            {"Range": "bytes=0-9"}, {"Range": "bytes=0-1,5-9"}, {"Range": "bytes=99999999-"},
            {"If_Modified_Since": date}, {"If_None_Match": '"3b9aca00-3c8a"'},
            {"If_None_Match": 'W/"x"'}, {"Range": "bytes=0-9", "If_Range": date},
        ):
            self.same(both, "/a.html", **headers, **GZIP)
            if headers.get("Range") != "bytes=99999999-":
                self.same(both, "/a.html", **headers)

    def test_proxied(self):
        def respond(peer):
            m = peer.request
            fields = [f"{n[2:]}: {v}" for n, v in m.fields if n.lower().startswith("x-")]
            peer.reply("text " * 200, "Content-Type: text/html", *fields)

        flags = (
            "off", "any", "expired", "no-cache", "no-store", "private",
            "no_last_modified", "no_etag", "auth", "no-cache no_etag",
        )
        both = self.both_before(
            respond,
            "gzip on; gzip_vary on; location / { proxy_pass http://ORIGIN; }"
            + "".join(
                f"location /p{i} {{ gzip_proxied {f}; proxy_pass http://ORIGIN; }}"
                for i, f in enumerate(flags)
            ),
        )
        date = "Sun, 09 Sep 2001 01:46:40 GMT"
        answers = (
            {}, {"X_Expires": date}, {"X_Expires": "Sun, 09 Sep 2040 01:46:40 GMT"},
            {"X_Expires": "junk"}, {"X_Cache_Control": "no-cache"},
            {"X_Cache_Control": "max-age=5, no-store"}, {"X_Cache_Control": "private"},
            {"X_Last_Modified": date}, {"X_ETag": '"x"'}, {"X_ETag": 'W/"x"'}, {"X_ETag": "bad"},
            {"Authorization": "x"}, {"X_Content_Encoding": "br"}, {"X_Accept_Ranges": "bytes"},
        )
        for answer in answers:
            self.same(both, "/", **answer, **GZIP)
            for i in range(len(flags)):
                self.same(both, f"/p{i}", Via="1.1 proxy", **answer, **GZIP)

    def test_bodies_that_come_in_pieces(self):
        pieces = [b"a" * 1000, b"b" * 70000, b"", b"c"]

        def respond(peer):
            peer.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
            )
            for p in filter(None, pieces):
                peer.send(b"%x\r\n%s\r\n" % (len(p), p))
            peer.send("0\r\n\r\n")

        both = self.both_before(respond, "gzip on; location / { proxy_pass http://ORIGIN; }")
        self.assertEqual(b"".join(pieces), self.same(both, "/", **GZIP).whole)


class RangeTest(LikeNginx):
    """proxy_force_ranges and max_ranges on bodies that pass."""

    def test_ranges(self):
        def respond(peer):
            fields = ["Content-Type: text/plain", "Accept-Ranges: none", 'ETag: "e"']
            if peer.request.target == "/chunked":
                peer.reply("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", *fields,
                           length=False)
            else:
                peer.reply(bytes(range(256)) * 300, *fields)

        both = self.both_before(
            respond,
            "proxy_force_ranges on; proxy_ignore_headers X-Accel-Expires;"
            "location / { proxy_pass http://ORIGIN; }"
            "location /none { max_ranges 0; proxy_pass http://ORIGIN; }"
            "location /gz { gzip on; gzip_types *; proxy_pass http://ORIGIN; }",
        )
        for target in ("/", "/none", "/gz", "/chunked"):
            for field in (
                "bytes=0-9", "bytes=70000-", "bytes=-5", "bytes=5-5", "bytes=0-1,5-6",
                "bytes=0-99999999", "items=1-2",
            ):
                self.same(both, target, Range=field, If_Range='"e"')
                self.same(both, target, Range=field, If_Range='"f"')
                self.same(both, target, Range=field, **GZIP)
                self.same(both, target, method="HEAD", Range=field)
            self.same(both, target)
        with Raw(both.ours.port()) as s:
            got = s.ask("/", "Range: bytes=999999-")
            self.assertEqual((416, "bytes */76800"), (got.status, got.get("Content-Range")))
            self.assertEqual(200, s.ask("/").status)


class GunzipTest(LikeNginx):
    def test_gunzip(self):
        packed = gzip.compress(TEXT.encode())
        bodies = {
            "/one": packed,
            "/two": packed + gzip.compress(b"more"),
            "/bomb": gzip.compress(b"\0" * 20_000_000),
            "/other": packed,
        }

        def respond(peer):
            coding = "br" if peer.request.target == "/other" else "gzip"
            peer.reply(
                bodies[peer.request.target], "Content-Type: text/html",
                f"Content-Encoding: {coding}", 'ETag: "x"', "Accept-Ranges: bytes",
            )

        both = self.both_before(
            respond,
            "gunzip on; gzip_vary on; sendfile off; location / { proxy_pass http://ORIGIN; }",
        )
        for target in bodies:
            self.same(both, target)
            self.same(both, target, method="HEAD") if target == "/one" else None
            self.same(both, target, **GZIP)

    def test_broken(self):
        packed = gzip.compress(TEXT.encode())

        def respond(peer):
            body = packed[:-20] if peer.request.target == "/cut" else packed[:50] + b"?" * 500
            peer.reply(body, "Content-Encoding: gzip")

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.penstock(
            "pid logs/penstock.pid; events { } http { gunzip on; server { listen"
            " 127.0.0.1:@PORT@; location / { proxy_pass http://127.0.0.1:%d; } } }" % o.port
        )
        for target in ("/cut", "/junk"):
            with Raw(p.port()) as s:
                s.get(target)
                self.assertFalse(s.rest().endswith(b"0\r\n\r\n"))
        self.assertEqual(2, p.log().count("inflate() failed"))


class GzipStaticTest(LikeNginx):
    def test_gzip_static(self):
        both = self.both(
            "gzip_static on; location /v/ { alias @PREFIX@/html/; gzip_vary on; }"
            "location /always/ { alias @PREFIX@/html/; gzip_static always; gzip_vary on; }"
            "location /off/ { alias @PREFIX@/html/; gzip_static off; gzip_vary on; }",
            files=FILES,
        )
        for where in ("", "/v", "/always", "/off"):
            for name in ("pre.html", "a.html", "dir.html", "none.html"):
                self.same(both, f"{where}/{name}")
                self.same(both, f"{where}/{name}", **GZIP)
                self.same(both, f"{where}/{name}", method="HEAD", **GZIP)
                self.same(both, f"{where}/{name}", Range="bytes=0-5", **GZIP)
                self.same(
                    both, f"{where}/{name}", **GZIP,
                    If_Modified_Since="Sun, 09 Sep 2001 01:46:40 GMT",
                )


class BrotliTest(PenstockTestCase):
    def serve(self, server, files=None):
        return self.penstock(
            "pid logs/penstock.pid; events { } http { types { text/html html; }"
            " log_format r $gzip_ratio; access_log logs/r.log r;"
            " server { listen 127.0.0.1:@PORT@; root @PREFIX@/html; %s } }" % server,
            files={**FILES, **(files or {})},
        )

    def ask(self, p, target, accept, *fields):
        with Raw(p.port()) as s:
            return s.ask(target, f"Accept-Encoding: {accept}", *fields)

    def test_brotli(self):
        p = self.serve(
            "gzip on; gzip_vary on; brotli on; brotli_comp_level 5; brotli_window 64k;"
            "location /txt/ { alias @PREFIX@/html/; brotli_types text/plain; }"
            "location /off/ { alias @PREFIX@/html/; brotli off; }"
            "location /long/ { alias @PREFIX@/html/; brotli_min_length 1m; brotli_buffers 2 4k; }"
        )
        got = self.ask(p, "/a.html", "gzip, br")
        self.assertEqual("br", got.get("Content-Encoding"))
        self.assertEqual("Accept-Encoding", got.get("Vary"))
        self.assertTrue(got.get("ETag").startswith('W/"'))
        self.assertEqual(TEXT.encode(), unbrotli(got.body))
        got = self.ask(p, "/big.html", "br")
        self.assertEqual((TEXT * 60).encode(), unbrotli(got.body))
        for target, accept, coding in (
            ("/a.html", "gzip", "gzip"), ("/a.html", "br;q=0, gzip", "gzip"),
            ("/a.html", "brx", None), ("/small.html", "br", None), ("/enough.html", "br", "br"),
            ("/txt/a.txt", "br", "br"), ("/a.txt", "br", None), ("/off/a.html", "br", None),
            ("/long/a.html", "br, gzip", "gzip"), ("/none.html", "br", "br"),
        ):
            got = self.ask(p, target, accept)
            self.assertEqual(coding, got.get("Content-Encoding"), (target, accept))

    def test_brotli_static(self):
        p = self.serve(
            "brotli_static on; gzip_static on; gzip_vary on;",
            {"html/pre.html.br": b"brotli bytes"},
        )
        got = self.ask(p, "/pre.html", "br, gzip")
        self.assertEqual(("br", b"brotli bytes"), (got.get("Content-Encoding"), got.body))
        self.assertEqual("text/html", got.get("Content-Type"))
        self.assertEqual("gzip", self.ask(p, "/pre.html", "gzip").get("Content-Encoding"))
        got = self.ask(p, "/pre.html", "identity")
        self.assertEqual((None, "Accept-Encoding"), (got.get("Content-Encoding"), got.get("Vary")))
        self.assertEqual(None, self.ask(p, "/a.html", "br").get("Vary"))

    def test_ratio(self):
        p = self.serve("gzip on;")
        self.ask(p, "/a.html", "gzip")
        self.ask(p, "/a.html", "identity")
        wait_for("lines", lambda: p.read("logs/r.log").count("\n") == 2)
        ratio, none = p.read("logs/r.log").split()
        self.assertEqual("-", none)
        self.assertGreater(float(ratio), 5)
        self.assertRegex(ratio, r"^\d+\.\d\d$")


class BoundedTest(PenstockTestCase):
    def test_a_slow_reader_holds_the_origin_up(self):
        """What a response unpacks to does not pile up before a slow client."""
        sent = []
        stop = threading.Event()
        bomb = gzip.compress(b"\0" * 1_000_000)

        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
            try:
                while not stop.is_set() and len(sent) < 20000:
                    peer.send(bomb)
                    sent.append(1)
            except OSError:
                pass
            return True

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.penstock(
            "pid logs/penstock.pid; events { } http { gunzip on; proxy_max_temp_file_size 0;"
            " server { listen 127.0.0.1:@PORT@;"
            " location / { proxy_pass http://127.0.0.1:%d; } } }" % o.port
        )
        with Raw(p.port(), small=True) as s:
            s.get("/")
            s.head()

            def stands_still():
                before = len(sent)
                stop.wait(0.5)
                return before == len(sent)

            wait_for("the origin to wait", stands_still)
            self.assertLess(len(sent), 20000)
            with open(f"/proc/{p.workers()[0]}/statm") as f:
                self.assertLess(int(f.read().split()[1]) * 4096, 400 << 20)
            stop.set()


if __name__ == "__main__":
    unittest.main()
