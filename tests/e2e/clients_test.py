# SPDX-License-Identifier: BSD-2-Clause
"""Clients that nobody here wrote, several workers, several backends, and
backends that stop, die and come back."""

import asyncio
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

import websockets

from support.gateway import ECHO, BridgeTestCase
from support.penstock import wait_for
from support.websocket import BINARY, TEXT, Client, Ended, encode

CHAT = ECHO.replace("example-echo", "example-chat")
NODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
CONFIG = """
user root;
worker_processes 2;
events { worker_connections 4096; }
http {
    access_log off;
    backend_socket_dir @PREFIX@/run;
    backend pool {
        %s
    }
    server {
        listen 127.0.0.1:@PORT@;
        location /ws {
            websocket_pass pool;
            %s
        }
    }
}
"""


class ClientsTestCase(BridgeTestCase):
    def several(self, program=ECHO, n=2, backend="", location=""):
        """Two workers and n backends that we start."""
        servers = "".join(f"server unix:@PREFIX@/b{i}.sock;" for i in range(n))
        p = self.penstock(CONFIG % (servers + backend, location), start=False)
        backends = [self.start_one(p, i, program) for i in range(n)]
        p.start()
        self.wait_ready(p, 2 * n)
        return p, backends

    def start_one(self, p, i, program=ECHO):
        path = p.path(f"b{i}.sock")
        if os.path.exists(path):
            os.unlink(path)
        process = subprocess.Popen([program, path])

        def end():
            process.kill()
            process.wait()

        self.addCleanup(end)
        wait_for("the backend's socket", lambda: os.path.exists(path))
        return process

    def memory(self, pid):
        """KiB that are this process's own."""
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return sum(int(n) for n in re.findall(r"Private_\w+: +(\d+)", f.read()))


class WebsocketsTest(ClientsTestCase):
    def test_large_and_many_messages(self):
        p, _ = self.several()
        rng = random.Random(1)

        async def one(i):
            async with websockets.connect(self.ws(p), max_size=None) as ws:
                sent = [rng.randbytes(rng.randrange(3000)) for _ in range(50)]
                sent += [rng.randbytes(rng.randrange(1 << 20))]
                sender = asyncio.create_task(self.send_all(ws, sent))
                for message in sent:
                    self.assertEqual(await ws.recv(), message)
                await sender

        async def run():
            await asyncio.gather(*(one(i) for i in range(40)))

        asyncio.run(run())

    async def send_all(self, ws, messages):
        for m in messages:
            await ws.send(m)

    def test_pings_are_answered_at_once(self):
        p, _ = self.several()

        async def run():
            async with websockets.connect(self.ws(p)) as ws:
                times = []
                for i in range(100):
                    started = time.monotonic()
                    await (await ws.ping(b"%d" % i))
                    times.append(time.monotonic() - started)
                self.assertLess(sorted(times)[50], 0.05)

        asyncio.run(run())

    def test_close_codes(self):
        p, _ = self.several()

        async def run():
            for code in (1000, 1001, 1011, 3000, 4000, 4999):
                ws = await websockets.connect(self.ws(p))
                await ws.close(code, "r\u00e4son")
                self.assertEqual(ws.close_code, code)

        asyncio.run(run())


