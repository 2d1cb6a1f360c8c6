# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong around the gateway, and that it goes on."""

import asyncio
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import websockets

from support.gateway import BridgeTestCase
from support.penstock import BINARY, PenstockTestCase, wait_for

HTTP = """
%s
events { worker_connections 500; }
http {
    %s
    server { listen 127.0.0.1:@PORT@; location / { return 200 fine; } }
}
"""


def get(p, name="PORT"):
    c = http.client.HTTPConnection("127.0.0.1", p.port(name), timeout=10)
    try:
        c.request("GET", "/")
        return c.getresponse().read()
    finally:
        c.close()


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])


class LogTest(PenstockTestCase):
    def serve_with_access_log(self, path, prepare=None):
        p = self.penstock(HTTP % ("", f"access_log {path};"), start=False)
        if prepare:
            prepare(p)
        p.start()
        for _ in range(300):
            self.assertEqual(get(p), b"fine")
        return p

    def test_a_full_disk_stops_no_traffic(self):
        self.serve_with_access_log("/dev/full")

    def test_a_fifo_without_reader_stops_no_traffic(self):
        self.serve_with_access_log(
            "@PREFIX@/fifo", lambda p: os.mkfifo(p.path("fifo"))
        )

    def test_a_full_error_log_stops_no_traffic(self):
        p = self.penstock(HTTP % ("error_log /dev/full info;", ""))
        for _ in range(20):
            self.assertEqual(get(p), b"fine")

    def test_logs_whose_directory_vanished_are_kept_open(self):
        p = self.penstock(HTTP % ("", "access_log other/a.log;"), start=False)
        os.mkdir(p.path("other"))
        p.start()
        shutil.rmtree(p.path("other"))
        p.signal(signal.SIGUSR1)
        p.wait_for_log('other/a.log" failed (2:')
        for _ in range(20):
            self.assertEqual(get(p), b"fine")

    def test_the_default_error_log_may_be_stderr(self):
        p = self.penstock(HTTP % ("", ""), start=False)
        got = p.run("-e", "stderr", "-t")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertFalse(os.path.exists(p.path("stderr")))


class StartTest(PenstockTestCase):
    def test_a_second_one_fails_and_leaves_the_first_alone(self):
        p = self.penstock(HTTP % ("", ""))
        pid = p.pid()
        got = p.run("-g", "daemon off; error_log logs/error.log;")
        self.assertEqual(got.returncode, 1)
        self.assertIn("failed (98:", got.stderr)
        self.assertEqual(p.pid(), pid)
        self.assertEqual(get(p), b"fine")

    def test_master_process_off_is_refused(self):
        p = self.penstock(HTTP % ("master_process off;", ""), start=False)
        got = p.run("-t")
        self.assertEqual(got.returncode, 1)
        self.assertIn('"master_process off" is not supported', got.stderr)

    def test_what_is_not_built_is_named(self):
        got = subprocess.run(
            [BINARY, "-V"], capture_output=True, text=True, timeout=20
        ).stderr
        self.assertIn(" --without-http_fastcgi_module ", got)
        self.assertNotIn("--without-http_rewrite_module", got)


class DescriptorTest(PenstockTestCase):
    def test_running_out_of_descriptors_neither_spins_nor_closes(self):
        p = self.penstock(
            HTTP % ("worker_processes 1; worker_rlimit_nofile 60;", "")
        )
        living = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=10)
        living.request("GET", "/")
        self.assertEqual(living.getresponse().read(), b"fine")
        many = [
            socket.create_connection(("127.0.0.1", p.port()))
            for _ in range(100)
        ]
        try:
            p.wait_for_log("accept4() failed")
            (worker,) = p.workers()
            before = cpu_ticks(worker)
            time.sleep(2)
            self.assertLess(cpu_ticks(worker) - before, 40)  # of 200
            living.request("GET", "/")
            self.assertEqual(living.getresponse().read(), b"fine")
        finally:
            living.close()
            for s in many:
                s.close()
        self.assertEqual(get(p), b"fine")
        wait_for("the descriptors", lambda: descriptors(worker) < 30)


