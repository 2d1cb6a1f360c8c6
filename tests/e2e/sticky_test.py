# SPDX-License-Identifier: BSD-2-Clause
"""sticky: who was served by one server of a group comes back to it."""

import hashlib
import http.client
import unittest

from support.dns import NameServer
from support.penstock import PenstockTestCase, free_port, wait_for
from support.raw import Origin

CONFIG = """
worker_processes 2;
pid logs/penstock.pid;
events { }
http {
    log_format s '$uri|$upstream_sticky_status|$upstream_last_server_name';
    access_log logs/access.log s;
    %s
    server {
        listen 127.0.0.1:@PORT@;
        location / { proxy_pass http://app; }
    }
}
"""


class StickyTest(PenstockTestCase):
    def origin(self, name, **how):
        def respond(peer):
            fields = []
            if peer.request.target == "/login":
                fields = [f"Set-Cookie: session=of-{name}-{len(o.requests)}"]
            peer.reply(name, *fields)

        o = Origin(respond, **how)
        self.addCleanup(o.stop)
        return o

    def serve(self, upstream, http=""):
        return self.penstock(CONFIG % (f"{http} upstream app {{ {upstream} }}"))

    def get(self, p, target="/", **headers):
        c = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        c.request("GET", target, headers=headers)
        r = c.getresponse()
        body = r.read().decode()
        cookies = r.headers.get_all("Set-Cookie") or []
        c.close()
        return body, cookies

    def log(self, p, n):
        return wait_for(
            "the log",
            lambda: len(p.read("logs/access.log").splitlines()) >= n
            and p.read("logs/access.log").splitlines(),
        )

    def test_cookie(self):
        a, b = self.origin("a"), self.origin("b")
        p = self.serve(
            f"zone app 64k; sticky cookie srv expires=1h domain=.example.com httponly secure"
            f" samesite=lax path=/;"
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port} route=bee;"
        )
        seen = {}
        for _ in range(2):
            body, (cookie,) = self.get(p)
            seen[body] = cookie
        md5 = hashlib.md5(f"127.0.0.1:{a.port}".encode()).hexdigest()
        self.assertRegex(
            seen["a"],
            f"^srv={md5}; expires=.* GMT; max-age=3600; domain=.example.com; "
            "path=/; httponly; secure; samesite=lax$",
        )
        self.assertTrue(seen["b"].startswith("srv=bee; "))
        for _ in range(5):
            self.assertEqual(self.get(p, Cookie="x=y; srv=bee"), ("b", []))
            self.assertEqual(self.get(p, Cookie=f"srv={md5}"), ("a", []))
        body, cookies = self.get(p, "/miss", Cookie="srv=nobody")
        self.assertEqual(len(cookies), 1)
        lines = self.log(p, 13)
        self.assertTrue(lines[0].startswith("/|NEW|127.0.0.1:"))
        self.assertIn(f"/|HIT|127.0.0.1:{b.port}", lines)
        self.assertTrue(lines[-1].startswith("/miss|MISS|"))

    def test_a_server_that_fails_is_left(self):
        a = self.origin("a")
        dead = free_port()
        p = self.serve(
            f"sticky cookie srv; server 127.0.0.1:{a.port};"
            f"server 127.0.0.1:{dead} route=d;"
        )
        body, (cookie,) = self.get(p, Cookie="srv=d")
        self.assertEqual(body, "a")
        self.assertNotIn("srv=d;", cookie)
        # It rests now, and is not even tried.
        body, (cookie,) = self.get(p, Cookie="srv=d")
        self.assertEqual(body, "a")

    def test_drain(self):
        a, b = self.origin("a"), self.origin("b")
        p = self.serve(
            f"sticky cookie srv; server 127.0.0.1:{a.port};"
            f"server 127.0.0.1:{b.port} route=b drain;"
        )
        for _ in range(4):
            self.assertEqual(self.get(p)[0], "a")
        self.assertEqual(self.get(p, Cookie="srv=b"), ("b", []))

    def test_route(self):
        a, b = self.origin("a"), self.origin("b")
        p = self.serve(
            "sticky route $from_cookie $arg_route;"
            f"server 127.0.0.1:{a.port} route=a; server 127.0.0.1:{b.port} route=b;",
            "map $cookie_jsessionid $from_cookie { ~\\.(?<r>\\w+)$ $r; }",
        )
        for _ in range(4):
            self.assertEqual(self.get(p, "/?route=b")[0], "b")
            self.assertEqual(
                self.get(p, "/?route=b", Cookie="jsessionid=xyz.a")[0], "a"
            )
        self.assertEqual(self.get(p)[1], [])

    def test_learn(self):
        a, b = self.origin("a"), self.origin("b")
        p = self.serve(
            "zone app 64k; sticky learn create=$upstream_cookie_session"
            " lookup=$cookie_session zone=sessions:64k timeout=1h;"
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};"
        )
        sessions = {}
        for _ in range(4):
            body, (cookie,) = self.get(p, "/login")
            sessions[cookie.split("=", 1)[1]] = body
        self.assertEqual(set(sessions.values()), {"a", "b"})
        for _ in range(3):
            for session, name in sessions.items():
                self.assertEqual(self.get(p, Cookie=f"session={session}")[0], name)
        p.reload()
        for session, name in sessions.items():
            self.assertEqual(self.get(p, Cookie=f"session={session}")[0], name)
        self.assertEqual(
            {self.get(p, Cookie="session=stranger")[0] for _ in range(12)},
            {"a", "b"},
        )

    def test_learn_forgets_the_oldest(self):
        a, b = self.origin("a"), self.origin("b")
        p = self.serve(
            "sticky learn create=$arg_s lookup=$arg_l zone=sessions:32k;"
            f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};"
        )
        c = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        for i in range(600):
            c.request("GET", f"/?s={'x' * 100}{i}")
            last = c.getresponse().read().decode()
        c.close()
        for _ in range(3):
            self.assertEqual(self.get(p, f"/?l={'x' * 100}599")[0], last)
        self.get(p, "/gone?l=" + "x" * 100 + "0")
        self.get(p, "/long?l=" + "x" * 1000)
        lines = self.log(p, 605)
        self.assertTrue(lines[-2].startswith("/gone|MISS"), lines[-2])
        self.assertTrue(lines[-1].startswith("/long|MISS"), lines[-1])

    def test_addresses_that_are_resolved(self):
        a = self.origin("a")
        b = self.origin("b", host="127.0.0.2", port=a.port)
        dns = NameServer({"app.test": ["127.0.0.1", "127.0.0.2"]})
        self.addCleanup(dns.stop)
        p = self.serve(
            f"sticky cookie srv; server app.test:{a.port} resolve;",
            f"resolver 127.0.0.1:{dns.port} ipv6=off;",
        )
        md5 = hashlib.md5(f"127.0.0.2:{b.port}".encode()).hexdigest()
        for _ in range(4):
            self.assertEqual(self.get(p, Cookie=f"srv={md5}"), ("b", []))


if __name__ == "__main__":
    unittest.main()
