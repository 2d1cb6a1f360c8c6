# SPDX-License-Identifier: BSD-2-Clause
"""resolver: names that become addresses while requests wait."""

import http.client
import threading
import time
import unittest

from support.dns import A, AAAA, NameServer
from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, wait_for
from support.raw import Origin, Raw

CONFIG = """
pid logs/penstock.pid;
events { }
http {
    log_format up '$request_uri|$upstream_addr|$upstream_status|$status';
    access_log logs/access.log up;
    %s
    server { listen 127.0.0.1:@PORT@; %s }
}
"""


def show(peer):
    m = peer.request
    peer.reply(f"{m.start}|{m.get('Host')}|{m.text}")


def get(port, target, method="GET", body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request(method, target, body=body)
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    return r.status, text


class Dns:
    def setUp(self):
        super().setUp()
        self.dns = NameServer({})
        self.addCleanup(self.dns.stop)

    def origin(self, respond=show, **how):
        o = Origin(respond, **how)
        self.addCleanup(o.stop)
        return o


class LikeNginxTest(Dns, CompareTestCase):
    def test_proxy_pass_with_variables(self):
        o = self.origin()
        self.dns.names["app.test"] = ["127.0.0.1"]
        both = self.both(
            f"resolver 127.0.0.1:{self.dns.port} ipv6=off;"
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            f"location / {{ proxy_pass http://$arg_h:{o.port}; }}"
            f"location /uri {{ proxy_pass http://$arg_h:{o.port}/other?a=b; }}"
            f"location /body {{ proxy_set_body set; proxy_pass http://$arg_h:{o.port}; }}"
        )
        for target in (
            "/?h=app.test", "/a%20b?h=APP.test", "/uri?h=app.test",
            "/?h=none.test", "/?h=127.0.0.1", "/body?h=app.test",
            "/?h=localhost..test", "/?h=",
        ):
            both.same(target)
        self.dns.rcode = 5
        both.same("/?h=refused.test")

    def test_without_a_resolver(self):
        both = self.both("location / { proxy_pass http://$arg_h; }")
        both.same("/?h=app.test")
        both.ours.log()
        self.assertIn("no resolver defined to resolve app.test", both.ours.log())


class ResolverTest(Dns, PenstockTestCase):
    def serve(self, server, http=""):
        return self.penstock(
            CONFIG
            % (
                f"resolver 127.0.0.1:{self.dns.port} ipv6=off; {http}",
                server,
            )
        )

    def test_answers_are_kept_for_their_ttl(self):
        o = self.origin()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(f"location / {{ proxy_pass http://$arg_h:{o.port}; }}")
        for _ in range(3):
            self.assertEqual(get(p.port(), "/?h=app.test")[0], 200)
        self.assertEqual(self.dns.asked("app.test"), 1)
        self.assertEqual(self.dns.asked("app.test", AAAA), 0)
        self.dns.ttl = 0
        self.dns.names["now.test"] = ["127.0.0.1"]
        for _ in range(3):
            self.assertEqual(get(p.port(), "/?h=now.test")[0], 200)
        self.assertEqual(self.dns.asked("now.test"), 3)

    def test_valid_is_instead_of_the_ttl(self):
        o = self.origin()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(
            f"resolver 127.0.0.1:{self.dns.port} valid=100ms ipv6=off;"
            f"location / {{ proxy_pass http://$arg_h:{o.port}; }}"
        )
        get(p.port(), "/?h=app.test")
        time.sleep(0.15)
        get(p.port(), "/?h=app.test")
        self.assertEqual(self.dns.asked("app.test"), 2)

    def test_all_addresses_are_tried(self):
        o = self.origin()
        self.dns.names["app.test"] = ["127.0.0.9", "127.0.0.1"]
        p = self.serve(f"location / {{ proxy_pass http://$arg_h:{o.port}; }}")
        for _ in range(8):
            self.assertEqual(get(p.port(), "/?h=app.test")[0], 200)
        log = p.read("logs/access.log")
        self.assertIn(f"127.0.0.9:{o.port}, 127.0.0.1:{o.port}|502, 200|200", log)

    def test_ipv6(self):
        six = self.origin(host="::1")
        self.dns.names["six.test"] = ["::1"]
        p = self.penstock(
            CONFIG
            % (
                f"resolver 127.0.0.1:{self.dns.port} ipv4=off;",
                f"location / {{ proxy_pass http://$arg_h:{six.port}; }}",
            )
        )
        self.assertEqual(get(p.port(), "/?h=six.test")[0], 200)
        self.assertEqual(self.dns.asked("six.test", A), 0)

    def test_a_body_that_comes_meanwhile(self):
        o = self.origin()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(f"location / {{ proxy_pass http://$arg_h:{o.port}; }}")
        body = b"x" * 100000
        status, text = get(p.port(), "/?h=app.test", "POST", body)
        self.assertEqual(status, 200)
        self.assertTrue(text.endswith("|" + body.decode()))

    def test_resolver_timeout(self):
        self.dns.silent = True
        p = self.serve(
            "resolver_timeout 200ms;"
            "location / { proxy_pass http://$arg_h:1; }"
        )
        self.assertEqual(get(p.port(), "/?h=slow.test")[0], 502)
        self.assertIn(
            "slow.test could not be resolved (110: Operation timed out)", p.log()
        )

    def test_a_client_that_leaves_meanwhile(self):
        self.dns.silent = True
        p = self.serve("location / { proxy_pass http://$arg_h:1; }")
        s = Raw(p.port())
        s.send("GET /?h=slow.test HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the question", lambda: self.dns.asked("slow.test"))
        s.close()
        wait_for("the log line", lambda: "499" in p.read("logs/access.log"))

    def test_a_reload_while_a_name_is_asked_for(self):
        self.dns.silent = True
        p = self.serve(
            "resolver_timeout 1s; location / { proxy_pass http://$arg_h:1; }"
        )
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send("GET /?h=slow.test HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the question", lambda: self.dns.asked("slow.test"))
        p.reload()
        self.assertEqual(s.answer().status, 502)


class ServerTest(Dns, PenstockTestCase):
    """server NAME resolve: addresses that change."""

    def named(self, name, **how):
        return self.origin(lambda peer: peer.reply(name), **how)

    def serve(self, upstream, http="", workers=1):
        return self.penstock(
            f"worker_processes {workers};"
            + CONFIG
            % (
                f"resolver 127.0.0.1:{self.dns.port} valid=100ms ipv6=off;"
                f"{http} upstream app {{ {upstream} }}",
                "location / { proxy_pass http://app; }"
                "location /status { upstream_status; }",
            )
        )

    def pair(self):
        """Two origins on one port, at 127.0.0.1 and 127.0.0.2."""
        a = self.named("a")
        b = self.named("b", host="127.0.0.2", port=a.port)
        return a.port

    def who(self, p):
        return get(p.port(), "/")

    def test_addresses_come_and_go(self):
        port = self.pair()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(
            f"server app.test:{port} resolve;", "resolver_timeout 300ms;"
        )
        self.assertEqual(self.who(p), (200, "a"))
        self.dns.names["app.test"] = ["127.0.0.2"]
        wait_for("the new address", lambda: self.who(p) == (200, "b"))
        for _ in range(4):
            self.assertEqual(self.who(p), (200, "b"))
        self.dns.names["app.test"] = ["127.0.0.2", "127.0.0.1"]
        wait_for("both", lambda: self.who(p) == (200, "a"))
        self.assertEqual(
            {self.who(p)[1] for _ in range(4)}, {"a", "b"}
        )
        # A name that is gone has no servers; a silent server says nothing.
        del self.dns.names["app.test"]
        wait_for("nobody", lambda: self.who(p)[0] == 502)
        self.assertIn("could not be resolved (3: Host not found)", p.log())
        self.dns.names["app.test"] = ["127.0.0.1"]
        wait_for("it again", lambda: self.who(p) == (200, "a"))

    def test_a_server_without_an_answer_stays(self):
        port = self.pair()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(
            f"server app.test:{port} resolve;", "resolver_timeout 200ms;"
        )
        self.assertEqual(self.who(p), (200, "a"))
        self.dns.silent = True
        wait_for("the log line", lambda: "110: Operation timed out" in p.log())
        self.assertEqual(self.who(p), (200, "a"))

    def test_a_request_goes_on_while_its_address_goes(self):
        gate = threading.Event()

        def slowly(peer):
            gate.wait(20)
            peer.reply("a")

        a = self.origin(slowly)
        self.addCleanup(gate.set)
        self.named("b", host="127.0.0.2", port=a.port)
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(f"zone app 64k; server app.test:{a.port} resolve;")
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the request", lambda: a.requests)
        self.dns.names["app.test"] = ["127.0.0.2"]
        wait_for(
            "the new address",
            lambda: f"127.0.0.1:{a.port}" not in get(p.port(), "/status")[1],
        )
        self.assertEqual(self.who(p), (200, "b"))
        gate.set()
        self.assertEqual(s.answer().text, "a")
        wait_for(
            "its log line",
            lambda: f"/slow|127.0.0.1:{a.port}|200|200"
            in p.read("logs/access.log"),
        )

    def test_hash_consistent_keeps_its_keys(self):
        port = self.pair()
        self.dns.names["one.test"] = ["127.0.0.1"]
        self.dns.names["two.test"] = ["127.0.0.2"]
        p = self.serve(
            "hash $arg_k consistent;"
            f"server one.test:{port} resolve; server two.test:{port} resolve;"
        )
        self.assertEqual(
            {get(p.port(), f"/?k={i}")[1] for i in range(30)}, {"a", "b"}
        )

    def test_a_reload_keeps_what_is_known(self):
        port = self.pair()
        self.dns.names["app.test"] = ["127.0.0.1"]
        p = self.serve(f"zone app 64k; server app.test:{port} resolve;", workers=2)
        self.assertEqual(self.who(p), (200, "a"))
        self.dns.silent = True
        p.reload()
        for _ in range(4):
            self.assertEqual(self.who(p), (200, "a"))

    def test_a_first_request_waits_for_the_first_answer(self):
        port = self.pair()
        self.dns.silent = True
        p = self.serve(f"server app.test:{port} resolve;")
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the question", lambda: self.dns.asked("app.test"))
        self.dns.names["app.test"] = ["127.0.0.2"]
        self.dns.silent = False  # it is asked again after 2 s
        self.assertEqual(s.answer().text, "b")


if __name__ == "__main__":
    unittest.main()
