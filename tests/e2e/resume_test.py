# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that outlive their backend: on_backend_loss, delivery, handover."""

import os
import signal
import time
import unittest

from support.gateway import ECHO, BridgeTestCase
from support.penstock import wait_for
from support.websocket import PING, PONG, TEXT, Client, Ended, encode

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
        if parent == p.pid() and ECHO.encode() in words:
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

    def test_a_pool_that_is_removed_ends_who_waits_too(self):
        p, echo = self.gateway("drain_timeout 300ms; on_backend_loss hold 1h;")
        c = self.client(p)
        self.check(c, b"x")
        self.lose(p, echo)
        p.configure(
            p.config.replace("backend echo {", "backend other {").replace(
                "websocket_pass echo", "websocket_pass other"
            )
        )
        p.reload()
        self.assertEqual(c.finish()[1], 1012)


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


    def renewed(self, p, clients, before, act):
        """Every message that is sent meanwhile is answered, once, in order."""
        act()
        sent = 0

        def done():
            nonlocal sent
            sent += 1
            for c in clients:
                self.check(c, b"%d" % sent)
            now = children(p)
            return len(now) == len(before) and not set(now) & set(before)

        wait_for("new backends", done)
        self.assertNotIn("lose their backend", p.log())
        for c in clients:
            self.check(c, b"after")

    def test_restart_moves_everybody(self):
        p = self.penstock(SPAWN % (ECHO, 2, ""))
        self.wait_ready(p, 2)
        clients = [self.client(p) for _ in range(20)]

        def restart():
            got = p.run("-s", "restart=echo")
            self.assertEqual(got.returncode, 0, got.stderr)

        self.renewed(p, clients, children(p), restart)
        self.renewed(p, clients, children(p), restart)
        got = p.run("-s", "restart=nix")
        self.assertEqual(got.returncode, 1)
        self.assertIn('there is no backend "nix" with a spawn line', got.stderr)

    def test_a_changed_spawn_line_moves_everybody(self):
        p = self.penstock(SPAWN % ("/usr/bin/env A=1 " + ECHO, 1, ""))
        self.wait_ready(p)
        clients = [self.client(p) for _ in range(10)]
        p.configure(SPAWN % ("/usr/bin/env A=2 " + ECHO, 1, ""))
        self.renewed(p, clients, children(p), p.reload)

    def test_fewer_instances_move_theirs(self):
        p = self.penstock(SPAWN % (ECHO, 3, ""))
        self.wait_ready(p, 3)
        clients = [self.client(p) for _ in range(12)]
        p.configure(SPAWN % (ECHO, 1, ""))
        p.reload()
        for k in range(20):
            for c in clients:
                self.check(c, b"%d" % k)
        wait_for("one backend", lambda: len(children(p)) == 1)
        for c in clients:
            self.check(c, b"after")
        self.assertNotIn("lose their backend", p.log())

    def test_one_that_can_not_start_leaves_the_old_one(self):
        p = self.penstock(SPAWN % (ECHO, 1, ""))
        self.wait_ready(p)
        c = self.client(p)
        p.configure(SPAWN % ("/bin/false", 1, ""))
        p.reload()
        p.wait_for_log("ended 5 times within")
        self.check(c, b"still")
        self.assertEqual(p.log().count("times within"), 1)
        before = children(p)
        p.configure(SPAWN % (ECHO, 1, ""))
        self.renewed(p, [c], before, p.reload)


DRAIN = """
user root;
worker_processes %d;
events { }
http {
    access_log off;
    websocket_drain %s;
    backend echo { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@ reuseport;
        location /ws { websocket_pass echo; }
    }
}
"""


class DrainTest(ResumeTestCase):
    def start(self, workers, drain):
        p = self.penstock(DRAIN % (workers, drain), start=False)
        self.start_echo(p)
        p.start()
        self.wait_ready(p, workers)
        return p

    def closing_times(self, clients):
        """When each was closed, with which code."""
        times, codes = [], set()
        for c in clients:
            _, code, _ = c.finish()
            times.append(time.monotonic())
            codes.add(code)
        return times, codes

    def test_websocket_drain_paces_a_stop(self):
        p = self.start(1, "rate=20/s jitter=100ms code=1012")
        clients = [self.client(p) for _ in range(20)]
        begun = time.monotonic()
        p.signal(signal.SIGQUIT)
        self.check(clients[-1], b"still")
        times, codes = self.closing_times(clients)
        self.assertEqual(codes, {1012})
        self.assertGreater(max(times) - begun, 0.8)
        self.assertEqual(p.process.wait(20), 0)

    def test_websocket_drain_is_bounded_by_worker_shutdown_timeout(self):
        p = self.start(1, "rate=1/s")
        p.configure("worker_shutdown_timeout 500ms;" + p.config)
        p.reload()
        clients = [self.client(p) for _ in range(20)]
        begun = time.monotonic()
        p.signal(signal.SIGQUIT)
        self.assertEqual(p.process.wait(20), 0)
        self.assertLess(time.monotonic() - begun, 10)
        del clients

    def test_a_worker_too_many_is_drained(self):
        p = self.start(2, "rate=1000/s")
        clients = [self.client(p) for _ in range(40)]
        p.configure(p.config.replace("worker_processes 2", "worker_processes 1"))
        p.reload()
        wait_for("one worker", lambda: len(p.workers()) == 1)
        stay = 0
        for c in clients:
            c.send(encode(TEXT, b"?"))
            try:
                self.assertEqual(c.message(), (TEXT, b"?"))
                stay += 1
            except (AssertionError, Ended, BrokenPipeError):
                pass
        self.assertGreater(stay, 0)
        self.assertLess(stay, 40)


if __name__ == "__main__":
    unittest.main()
