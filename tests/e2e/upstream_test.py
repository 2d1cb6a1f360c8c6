# SPDX-License-Identifier: BSD-2-Clause
"""upstream{}: which server of a group gets a request, beside nginx's choice."""

import http.client
import json
import os
import signal
import threading
import time
import unittest

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, free_port, wait_for
from support.raw import Origin, Raw

CONFIG = """
pid logs/penstock.pid;
events { }
http {
    log_format tries '$request_uri|$upstream_addr|$upstream_status|'
                     '$upstream_connect_time|$upstream_header_time|'
                     '$upstream_response_time';
    access_log logs/access.log tries;
    %s
    server { listen 127.0.0.1:@PORT@; %s }
}
"""


def named(name):
    return lambda peer: peer.reply(name)


def get(port, target, source="127.0.0.1", method="GET", **headers):
    c = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=20, source_address=(source, 0)
    )
    c.request(method, target, headers=headers)
    r = c.getresponse()
    body = r.read().decode()
    c.close()
    return r.status, body, r.headers


class Origins:
    def setUp(self):
        super().setUp()
        self.origins = {}

    def origin(self, name, **how):
        o = Origin(named(name), **how)
        self.addCleanup(o.stop)
        self.origins[name] = o
        return o

    def addresses(self, names):
        return [f"127.0.0.1:{self.origin(n).port}" for n in names]


class LikeNginxTest(Origins, CompareTestCase):
    """The same key finds the same server under both."""

    def groups(self, settings, parameters=("", "", "", "")):
        servers = "".join(
            f"server {a} {p};"
            for a, p in zip(self.addresses("abcd"), parameters)
        )
        return self.both(
            "location / { proxy_pass http://app; }",
            http=f"upstream app {{ {settings} {servers} }}",
        )

    def same_servers(self, both, targets, sources=("127.0.0.1",)):
        who = set()
        for source in sources:
            for target in targets:
                expected = get(both.nginx.port, target, source)[:2]
                got = get(both.ours.port(), target, source)[:2]
                self.assertEqual(expected, got, f"{target} from {source}")
                who.add(got[1])
        return who

    def test_hash(self):
        both = self.groups("hash $arg_k;", ("weight=3", "", "weight=2", ""))
        targets = [f"/?k=key-{i}" for i in range(40)]
        self.assertEqual(self.same_servers(both, targets), set("abcd"))

    def test_hash_of_a_server_that_is_down(self):
        both = self.groups("hash $arg_k;", ("", "down", "", ""))
        targets = [f"/?k=key-{i}" for i in range(40)]
        self.assertEqual(self.same_servers(both, targets), set("acd"))

    def test_hash_goes_on_when_a_server_fails(self):
        both = self.groups("hash $arg_k;", ("max_fails=0",) * 4)
        self.origins["b"].stop()
        targets = [f"/?k=key-{i}" for i in range(40)]
        self.assertEqual(self.same_servers(both, targets), set("acd"))

    def test_hash_consistent(self):
        both = self.groups(
            "hash $arg_k consistent;", ("weight=3", "", "weight=2", "")
        )
        targets = [f"/?k=key-{i}" for i in range(60)]
        self.assertEqual(self.same_servers(both, targets), set("abcd"))

    def test_hash_consistent_goes_on_when_a_server_fails(self):
        both = self.groups("hash $arg_k consistent;", ("max_fails=0",) * 4)
        self.origins["c"].stop()
        targets = [f"/?k=key-{i}" for i in range(60)]
        self.assertEqual(self.same_servers(both, targets), set("abd"))

    def test_ip_hash(self):
        both = self.groups("ip_hash;", ("weight=2", "", "", ""))
        sources = [f"127.0.{i}.{i + 1}" for i in range(40)]
        self.assertEqual(self.same_servers(both, ["/"], sources), set("abcd"))

    def test_round_robin_with_weights_and_backup(self):
        both = self.groups("", ("weight=5", "weight=2", "", "backup"))
        self.assertEqual(self.same_servers(both, ["/"] * 24), set("abc"))


class MethodTest(Origins, PenstockTestCase):
    def serve(self, upstream, location="proxy_pass http://app;", server="",
              http=""):
        return self.penstock(
            CONFIG
            % (
                f"upstream app {{ {upstream} }} {http}",
                f"{server} location / {{ {location} }}",
            )
        )

    def who(self, p, n, target="/"):
        return "".join(get(p.port(), target)[1] for _ in range(n))

    def test_random_reaches_everybody(self):
        a, b, c = self.addresses("abc")
        for how in ("random;", "random two;", "random two least_time=header;"):
            p = self.serve(f"{how} server {a}; server {b}; server {c};")
            self.assertEqual(set(self.who(p, 60)), set("abc"), how)

    def test_least_time_prefers_who_answers_soon(self):
        def slowly(peer):
            time.sleep(0.05)
            peer.reply("s")

        slow = Origin(slowly)
        self.addCleanup(slow.stop)
        (fast,) = self.addresses("f")
        p = self.serve(
            f"least_time last_byte; server 127.0.0.1:{slow.port}; server {fast};"
        )
        who = self.who(p, 30)
        self.assertGreaterEqual(who.count("s"), 1)
        self.assertGreaterEqual(who.count("f"), 20)

    def test_max_conns_of_one_server(self):
        go = threading.Event()

        def hold(peer):
            go.wait(20)
            peer.reply("h")

        holding = Origin(hold)
        self.addCleanup(holding.stop)
        self.addCleanup(go.set)
        (b,) = self.addresses("b")
        p = self.serve(
            f"server 127.0.0.1:{holding.port} max_conns=1 weight=100;"
            f"server {b} backup;"
        )
        first = Raw(p.port())
        self.addCleanup(first.close)
        first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the first request", lambda: holding.requests)
        self.assertEqual(self.who(p, 3), "bbb")
        go.set()
        self.assertEqual(first.answer().text, "h")

    def test_every_try_is_in_the_variables(self):
        (a,) = self.addresses("a")
        dead = free_port()
        p = self.serve(f"server 127.0.0.1:{dead} weight=9; server {a};")
        self.assertEqual(self.who(p, 1, "/tries"), "a")
        line = wait_for("the log line", lambda: p.read("logs/access.log"))
        uri, addresses, statuses, connects, heads, ends = line.strip().split("|")
        self.assertEqual(uri, "/tries")
        self.assertEqual(addresses, f"127.0.0.1:{dead}, {a}")
        self.assertEqual(statuses, "502, 200")
        self.assertEqual(connects.split(", ")[0], "-")
        self.assertEqual(heads.split(", ")[0], "-")
        for times in (connects, heads, ends):
            self.assertRegex(times.split(", ")[1], r"^\d+\.\d{3}$")

    def test_ipv6_and_unix_servers(self):
        o = self.origin("u", unix=True)
        six = self.origin("6", host="::1")
        p = self.serve(f"server unix:{o.path}; server [::1]:{six.port};")
        self.assertEqual(self.who(p, 4), "u6u6")


