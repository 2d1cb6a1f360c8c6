# SPDX-License-Identifier: BSD-2-Clause
"""A gateway, and backends in the test's own loop or in processes."""

import asyncio
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(PACKAGE))
sys.path.insert(0, PACKAGE)
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
sys.dont_write_bytecode = True

import websockets  # noqa: E402
from support.penstock import PenstockTestCase  # noqa: E402

CONFIG = """
user root;
events { }
http {
    access_log off;
    client_max_body_size 0;
    %(http)s
    backend app { server unix:@PREFIX@/app.sock; %(backend)s }
    server {
        listen 127.0.0.1:@PORT@;
        location / { backend_pass app; %(plain)s }
        location /ws { websocket_pass app; %(location)s }
        location ~ ^/room/(?<room>[a-z]+)$ {
            websocket_pass app;
            backend_param who $remote_addr;
        }
    }
}
"""
PATIENCE = 20


async def soon(what):
    return await asyncio.wait_for(what, PATIENCE)


class BackendTestCase(PenstockTestCase, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # A start of the gateway blocks the loop; nobody needs to be told.
        asyncio.get_running_loop().slow_callback_duration = 60

    def gateway(self, front="", **parts):
        parts = {**dict.fromkeys(("http", "backend", "plain", "location"), ""),
                 **parts}
        return self.penstock(front + CONFIG % parts)

    async def serve(self, p, backend, path="app.sock", times=1):
        """Until stop(), or the test's end."""
        backend.socket = p.path(path)
        task = asyncio.create_task(backend.serve(grace=0.2))

        async def end():
            backend.stop(0.2)
            await soon(task)

        self.addAsyncCleanup(end)
        await self.until("a ready backend", lambda: p.log().count(
            "backend is ready") >= times or task.done())
        if task.done():
            task.result()
        return task

    async def until(self, what, condition):
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"waited for {what}")
            await asyncio.sleep(0.01)

    async def connect(self, p, path="/ws", **how):
        how.setdefault("max_size", None)
        ws = await soon(websockets.connect(
            f"ws://127.0.0.1:{p.port()}{path}", **how))

        async def end():
            await soon(ws.close())

        self.addAsyncCleanup(end)
        return ws

    async def fetch(self, p, request):
        """Bytes out, bytes in until the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", p.port())
        writer.write(request)
        data = await soon(reader.read())
        writer.close()
        head, _, body = data.partition(b"\r\n\r\n")
        return head.decode("latin-1"), body

    def process(self, p, args, env=None):
        process = subprocess.Popen(
            [sys.executable, *args], stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": PACKAGE,
                 "PYTHONDONTWRITEBYTECODE": "1", **(env or {})})

        def end():
            process.kill()
            process.wait()

        self.addCleanup(end)
        return process
