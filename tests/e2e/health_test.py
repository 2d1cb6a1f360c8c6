# SPDX-License-Identifier: BSD-2-Clause
"""health_check and match{}: servers that are asked whether they are well."""

import http.client
import json
import threading
import time
import unittest

from support.certificates import Authority
from support.dns import NameServer
from support.penstock import PenstockTestCase, free_port, wait_for
from support.raw import Origin

CONFIG = """
worker_processes %d;
pid logs/penstock.pid;
events { }
http {
    access_log logs/access.log;
    %s
    server {
        listen 127.0.0.1:@PORT@;
        location / { proxy_pass http://app; %s }
        location = /status { upstream_status; }
    }
}
"""


class Server:
    """An origin whose answer to checks can be changed."""

    def __init__(self, test, name, **how):
        self.name, self.checks = name, []
        self.status, self.fields, self.body = "200 OK", [], "well"
        self.origin = Origin(self.respond, **how)
        self.port = self.origin.port
        test.addCleanup(self.origin.stop)

    def respond(self, peer):
        if peer.request.target == "/":
            peer.reply(self.name)
            return False
        self.checks.append((time.monotonic(), peer.request))
        peer.reply(self.body, *self.fields, status=self.status)
        return peer.request.get("Connection") == "close"


class HealthTest(PenstockTestCase):
    def serve(self, check, upstream, http="", workers=1):
        return self.penstock(
            CONFIG % (workers, f"{http} upstream app {{ {upstream} }}", check)
        )

    def get(self, p, target="/"):
        c = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        c.request("GET", target)
        r = c.getresponse()
        body = r.read().decode()
        c.close()
        return r.status, body

    def peers(self, p):
        return json.loads(self.get(p, "/status")[1])["upstreams"]["app"]["peers"]

    def states(self, p):
        return [peer["state"] for peer in self.peers(p)]

    def pair(self):
        return Server(self, "a"), Server(self, "b")

    def test_a_sick_server_gets_nothing_until_it_is_well(self):
        a, b = self.pair()
        p = self.serve(
            "health_check interval=50ms uri=/check;",
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};",
        )
        wait_for("checks", lambda: a.checks and b.checks)
        self.assertEqual({self.get(p)[1] for _ in range(4)}, {"a", "b"})
        check = a.checks[0][1]
        self.assertEqual(check.start, "GET /check HTTP/1.1")
        self.assertEqual(check.get("Host"), "app")
        self.assertEqual(check.get("Connection"), "close")
        b.status = "500 Broken"
        wait_for("b", lambda: self.states(p) == ["up", "unhealthy"])
        self.assertEqual({self.get(p)[1] for _ in range(4)}, {"a"})
        self.assertIn(
            f"peer 127.0.0.1:{b.port} of upstream \"app\" is unhealthy: "
            "the status is not a good one",
            p.log(),
        )
        checks = self.peers(p)[1]["health_checks"]
        self.assertFalse(checks["last_passed"])
        self.assertEqual(checks["unhealthy"], 1)
        b.status = "202 Well"
        wait_for("b again", lambda: self.states(p) == ["up", "up"])
        self.assertEqual({self.get(p)[1] for _ in range(4)}, {"a", "b"})

    def test_all_are_sick(self):
        a, b = self.pair()
        a.status = b.status = "503 No"
        p = self.serve(
            "health_check interval=50ms uri=/check;",
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};",
        )
        wait_for("both", lambda: self.states(p) == ["unhealthy"] * 2)
        self.assertEqual(self.get(p)[0], 502)
        self.assertIn("no live upstreams", p.log())

    def test_fails_and_passes(self):
        a, b = self.pair()
        p = self.serve(
            "health_check interval=50ms uri=/check fails=3 passes=2;",
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};",
        )
        wait_for("checks", lambda: len(b.checks) > 1)
        b.status = "500 Broken"
        wait_for("b", lambda: self.states(p)[1] == "unhealthy")
        fails = self.peers(p)[1]["health_checks"]["fails"]
        self.assertGreaterEqual(fails, 3)
        b.status = "200 OK"
        before = len(b.checks)
        wait_for("b", lambda: self.states(p)[1] == "up")
        self.assertGreaterEqual(len(b.checks) - before, 2)

    def test_who_does_not_answer(self):
        a = Server(self, "a")
        dead = free_port()
        hang = Origin(lambda peer: threading.Event().wait(3))
        self.addCleanup(hang.stop)
        junk = Origin(lambda peer: peer.send(b"this is no HTTP\r\n\r\n") or True)
        self.addCleanup(junk.stop)
        p = self.serve(
            "health_check interval=50ms uri=/check; proxy_read_timeout 300ms;",
            "".join(
                f"server 127.0.0.1:{port};"
                for port in (a.port, dead, hang.port, junk.port)
            )
            + "server unix:/nowhere/at/all;",
        )
        wait_for(
            "all",
            lambda: self.states(p) == ["up"] + ["unhealthy"] * 4,
        )
        self.assertIn("is unhealthy: it did not answer in time", p.log())
        self.assertIn("is unhealthy: connecting failed", p.log())

    def test_match(self):
        a = Server(self, "a")
        rules = {
            "status 200 301-303;": [("status", "200 OK", "302 x"), ("status", "404 x", "300 x")],
            "status ! 500-599 404;": [("status", "403 x"), ("status", "404 x", "502 x")],
            "header X-Is = yes;": [("fields", ["X-Is: yes"]), ("fields", ["X-Is: no"], [])],
            "header X-Is != no;": [("fields", ["X-Is: yes"], []), ("fields", ["X-Is: no"])],
            "header X-Is ~ ^y;": [("fields", ["X-Is: yy"]), ("fields", ["X-Is: ny"], [])],
            "header X-Is !~ ^y;": [("fields", ["X-Is: ny"]), ("fields", ["X-Is: yy"])],
            "header X-Is;": [("fields", ["x-is: a"]), ("fields", [])],
            "header ! X-Is;": [("fields", []), ("fields", ["x-is: a"])],
            "body ~ w.ll;": [("body", "all is well"), ("body", "", "x" * 300000 + "well")],
            "body !~ w.ll;": [("body", "", "bad"), ("body", "well")],
            "status 200; header X-Is; body ~ x;": [
                ("fields", ["X-Is: 1"]), ("fields", [])],
        }
        for rule, ((what, *good), (_, *bad)) in rules.items():
            a.status, a.fields, a.body = "200 OK", [], "x"
            setattr(a, what, good[0])
            p = self.serve(
                "health_check interval=20ms uri=/check match=it;",
                f"zone app 64k; server 127.0.0.1:{a.port};",
                f"match it {{ {rule} }}",
            )
            for value in good + bad + good[:1]:
                setattr(a, what, value)
                wanted = "unhealthy" if value in bad else "up"
                wait_for(
                    f"{wanted} by {rule} for {str(value)[-30:]}",
                    lambda: self.states(p) == [wanted],
                )
            p.stop()

    def test_port(self):
        a, control = self.pair()
        p = self.serve(
            f"health_check interval=50ms uri=/check port={control.port};",
            f"server 127.0.0.1:{a.port};",
        )
        wait_for("a check", lambda: control.checks)
        control.status = "500 x"
        wait_for("a", lambda: self.states(p) == ["unhealthy"])
        self.assertFalse(a.checks)

    def test_one_worker_asks_for_all(self):
        a, b = self.pair()
        b.status = "500 x"
        p = self.serve(
            "health_check interval=200ms uri=/check;",
            f"zone app 64k; server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};",
            workers=4,
        )
        wait_for("five checks", lambda: len(a.checks) >= 6)
        first, last = a.checks[0][0], a.checks[5][0]
        self.assertGreater(last - first, 0.7)  # 4 workers would need 0.2 s
        self.assertEqual([self.get(p) for _ in range(12)], [(200, "a")] * 12)

    def test_mandatory(self):
        go = threading.Event()

        def respond(peer):
            if peer.request.target == "/check":
                go.wait(20)
            peer.reply("m")

        slow = Origin(respond)
        self.addCleanup(slow.stop)
        self.addCleanup(go.set)
        upstream = f"zone app 64k; server 127.0.0.1:{slow.port};"
        p = self.serve(
            "health_check interval=50ms uri=/check mandatory persistent;",
            upstream, workers=2,
        )
        self.assertEqual(self.states(p), ["checking"])
        self.assertEqual(self.get(p)[0], 502)
        go.set()
        wait_for("it", lambda: self.states(p) == ["up"])
        self.assertEqual(self.get(p), (200, "m"))
        # It was well: so it begins after a reload, which without
        # persistent would ask first.
        go.clear()
        p.reload()
        self.assertEqual(self.get(p), (200, "m"))
        p.configure(p.config.replace(" persistent", ""))
        p.reload()
        wait_for("the check", lambda: self.states(p) == ["checking"])
        go.set()
        wait_for("it", lambda: self.states(p) == ["up"])

    def test_addresses_that_are_resolved(self):
        a = Server(self, "a")
        b = Server(self, "b", host="127.0.0.2", port=a.port)
        b.status = "500 x"
        dns = NameServer({"app.test": ["127.0.0.1"]})
        self.addCleanup(dns.stop)
        p = self.serve(
            "health_check interval=50ms uri=/check mandatory;",
            f"server app.test:{a.port} resolve;",
            f"resolver 127.0.0.1:{dns.port} valid=100ms ipv6=off;",
        )
        wait_for("a", lambda: self.states(p) == ["up"])
        dns.names["app.test"] = ["127.0.0.1", "127.0.0.2"]
        wait_for("b", lambda: sorted(self.states(p)) == ["unhealthy", "up"])
        self.assertEqual({self.get(p)[1] for _ in range(4)}, {"a"})
        dns.names["app.test"] = ["127.0.0.2"]
        b.status = "200 OK"
        wait_for("b alone", lambda: self.states(p) == ["up"])
        wait_for("b", lambda: self.get(p) == (200, "b"))

    def test_https(self):
        ca = Authority().issue("a", "app.test").issue("b", "other.test")
        self.addCleanup(ca.remove)
        files = {
            f"conf/{n}": ca.read(n)
            for n in ("ca.pem", "a.pem", "a.key", "b.pem", "b.key")
        }
        servers = "".join(
            f"server {{ listen 127.0.0.1:@PORT{i}@ ssl; return 200 {n};"
            f"ssl_certificate {n}.pem; ssl_certificate_key {n}.key; }}"
            for i, n in ((1, "a"), (2, "b"))
        )
        p = self.penstock(
            (
                CONFIG
                % (
                    1,
                    servers + "upstream app { server 127.0.0.1:@PORT1@;"
                    " server 127.0.0.1:@PORT2@; }",
                    "health_check interval=50ms; proxy_ssl_verify on;"
                    "proxy_ssl_trusted_certificate ca.pem;"
                    "proxy_ssl_name app.test;",
                )
            ).replace("proxy_pass http:", "proxy_pass https:"),
            files=files,
        )
        wait_for("both", lambda: self.states(p) == ["up", "unhealthy"])
        wait_for("a", lambda: self.peers(p)[0].get("health_checks"))
        self.assertTrue(self.peers(p)[0]["health_checks"]["last_passed"])
        self.assertEqual({self.get(p)[1] for _ in range(4)}, {"a"})

    def test_a_reload_and_an_end_in_the_middle_of_a_check(self):
        hang = Origin(lambda peer: threading.Event().wait(1))
        self.addCleanup(hang.stop)
        p = self.serve(
            "health_check interval=20ms jitter=30ms uri=/check;",
            f"server 127.0.0.1:{hang.port};",
        )
        for n in (1, 2, 3):
            wait_for("a check", lambda: len(hang.requests) >= n)
            p.reload()


if __name__ == "__main__":
    unittest.main()
