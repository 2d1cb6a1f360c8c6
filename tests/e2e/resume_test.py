# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that outlive their backend: on_backend_loss, delivery, handover."""

import os
import signal
import unittest

from support.gateway import ECHO, BridgeTestCase
from support.penstock import wait_for
from support.websocket import PING, PONG, TEXT, Client, encode

SPAWN = """
user root;
events { }
http {
    access_log off;
    backend echo { spawn %s instances=%d; %s }
    server {
        listen 127.0.0.1:@PORT@;
        location /ws { websocket_pass echo; }
    }
}
"""


def children(p):
    """Backends of the master, by pid."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == p.pid() and words.startswith(ECHO.encode()):
            found.append(int(pid))
    return sorted(found)


class ResumeTestCase(BridgeTestCase):
    def client(self, p):
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101, c.head)
        return c

    def check(self, c, text):
        c.send(encode(TEXT, text))
        self.assertEqual(c.message(), (TEXT, text))

    def check_ping(self, c):
        c.send(encode(PING, b"?"))
        self.assertEqual(c.frame(), (0x80 | PONG, b"?"))

    def lose(self, p, process, times=1):
        process.kill()
        process.wait()
        wait_for(
            "the loss", lambda: p.log().count("lose their backend") >= times
        )

    def assert_quiet(self, p):
        self.assertNotIn("[alert]", p.log())


class LossTest(ResumeTestCase):
    def test_on_backend_loss_hold(self):
        p, echo = self.gateway()
        clients = [self.client(p) for _ in range(20)]
        for i, c in enumerate(clients):
            self.check(c, b"before %d" % i)
        for times in range(1, 4):
            self.lose(p, echo, times)
            for i, c in enumerate(clients):
                c.send(encode(TEXT, b"kept %d" % i), encode(TEXT, b"too"))
            self.check_ping(clients[0])
            echo = self.start_echo(p)
            for i, c in enumerate(clients):
                self.assertEqual(c.message(), (TEXT, b"kept %d" % i))
                self.assertEqual(c.message(), (TEXT, b"too"))
                self.check(c, b"after %d" % i)

    def test_on_backend_loss_hold_ends(self):
        p, echo = self.gateway("on_backend_loss hold 200ms;")
        c = self.client(p)
        self.check(c, b"x")
        self.lose(p, echo)
        self.assertEqual(c.finish()[1], 1012)
        p.wait_for_log("no backend took over 1 sessions")

    def test_on_backend_loss_close(self):
        p, echo = self.gateway("on_backend_loss close 4321;")
        c = self.client(p)
        self.check(c, b"x")
        self.lose(p, echo)
        self.assertEqual(c.finish()[1], 4321)

    def pair(self, backend):
        """A client on the first of two echo processes."""
        p, first = self.gateway(backend)
        c = self.client(p)
        self.check(c, b"x")
        p.configure(
            p.config.replace(
                "server unix:@PREFIX@/echo.sock;",
                "server unix:@PREFIX@/echo.sock; server unix:@PREFIX@/b.sock;",
            )
        )
        second = self.start_echo(p, "b.sock")
        p.reload()
        self.wait_ready(p, 2)
        return p, c, first, second

    def test_on_backend_loss_any_and_reassign(self):
        for backend in ("on_backend_loss hold 10s any;", "on_backend_loss reassign;"):
            with self.subTest(backend=backend):
                p, c, first, _ = self.pair(backend)
                self.lose(p, first)
                self.check(c, b"elsewhere")

    def test_a_backend_that_stops_hands_over(self):
        p, c, first, _ = self.pair("")
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(20), 0)
        self.check(c, b"elsewhere")
        self.assertNotIn("lose their backend", p.log())

    def test_a_reload_hands_over_what_it_removes(self):
        p, c, first, _ = self.pair("")
        p.configure(p.config.replace("server unix:@PREFIX@/echo.sock;", ""))
        p.reload()
        p.wait_for_log("1 sessions go on here")
        self.check(c, b"elsewhere")
        p.wait_for_log("link closed: drained")
        first.kill()
        first.wait()
        self.check(c, b"still")

    def test_a_pool_that_is_removed_drains(self):
        p, echo = self.gateway("drain_timeout 300ms;")
        c = self.client(p)
        self.check(c, b"x")
        p.configure(
            p.config.replace("backend echo {", "backend other {").replace(
                "websocket_pass echo", "websocket_pass other"
            )
        )
        p.reload()
        self.check(c, b"drains")
        self.assertIn(c.finish()[1], (1001, 1012))


class SpawnTest(ResumeTestCase):
    def test_spawned_backends_are_killed_and_come_back(self):
        p = self.penstock(SPAWN % (ECHO, 2, "delivery at_least_once;"))
        self.wait_ready(p, 2)
        clients = [self.client(p) for _ in range(20)]
        for times in range(3):
            for pid in wait_for("two backends", lambda: len(children(p)) == 2 and children(p)):
                os.kill(pid, signal.SIGKILL)
            for i, c in enumerate(clients):
                text = b"%d %d" % (times, i)
                c.send(encode(TEXT, text))
                # What was echoed and not yet acknowledged comes again.
                while (got := c.message()) != (TEXT, text):
                    self.assertIn(got[1], [b"%d %d" % (k, i) for k in range(times)])
        self.assertNotIn("took over", p.log())


if __name__ == "__main__":
    unittest.main()
