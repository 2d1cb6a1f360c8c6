# SPDX-License-Identifier: BSD-2-Clause
"""The private gateway of listen(), run(port=...) and penstock.asgi --port."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from harness import PACKAGE, soon

import websockets

from penstock import Backend
from support.certificates import Authority
from support.penstock import BINARY, TROUBLE, free_port, wait_for

os.environ["PENSTOCK_BIN"] = os.path.abspath(BINARY)


def echo_backend(**options):
    backend = Backend("echo")

    @backend.app("/", **options)
    async def echo(conn):
        await conn.accept()
        async for message in conn:
            await conn.send(message)

    @echo.http
    async def hello(x):
        await x.respond(200, {"Content-Type": "text/plain"}, "hello\n")

    return backend


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def got(port):
    """What it answers; None before it is there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/",
                                    timeout=20) as answer:
            return answer.read()
    except OSError:
        return None


class PrivateGatewayTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 60
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        before, tempfile.tempdir = tempfile.tempdir, temporary.name

        def check():
            tempfile.tempdir = before
            self.assertEqual(os.listdir(temporary.name), [])

        self.addCleanup(check)

    async def listening(self, backend, port=0, **how):
        port = await soon(backend.listen("127.0.0.1", port, **how))
        task = asyncio.create_task(backend.serve(0.5))

        async def end():
            backend.stop(0.5)
            await soon(task)

        self.addAsyncCleanup(end)
        return port

    async def test_port_0(self):
        port = await self.listening(echo_backend())
        async with websockets.connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("hi")
            self.assertEqual(await soon(ws.recv()), "hi")
        got = await asyncio.get_running_loop().run_in_executor(
            None, lambda: urllib.request.urlopen(
                f"http://127.0.0.1:{port}/x", timeout=20).read())
        self.assertEqual(got, b"hello\n")

    async def test_options(self):
        port = await self.listening(echo_backend(), workers=2, deflate=True,
                                    max_message=1000,
                                    server="location /no { return 410; }")
        url = f"ws://127.0.0.1:{port}"
        async with websockets.connect(f"{url}/") as ws:
            self.assertEqual([e.name for e in ws.extensions],
                             ["permessage-deflate"])
            await ws.send("x" * 1001)
            await soon(ws.wait_closed())
            self.assertEqual(ws.close_code, 1009)
        with self.assertRaises(websockets.InvalidStatusCode) as e:
            await websockets.connect(f"{url}/no")
        self.assertEqual(e.exception.status_code, 410)

    async def test_versions_of_the_apps(self):
        port = await self.listening(echo_backend(versions=[76]))
        with self.assertRaises(websockets.InvalidHandshake):
            await websockets.connect(f"ws://127.0.0.1:{port}/")

    async def test_a_port_that_is_taken(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            backend = echo_backend()
            with self.assertRaises(OSError):
                await backend.listen("127.0.0.1", s.getsockname()[1])

    async def test_what_is_no_port(self):
        for port in (None, "80", -1, 65536):
            with self.assertRaises(ValueError):
                await echo_backend().listen("127.0.0.1", port)
        with self.assertRaises(ValueError):
            await echo_backend().listen("127.0.0.1", 0, ssl_certificate="x")

    async def test_tls(self):
        authority = Authority()
        self.addCleanup(authority.remove)
        authority.issue("server", "localhost")
        port = await self.listening(
            echo_backend(), ssl_certificate=authority.path("server.pem"),
            ssl_certificate_key=authority.path("server.key"))
        context = ssl.create_default_context(cafile=authority.path("ca.pem"))
        async with websockets.connect(f"wss://127.0.0.1:{port}/", ssl=context,
                                      server_hostname="localhost") as ws:
            await ws.send("hi")
            self.assertEqual(await soon(ws.recv()), "hi")

    async def test_no_program(self):
        before = os.environ["PENSTOCK_BIN"]
        os.environ["PENSTOCK_BIN"] = "/nonexistent/penstock"
        try:
            with self.assertRaisesRegex(FileNotFoundError, "PENSTOCK_BIN"):
                await echo_backend().listen("127.0.0.1", 0)
        finally:
            os.environ["PENSTOCK_BIN"] = before

    async def test_a_configuration_it_does_not_like(self):
        with self.assertRaisesRegex(RuntimeError, "nonsense"):
            await echo_backend().listen("127.0.0.1", 0, http="nonsense;")

    async def test_inside_a_gateway_it_attaches(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "app.sock")
            os.environ["PENSTOCK_SOCKET"] = path
            try:
                backend = echo_backend()
                self.assertIsNone(await backend.listen("127.0.0.1", 1))
                self.assertTrue(os.path.exists(path))
                backend.stop(0)
                await soon(backend.serve(0))
            finally:
                del os.environ["PENSTOCK_SOCKET"]

    async def test_what_a_killed_process_left(self):
        left = tempfile.mkdtemp(prefix="penstock-python-")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.join(left, "b.sock"))
        os.utime(left, (1, 1))
        await self.listening(echo_backend())
        self.assertFalse(os.path.exists(left))

    async def test_the_gateway_dies(self):
        backend = echo_backend()
        await backend.listen("127.0.0.1", 0)
        task = asyncio.create_task(backend.serve(0.1))
        backend._gateway._process.kill()
        with self.assertRaisesRegex(RuntimeError, "the gateway ended"):
            await soon(task)


PROGRAM = """
import asyncio, sys
sys.path.insert(0, %r)
from penstock import Backend
backend = Backend("program")

@backend.app()
async def echo(conn):
    await conn.accept()
    async for message in conn:
        await conn.send(message)

backend.run(port=int(sys.argv[1]), grace=0.5)
""" % PACKAGE

APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""


class ProcessTest(unittest.TestCase):
    def start(self, *args, **how):
        process = subprocess.Popen([sys.executable, *args],
                                   stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, **how)

        def end():
            process.kill()
            _, errors = process.communicate()
            self.assertIsNone(TROUBLE.search(errors.decode()), errors)

        self.addCleanup(end)
        return process

    def test_it_ends_with_its_parent(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            port = free_port()
            process = self.start("-c", PROGRAM, str(port))
            wait_for("the port", lambda: answers(port))
            process.send_signal(number)
            process.wait(20)
            if number == signal.SIGTERM:
                self.assertEqual(process.returncode, 0)
            wait_for("its end", lambda: not answers(port))

    def test_asgi(self):
        port = free_port()
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "site3.py"), "w") as f:
                f.write(APPLICATION)
            process = self.start(
                "-m", "penstock.asgi", "site3:app", "--port", str(port),
                "--app-dir", directory,
                env={**os.environ, "PYTHONPATH": PACKAGE})
            self.assertEqual(wait_for("the answer", lambda: got(port)),
                             b"asgi")
            process.terminate()
            self.assertEqual(process.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
