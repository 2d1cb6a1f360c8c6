# SPDX-License-Identifier: BSD-2-Clause
"""proxy_cache and its kin, beside nginx where both can be asked."""

import glob
import hashlib
import os
import threading
import time
import unittest

from support.http import CONFIG
from support.penstock import wait_for
from support.proxy import CompareProxyTestCase, ProxyTestCase
from support.raw import Closed

PATH = "proxy_cache_path @PREFIX@/cache%s levels=1:2 keys_zone=z:1m %s;"


class CacheTestCase(ProxyTestCase):
    """The origin counts: each answer is another."""

    fields = ()
    status = "200 OK"
    delay = 0

    def respond(self, peer):
        with self.lock:
            self.count += 1
            number = self.count
        if self.delay:
            time.sleep(self.delay)
        if self.status == "close":
            return True
        if "If-None-Match" in [n for n, _ in peer.request.fields] and self.revalidates:
            return peer.reply("", 'ETag: "e"', *self.again, status="304 Not Modified", length=False)
        body = f"answer {number} to {peer.request.method}"
        peer.reply("" if peer.request.method == "HEAD" else body, *self.fields, status=self.status)

    def setUp(self):
        self.lock = threading.Lock()
        self.count, self.revalidates, self.again = 0, False, ()
        self.o = self.origin(self.respond)

    def cache(self, location="", path="", http="", front="", server="", use=""):
        config = CONFIG % (
            PATH % ("", path) + http,
            "add_header X-Cache $upstream_cache_status always;"
            f"location / {{ proxy_cache z; {location} proxy_pass http://127.0.0.1:{self.o.port}; }} {server}")
        return self.penstock(front + config)

    def ask(self, s, target="/", *fields, **how):
        m = s.ask(target, *fields, **how)
        return m.get("X-Cache"), m.text

    def expire(self, p):
        """Every file of the cache was good until a while ago."""
        for path in self.files(p):
            with open(path, "r+b") as f:
                f.seek(8)
                f.write((int(time.time()) - 5).to_bytes(8, "little"))

    def files(self, p):
        return [f for f in glob.glob(p.path("cache", "*", "*", "*")) if os.path.isfile(f)]


