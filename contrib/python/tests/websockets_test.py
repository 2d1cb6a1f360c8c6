# SPDX-License-Identifier: BSD-2-Clause
"""penstock.websockets under the names of the websockets library, whose client
talks to it."""

import asyncio
import dataclasses
import http
import os
import unittest
import urllib.error
import urllib.request

from harness import soon

import websockets as library

from penstock import websockets
from support.penstock import BINARY

os.environ["PENSTOCK_BIN"] = os.path.abspath(BINARY)


class WebsocketsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 60
        self.seen = asyncio.Queue()

    async def serve(self, handler, **options):
        server = await soon(websockets.serve(handler, "127.0.0.1", 0,
                                             **options))

        async def end():
            server.close()
            await soon(server.wait_closed())

        self.addAsyncCleanup(end)
        host, port = server.sockets[0].getsockname()
        self.url = f"ws://{host}:{port}"
        return server

    async def connect(self, path="/", **how):
        ws = await soon(library.connect(self.url + path, **how))

        async def end():
            await soon(ws.close())

        self.addAsyncCleanup(end)
        return ws

    async def test_echo(self):
        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        await self.serve(echo)
        ws = await self.connect()
        self.assertEqual([e.name for e in ws.extensions],
                         ["permessage-deflate"])
        for message in ("text", b"bytes", "", "x" * 70000):
            await ws.send(message)
            self.assertEqual(await soon(ws.recv()), message)
        await ws.send(["fr", "ag"])
        self.assertEqual(await soon(ws.recv()), "frag")

    async def test_the_handler_of_old(self):
        async def handler(ws, path):
            await ws.send(path)

        await self.serve(handler, compression=None)
        ws = await self.connect("/a?b")
        self.assertEqual(ws.extensions, [])
        self.assertEqual(await soon(ws.recv()), "/a?b")
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1000)

    async def test_what_a_connection_knows(self):
        async def handler(ws):
            self.seen.put_nowait(ws)
            self.seen.put_nowait((ws.state, ws.open, ws.closed, ws.close_code))
            await (await ws.ping())
            self.seen.put_nowait(await (await ws.ping(b"x")))
            await ws.pong("y")
            try:
                await ws.recv()
            except websockets.ConnectionClosed as e:
                self.seen.put_nowait(e)

        server = await self.serve(
            handler, subprotocols=["v2", "v1"], extra_headers={"X-A": "1"},
            origins=["http://example.com"])
        ws = await self.connect(
            "/p", origin="http://example.com", subprotocols=["v1", "v2"],
            extra_headers={"X-Ask": "why"})
        self.assertEqual(ws.subprotocol, "v2")
        self.assertEqual(ws.response_headers["x-a"], "1")
        conn = await soon(self.seen.get())
        self.assertEqual(await soon(self.seen.get()),
                         (websockets.State.OPEN, True, False, None))
        self.assertEqual(
            (conn.path, conn.request.path, conn.request_headers["x-ask"],
             conn.subprotocol, conn.origin, conn.remote_address[0],
             conn.secure), ("/p", "/p", "why", "v2", "http://example.com",
                            "127.0.0.1", False))
        self.assertIn(conn, server.connections)
        self.assertGreater(await soon(self.seen.get()), 0)
        await ws.close(1001, "away")
        e = await soon(self.seen.get())
        self.assertIsInstance(e, websockets.ConnectionClosedOK)
        self.assertEqual((e.code, e.reason), (1001, "away"))
        self.assertEqual((conn.closed, conn.close_code, conn.close_reason),
                         (True, 1001, "away"))
        with self.assertRaises(websockets.ConnectionClosedOK):
            await conn.send("x")
        with self.assertRaises(library.InvalidStatusCode):
            await self.connect(origin="http://other.example")
        self.assertNotIn(conn, server.connections)

    async def test_sending_pieces(self):
        async def pieces():
            for piece in (b"a", b"b"):
                yield piece

        async def handler(ws):
            await ws.send(["x", "y", "z"])
            await ws.send(pieces())
            await ws.send(b"text", text=True)
            with self.assertRaises(TypeError):
                await ws.send({"a": 1})
            with self.assertRaises(TypeError):
                await ws.send(1)
            async for piece in ws.recv_streaming():
                self.seen.put_nowait(piece)
            self.seen.put_nowait(await ws.recv(decode=False))
            await ws.close(3000, "done")

        await self.serve(handler)
        ws = await self.connect()
        for expected in ("xyz", b"ab", "text"):
            self.assertEqual(await soon(ws.recv()), expected)
        await ws.send("streamed")
        await ws.send("decoded")
        self.assertEqual(await soon(self.seen.get()), "streamed")
        self.assertEqual(await soon(self.seen.get()), b"decoded")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason), (3000, "done"))

    async def test_process_request(self):
        async def handler(ws):
            await ws.send("in")

        async def older(path, headers):
            if path == "/health":
                return http.HTTPStatus.NOT_FOUND, {}, b"no\n"

        await self.serve(handler, process_request=older)
        self.assertEqual(await soon((await self.connect()).recv()), "in")
        with self.assertRaises(library.InvalidStatusCode) as raised:
            await self.connect("/health")
        self.assertEqual(raised.exception.status_code, 404)

        def newer(connection, request):
            if request.path == "/healthz":
                return connection.respond(http.HTTPStatus.OK, "OK\n")
            if request.headers.get("X-Token") != "yes":
                return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no\n")

        await self.serve(handler, process_request=newer)
        with self.assertRaises(library.InvalidStatusCode) as raised:
            await self.connect()
        self.assertEqual(raised.exception.status_code, 401)
        ws = await self.connect(extra_headers={"X-Token": "yes"})
        self.assertEqual(await soon(ws.recv()), "in")

        def get(path):
            request = urllib.request.Request(
                self.url.replace("ws:", "http:") + path,
                headers={"X-Token": "yes"})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as e:
                return e.code, e.headers["Upgrade"]

        loop = asyncio.get_running_loop()
        self.assertEqual(await loop.run_in_executor(None, get, "/healthz"),
                         (200, b"OK\n"))
        self.assertEqual((await loop.run_in_executor(None, get, "/"))[0], 426)

    async def test_process_response(self):
        async def handler(ws):
            self.seen.put_nowait(ws)
            await ws.wait_closed()

        async def replace(connection, request, response):
            if request.path == "/no":
                return connection.respond(http.HTTPStatus.CONFLICT, "no\n")
            headers = response.headers.copy()
            headers["X-Two"] = request.path
            return dataclasses.replace(response, headers=headers)

        def change(connection, request, response):
            self.assertEqual((response.status_code, response.headers["x-one"]),
                             (101, "1"))
            del response.headers["X-One"]
            response.headers["X-Two"] = request.path

        for process in (replace, change):
            await self.serve(handler, process_response=process,
                             extra_headers={"X-One": "1"})
            ws = await self.connect("/p")
            self.assertEqual(ws.response_headers["X-Two"], "/p")
            self.assertEqual(ws.response_headers.get("X-One"),
                             None if process is change else "1")
            conn = await soon(self.seen.get())
            self.assertEqual(conn.response.headers["x-two"], "/p")
            if process is replace:
                with self.assertRaises(library.InvalidStatusCode) as raised:
                    await self.connect("/no")
                self.assertEqual(raised.exception.status_code, 409)

        def failing(connection, request, response):
            raise ZeroDivisionError("as the test wants it")

        await self.serve(handler, process_response=failing)
        with self.assertLogs("penstock", "ERROR"), \
                self.assertRaises(library.InvalidStatusCode) as raised:
            await self.connect()
        self.assertEqual(raised.exception.status_code, 500)

    async def test_select_subprotocol_and_the_connection_class(self):
        class Mine(websockets.ServerConnection):
            made = True

        def select(ws, offers):
            if "v1" not in offers:
                raise websockets.NegotiationError("only v1")
            ws.selected = True
            return "v1"

        async def handler(ws):
            await ws.send(f"{ws.made} {ws.selected} {ws.subprotocol}")

        await self.serve(handler, select_subprotocol=select,
                         create_connection=Mine)
        ws = await self.connect(subprotocols=["v2", "v1"])
        self.assertEqual(await soon(ws.recv()), "True True v1")
        with self.assertRaises(library.InvalidStatusCode) as raised:
            await self.connect(subprotocols=["v2"])
        self.assertEqual(raised.exception.status_code, 400)

    async def test_how_it_ended(self):
        async def handler(ws):
            try:
                if ws.path == "/we":
                    await ws.close(3001, "ours")
                await ws.recv()
            except websockets.ConnectionClosed as e:
                self.seen.put_nowait(e)

        await self.serve(handler)
        for path, code, reason, first, text in (
                ("/they", 1000, "", True,
                 "received 1000 (OK); then sent 1000 (OK)"),
                ("/they", 4000, "why", True, "received 4000 (private use) why;"
                 " then sent 4000 (private use) why"),
                ("/we", 3001, "ours", False, "sent 3001 (registered) ours; "
                 "then received 3001 (registered) ours")):
            ws = await self.connect(path)
            if path == "/they":
                await ws.close(code, reason)
            e = await soon(self.seen.get())
            frame = websockets.Close(code, reason)
            self.assertEqual((e.rcvd, e.sent, e.rcvd_then_sent, str(e)),
                             (frame, frame, first, text))
        ws = await self.connect("/lost")
        ws.transport.abort()
        e = await soon(self.seen.get())
        self.assertEqual((e.code, e.rcvd, e.sent, e.rcvd_then_sent, str(e)),
                         (1006, None, None, None,
                          "no close frame received or sent"))

    async def test_basic_auth(self):
        async def handler(ws):
            await ws.send(ws.username)

        async def check(name, password):
            return password == name[::-1]

        def uri(userinfo):
            return self.url.replace("//", f"//{userinfo}@") + "/"

        for how in ({"credentials": ("ab", "ba")},
                    {"credentials": [("x", "y"), ("ab", "ba")]},
                    {"check_credentials": check}):
            await self.serve(handler, process_request=websockets.basic_auth(
                "here", **how))
            async with library.connect(uri("ab:ba")) as ws:
                self.assertEqual(await soon(ws.recv()), "ab")
            for wrong in (uri("ab:bb"), uri("cd:"), self.url):
                with self.assertRaises(library.InvalidStatusCode) as raised:
                    await soon(library.connect(wrong))
                self.assertEqual(raised.exception.status_code, 401)
                self.assertEqual(raised.exception.headers["WWW-Authenticate"],
                                 'Basic realm="here", charset="UTF-8"')
            for field in ("Basic", "Basic !", "Basic YWI=", "Bearer x"):
                with self.assertRaises(library.InvalidStatusCode) as raised:
                    await self.connect(extra_headers={"Authorization": field})
                self.assertEqual(raised.exception.status_code, 401)
        with self.assertRaises(ValueError):
            websockets.basic_auth("here")
        with self.assertRaises(ValueError):
            websockets.basic_auth('he"re', ("a", "b"))

    async def test_broadcast_and_close(self):
        async def handler(ws):
            await ws.wait_closed()

        server = await self.serve(handler)
        clients = [await self.connect() for _ in range(3)]
        while len(server.connections) < 3:
            await asyncio.sleep(0.01)
        with self.assertRaises(TypeError):
            websockets.broadcast(server.connections, ["all"])
        websockets.broadcast(server.connections, "all")
        for ws in clients:
            self.assertEqual(await soon(ws.recv()), "all")
        server.close()
        await soon(server.wait_closed())
        self.assertFalse(server.is_serving())
        for ws in clients:
            await soon(ws.wait_closed())
            self.assertEqual(ws.close_code, 1001)

    async def test_the_documented_forms(self):
        async def handler(ws):
            try:
                raise ZeroDivisionError("as the test wants it")
            finally:
                self.seen.put_nowait("ran")

        async with websockets.serve(handler, "127.0.0.1", 0) as server:
            forever = asyncio.ensure_future(server.serve_forever())
            self.url = f"ws://127.0.0.1:{server.port}"
            with self.assertLogs("penstock", "ERROR"):
                ws = await self.connect()
                await soon(ws.wait_closed())
            self.assertEqual(ws.close_code, 1011)
            forever.cancel()
        with self.assertRaises(TypeError):
            websockets.serve(handler, "127.0.0.1", 0, ssl=object())


if __name__ == "__main__":
    unittest.main()
