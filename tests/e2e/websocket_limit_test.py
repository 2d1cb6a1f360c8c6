# SPDX-License-Identifier: BSD-2-Clause
"""limit_websocket_conn and limit_websocket_msg."""

import os
import signal
import time
import unittest

from support.gateway import BridgeTestCase
from support.penstock import wait_for
from support.websocket import TEXT, Client, encode, handshake

CONFIG = """
user root;
worker_processes %d;
events { }
http {
    limit_conn_zone $arg_key zone=key:1m;
    limit_req_zone $arg_key zone=both:1m rate=1r/s;
    backend b { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@;
        websocket_origin any;
        location /two { websocket_pass b; limit_websocket_conn key 2; }
        location /none { websocket_pass b; limit_websocket_conn key 1;
            limit_websocket_conn both 3; limit_conn_status 429; }
        location /dry { websocket_pass b; limit_websocket_conn key 1;
            limit_conn_dry_run on; }
        location /slow { websocket_pass b;
            limit_websocket_msg both rate=20r/s burst=5; }
        location /bytes { websocket_pass b;
            limit_websocket_msg key rate=20k/s burst=10k; }
        location /close { websocket_pass b;
            limit_websocket_msg both rate=1r/s burst=3 close; }
    }
}
"""


class WebSocketLimitTest(BridgeTestCase):
    def start(self, workers=1):
        p = self.penstock(CONFIG % workers, start=False)
        self.start_echo(p)
        p.start()
        self.wait_ready(p, workers)
        return p

    def client(self, p, target):
        c = Client(
            p.port(), greeting=handshake(request=f"GET {target} HTTP/1.1")
        )
        self.addCleanup(c.socket.close)
        return c

    def echo(self, c, text=b"hello"):
        c.send(encode(TEXT, text))
        self.assertEqual(c.message(), (TEXT, text))

    def test_sessions_of_a_key(self):
        p = self.start(workers=3)
        held = [self.client(p, "/two?key=a") for _ in range(2)]
        for c in held:
            self.assertEqual(c.status, 101)
            self.echo(c)
        for _ in range(5):
            self.assertEqual(self.client(p, "/two?key=a").status, 503)
        self.assertEqual(self.client(p, "/two?key=b").status, 101)
        self.assertEqual(self.client(p, "/two").status, 101)
        self.assertEqual(self.client(p, "/dry?key=a").status, 101)
        self.assertEqual(self.client(p, "/none?key=a").status, 429)
        p.wait_for_log('limiting connections by zone "key"')
        held[0].socket.close()
        wait_for(
            "a place",
            lambda: self.client(p, "/two?key=a").status == 101,
        )

    def test_a_reload_and_a_crash(self):
        p = self.start()
        c = self.client(p, "/two?key=a")
        again = self.client(p, "/two?key=a")
        p.reload()
        self.echo(c)
        self.assertEqual(self.client(p, "/two?key=a").status, 503)
        again.socket.close()
        wait_for(
            "a place", lambda: self.client(p, "/two?key=a").status == 101
        )
        before = p.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_for("a new worker", lambda: p.workers() not in ([], before))
        self.wait_ready(p, 2)
        for _ in range(2):
            self.assertEqual(self.client(p, "/two?key=a").status, 101)

    def test_messages_wait(self):
        p = self.start()
        c = self.client(p, "/slow?key=m")
        before = time.monotonic()
        c.send(b"".join(encode(TEXT, b"%d" % i) for i in range(20)))
        for i in range(20):
            self.assertEqual(c.message(), (TEXT, b"%d" % i))
        took = time.monotonic() - before
        self.assertGreater(took, 0.6)  # 14 that are over the burst, 50 ms each
        self.assertLess(took, 5)

    def test_bytes_wait(self):
        p = self.start()
        c = self.client(p, "/bytes?key=m")
        before = time.monotonic()
        for size in (10000, 20000, 10):
            self.echo(c, b"x" * size)
        self.assertGreater(time.monotonic() - before, 0.7)

    def test_sessions_share_a_rate(self):
        p = self.start(workers=2)
        clients = [self.client(p, "/slow?key=s") for _ in range(2)]
        before = time.monotonic()
        for c in clients:
            c.send(b"".join(encode(TEXT, b"%d" % i) for i in range(10)))
        for c in clients:
            for i in range(10):
                self.assertEqual(c.message(), (TEXT, b"%d" % i))
        self.assertGreater(time.monotonic() - before, 0.5)

    def test_close(self):
        p = self.start()
        c = self.client(p, "/close?key=c")
        for i in range(4):
            self.echo(c)
        c.send(encode(TEXT, b"one too many"))
        got = c.finish()
        self.assertEqual(got[1], 1008)
        p.wait_for_log('limiting messages by zone "both"')
        p.wait_for_log("client sent more messages than it may")

    def test_one_that_waits_may_leave(self):
        p = self.start()
        c = self.client(p, "/slow?key=l")
        c.send(b"".join(encode(TEXT, b"x") for i in range(200)))
        c.message()
        c.socket.close()
        c = self.client(p, "/slow?key=l")
        c.send(b"".join(encode(TEXT, b"x") for i in range(200)))
        c.message()


if __name__ == "__main__":
    unittest.main()
