# SPDX-License-Identifier: BSD-2-Clause
"""The process contract: options, signals, pid file, reload, restarts."""

import http.client
import os
import random
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.request

from support.penstock import BINARY, PenstockTestCase, wait_for

ONE = """
worker_processes 1;
events { worker_connections 200; }
http {
    server {
        listen 127.0.0.1:@PORT@;
        location / { return 200 one; }
    }
}
"""
TWO = ONE.replace("200 one", "200 two").replace("processes 1", "processes 2")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Connection(http.client.HTTPConnection):
    """Over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class OptionsTest(PenstockTestCase):
    def test_good_configuration_is_reported_as_nginx_does(self):
        p = self.penstock(ONE, start=False)
        path = p.path("conf/penstock.conf")
        got = p.run("-t")
        self.assertEqual(got.returncode, 0)
        self.assertEqual(got.stdout, "")
        self.assertEqual(
            got.stderr,
            f"penstock: the configuration file {path} syntax is ok\n"
            f"penstock: configuration file {path} test is successful\n",
        )
        quiet = p.run("-tq")
        self.assertEqual((quiet.returncode, quiet.stderr), (0, ""))
        self.assertIsNone(p.pid())

    def test_dump_goes_to_stdout(self):
        p = self.penstock(ONE, start=False)
        got = p.run("-T")
        self.assertEqual(got.returncode, 0)
        self.assertIn("# configuration file ", got.stdout)
        self.assertIn("return 200 one", got.stdout)

    def test_bad_configurations_name_file_and_line(self):
        p = self.penstock("events {}\nfoo bar;\n", start=False)
        path = p.path("conf/penstock.conf")
        why = f'penstock: [emerg] unknown directive "foo" in {path}:2\n'
        got = p.run("-t")
        self.assertEqual(got.returncode, 1)
        self.assertEqual(
            got.stderr,
            why + f"penstock: configuration file {path} test failed\n",
        )
        started = p.run("-g", "daemon off;")
        self.assertEqual((started.returncode, started.stderr), (1, why))
        self.assertIsNone(p.pid())

    def test_bad_settings_are_refused_or_warned_of(self):
        for text, words in (
            ("worker_processes 0;", 'invalid value "0"'),
            ("worker_reload replace;", "not supported"),
            ("user no-such-user;", "getpwnam"),
            ("events { use kqueue; }", 'only "epoll"'),
            ("worker_priority 99;", "invalid worker priority"),
        ):
            got = self.penstock(text, start=False).run("-t")
            if text.startswith("user") and os.geteuid() != 0:
                continue
            self.assertEqual(got.returncode, 1, text)
            self.assertIn(words, got.stderr)
        for text in (
            "load_module modules/x.so;",
            "events { accept_mutex on; }",
            "timer_resolution 100ms;",
            "worker_cpu_affinity auto;",
        ):
            got = self.penstock(text, start=False).run("-t")
            self.assertEqual(got.returncode, 0, text + got.stderr)
            self.assertIn("penstock: [warn] ", got.stderr)

    def test_options_that_are_wrong(self):
        for args, words in (
            (["-x"], 'penstock: invalid option: "x"\n'),
            (["foo"], 'penstock: invalid option: "foo"\n'),
            (["-s", "foo"], 'penstock: invalid option: "-s foo"\n'),
            (["-c"], 'penstock: option "-c" requires file name\n'),
            (["-p"], 'penstock: option "-p" requires directory name\n'),
            (["-s"], 'penstock: option "-s" requires parameter\n'),
        ):
            got = subprocess.run(
                [BINARY, *args], capture_output=True, text=True, timeout=20
            )
            self.assertEqual((got.returncode, got.stderr), (1, words))

    def test_version_and_reference(self):
        got = subprocess.run(
            [BINARY, "-V"], capture_output=True, text=True, timeout=20
        )
        self.assertEqual(got.returncode, 0)
        self.assertRegex(
            got.stderr, r"^penstock version: penstock/\d+\.\d+\.\d+\n"
        )
        self.assertIn("configure arguments: --prefix=/", got.stderr)
        got = subprocess.run(
            [BINARY, "--directives"], capture_output=True, text=True, timeout=20
        )
        self.assertEqual(got.returncode, 0)
        for name in ("worker_processes", "proxy_pass", "websocket_pass"):
            self.assertIn(name, got.stdout)

    def test_signals_by_option(self):
        p = self.penstock(ONE)
        self.assertEqual(p.run("-s", "reload").returncode, 0)
        p.wait_for_log("all workers run generation 2")
        self.assertEqual(p.run("-s", "quit").returncode, 0)
        self.assertEqual(p.process.wait(20), 0)
        self.assertIsNone(p.pid())
        got = p.run("-s", "stop")
        self.assertEqual(got.returncode, 1)
        self.assertIn("penstock: [error] open() ", got.stderr)


class StartTest(PenstockTestCase):
    def test_pid_file_holds_the_started_process(self):
        p = self.penstock(ONE)
        self.assertEqual(p.pid(), p.process.pid)
        self.assertEqual(get(p.url()), "one")
        p.stop(signal.SIGTERM)
        self.assertIsNone(p.pid())

    def test_a_port_in_use_is_a_named_failure_without_pid_file(self):
        p = self.penstock(ONE, start=False)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", p.port()))
            taken.listen()
            # A port in use is no fault of the configuration.
            self.assertEqual(p.run("-t").returncode, 0)
            got = p.run("-g", "daemon off;")
        self.assertEqual(got.returncode, 1)
        self.assertIn(
            f"penstock: [emerg] bind() to 127.0.0.1:{p.port()} failed (98: ",
            got.stderr,
        )
        self.assertIsNone(p.pid())

    def test_daemon_is_up_when_the_command_returns(self):
        p = self.penstock(ONE, start=False, daemon=True)
        p.start()
        self.assertEqual(p.process.wait(20), 0)
        self.assertNotEqual(p.pid(), p.process.pid)
        self.assertEqual(get(p.url()), "one")

    def test_closed_descriptor_2_is_survived(self):
        p = self.penstock(ONE, start=False)
        command = p.command("-g", "daemon off; error_log logs/error.log info;")
        p.process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *command]
        )
        wait_for("the pid file", p.is_up)
        self.assertEqual(get(p.url()), "one")
        self.assertTrue(
            os.readlink(f"/proc/{p.pid()}/fd/2").endswith("logs/error.log")
        )

    def test_workers_are_not_the_super_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs the super-user")
        p = self.penstock(ONE)
        (worker,) = wait_for("a worker", p.workers)

        def user():
            with open(f"/proc/{worker}/status") as f:
                return f.read().partition("Uid:\t")[2].split()[:4]

        wait_for("its user", lambda: "0" not in user())

    def test_an_ordinary_user_is_warned_of_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs the super-user to become another")
        p = self.penstock("user root;\n" + ONE, start=False)
        for name in (".", "conf", "logs"):
            os.chown(p.path(name), 65534, 65534)
        got = subprocess.run(
            p.command("-t"), user=65534, group=65534,
            capture_output=True, text=True, timeout=20,
        )
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertIn('[warn] the "user" directive makes sense', got.stderr)


def free_range(n):
    """The first of n free ports in a row, below those the kernel gives to
    connections (ip_local_port_range)."""
    for base in random.sample(range(20000, 30000), 100):
        sockets = []
        try:
            for port in range(base, base + n):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            pass
        finally:
            for s in sockets:
                s.close()
    raise AssertionError(f"no {n} free ports in a row")


class ListenTest(PenstockTestCase):
    def test_unix_ipv6_and_port_ranges(self):
        p = self.penstock(
            """
            http { server {
                listen unix:@PREFIX@/http.sock;
                listen [::1]:@PORT@;
                location / { return 200 $server_port; } } }
            """,
            start=False,
        )
        base = free_range(3)
        p.configure(
            p.config.replace(
                "listen unix", f"listen 127.0.0.1:{base}-{base + 2}; listen unix"
            )
        )
        p.start()
        c = Connection(p.path("http.sock"))
        c.request("GET", "/")
        self.assertEqual(c.getresponse().status, 200)
        c.close()
        self.assertEqual(
            os.stat(p.path("http.sock")).st_mode & 0o777, 0o666
        )
        get(f"http://[::1]:{p.port()}/")
        for port in range(base, base + 3):
            self.assertEqual(get(f"http://127.0.0.1:{port}/"), str(port))
        p.reload()
        get(f"http://[::1]:{p.port()}/")
        p.stop(signal.SIGQUIT)
        self.assertFalse(os.path.exists(p.path("http.sock")))

    def test_a_stale_socket_is_replaced_and_a_file_is_not(self):
        text = """http { server { listen unix:@PREFIX@/s;
            location / { return 200 hi; } } }"""
        p = self.penstock(text, start=False)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(p.path("s"))
        p.start()
        p.stop()
        p.write("s", "precious")
        got = p.run("-g", "daemon off;")
        self.assertEqual(got.returncode, 1)
        self.assertIn("not a socket", got.stderr)
        self.assertEqual(p.read("s"), "precious")

    def test_reuseport_gives_each_worker_a_socket(self):
        p = self.penstock(
            TWO.replace("@PORT@;", "@PORT@ reuseport;", 1)
        )
        for _ in range(20):
            self.assertEqual(get(p.url()), "two")
        p.reload()
        for _ in range(20):
            self.assertEqual(get(p.url()), "two")


class ReloadTest(PenstockTestCase):
    def test_good_and_bad_reloads(self):
        p = self.penstock(ONE)
        workers = wait_for("a worker", p.workers)
        p.configure(TWO)
        p.reload()
        self.assertEqual(get(p.url()), "two")
        self.assertLess(set(workers), set(wait_for(
            "two workers",
            lambda: p.workers() if len(p.workers()) == 2 else None)))

        p.configure("http { server { nonsense; } }")
        p.signal(signal.SIGHUP)
        p.wait_for_log('[emerg] ')
        self.assertIn('unknown directive "nonsense" in ', p.log())
        self.assertEqual(get(p.url()), "two")

        p.configure(ONE)
        p.reload()
        self.assertEqual(get(p.url()), "one")
        wait_for("the other worker's end", lambda: len(p.workers()) == 1)

    def test_addresses_come_and_go(self):
        p = self.penstock(ONE)
        first = p.url()
        p.configure(ONE.replace("@PORT@", "@PORT1@"))
        p.reload()
        self.assertEqual(get(p.url(name="PORT1")), "one")
        with self.assertRaises(OSError):
            get(first)

    def test_many_reloads_neither_leak_nor_refuse(self):
        p = self.penstock(TWO)
        wait_for("the workers", lambda: len(p.workers()) == 2)
        get(p.url())
        p.reload()
        pids = [p.pid(), *p.workers()]
        before = [descriptors(pid) for pid in pids]
        failures, done = [], threading.Event()

        def ask():
            while not done.is_set():
                try:
                    get(p.url())
                except OSError as e:
                    failures.append(e)

        asker = threading.Thread(target=ask)
        asker.start()
        for _ in range(100):
            p.signal(signal.SIGHUP)
            time.sleep(0.05)
        p.reload()
        done.set()
        asker.join()
        self.assertEqual(failures, [])
        self.assertEqual([p.pid(), *p.workers()], pids)

        def settled():
            return all(
                descriptors(pid) <= was + 1 for pid, was in zip(pids, before)
            )

        wait_for("the descriptors", settled)

    def test_logs_are_reopened(self):
        p = self.penstock(ONE.replace(
            "http {", "http { access_log logs/access.log;"))
        get(p.url("/before"))
        wait_for("the line", lambda: "/before" in p.log("logs/access.log"))
        for name in ("access", "error"):
            os.rename(p.path(f"logs/{name}.log"), p.path(f"logs/{name}.old"))
        p.signal(signal.SIGUSR1)

        def moved():
            get(p.url("/after"))
            return "/after" in p.log("logs/access.log")

        wait_for("lines in the new file", moved)
        p.reload()
        self.assertIn("reconfiguring", p.log())
        # A request that raced the reopening may be in the old one.
        self.assertIn("/before", p.log("logs/access.old"))


class WorkerTest(PenstockTestCase):
    def test_a_killed_worker_is_replaced_and_named(self):
        p = self.penstock(ONE)
        (worker,) = wait_for("a worker", p.workers)
        os.kill(worker, signal.SIGKILL)
        p.wait_for_log(f"worker process {worker} exited on signal 9")
        (other,) = wait_for("another", p.workers)
        self.assertNotEqual(worker, other)
        self.assertEqual(get(p.url()), "one")

    def test_workers_retire_when_their_master_is_killed(self):
        p = self.penstock(ONE)
        (worker,) = wait_for("a worker", p.workers)
        p.process.kill()
        p.process.wait()
        p.process = None

        def refused():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", p.port())) != 0

        wait_for("a free port", refused)
        p.wait_for_log(f"{worker}#0: exit")

    def test_quit_waits_for_a_request_and_closes_idle_connections(self):
        upstream = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(upstream.close)
        p = self.penstock(ONE.replace(
            "location /",
            "location /slow { proxy_pass http://127.0.0.1:%d; } location /"
            % upstream.getsockname()[1]))
        (worker,) = wait_for("a worker", p.workers)
        idle = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=10)
        idle.request("GET", "/")
        self.assertEqual(idle.getresponse().read(), b"one")
        slow = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        slow.request("GET", "/slow")
        behind, _ = upstream.accept()
        self.addCleanup(behind.close)
        behind.recv(10000)
        p.signal(signal.SIGQUIT)
        self.assertEqual(idle.sock.recv(1), b"")
        idle.close()
        behind.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        self.assertEqual(slow.getresponse().read(), b"late")
        slow.close()
        self.assertEqual(p.process.wait(20), 0)
        self.assertIsNone(p.pid())
        self.assertIn(f"worker process {worker} exited with code 0", p.log())
        self.assertNotIn("[alert]", p.log())

    def test_shutdown_timeout_and_impatience(self):
        for how in ("timeout", "term"):
            p = self.penstock("worker_shutdown_timeout %s;" % (
                "1s" if how == "timeout" else "1h") + ONE)
            wait_for("a worker", p.workers)
            with socket.create_connection(("127.0.0.1", p.port())) as half:
                half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
                time.sleep(0.3)
                p.signal(signal.SIGQUIT)
                if how == "term":
                    p.signal(signal.SIGTERM)
                self.assertEqual(p.process.wait(15), 0)


SPAWN = ONE.replace(
    "server {",
    "backend app { spawn @PREFIX@/app one instances=2; } server {", 1)
APP = """#!/bin/sh
echo "$1 $LISTEN_FDS $PENSTOCK_SOCKET" >> @PREFIX@/run.txt
test "$LISTEN_PID" = $$ || echo "wrong LISTEN_PID" >> @PREFIX@/run.txt
test -S /proc/self/fd/3 || echo "no socket" >> @PREFIX@/run.txt
test "$1" = crash && exit 7
echo "hello from a backend"
exec sleep 1000
"""


class SpawnTest(PenstockTestCase):
    def app(self, config=SPAWN):
        p = self.penstock(config, start=False, files={"app": APP})
        os.chmod(p.path("app"), 0o755)
        p.write("run.txt", "")
        os.chmod(p.path("run.txt"), 0o666)
        return p.start()

    def test_instances_get_a_socket_each_and_end_with_the_master(self):
        p = self.app()
        wait_for("both", lambda: p.read("run.txt").count("\n") >= 2)
        self.assertEqual(
            sorted(p.read("run.txt").splitlines()),
            [f"one 1 {p.path('run')}/app.0.{i}.sock" for i in (0, 1)],
        )
        p.wait_for_log("hello from a backend")
        p.stop(signal.SIGQUIT)
        self.assertEqual(os.listdir(p.path("run")), [])
        self.assertEqual(p.log().count("start backend process"), 2)
        self.assertEqual(p.log().count("exited on signal 15"), 2)

    def test_a_reload_restarts_only_what_changed(self):
        p = self.app()
        wait_for("both", lambda: p.read("run.txt").count("\n") >= 2)
        p.reload()
        self.assertEqual(p.log().count("start backend process"), 2)
        p.configure(SPAWN.replace("app one", "app two"))
        p.reload()
        wait_for("both anew", lambda: p.read("run.txt").count("two 1 ") == 2)
        p.configure(ONE)
        p.reload()
        wait_for("their ends",
                 lambda: p.log().count("exited on signal 15") == 4)
        self.assertEqual(os.listdir(p.path("run")), [])

    def test_a_crash_loop_backs_off(self):
        p = self.app(SPAWN.replace("app one instances=2", "app crash"))
        time.sleep(2)
        starts = p.read("run.txt").count("crash 1 ")
        self.assertIn("exited with code 7", p.log())
        self.assertGreaterEqual(starts, 2)
        self.assertLess(starts, 8)  # after 0, 100, 300, 700, 1500 ms

    def test_sockets_are_inherited_and_the_lifeline_is_heard(self):
        p = self.penstock(ONE, start=False)
        os.chmod(p.prefix, 0o700)
        p.write("deep/er", "x")
        held = socket.create_server(("127.0.0.1", p.port()), backlog=9)
        ours, theirs = os.pipe()
        user = "user root;" if os.getuid() == 0 else ""
        config = ["-g", f"daemon off; {user} error_log stderr info;"]
        child = subprocess.Popen(
            p.command(*config), stderr=subprocess.PIPE, text=True,
            pass_fds=(held.fileno(), ours),
            env={**os.environ, "PENSTOCK_INHERIT": f"{held.fileno()};",
                 "PENSTOCK_LIFELINE": str(ours),
                 "PENSTOCK_PRIVATE": p.prefix})
        try:
            held.close()
            os.close(ours)
            self.assertEqual(get(p.url()), "one")
            os.close(theirs)
            said = child.communicate(timeout=20)[1]
            self.assertEqual(child.returncode, 0)
        finally:
            child.kill()
            child.wait()
        self.assertIn("the process that started us has ended", said)
        self.assertFalse(os.path.exists(p.prefix))
        with self.assertRaises(OSError):
            get(p.url())

    def test_bad_descriptors_are_refused(self):
        p = self.penstock(ONE, start=False)
        with open(os.devnull) as null:
            for name, value, why in (
                ("PENSTOCK_INHERIT", "x", 'invalid descriptor "x"'),
                ("PENSTOCK_INHERIT", "2", 'invalid descriptor "2"'),
                ("PENSTOCK_INHERIT", "900", "Bad file descriptor"),
                ("PENSTOCK_INHERIT", str(null.fileno()), "does not listen"),
                ("PENSTOCK_LIFELINE", "901", "Bad file descriptor"),
                ("PENSTOCK_PRIVATE", p.prefix, "of mode 0700"),
                ("PENSTOCK_PRIVATE", "/", "is not the prefix"),
            ):
                got = subprocess.run(
                    p.command("-g", "daemon off;"), stderr=subprocess.PIPE,
                    pass_fds=(null.fileno(),), timeout=20, text=True,
                    env={**os.environ, name: value})
                self.assertEqual(got.returncode, 1, value)
                self.assertIn(why, got.stderr)
                self.assertIn(name, got.stderr)


if __name__ == "__main__":
    unittest.main()
