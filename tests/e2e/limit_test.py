# SPDX-License-Identifier: BSD-2-Clause
"""limit_conn and limit_req: counted across workers, reloads and crashes."""

import http.client
import os
import signal
import socket
import time
import unittest

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, wait_for


class Origin:
    """Accepts requests, and answers each when it is told to."""

    def __init__(self, test):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        test.addCleanup(self.socket.close)

    def take(self):
        """The next request; call answer() with it."""
        self.socket.settimeout(20)
        connection, _ = self.socket.accept()
        connection.settimeout(20)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        return connection

    @staticmethod
    def answer(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
            b"Connection: close\r\n\r\nok"
        )
        connection.close()


class Client:
    def __init__(self, port, target="/", **headers):
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=20
        )
        self.connection.request("GET", target, headers=headers)

    def status(self):
        status = self.connection.getresponse().status
        self.connection.close()
        return status

    def leave(self):
        self.connection.close()


class LimitReqTest(CompareTestCase):
    def test_limit_req(self):
        both = self.both(
            "add_header X-Limit $limit_req_status always;"
            "location /one { limit_req zone=m; try_files /no =404; }"
            "location /burst { limit_req zone=m burst=3 nodelay;"
            " try_files /no =404; }"
            "location /status { limit_req zone=m; limit_req_status 429;"
            " try_files /no =404; }"
            "location /dry { limit_req zone=m; limit_req_dry_run on;"
            " try_files /no =404; }"
            "location /two { limit_req zone=m burst=1 nodelay;"
            " limit_req zone=n burst=3 nodelay; try_files /no =404; }"
            "location /page { limit_req zone=m; error_page 503 @page;"
            " try_files /no =404; }"
            "location @page { limit_req zone=m; try_files /no =404; }",
            http="limit_req_zone $arg_k zone=m:1m rate=1r/m;"
            "limit_req_zone $arg_n zone=n:1m rate=2r/m;",
        )
        for place in ("one", "burst", "status", "dry", "page"):
            both.same(f"/{place}")
            for _ in range(6):
                both.same(f"/{place}?k={place}")
        for args in ("k=1&n=1", "k=2&n=1", "k=3&n=1", "k=3&n=2"):
            for _ in range(3):
                both.same("/two?" + args)
        both.same("/one?k=" + "x" * 7000)
        both.ours.wait_for_log(
            'limiting requests, excess: 1.000 by zone "m", client'
        )
        both.ours.wait_for_log("limiting requests, dry run, excess: 1.000")

    def test_delays(self):
        both = self.both(
            "location / { limit_req zone=z burst=10 delay=1;"
            ' add_header X-Limit "$limit_req_status" always;'
            " try_files /no =404; }"
            "location /dry { limit_req zone=z burst=10; limit_req_dry_run on;"
            ' add_header X-Limit "$limit_req_status" always;'
            " try_files /no =404; }",
            http="limit_req_zone $arg_k zone=z:1m rate=4r/s;",
        )
        before = time.monotonic()
        for _ in range(4):
            Client(both.ours.port(), "/?k=a").status()
        took = time.monotonic() - before
        self.assertGreater(took, 0.48)
        self.assertLess(took, 5)
        both.ours.wait_for_log("delaying request, excess: ")
        for _ in range(2):
            both.same("/dry?k=d")

    def test_a_client_that_leaves_while_it_waits(self):
        both = self.both(
            "location / { limit_req zone=z burst=9; try_files /no =404; }",
            http="limit_req_zone $arg_k zone=z:1m rate=2r/s;",
        )
        clients = [Client(both.ours.port(), "/?k=a") for _ in range(4)]
        for client in clients[1:]:
            client.leave()
        self.assertEqual(clients[0].status(), 404)
        body = b"x" * 1000
        with socket.create_connection(("127.0.0.1", both.ours.port())) as s:
            s.settimeout(20)
            s.sendall(
                b"POST /?k=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000"
                b"\r\n\r\n" + body + b"GET /?k=b HTTP/1.1\r\nHost: x\r\n"
                b"Connection: close\r\n\r\n"
            )
            self.assertEqual(s.makefile("rb").read().count(b"HTTP/1.1 40"), 2)


HTTP = "limit_conn_zone $binary_remote_addr zone=ip:1m;"
CONFIG = """
worker_processes %d;
events { }
http {
    limit_conn_zone $arg_key zone=key:1m;
    server {
        listen 127.0.0.1:@PORT@;
        limit_conn key %d;
        location / { proxy_pass http://127.0.0.1:%d; }
        location /now { try_files /none =404; }
    }
}
"""


class LimitRateTest(CompareTestCase):
    SIZE = 60000

    def fetch(self, p, target):
        before = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", p.port(), timeout=20
        )
        connection.request("GET", target)
        body = connection.getresponse().read()
        self.assertEqual(len(body), self.SIZE)
        connection.request("GET", "/fast/f")
        self.assertEqual(len(connection.getresponse().read()), self.SIZE)
        connection.close()
        return time.monotonic() - before

    def test_limit_rate(self):
        both = self.both(
            "location /slow/ { limit_rate 40k; alias @PREFIX@/html/; }"
            "location /after/ { limit_rate 10k; limit_rate_after 45000;"
            " alias @PREFIX@/html/; }"
            "location /fast/ { alias @PREFIX@/html/; }"
            "location /set/ { set $limit_rate 30k; limit_rate 1;"
            " alias @PREFIX@/html/; }"
            "location /off/ { if ($arg_x = 1) { set $limit_rate 0; }"
            " limit_rate 1; alias @PREFIX@/html/; }"
            "location /var/ { limit_rate $arg_r; alias @PREFIX@/html/; }"
            "location /proxy/ { limit_rate 40k; proxy_pass"
            " http://127.0.0.1:@PORT@/fast/; }"
            'location /show { limit_rate 7k; return 200 "$limit_rate"; }',
            files={"html/f": "x" * self.SIZE},
        )
        p = both.ours
        for target, least in (
            ("/slow/f", 0.4), ("/after/f", 0.3), ("/fast/f", 0),
            ("/set/f", 0.8), ("/off/f?x=1", 0), ("/var/f?r=40k", 0.3),
            ("/var/f?r=x", 0), ("/proxy/f", 0.4),
        ):
            took = self.fetch(p, target)
            self.assertGreaterEqual(took, least, target)
            self.assertLess(took, least + 5, target)
        both.same("/show")

    def test_a_client_that_leaves(self):
        both = self.both(
            "location / { limit_rate 2000; }", files={"html/f": "x" * 100000}
        )
        for _ in range(3):
            client = Client(both.ours.port(), "/f")
            client.connection.getresponse().read(50)
            client.leave()
        both.ours.stop()


