# SPDX-License-Identifier: BSD-2-Clause
"""sub_filter, charset and charset_map, as in nginx."""

import unittest

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase
from support.raw import Origin, Raw

FILES = {
    "html/a.html": "Hello hello HELLO, <b>world</b> and aaaab ababab $x end",
    "html/a.txt": "hello text",
    "html/empty.html": "",
    "html/long.html": "x" * 50000 + "needle" + "y" * 70000 + "NEEDLE" + "need",
}
RUSSIAN = "Привет, мир: <тест> —"
def other(i, here, there):
    try:
        return bytes([i]).decode(here).encode(there).hex()
    except UnicodeError:
        return None


MAPS = """
charset_map koi8-r windows-1251 { %s }
charset_map koi8-r utf-8 { %s }
charset_map windows-1251 utf-8 { %s }
""" % tuple(
    " ".join(
        f"{bytes([i]).hex()} {there};"
        for i in range(128, 256)
        for there in [f(i)]
        if there
    )
    for f in (
        lambda i: other(i, "koi8-r", "cp1251"),
        lambda i: other(i, "koi8-r", "utf-8"),
        lambda i: other(i, "cp1251", "utf-8"),
    )
)


class SubFilterTest(CompareTestCase):
    def test_sub_filter(self):
        where = {
            "one": "sub_filter hello Bye;",
            "all": "sub_filter_once off; sub_filter hello Bye;",
            "two": "sub_filter_once off; sub_filter hello 1; sub_filter WORLD 2;",
            "twoonce": "sub_filter hello 1; sub_filter world 2;",
            "long": "sub_filter_once off; sub_filter a 1; sub_filter aaaa 4; sub_filter aa 2;",
            "empty": "sub_filter_once off; sub_filter hello '';",
            "var": "sub_filter_once off; sub_filter $arg_f '[$uri]';",
            "overlap": "sub_filter_once off; sub_filter abab X;",
            "none": "sub_filter nothing X;",
            "end": "sub_filter end X; sub_filter_last_modified on;",
            "types": "sub_filter hello X; sub_filter_types text/plain;",
            "any": "sub_filter hello X; sub_filter_types *;",
            "needle": "sub_filter_once off; sub_filter needle '<found>';",
            "gz": "sub_filter hello X; gzip on;",
        }
        both = self.both(
            "".join(
                f"location /{n}/ {{ alias @PREFIX@/html/; {text} }}"
                for n, text in where.items()
            )
            + "location /own/ { sub_filter hello X; sub_filter_types text/plain;"
            ' return 200 "say hello"; }',
            http="types { text/html html; text/plain txt; }",
            files=FILES,
        )
        for name in where:
            for file in ("a.html", "a.txt", "empty.html", "long.html", "none.html"):
                both.same(f"/{name}/{file}?f=hello")
            both.same(f"/{name}/a.html", method="HEAD")
            both.same(f"/{name}/a.html", Range="bytes=1-2")
        both.same("/var/a.html")
        both.same("/own/")

    def test_every_split(self):
        text = "hehello hellhello hell"

        def respond(peer):
            size = int(peer.request.target.strip("/"))
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(text), size):
                piece = text[i : i + size]
                peer.send(f"{len(piece):x}\r\n{piece}\r\n")
            peer.send("0\r\n\r\n")

        o = Origin(respond)
        self.addCleanup(o.stop)
        both = self.both(
            "proxy_http_version 1.1; sub_filter_once off; sub_filter hello X; sub_filter he h;"
            f"location / {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        for size in (1, 2, 3, 4, 5, 7, 50):
            self.assertEqual(b"hX hllX hell", both.same(f"/{size}").body)


class CharsetTest(CompareTestCase):
    def test_the_field(self):
        both = self.both(
            "charset utf-8; location /off/ { charset off; alias @PREFIX@/html/; }"
            "location /var/ { charset $arg_c; alias @PREFIX@/html/; }"
            "location /css/ { alias @PREFIX@/html/; types { text/css html txt; } }"
            "location /types/ { charset_types text/css; alias @PREFIX@/html/;"
            " types { text/css html; text/plain txt; } }"
            "location /to { return 301 /x; } location /see { return 303 /x; }"
            "location /own { default_type 'text/plain'; return 200 text; }",
            http="types { text/html html; text/plain txt; }",
            files=FILES,
        )
        for target in (
            "/a.html", "/a.txt", "/off/a.html", "/var/a.html?c=koi8-r", "/var/a.html?c=off",
            "/css/a.html", "/types/a.html", "/types/a.txt", "/own",
        ):
            both.same(target)
            both.same(target, method="HEAD")
        self.assertEqual(301, both.same("/to").status)
        both.same("/a.html", Range="bytes=1-2")

    def test_recoding(self):
        files = {
            "html/koi/a.html": RUSSIAN.encode("koi8-r", "replace"),
            "html/win/a.html": RUSSIAN.encode("cp1251") * 900,
            "html/utf/a.html": RUSSIAN.encode() * 1000 + "日".encode(),
        }
        names = {"koi": "koi8-r", "win": "windows-1251", "utf": "utf-8"}
        both = self.both(
            "".join(
                f"location /{a}/{b}/ {{ source_charset {names[a]}; charset {names[b]};"
                f" alias @PREFIX@/html/{a}/; }}"
                for a in names
                for b in names
            ),
            http=MAPS,
            files=files,
        )
        for a in names:
            for b in names:
                both.same(f"/{a}/{b}/a.html")
                both.same(f"/{a}/{b}/a.html", method="HEAD")

    def test_upstreams(self):
        def respond(peer):
            body = RUSSIAN.encode("cp1251")
            peer.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html%s\r\nContent-Length: %d\r\n\r\n"
                % (peer.request.target[1:].replace("_", ";"), len(body))
            )
            peer.send(body)

        o = Origin(respond)
        self.addCleanup(o.stop)
        both = self.both(
            "proxy_http_version 1.1; source_charset koi8-r; charset utf-8;"
            f"location / {{ proxy_pass http://127.0.0.1:{o.port}; }}"
            f"location /o/ {{ override_charset on; proxy_pass http://127.0.0.1:{o.port}/; }}",
            http=MAPS,
        )
        for where in ("", "o/"):
            for what in ("", "_charset=windows-1251", "_charset=UTF-8", "_charset=koi8-r"):
                both.same(f"/{where}{what}")


class SplitTest(PenstockTestCase):
    def test_characters_that_are_cut(self):
        text = RUSSIAN.encode()

        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n")
            for i in range(len(text)):
                peer.send(b"1\r\n" + text[i : i + 1] + b"\r\n")
            peer.send("0\r\n\r\n")

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.penstock(
            "pid logs/penstock.pid; events { } http { %s server { listen 127.0.0.1:@PORT@;"
            " source_charset utf-8; charset windows-1251;"
            " location / { proxy_pass http://127.0.0.1:%d; } } }" % (MAPS, o.port)
        )
        with Raw(p.port()) as s:
            self.assertEqual(RUSSIAN.encode("cp1251"), s.ask("/").body)


if __name__ == "__main__":
    unittest.main()
