# SPDX-License-Identifier: BSD-2-Clause
"""proxy_buffering, temporary files, proxy_limit_rate, proxy_store."""

import os
import socket
import stat
import threading
import time
import unittest

from support.penstock import wait_for
from support.proxy import ProxyTestCase
from support.raw import Closed

SIZE = 16 << 20


def hurry(s):
    """A slow reader from here reads fast."""
    s.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return s


class BufferingTest(ProxyTestCase):
    def files(self, p, directory="proxy_temp"):
        return [os.path.join(d, f) for d, _, names in os.walk(p.path(directory)) for f in names]

    def large(self, *fields, size=SIZE, cut=0, chunked=False):
        """An origin whose answer is large, and an event: all of it is gone."""
        sent = threading.Event()
        self.body = os.urandom(1 << 16) * (size >> 16)

        def respond(peer):
            sent.clear()
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
            peer.send("\r\n".join(["HTTP/1.1 200 OK", framing, *fields]) + "\r\n\r\n")
            data = self.body[:len(self.body) - cut]
            if chunked:
                for i in range(0, len(data), 100000):
                    piece = data[i:i + 100000]
                    peer.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
                if not cut:
                    peer.send("0\r\n\r\n")
            else:
                peer.send(data)
            sent.set()
            return bool(cut)

        return self.origin(respond), sent

    def test_a_slow_client_frees_the_upstream(self):
        for chunked in (False, True):
            o, sent = self.large(chunked=chunked)
            p = self.before(o, location="proxy_temp_path temp 1;", server="proxy_buffers 4 8k;",
                            how="max_conns=1")
            s = self.client(p, small=True)
            s.get("/")
            self.assertTrue(sent.wait(20))
            # And its only connection serves others meanwhile.
            t = self.client(p)
            m = wait_for("the connection", lambda: (lambda m: m.status == 200 and m)(t.ask("/")))
            self.assertEqual(m.body, self.body)
            self.assertEqual(o.connections, 1)
            self.assertTrue(self.files(p, "temp"))
            self.assertEqual(hurry(s).answer().body, self.body)
            self.assertEqual(s.ask("/").body, self.body)
            wait_for("the end of the files", lambda: not self.files(p, "temp"))
            self.assertIn("an upstream response is buffered to a temporary file", p.log())

    def check_waits(self, p, sent):
        s = self.client(p, small=True)
        sent.clear()
        s.get("/")
        self.assertFalse(sent.wait(0.7))
        self.assertEqual(hurry(s).answer().body, self.body)
        self.assertTrue(sent.wait(20))
        self.assertEqual(self.files(p), [])

    def test_no_file(self):
        o, sent = self.large()
        self.check_waits(self.before(o, location="proxy_buffering off;"), sent)
        self.check_waits(self.before(o, location="proxy_max_temp_file_size 0;"), sent)

    def test_x_accel_buffering(self):
        o, sent = self.large("X-Accel-Buffering: no")
        self.check_waits(self.before(o), sent)
        p = self.before(o, location="proxy_ignore_headers X-Accel-Buffering;")
        s = self.client(p, small=True)
        s.get("/")
        self.assertTrue(sent.wait(20))
        o, sent = self.large("X-Accel-Buffering: yes")
        p = self.before(o, location="proxy_buffering off;")
        s = self.client(p, small=True)
        s.get("/")
        self.assertTrue(sent.wait(20))
        self.assertEqual(hurry(s).answer().body, self.body)

    def test_proxy_max_temp_file_size(self):
        o, sent = self.large()
        p = self.before(o, location="proxy_max_temp_file_size 1m; proxy_temp_file_write_size 4k;"
                        " proxy_busy_buffers_size 8k;")
        s = self.client(p, small=True)
        s.get("/")
        self.assertFalse(sent.wait(0.7))
        sizes = [os.stat(f).st_size for f in self.files(p)]
        self.assertEqual(len(sizes), 1)
        self.assertLess(sizes[0], 1 << 21)
        self.assertEqual(hurry(s).answer().body, self.body)

    def test_a_short_answer_is_seen_to_be_short(self):
        for chunked in (False, True):
            o, sent = self.large(cut=100000, chunked=chunked)
            p = self.before(o)
            s = self.client(p, small=True)
            s.get("/")
            self.assertTrue(sent.wait(20))
            hurry(s)
            with self.assertRaises(Closed):
                s.answer()
            p.wait_for_log("upstream prematurely closed connection")

    def test_a_client_that_leaves(self):
        o, sent = self.large()
        p = self.before(o)
        s = self.client(p, small=True)
        s.get("/")
        self.assertTrue(sent.wait(20))
        wait_for("a file", lambda: self.files(p))
        s.close()
        wait_for("its end", lambda: not self.files(p))
        self.assertEqual(self.client(p).ask("/").status, 200)

    def test_proxy_limit_rate(self):
        o, _ = self.large(size=1 << 17)
        p = self.before(o, location="proxy_limit_rate $arg_rate;")
        for chunked in (False, True):
            s = self.client(p)
            begin = time.monotonic()
            self.assertEqual(s.ask("/?rate=64k").body, self.body)
            took = time.monotonic() - begin
            self.assertGreater(took, 0.9)
            self.assertLess(took, 5)
            self.assertEqual(s.ask("/").body, self.body)
            self.assertEqual(s.ask("/?rate=none").body, self.body)
            o, _ = self.large(size=1 << 17, chunked=True)
            p = self.before(o, location="proxy_limit_rate $arg_rate;")


    def test_x_accel_limit_rate(self):
        """Over limit_rate, and gone with proxy_ignore_headers."""
        cases = (("65536", "", 0.7, 8), ("off", "limit_rate 1k;", 0, 8),
                 ("1024", "proxy_ignore_headers X-Accel-Limit-Rate;", 0, 8))
        for rate, location, least, most in cases:
            o, _ = self.large(f"X-Accel-Limit-Rate: {rate}", size=1 << 17)
            p = self.before(o, location=location)
            s = self.client(p)
            begin = time.monotonic()
            m = s.ask("/")
            took = time.monotonic() - begin
            self.assertEqual((m.body, m.get("X-Accel-Limit-Rate")), (self.body, None))
            self.assertGreater(took, least)
            self.assertLess(took, most)