class LikeNginxTest(CompareProxyTestCase):
    """What is kept, by what the origin says."""

    RULES = [
        [], ["Cache-Control: max-age=60"], ["Cache-Control: max-age=0"], ["Cache-Control: no-cache"],
        ["Cache-Control: no-store, max-age=60"], ["Cache-Control: private"], ["Cache-Control: public"],
        ["Cache-Control: max-age=0, s-maxage=60"], ["Cache-Control: MAX-AGE=60"],
        ["Cache-Control: max-age=60", "Expires: Thu, 01 Jan 1970 00:00:00 GMT"],
        ["Expires: Thu, 01 Jan 1970 00:00:00 GMT"], ["Expires: Fri, 01 Jan 2100 00:00:00 GMT"],
        ["Expires: nonsense"], ["X-Accel-Expires: 60"], ["X-Accel-Expires: 0"],
        ["X-Accel-Expires: 60", "Cache-Control: no-cache"], ["X-Accel-Expires: @4000000000"],
        ["X-Accel-Expires: @1"], ["Set-Cookie: a=b", "Cache-Control: max-age=60"],
        ["Vary: *", "Cache-Control: max-age=60"], ["Vary: Accept", "Cache-Control: max-age=60"],
        ["Cache-Control: max-age=60", 'ETag: "x"', "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT",
         "Content-Type: a/b", "X-Own: 1", "Content-Disposition: y", "Accept-Ranges: bytes"],
    ]

    def both_cached(self, location):
        def respond(peer):
            number = int(peer.request.target.split("/")[-1].split("?")[0])
            status = "404 X" if "missing" in peer.request.target else "200 OK"
            peer.reply("the answer", *self.RULES[number], status=status)

        return self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "add_header X-Cache $upstream_cache_status always; proxy_cache z;"
            "location / { proxy_pass http://ORIGIN; }"
            "location /valid/ { proxy_cache_valid 60; proxy_pass http://ORIGIN; }"
            "location /any/ { proxy_cache_valid 404 60; proxy_pass http://ORIGIN; }"
            "location /deaf/ { proxy_cache_valid any 60; proxy_ignore_headers Cache-Control Expires Set-Cookie Vary"
            " X-Accel-Expires; proxy_pass http://ORIGIN; }"
            "location /off/ { proxy_cache off; proxy_pass http://ORIGIN; }"
            "location /no/ { proxy_cache_valid 60; proxy_no_cache $arg_no; proxy_cache_bypass $arg_by;"
            " proxy_pass http://ORIGIN; }"
            "location /uses/ { proxy_cache_valid 60; proxy_cache_min_uses 3; proxy_pass http://ORIGIN; }"
            "location /key/ { proxy_cache_valid 60; proxy_cache_key $uri; proxy_pass http://ORIGIN; }",
            http="proxy_cache_path cache levels=1:2 keys_zone=z:1m;",
        )

    def test_what_is_kept(self):
        both = self.both_cached("")
        for kind in ("", "/valid", "/any/missing", "/deaf", "/off"):
            for number in range(len(self.RULES)):
                with self.subTest(kind=kind, rule=self.RULES[number]):
                    for _ in range(2):
                        both.same(f"{kind}/{number}")

    def test_who_is_answered_from_it(self):
        both = self.both_cached("")
        for target in ("/no/0", "/no/0", "/no/0?no=1", "/no/0?no=1", "/no/0?by=1", "/no/0?by=0", "/no/0?by=0",
                       "/uses/0", "/uses/0", "/uses/0", "/uses/0", "/key/0?a", "/key/0?b", "/valid/0"):
            both.same(target)
        both.same("/valid/0", method="HEAD")
        both.same("/valid/1", method="HEAD")
        both.same("/valid/1")
        both.same("/valid/1", method="POST", Content_Length="0")

    def test_conditions_and_ranges(self):
        both = self.both_cached("")
        last = len(self.RULES) - 1
        for number in (1, last):
            for fields in (
                {}, {"If_None_Match": '"x"'}, {"If_None_Match": '"y"'}, {"If_Match": '"y"'}, {"If_Match": '"x"'},
                {"If_Modified_Since": "Sun, 09 Sep 2001 01:46:40 GMT"}, {"Range": "bytes=2-4"},
                {"Range": "bytes=2-4", "If_Range": '"x"'}, {"Range": "bytes=2-4", "If_Range": '"y"'},
                {"If_Modified_Since": "Sun, 09 Sep 2001 01:46:41 GMT"},
            ):
                with self.subTest(number=number, fields=fields):
                    both.same(f"/{number}", **fields)
        # On the way into the cache, too.
        for i, fields in enumerate(({"If_None_Match": '"x"'}, {"Range": "bytes=2-4"}, {"If_Match": '"y"'})):
            both.same(f"/x{i}/{last}", **fields)
            both.same(f"/x{i}/{last}")