class ZoneTest(Origins, PenstockTestCase):
    """What all workers know of the servers."""

    def serve(self, upstream, workers=2, http="", server=""):
        return self.penstock(
            f"worker_processes {workers};"
            + CONFIG
            % (
                f"upstream app {{ {upstream} }} {http}",
                "location / { proxy_pass http://app; }"
                "location = /status { upstream_status; }" + server,
            )
        )

    def peers(self, p, name="app"):
        status, body, headers = get(p.port(), "/status")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "application/json")
        return json.loads(body)["upstreams"][name]["peers"]

    def holding(self):
        go = threading.Event()

        def hold(peer):
            go.wait(20)
            peer.reply("h")

        o = Origin(hold)
        self.addCleanup(o.stop)
        self.addCleanup(go.set)
        return o, go

    def many(self, p, n, target="/"):
        """Connections enough that both workers get some."""
        return [get(p.port(), target)[:2] for _ in range(n)]

    def test_status(self):
        a, b = self.addresses("ab")
        p = self.serve(
            f"zone app 64k; server {a} weight=2 max_conns=9; server {b} down;"
            "server unix:/nowhere backup;"
        )
        self.many(p, 4)
        first, second, third = self.peers(p)
        self.assertEqual(first["server"], a)
        self.assertEqual(first["state"], "up")
        self.assertEqual(first["requests"], 4)
        self.assertEqual(first["responses"]["2xx"], 4)
        self.assertEqual(first["active"], 0)
        self.assertEqual(first["max_conns"], 9)
        self.assertGreater(first["received"], 4 * 10)
        self.assertGreater(first["sent"], 4 * 10)
        self.assertEqual(second["state"], "down")
        self.assertTrue(third["backup"])
        self.assertEqual(
            get(p.port(), "/status", method="POST")[0], 405)

    def test_max_conns_counts_for_all_workers(self):
        o, go = self.holding()
        (b,) = self.addresses("b")
        p = self.serve(
            f"zone app 64k; server 127.0.0.1:{o.port} max_conns=1 weight=100;"
            f"server {b} backup;", workers=4
        )
        first = Raw(p.port())
        self.addCleanup(first.close)
        first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the first request", lambda: o.requests)
        self.assertEqual(self.many(p, 12), [(200, "b")] * 12)
        self.assertEqual(self.peers(p)[0]["active"], 1)
        go.set()
        self.assertEqual(first.answer().text, "h")
        self.assertEqual(self.peers(p)[0]["active"], 0)

    def test_a_failure_counts_for_all_workers(self):
        dead = free_port()
        (a,) = self.addresses("a")
        p = self.serve(
            f"zone app 64k; server 127.0.0.1:{dead} fail_timeout=1h weight=9;"
            f"server {a};", workers=4
        )
        self.assertEqual(self.many(p, 16), [(200, "a")] * 16)
        tried = p.read("logs/access.log").count(str(dead))
        self.assertEqual(tried, 1)
        self.assertEqual(self.peers(p)[0]["state"], "unavail")
        # It is known to the workers after a reload, too.
        p.reload()
        self.assertEqual(self.many(p, 8), [(200, "a")] * 8)
        self.assertEqual(p.read("logs/access.log").count(str(dead)), 1)

    def test_what_a_dead_worker_held_is_given_back(self):
        o, go = self.holding()
        (b,) = self.addresses("b")
        p = self.serve(
            f"zone app 64k; server 127.0.0.1:{o.port} max_conns=1 weight=100;"
            f"server {b} backup;", workers=1
        )
        first = Raw(p.port())
        self.addCleanup(first.close)
        first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the first request", lambda: o.requests)
        (worker,) = p.workers()
        os.kill(worker, signal.SIGKILL)

        def free():
            try:
                return self.peers(p)[0]["active"] == 0
            except OSError:
                return False

        wait_for("a new worker", free)

    def test_a_zone_that_is_full(self):
        servers = "".join(
            f"server 127.0.0.1:{7000 + i} weight=1;" for i in range(200)
        )
        (a,) = self.addresses("a")
        p = self.serve(f"zone app 32k; server {a} weight=1000; {servers}")
        self.assertEqual(self.many(p, 4), [(200, "a")] * 4)
        self.assertEqual(len(self.peers(p)), 201)
        self.assertIn('zone "app" of upstream "app" is full', p.log())


if __name__ == "__main__":
    unittest.main()