class StoreTest(ProxyTestCase):
    MODIFIED = "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT"

    def respond(self, peer):
        t = peer.request.target
        if t == "/short":
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            return True
        if t == "/404":
            return peer.reply("none", status="404 X")
        return peer.reply("stored " + t, self.MODIFIED)

    def test_proxy_store(self):
        o = self.origin(self.respond)
        p = self.serve(
            "location / { root @PREFIX@/kept; error_page 404 = @fetch; access_log off; }"
            f"location @fetch {{ root @PREFIX@/kept; proxy_store on; proxy_store_access user:rw group:rw all:r;"
            f" proxy_pass http://127.0.0.1:{o.port}; }}", start=False)
        os.mkdir(p.path("kept"), 0o777)
        os.chmod(p.path("kept"), 0o777)
        p.start()
        s = self.client(p)
        for _ in range(2):
            self.assertEqual(s.ask("/a/b/c.html").text, "stored /a/b/c.html")
        self.assertEqual(len(o.requests), 1)
        status = os.stat(p.path("kept/a/b/c.html"))
        self.assertEqual((stat.S_IMODE(status.st_mode), int(status.st_mtime)), (0o664, 1000000000))
        self.assertEqual(s.ask("/404").status, 404)
        s.get("/short")
        self.assertRaises(Closed, s.answer)
        s = self.client(p)
        s.ask("/head", method="HEAD")
        self.assertEqual(os.listdir(p.path("kept")), ["a"])

    def test_a_path_with_variables(self):
        o = self.origin(self.respond)
        p = self.serve(f"location / {{ proxy_store @PREFIX@/kept/$arg_name; proxy_temp_path t;"
                       f" proxy_pass http://127.0.0.1:{o.port}; }}", start=False)
        os.mkdir(p.path("kept"))
        os.chmod(p.path("kept"), 0o777)
        p.start()
        s = self.client(p)
        self.assertEqual(s.ask("/x?name=one").status, 200)
        self.assertEqual(p.read("kept/one"), "stored /x?name=one")
        self.assertEqual(s.ask("/x?name=no/").status, 200)
        wait_for("the other file's end", lambda: not os.listdir(p.path("t")))


if __name__ == "__main__":
    unittest.main()