@unittest.skipUnless(shutil.which("node"), "needs node")
class NodeTest(ClientsTestCase):
    @classmethod
    def setUpClass(cls):
        # Does nothing when all is there.
        subprocess.run(
            [os.path.join(NODE, "..", "..", "..", "contrib", "dev", "npm")],
            check=True, timeout=200,
        )

    def run_node(self, script, location=""):
        p, _ = self.several(location=location)
        done = subprocess.run(
            ["node", "--no-deprecation", os.path.join(NODE, script), self.ws(p)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100,
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_ws(self):
        self.run_node("clients.js")

    def test_packages_that_speak_old_versions(self):
        self.run_node("drafts.js", "websocket_versions 13 8 76; "
                      "websocket_origin any;")  # some leave the port out of Host


class ChatTest(ClientsTestCase):
    def says(self, c):
        """The text of the next chat line; counts of clients are passed over."""
        while True:
            line = json.loads(c.message()[1])
            if line["type"] == "chat":
                return line["text"]

    def test_every_line_reaches_everybody_once(self):
        # A worker hands a broadcast of one backend to the clients of all.
        p, _ = self.several(CHAT)
        clients = [Client(p.port()) for _ in range(200)]
        for c in clients:
            self.addCleanup(c.socket.close)
            self.assertEqual(c.status, 101)
        for pid in p.workers():
            self.assertGreater(len(os.listdir(f"/proc/{pid}/fd")), 20)
        said = collections.Counter()
        for i, c in enumerate(clients[::10]):
            c.send(encode(TEXT, b"line %d" % i))
            said[f"line {i}"] += 1
        for c in clients:
            heard = collections.Counter(self.says(c) for _ in said)
            self.assertEqual(heard, said)
        # Once, not twice: nothing but the next round comes behind it.
        for round in range(3):
            clients[round].send(encode(TEXT, b"round %d" % round))
            for c in clients:
                self.assertEqual(self.says(c), f"round {round}")

    def test_a_slow_reader_is_closed_and_delays_nobody(self):
        p, _ = self.several(
            CHAT, location="websocket_send_buffer 256k; websocket_close_timeout 10s;"
        )
        quick = [Client(p.port()) for _ in range(5)]
        slow = Client(p.port())
        for c in [*quick, slow]:
            self.addCleanup(c.socket.close)
        text = "x" * 15000
        worst = 0
        for i in range(1000):
            started = time.monotonic()
            quick[0].send(encode(TEXT, f"{i} {text}".encode()))
            for c in quick:
                self.assertEqual(self.says(c), f"{i} {text}")
            worst = max(worst, time.monotonic() - started)
            if "too slow" in p.log():
                break
        self.assertIn("client is too slow", p.log())
        self.assertLess(worst, 2)
        # It reads at last: whole messages, then the reason.
        before, code, _ = slow.finish()
        self.assertEqual(code, 1013)
        heard = [json.loads(m) for _, m in before]
        numbers = [int(m["text"].split()[0]) for m in heard if m["type"] == "chat"]
        self.assertEqual(numbers, list(range(len(numbers))))
        for c in quick:
            c.send(encode(TEXT, b"after"))
            for each in quick:
                self.assertEqual(self.says(each), "after")


class FaultTest(ClientsTestCase):
    def test_a_killed_backend_takes_only_its_own_clients(self):
        p, backends = self.several()
        clients = [Client(p.port()) for _ in range(40)]
        for c in clients:
            self.addCleanup(c.socket.close)
        backends[0].kill()
        backends[0].wait()
        lost = []
        for c in clients:
            try:
                c.send(encode(TEXT, b"alive?"))
                first, payload = c.frame()
            except (Ended, OSError):
                self.fail("no close frame")
            if first == 0x88:
                self.assertEqual(payload, b"\x03\xf4")  # 1012
                lost.append(c)
            else:
                self.assertEqual((first, payload), (0x81, b"alive?"))
        self.assertTrue(0 < len(lost) < 40, len(lost))
        # The other one serves everybody now, and both when it is back.
        for _ in range(4):
            with Client(p.port()) as c:
                c.send(encode(TEXT, b"new"))
                self.assertEqual(c.message(), (TEXT, b"new"))
        self.start_one(p, 0)
        self.wait_ready(p, 6)
        for _ in range(8):
            with Client(p.port()) as c:
                c.send(encode(TEXT, b"new"))
                self.assertEqual(c.message(), (TEXT, b"new"))

    def test_a_stopped_backend_presses_back_and_goes_on(self):
        p, (backend,) = self.several(n=1, backend="client_window 64k;")
        before = sum(map(self.memory, p.workers()))
        clients = [Client(p.port()) for _ in range(20)]
        backend.send_signal(signal.SIGSTOP)
        self.addCleanup(backend.send_signal, signal.SIGCONT)
        sent = []
        for k, c in enumerate(clients):
            self.addCleanup(c.socket.close)
            c.socket.setblocking(False)
            n, rest = 0, b""
            while n < 100000:
                rest = rest or encode(BINARY, b"%d:%d:" % (k, n) + bytes(1000))
                try:
                    rest = rest[c.socket.send(rest) :]
                except BlockingIOError:
                    break
                n += not rest
            c.socket.settimeout(20)
            c.rest = rest
            sent.append(n)
            self.assertLess(n, 30000)
        grown = sum(map(self.memory, p.workers())) - before
        self.assertLess(grown, 20 * 400)  # KiB: windows, not what was sent
        backend.send_signal(signal.SIGCONT)
        for k, c in enumerate(clients):
            for i in range(sent[k]):
                self.assertEqual(
                    c.message(), (BINARY, b"%d:%d:" % (k, i) + bytes(1000))
                )
            if c.rest:
                c.send(c.rest)
                self.assertEqual(
                    c.message(), (BINARY, b"%d:%d:" % (k, sent[k]) + bytes(1000))
                )

    def test_spawned_backends_are_born_again(self):
        p = self.penstock(CONFIG % (f"spawn {ECHO} instances=2; on_backend_loss close;", ""))
        self.wait_ready(p, 4)

        def pids():
            found = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat") as f:
                        state, parent = f.read().rpartition(")")[2].split()[:2]
                    exe = os.readlink(f"/proc/{pid}/exe")
                except OSError:
                    continue
                if int(parent) == p.pid() and "example-echo" in exe:
                    found.append(int(pid))
            return sorted(found)

        first = wait_for("two backends", lambda: pids() if len(pids()) == 2 else None)
        clients = [Client(p.port()) for _ in range(8)]
        os.kill(first[0], signal.SIGKILL)
        codes = []
        for c in clients:
            self.addCleanup(c.socket.close)
            c.send(encode(TEXT, b"x"))
            frame = c.frame()
            codes.append(frame[0] == 0x88 and frame[1] == b"\x03\xf4")
            self.assertTrue(codes[-1] or frame == (0x81, b"x"), frame)
        self.assertTrue(any(codes) and not all(codes), codes)
        again = wait_for("another", lambda: pids() if len(pids()) == 2 else None)
        self.assertEqual(len(set(first) & set(again)), 1)
        self.wait_ready(p, 6)
        for _ in range(8):
            with Client(p.port()) as c:
                c.send(encode(TEXT, b"reborn"))
                self.assertEqual(c.message(), (TEXT, b"reborn"))


if __name__ == "__main__":
    unittest.main()