class StopTest(PenstockTestCase):
    def test_a_stopped_worker_goes_on(self):
        p = self.penstock(HTTP % ("worker_processes 1;", ""))
        c = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        c.request("GET", "/")
        c.getresponse().read()
        (worker,) = p.workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            c.request("GET", "/")
            p.signal(signal.SIGHUP)
            time.sleep(1)
        finally:
            os.kill(worker, signal.SIGCONT)
        self.assertEqual(c.getresponse().read(), b"fine")
        c.close()
        p.wait_for_log("all workers run generation 2")
        self.assertEqual(p.workers(), [worker])


class ReloadTest(BridgeTestCase):
    FRONT = "worker_processes 1;"

    def test_a_hundred_reloads_close_and_refuse_nothing(self):
        p, _ = self.gateway(front=self.FRONT)
        (worker,) = p.workers()
        stop, failures, served = threading.Event(), [], [0]

        def load():
            while not stop.is_set():
                try:
                    if get(p) != b"plain\n":
                        raise OSError("another answer")
                    served[0] += 1
                except (OSError, http.client.HTTPException) as e:
                    failures.append(e)

        async def sessions():
            open_ones = [await websockets.connect(self.ws(p)) for _ in range(5)]
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self.reload_many, p, 10)
            base = descriptors(worker), resident_kb(worker)
            await loop.run_in_executor(None, self.reload_many, p, 90)
            for i, ws in enumerate(open_ones):
                await ws.send(f"after {i}")
                self.assertEqual(await ws.recv(), f"after {i}")
            for ws in open_ones:
                await ws.close()
            return base

        thread = threading.Thread(target=load)
        thread.start()
        try:
            fds, kb = asyncio.run(sessions())
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(served[0], 50)
        self.assertEqual(p.workers(), [worker])
        wait_for("the descriptors", lambda: descriptors(worker) <= fds)
        # A sanitizer keeps freed memory for a while; ninety generations kept
        # whole would be more.
        self.assertLess(resident_kb(worker), kb + 60000)
        self.check_echo(p)

    def reload_many(self, p, n):
        for i in range(n):
            p.signal(signal.SIGHUP)
            time.sleep(0.03)
        p.reload()

    def test_sessions_live_when_their_server_goes_and_limits_change(self):
        p, _ = self.gateway(front=self.FRONT)
        config = p.config

        async def run():
            async with websockets.connect(self.ws(p)) as ws:
                for text in (
                    config.replace(
                        "websocket_pass echo;",
                        "websocket_pass echo; websocket_max_message 1k;",
                    ),
                    config.replace("@PORT@", "@PORT1@"),
                    config.replace(
                        "listen 127.0.0.1:@PORT@;",
                        "listen 127.0.0.1:@PORT@; listen 127.0.0.1:@PORT2@;",
                    ),
                ):
                    p.configure(text)
                    await asyncio.get_running_loop().run_in_executor(
                        None, p.reload
                    )
                    await ws.send("x" * 900)
                    self.assertEqual(await ws.recv(), "x" * 900)

        asyncio.run(run())
        self.assertEqual(get(p, "PORT2"), b"plain\n")


class SpawnTest(PenstockTestCase):
    def test_a_backend_that_does_not_end_is_killed(self):
        p = self.penstock(
            HTTP % ("", "backend app { spawn @PREFIX@/app; }"),
            start=False,
            files={
                "app": "#!/bin/sh\ntrap '' TERM\necho ignores\n"
                "while :; do sleep 1; done\n"
            },
        )
        os.chmod(p.path("app"), 0o755)
        p.start()
        p.wait_for_log("ignores")
        p.configure(HTTP % ("", ""))
        p.reload()
        p.wait_for_log("does not end, killed")
        p.wait_for_log("exited on signal 9")
        self.assertEqual(get(p), b"fine")


if __name__ == "__main__":
    unittest.main()