class LimitConnTest(CompareTestCase):
    def test_limit_conn(self):
        origin = Origin(self)
        both = self.both(
            "limit_conn ip 2;"
            "add_header X-Limit $limit_conn_status always;"
            f"location / {{ proxy_pass http://127.0.0.1:{origin.port}; }}"
            "location /more { limit_conn ip 3; try_files /no =404; }"
            "location /status { limit_conn_status 429; try_files /no =404; }"
            "location /dry { limit_conn_dry_run on; try_files /no =404; }"
            "location /page { error_page 503 =200 @page; try_files /no =404; }"
            "location @page { return 200 page; }"
            "location /key { limit_conn other 1; try_files /no =404; }",
            http=HTTP + "limit_conn_zone $arg_x zone=other:32k;",
        )
        held = []
        for port in (both.ours.port(), both.nginx.port):
            held += [(Client(port), origin.take()) for _ in range(2)]
        for target in (
            "/", "/more", "/status", "/dry", "/page", "/key",
            "/key?x=1", "/key?x=" + "y" * 300,
        ):
            both.same(target)
        both.ours.wait_for_log('limiting connections by zone "ip", client')
        both.ours.wait_for_log('limiting connections, dry run, by zone "ip"')
        both.ours.wait_for_log('the value of the "$arg_x" key is more than')
        for client, connection in held:
            origin.answer(connection)
            self.assertEqual(client.status(), 200)
        both.same("/status")
        both.same("/key?x=1")


class LimitConnSharedTest(PenstockTestCase):
    def start(self, workers, limit):
        self.origin = Origin(self)
        self.text = CONFIG % (workers, limit, self.origin.port)
        return self.penstock(self.text)

    def hold(self, p, target):
        client = Client(p.port(), target)
        return client, self.origin.take()

    def test_workers_count_together(self):
        p = self.start(workers=3, limit=4)
        held = [self.hold(p, "/?key=a") for _ in range(4)]
        for _ in range(6):
            self.assertEqual(Client(p.port(), "/?key=a").status(), 503)
        held.append(self.hold(p, "/?key=b"))
        for client, connection in held:
            self.origin.answer(connection)
            self.assertEqual(client.status(), 200)
        held = [self.hold(p, "/?key=a") for _ in range(4)]
        for client, connection in held:
            client.leave()
            connection.close()
        self.passes(p)

    def passes(self, p):
        wait_for(
            "a count that was given back",
            lambda: Client(p.port(), "/now?key=a").status() == 404,
        )

    def test_a_reload_keeps_what_is_counted(self):
        p = self.start(workers=2, limit=1)
        client, connection = self.hold(p, "/?key=a")
        self.assertEqual(Client(p.port(), "/now?key=a").status(), 503)
        p.configure(self.text.replace("=404", "=410"))
        p.reload()
        self.assertEqual(Client(p.port(), "/now?key=a").status(), 503)
        self.assertEqual(Client(p.port(), "/now?key=b").status(), 410)
        self.origin.answer(connection)
        self.assertEqual(client.status(), 200)
        wait_for(
            "a count that was given back",
            lambda: Client(p.port(), "/now?key=a").status() == 410,
        )

    def test_another_size_begins_empty(self):
        p = self.start(workers=1, limit=1)
        client, connection = self.hold(p, "/?key=a")
        p.configure(self.text.replace("key:1m", "key:2m"))
        p.reload()
        self.assertEqual(Client(p.port(), "/now?key=a").status(), 404)
        # Back to the first text: that is a new zone, too.
        p.configure(self.text)
        p.reload()
        self.assertEqual(Client(p.port(), "/now?key=a").status(), 404)
        self.origin.answer(connection)
        self.assertEqual(client.status(), 200)

    def test_a_dead_worker_holds_nothing(self):
        p = self.start(workers=1, limit=1)
        client, connection = self.hold(p, "/?key=a")
        self.assertEqual(Client(p.port(), "/now?key=a").status(), 503)
        before = p.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_for("a new worker", lambda: p.workers() not in ([], before))
        self.passes(p)
        client.leave()
        connection.close()

    def test_a_full_zone_refuses(self):
        p = self.penstock(
            "events { worker_connections 2000; } http {"
            "limit_conn_zone $arg_key zone=z:32k; server {"
            "listen 127.0.0.1:@PORT@; limit_conn z 1; client_max_body_size 0;"
            f"location / {{ proxy_pass http://127.0.0.1:{Origin(self).port};"
            "} } }"
        )
        clients = [
            Client(p.port(), f"/?key={i}" + "k" * 200) for i in range(120)
        ]
        p.wait_for_log('in zone "z": it is full')
        for client in clients:
            client.leave()


if __name__ == "__main__":
    unittest.main()
