# SPDX-License-Identifier: BSD-2-Clause
"""autoindex, empty_gif and stub_status, as in nginx."""

import os
import re
import unittest

from support.nginx import Answer, CompareTestCase
from support.penstock import PenstockTestCase, wait_for
from support.raw import Closed, Raw

FILES = {
    "html/d/a.txt": "0123456789",
    "html/d/Big.bin": "x" * 20000,
    "html/d/x<y>&\"z'.html": "1",
    "html/d/with space+%&?#;.txt": "2",
    "html/d/" + "n" * 50: "3",
    "html/d/" + "m" * 51: "4",
    "html/d/" + "k" * 49 + "/x": "",
    "html/d/" + "l" * 50 + "/x": "",
    "html/d/" + "o" * 60 + "/x": "",
    "html/d/sub/x": "",
    "html/d/.hidden": "",
    "html/d/k9999": "x" * 9999,
    "html/d/k10000": "x" * 10000,
    "html/d/k10752": "x" * 10752,
    "html/d/m1": "x" * (1024 * 1024),
    "html/d/m1less": "x" * (1024 * 1024 - 1),
    "html/d/b\\n\u00e4.txt": "",
    "html/empty/.x": "",
    "html/index/index.html": "index",
}


class AutoindexTest(CompareTestCase):
    def both_of(self):
        locations = "".join(
            f"location /{f}/ {{ alias @PREFIX@/html/; autoindex_format {f}; }}"
            for f in ("html", "json", "jsonp", "xml")
        )
        both = self.both(
            "autoindex on;" + locations +
            "location /round/ { alias @PREFIX@/html/; autoindex_exact_size off; }"
            "location /local/ { alias @PREFIX@/html/; autoindex_localtime on; }"
            "location /off/ { alias @PREFIX@/html/; autoindex off; }",
            files=FILES,
        )
        for root, directories, _ in os.walk(both.ours.path("html")):
            for d in directories:
                os.utime(os.path.join(root, d), (1000000000, 1000000000))
        os.symlink("nowhere", both.ours.path("html/d/link"))
        os.symlink("a.txt", both.ours.path("html/d/link2"))
        os.utime(both.ours.path("html/d/link"), (1e9, 1e9), follow_symlinks=False)
        return both

    def test_autoindex(self):
        both = self.both_of()
        for where in ("html", "json", "jsonp", "xml", "round", "local", "off"):
            for target in ("d/", "empty/", "index/", "none/", "d", "d/sub/"):
                both.same(f"/{where}/{target}")
        both.same("/html/d/", method="HEAD")
        both.same("/html/d/", method="POST")
        for callback in ("cb", "a.b_c9", "", "x;y", "x(y)"):
            both.same(f"/jsonp/d/?callback={callback}")
            both.same(f"/jsonp/d/?a=b&callback={callback}&c=d")

    def test_charset(self):
        names = ["\u00e4" * n for n in (24, 25, 26, 49, 50, 51, 60)]
        both = self.both(
            "autoindex on; charset utf-8;",
            files={**FILES, **{f"html/u/{n}": "x" for n in names}},
        )
        both.same("/u/")
        both.same("/index/")
        both.same("/d/sub/")


class EmptyGifTest(CompareTestCase):
    def test_empty_gif(self):
        both = self.both("location = /p.gif { empty_gif; } location / { }")
        both.same("/p.gif")
        for method in ("HEAD", "POST", "PUT"):
            both.same("/p.gif", method=method)
        both.same("/p.gif", If_Modified_Since="Mon, 28 Sep 1970 06:00:00 GMT")
        both.same("/p.gif", If_Modified_Since="Mon, 28 Sep 1970 06:00:01 GMT")
        both.same("/p.gif", Range="bytes=0-1")


class StubStatusTest(CompareTestCase):
    def test_like_nginx(self):
        both = self.both(
            "location = /s { stub_status; } location / { return 200 $connections_active; }"
        )
        shape = re.compile(rb"\d+")
        answers = [
            Answer(port, method, "/s", {})
            for port in (both.nginx.port, both.ours.port())
            for method in ("GET", "HEAD", "POST")
        ]
        for a in answers:
            a.headers = [h for h in a.headers if h[0] != "content-length"]
            a.body = shape.sub(b"N", a.body)
        self.assertEqual(list(map(repr, answers[:3])), list(map(repr, answers[3:])))


class CountersTest(PenstockTestCase):
    def test_over_all_workers(self):
        p = self.penstock(
            "pid logs/penstock.pid; worker_processes 2; events { } http { access_log off;"
            " server { listen 127.0.0.1:@PORT@; location = /s { stub_status; }"
            " location / { return 200 $connections_active/$connections_reading/"
            "$connections_writing/$connections_waiting; } } }"
        )

        def status():
            with Raw(p.port()) as s:
                return list(map(int, re.findall(r"\d+", s.ask("/s", "Connection: close").text)))

        clients = [Raw(p.port()) for _ in range(6)]
        for s in clients:
            self.addCleanup(s.close)
            self.assertEqual(200, s.ask("/").status)
        clients[0].send("GET / HT")
        # The client that asks is one of them, and busy.
        def settled():
            v = status()
            return v if (v[0], *v[4:]) == (7, 1, 1, 5) else None

        got = wait_for("7 active, 1 reading, 1 writing, 5 waiting", settled)
        active, accepted, handled, requests = got[:4]
        self.assertEqual(accepted, handled)
        self.assertGreaterEqual(requests, 7)
        self.assertRegex(clients[1].ask("/").text, r"^\d+/1/1/\d+$")
        for s in clients:
            s.close()
        wait_for("them to go", lambda: status()[0] == 1)
        # A worker that dies takes its clients along.
        with Raw(p.port()) as s:
            s.ask("/")
            before = status()
            for pid in p.workers():
                os.kill(pid, 9)
            wait_for("new workers", lambda: self.answers(p))
        wait_for("the dead to be forgotten", lambda: status()[0] == 1)
        self.assertGreaterEqual(status()[3], before[3])

    @staticmethod
    def answers(p):
        try:
            with Raw(p.port()) as s:
                return s.ask("/").status == 200
        except (OSError, Closed):
            return False


if __name__ == "__main__":
    unittest.main()