class CacheTest(CacheTestCase):
    def test_the_file(self):
        """levels, the name, the key inside of it."""
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(location="proxy_cache_key $request_uri;")
        s = self.client(p)
        self.assertEqual(self.ask(s, "/x?y"), ("MISS", "answer 1 to GET"))
        self.assertEqual(self.ask(s, "/x?y"), ("HIT", "answer 1 to GET"))
        name = hashlib.md5(b"/x?y").hexdigest()
        self.assertEqual(self.files(p), [p.path("cache", name[-1], name[-3:-1], name)])
        with open(self.files(p)[0], "rb") as f:
            self.assertIn(b"KEY: /x?y\n", f.read())

    def test_it_outlives_the_program(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(path="loader_files=2 loader_sleep=10ms")
        s = self.client(p)
        for i in range(10):
            self.ask(s, f"/{i}")
        p.stop()
        p.start()
        s = self.client(p)
        for i in range(10):
            self.assertEqual(self.ask(s, f"/{i}")[0], "HIT")
        p.reload()
        self.assertEqual(self.ask(self.client(p), "/1")[0], "HIT")

    def test_workers_share_it(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(front="worker_processes 2;")
        self.assertEqual(self.ask(self.client(p))[0], "MISS")
        for _ in range(20):
            self.assertEqual(self.ask(self.client(p))[0], "HIT")

    def test_a_broken_file_is_fetched_anew(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache()
        s = self.client(p)
        self.ask(s)
        for data in (b"", b"x" * 3, b"x" * 5000):
            with open(self.files(p)[0], "wb") as f:
                f.write(data)
            self.assertEqual(self.ask(s)[0], "MISS")
            self.assertEqual(self.ask(s)[0], "HIT")
        with open(self.files(p)[0], "r+b") as f:
            f.seek(32)
            f.write(b"\xff" * 20)
        self.assertEqual(self.ask(s)[0], "MISS")
        os.unlink(self.files(p)[0])
        self.assertEqual(self.ask(s)[0], "MISS")
        self.assertEqual(self.ask(s)[0], "HIT")

    def test_what_is_cut_off_is_not_kept(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 100\r\n\r\nhalf")
            return True

        self.o = self.origin(respond)
        p = self.cache()
        for _ in range(2):
            s = self.client(p)
            s.get("/")
            self.assertEqual(s.head().get("X-Cache"), "MISS")
            self.assertRaises(Closed, s.exactly, 100)
        self.assertEqual(self.files(p), [])
        wait_for("the end of its file", lambda: not os.listdir(p.path("proxy_temp")))

    def test_vary(self):
        self.fields = ("Cache-Control: max-age=60", "Vary: X-Lang, Accept-Encoding")
        p = self.cache()
        s = self.client(p)
        self.assertEqual(self.ask(s, "/", "X-Lang: de"), ("MISS", "answer 1 to GET"))
        self.assertEqual(self.ask(s, "/", "X-Lang: en"), ("MISS", "answer 2 to GET"))
        self.assertEqual(self.ask(s, "/", "X-Lang: de"), ("HIT", "answer 1 to GET"))
        self.assertEqual(self.ask(s, "/", "X-Lang: en"), ("HIT", "answer 2 to GET"))
        self.assertEqual(self.ask(s, "/"), ("MISS", "answer 3 to GET"))
        self.assertEqual(self.ask(s, "/"), ("HIT", "answer 3 to GET"))

    def test_proxy_cache_lock(self):
        self.fields, self.delay = ("Cache-Control: max-age=60",), 0.5
        p = self.cache(location="proxy_cache_lock on;")
        clients = [self.client(p) for _ in range(5)]
        for s in clients:
            s.get("/")
        answers = [s.answer() for s in clients]
        self.assertEqual({m.text for m in answers}, {"answer 1 to GET"})
        self.assertEqual(sorted(m.get("X-Cache") for m in answers), ["HIT"] * 4 + ["MISS"])

    def test_proxy_cache_lock_timeout_and_age(self):
        self.fields, self.delay = ("Cache-Control: max-age=60",), 1.5
        p = self.cache(location="proxy_cache_lock on; proxy_cache_lock_timeout 200ms;")
        a, b = self.client(p), self.client(p)
        a.get("/")
        wait_for("the first", lambda: self.count)
        b.get("/")
        wait_for("the second", lambda: self.count == 2)
        self.assertEqual((a.answer().get("X-Cache"), b.answer().get("X-Cache")), ("MISS", "MISS"))
        self.assertEqual(self.ask(a), ("HIT", "answer 1 to GET"))
        p = self.cache(location="proxy_cache_lock on; proxy_cache_lock_age 200ms;")
        a, b = self.client(p), self.client(p)
        self.count = 0
        a.get("/")
        wait_for("the first", lambda: self.count)
        b.get("/")
        wait_for("the second", lambda: self.count == 2)

    def test_proxy_cache_use_stale(self):
        self.fields = ("X-Accel-Expires: 60",)
        p = self.cache(location="proxy_cache_use_stale error http_503; proxy_read_timeout 1s;")
        s = self.client(p)
        self.assertEqual(self.ask(s)[0], "MISS")
        self.expire(p)
        self.status = "503 Busy"
        self.assertEqual(self.ask(s), ("STALE", "answer 1 to GET"))
        self.status = "close"
        self.assertEqual(self.ask(s), ("STALE", "answer 1 to GET"))
        self.status = "500 Bad"
        self.fields = ()
        m = s.ask("/")
        self.assertEqual((m.status, m.get("X-Cache")), (500, "EXPIRED"))
        self.status, self.fields = "200 OK", ("X-Accel-Expires: 60",)
        self.assertEqual(self.ask(s)[0], "EXPIRED")
        self.assertEqual(self.ask(s)[0], "HIT")
        self.expire(p)
        self.o.stop()
        self.assertEqual(self.ask(s)[0], "STALE")

    def test_stale_if_error(self):
        self.fields = ("Cache-Control: max-age=60, stale-if-error=600",)
        p = self.cache()
        s = self.client(p)
        self.ask(s)
        self.expire(p)
        self.status = "500 Bad"
        self.assertEqual(self.ask(s), ("STALE", "answer 1 to GET"))

    def test_updating(self):
        for how in ("use_stale", "field"):
            self.count, self.delay = 0, 0
            self.fields = ("Cache-Control: max-age=60" + (", stale-while-revalidate=600" if how == "field" else ""),)
            p = self.cache(location="proxy_cache_use_stale updating;" if how == "use_stale" else "")
            s, t = self.client(p), self.client(p)
            self.ask(s)
            self.expire(p)
            self.delay = 0.6
            s.get("/")
            wait_for("the update", lambda: self.count == 2)
            self.assertEqual(self.ask(t), ("UPDATING", "answer 1 to GET"))
            m = s.answer()
            self.assertEqual((m.get("X-Cache"), m.text), ("EXPIRED", "answer 2 to GET"))

    def test_proxy_cache_background_update(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(location="proxy_cache_use_stale updating; proxy_cache_background_update on;")
        s, t = self.client(p), self.client(p)
        self.ask(s, "/a/b?c")
        self.expire(p)
        self.delay = 0.3
        self.assertEqual(self.ask(s, "/a/b?c"), ("STALE", "answer 1 to GET"))
        self.assertEqual(self.ask(t, "/a/b?c")[1], "answer 1 to GET")
        wait_for("the update", lambda: self.ask(t, "/a/b?c") == ("HIT", "answer 2 to GET"))
        self.assertEqual(self.count, 2)
        self.assertEqual(self.o.requests[1].target, "/a/b?c")

    def test_proxy_cache_revalidate(self):
        self.fields = ("Cache-Control: max-age=60", 'ETag: "e"', "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT",
                       "X-Own: 1")
        p = self.cache(location="proxy_cache_revalidate on;")
        s = self.client(p)
        self.ask(s)
        self.expire(p)
        self.revalidates, self.again = True, ("Cache-Control: max-age=30",)
        m = s.ask("/")
        self.assertEqual((m.get("X-Cache"), m.text, m.get("X-Own")), ("REVALIDATED", "answer 1 to GET", "1"))
        asked = self.o.requests[1]
        self.assertEqual(asked.get("If-None-Match"), '"e"')
        self.assertEqual(asked.get("If-Modified-Since"), "Sun, 09 Sep 2001 01:46:40 GMT")
        self.assertEqual(self.ask(s)[0], "HIT")
        self.expire(p)
        m = s.ask("/", 'If-None-Match: "e"')
        self.assertEqual((m.status, m.get("X-Cache")), (304, "REVALIDATED"))
        self.assertEqual(self.o.connections, 1)

    def test_proxy_cache_purge(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(location="proxy_cache_key $uri; proxy_cache_purge $purge;",
                       http="map $request_method $purge { PURGE 1; default 0; }")
        s = self.client(p)
        self.assertEqual(s.ask("/x", method="PURGE").status, 404)
        self.ask(s, "/x")
        self.assertEqual(self.ask(s, "/x")[0], "HIT")
        self.assertEqual(s.ask("/x", method="PURGE").status, 204)
        self.assertEqual(self.files(p), [])
        self.assertEqual(self.ask(s, "/x")[0], "MISS")

    def test_methods_and_convert_head(self):
        self.fields = ("Cache-Control: max-age=60",)
        p = self.cache(location="proxy_cache_methods POST; proxy_cache_key $uri;",
                       server=f"location /as/ {{ proxy_cache z; proxy_cache_convert_head off;"
                       f" proxy_cache_key $request_method$uri; proxy_pass http://127.0.0.1:{self.o.port}; }}")
        s = self.client(p)
        self.assertEqual(s.ask("/h", method="HEAD").get("X-Cache"), "MISS")
        self.assertEqual(self.o.requests[0].method, "GET")
        self.assertEqual(self.ask(s, "/h")[0], "HIT")
        m = s.ask("/p", "Content-Length: 0", method="POST")
        self.assertEqual(m.get("X-Cache"), "MISS")
        self.assertEqual(s.ask("/p", "Content-Length: 0", method="POST").get("X-Cache"), "HIT")
        self.assertEqual(s.ask("/h", method="DELETE").get("X-Cache"), None)
        s.ask("/as/", method="HEAD")
        self.assertEqual(self.o.requests[-1].method, "HEAD")

    def test_proxy_cache_max_range_offset(self):
        self.fields = ("Cache-Control: max-age=60", "Accept-Ranges: bytes")
        p = self.cache(location="proxy_cache_max_range_offset 5;")
        s = self.client(p)
        s.ask("/", "Range: bytes=10-12")
        self.assertEqual(self.o.requests[0].get("Range"), "bytes=10-12")
        self.assertEqual(self.files(p), [])
        m = s.ask("/", "Range: bytes=2-4")
        self.assertEqual((m.status, m.text), (206, "swe"))
        self.assertEqual(self.o.requests[1].get("Range"), None)
        m = s.ask("/", "Range: bytes=0-1,3-4")
        self.assertEqual((m.status, m.get("X-Cache")), (206, "HIT"))
        self.assertEqual(self.ask(s)[0], "HIT")

    def test_max_size_and_inactive(self):
        self.fields = ("Cache-Control: max-age=600",)
        p = self.cache(path="max_size=64k")
        s = self.client(p)
        for i in range(60):
            self.ask(s, f"/{i}")
        wait_for("fewer files", lambda: len(self.files(p)) <= 16)
        self.assertEqual(self.ask(s, "/59")[0], "HIT")
        p = self.cache(path="inactive=1s use_temp_path=off")
        s = self.client(p)
        self.ask(s)
        self.assertEqual(len(self.files(p)), 1)
        wait_for("no file", lambda: not self.files(p))

    def test_the_loader_knows_of_old_files(self):
        self.fields = ("Cache-Control: max-age=600",)
        p = self.cache()
        s = self.client(p)
        for i in range(60):
            self.ask(s, f"/{i}")
        p.stop()
        p.configure(p.config.replace("keys_zone=z:1m", "keys_zone=z:1m max_size=64k loader_files=7"))
        p.start()
        wait_for("fewer files", lambda: len(self.files(p)) <= 16)

    def test_a_full_zone(self):
        self.fields = ("Cache-Control: max-age=600",)
        p = self.penstock(CONFIG % (
            "proxy_cache_path @PREFIX@/cache levels=1:2 keys_zone=z:32k;",
            f"location / {{ proxy_cache z; proxy_pass http://127.0.0.1:{self.o.port}; }}"))
        s = self.client(p)
        for i in range(400):
            self.assertEqual(s.ask(f"/{i}").status, 200)
        self.assertGreater(len(self.files(p)), 20)
        self.assertLess(len(self.files(p)), 400)
        before = self.count
        s.ask("/399")
        self.assertEqual(self.count, before)

    def test_large_answers(self):
        body = os.urandom(1 << 20) * 4

        def respond(peer):
            peer.reply(body, "Cache-Control: max-age=60")

        self.o = self.origin(respond)
        p = self.cache()
        a, b = self.client(p, small=True), self.client(p)
        a.get("/")
        wait_for("the file", lambda: self.files(p))
        m = b.ask("/")
        self.assertEqual((m.get("X-Cache"), m.body == body), ("HIT", True))
        self.assertTrue(a.answer().body == body)

    def test_a_client_that_leaves_does_not_end_the_fetching(self):
        self.fields, self.delay = ("Cache-Control: max-age=60",), 0.4
        p = self.cache(location="proxy_ignore_client_abort on;")
        s = self.client(p)
        s.get("/")
        s.end()
        wait_for("the file", lambda: self.files(p))

    def test_x_accel_redirect_and_set_fields(self):
        self.fields = ("Cache-Control: max-age=60", "X-Accel-Redirect: /own")
        p = self.cache(server="location /own { internal; return 200 own; }")
        s = self.client(p)
        for _ in range(2):
            self.assertEqual(s.ask("/").text, "own")

    def test_an_unknown_zone(self):
        p = self.cache(server=f"location /v {{ proxy_cache $arg_z; proxy_pass http://127.0.0.1:{self.o.port}; }}")
        self.fields = ("Cache-Control: max-age=60",)
        s = self.client(p)
        self.assertEqual(s.ask("/v?z=nothing").status, 200)
        self.assertIn('cache "nothing" not found', p.log())
        self.assertEqual(s.ask("/v").get("X-Cache"), None)
        self.assertEqual(s.ask("/v?z=z").get("X-Cache"), "MISS")


if __name__ == "__main__":
    unittest.main()
