# SPDX-License-Identifier: BSD-2-Clause
"""The asyncio API behind the real gateway."""

import asyncio
import hashlib
import os
import random
import re
import signal
import socket
import unittest

from harness import PACKAGE, BackendTestCase, soon

import websockets

from penstock import Backend, ConnectionClosed, ReadyState
from support.websocket import Client, handshake, encode

MESSAGES = ["text", "", "\u00e4\u20ac\U0001f600", b"", b"\x00\xff",
            "x" * 65536, b"y" * 300000, random.randbytes(900000), "z" * 900000]


def echo_backend(**how):
    backend = Backend("echo")

    @backend.app(path="/", **how)
    async def echo(conn):
        await conn.accept()
        async for message in conn:
            await conn.send(message)

    return backend


class WebSocketTest(BackendTestCase):
    async def test_messages_of_all_kinds(self):
        p = self.gateway()
        await self.serve(p, echo_backend())
        ws = await self.connect(p)
        for message in MESSAGES:
            await ws.send(message)
            self.assertEqual(await soon(ws.recv()), message)
        await ws.send(["frag", "men", "ted"])
        self.assertEqual(await soon(ws.recv()), "fragmented")

    async def test_many_clients_and_batches(self):
        p = self.gateway(front="worker_processes 2;")
        await self.serve(p, echo_backend(), times=2)

        async def one(i):
            ws = await self.connect(p)
            for n in range(50):
                await ws.send(f"{i} {n}")
            for n in range(50):
                self.assertEqual(await soon(ws.recv()), f"{i} {n}")

        await asyncio.gather(*map(one, range(30)))

    async def test_what_the_handshake_says(self):
        seen = asyncio.Queue()
        backend = Backend("seen")

        @backend.app(subprotocols=["v2", "v1"])
        async def handler(conn):
            await conn.accept(headers={"X-Answer": "yes"})
            seen.put_nowait((conn.request, conn.subprotocol,
                             conn.ready_state))

        p = self.gateway()
        await self.serve(p, backend)
        ws = await self.connect(p, "/room/blue?q=1",
                                subprotocols=["v1", "v2"],
                                extra_headers={"X-Ask": "why"})
        self.assertEqual(ws.subprotocol, "v2")
        self.assertEqual(ws.response_headers["X-Answer"], "yes")
        r, chosen, state = await soon(seen.get())
        self.assertEqual((chosen, state), ("v2", ReadyState.OPEN))
        self.assertEqual(
            (r.method, r.target, r.path, r.query, r.header("x-ask"),
             r.captures["room"], r.params, r.client[0], r.server, r.tls,
             r.ws_version, r.http_version, r.subprotocols),
            ("GET", b"/room/blue?q=1", "/room/blue", b"q=1", "why", "blue",
             {"who": "127.0.0.1"}, "127.0.0.1", ("127.0.0.1", p.port()),
             None, 13, "1.1", ["v1", "v2"]))
        # The handler has returned.
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1000)

    async def test_refusals(self):
        backend = Backend("no")

        @backend.app()
        async def handler(conn):
            status = int(conn.request.query or b"0")
            if status:
                with self.assertRaises(ValueError):
                    await conn.accept(headers={"Upgrade": "x"})
                with self.assertRaises(ValueError):
                    await conn.accept("not offered")
                await conn.reject(status, {"X-Why": "no"}, "go away\n")
                with self.assertRaises(ConnectionClosed):
                    await conn.send("x")
            elif conn.request.header("fail"):
                raise ZeroDivisionError("as the test wants it")

        p = self.gateway()
        await self.serve(p, backend)
        ask = handshake(request="GET /ws?401 HTTP/1.1",
                        fields={"Connection": "Upgrade, close"})
        head, body = await self.fetch(p, ask)
        self.assertIn("HTTP/1.1 401 ", head)
        self.assertIn("X-Why: no", head)
        self.assertEqual(body, b"go away\n")
        head, _ = await self.fetch(p, handshake(
            fields={"Connection": "Upgrade, close"}))
        self.assertIn("HTTP/1.1 500 ", head)
        with self.assertLogs("penstock", "ERROR"):
            head, _ = await self.fetch(p, handshake(
                fields={"Connection": "Upgrade, close", "Fail": "1"}))
        self.assertIn("HTTP/1.1 500 ", head)

    async def test_closes(self):
        ends = asyncio.Queue()
        backend = Backend("ends")

        @backend.app()
        async def handler(conn):
            await conn.accept()
            async for message in conn:
                if message == "raise":
                    raise ZeroDivisionError("as the test wants it")
                if message == "terminate":
                    conn.terminate()
                elif message == "return":
                    return
                else:
                    await conn.send("last words")
                    await conn.close(4321, "b\u00fcy")
                    with self.assertRaises(ConnectionClosed):
                        await conn.send("too late")
            await conn.wait_closed()
            ends.put_nowait((conn.close_code, conn.close_reason, conn.ready_state))

        p = self.gateway()
        await self.serve(p, backend)
        for message, code, reason in (
            ("raise", 1011, ""), ("terminate", 1006, ""),
            ("return", 1000, ""), ("close", 4321, "b\u00fcy"),
        ):
            with self.assertLogs("penstock") as logs:
                logs.records.append(None)  # only the first one logs
                ws = await self.connect(p)
                await ws.send(message)
                await soon(ws.wait_closed())
            self.assertEqual((ws.close_code, ws.close_reason), (code, reason))
            self.assertEqual(len(logs.records) > 1, message == "raise")
        await soon(ends.get())
        await soon(ends.get())
        ws = await self.connect(p)
        await ws.close(3999, "mine")
        self.assertEqual(await soon(ends.get()), (3999, "mine", ReadyState.CLOSED))

    async def test_send_waits_for_the_client(self):
        backend, sent = Backend("flood"), 0
        go, done = asyncio.Event(), asyncio.Event()

        @backend.app()
        async def handler(conn):
            nonlocal sent
            await conn.accept()
            for n in range(3000):
                await conn.send(b"%08d" % n + bytes(10000))
                sent += 1
            done.set()
            async for _ in conn:
                pass

        p = self.gateway(http="websocket_send_buffer 64k;")
        await self.serve(p, backend)
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.connect(("127.0.0.1", p.port()))
        s.sendall(handshake())
        s.setblocking(False)
        self.addCleanup(s.close)
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.3)
        self.assertTrue(0 < sent < 2500, sent)
        self.assertFalse(done.is_set())
        conn, = backend.connections()
        self.assertGreater(conn.buffered_amount, 10008)
        loop, got = asyncio.get_running_loop(), b""
        while b"%08d" % 2999 not in got:
            got = got[-16:] + await soon(loop.sock_recv(s, 1 << 20))
        await soon(done.wait())

    async def test_a_slow_handler_stops_the_client(self):
        backend, gate = Backend("slow"), asyncio.Event()
        total = 0

        @backend.app()
        async def handler(conn):
            nonlocal total
            await conn.accept()
            await gate.wait()
            async for message in conn:
                total += len(message)
            gate.clear()

        p = self.gateway()
        await self.serve(p, backend)
        s = socket.create_connection(("127.0.0.1", p.port()))
        self.addCleanup(s.close)
        s.sendall(handshake())
        s.setblocking(False)
        loop = asyncio.get_running_loop()
        message = encode(2, bytes(8192))
        writing = asyncio.create_task(loop.sock_sendall(s, message * 4000))
        before = -1
        while not backend.connections():
            await asyncio.sleep(0.01)
        conn, = backend.connections()
        while conn.bytes_received != before:
            before = conn.bytes_received
            await asyncio.sleep(0.3)
        self.assertLessEqual(before, 65536 + 8192)
        gate.set()
        await soon(writing)
        await self.until("all", lambda: total == 8192 * 4000)

    async def test_ping_and_stream(self):
        backend, pongs = Backend("ping"), asyncio.Queue()

        @backend.app()
        async def handler(conn):
            await conn.accept()
            await (await conn.ping(b"here?"))
            await (await conn.ping())
            pongs.put_nowait("both")
            async with conn.stream() as s:
                await s.send("pie")
                await s.send("ces")
            async with conn.stream(binary=True) as s:
                pass
            await conn.recv()
            pong = await conn.ping()
            with self.assertRaises(ConnectionClosed):
                await pong
            pongs.put_nowait("gone")

        p = self.gateway()
        await self.serve(p, backend)
        ws = await self.connect(p)
        self.assertEqual(await soon(pongs.get()), "both")
        self.assertEqual(await soon(ws.recv()), "pieces")
        self.assertEqual(await soon(ws.recv()), b"")
        ws.transport.pause_reading()
        await ws.send("now")
        await asyncio.sleep(0.05)
        ws.transport.abort()
        self.assertEqual(await soon(pongs.get()), "gone")

    async def test_groups(self):
        backend = Backend("groups")

        @backend.app()
        async def handler(conn):
            conn.subscribe("all", "left")
            conn.unsubscribe("left")
            await conn.accept()
            async for message in conn:
                word, _, rest = message.partition(" ")
                if word == "join":
                    conn.subscribe(rest)
                elif word == "leave":
                    conn.unsubscribe(rest)
                elif word == "tell":
                    name, _, text = rest.partition(" ")
                    await backend.publish(name, text, except_=conn)
                elif word == "many":
                    await backend.send_many(backend.connections(handler), rest)
                else:
                    await backend.broadcast(rest, app=handler, except_=[conn])
                await conn.send("done")

        p = self.gateway(front="worker_processes 2;")
        await self.serve(p, backend, times=2)
        a, b, c = [await self.connect(p) for _ in range(3)]

        async def say(ws, text):
            await ws.send(text)
            while True:
                answer = await soon(ws.recv())
                if answer == "done":
                    return

        await say(a, "join blue")
        await say(b, "join blue")
        await say(a, "tell blue 1")
        self.assertEqual(await soon(b.recv()), "1")
        await say(b, "leave blue")
        await say(a, "tell blue 2")
        await say(a, "tell left 3")
        await say(a, "tell all 4")
        self.assertEqual(await soon(b.recv()), "4")
        self.assertEqual(await soon(c.recv()), "4")
        await say(c, "cast 5")
        self.assertEqual(await soon(a.recv()), "5")
        self.assertEqual(await soon(b.recv()), "5")
        await say(c, "many 6")
        self.assertEqual(await soon(a.recv()), "6")
        self.assertEqual(await soon(b.recv()), "6")

    async def test_claim(self):
        p = self.gateway(backend="server unix:@PREFIX@/b.sock; round_robin; "
                                 "claim $arg_sid;")
        one, two = Backend("one"), Backend("two")
        for backend in (one, two):
            def answer(name):
                async def handler(x):
                    await x.respond(200, {"Content-Length": "3"}, name)

                return handler

            backend.http()(answer(backend.name))
        two.claim("early")
        await self.serve(p, one)
        await self.serve(p, two, "b.sock", times=2)

        async def ask(sid):
            _, body = await self.fetch(
                p, f"GET /?sid={sid} HTTP/1.1\r\nHost: x\r\n"
                   "Connection: close\r\n\r\n".encode())
            return body

        for _ in range(4):
            self.assertEqual(await ask("early"), b"two")
        self.assertEqual({await ask("none") for _ in range(4)},
                         {b"one", b"two"})
        two.unclaim("early")
        one.claim("late")
        for _ in range(50):  # the frames cross the requests
            if {await ask("late") for _ in range(4)} == {b"one"}:
                break
        for _ in range(4):
            self.assertEqual(await ask("late"), b"one")
        self.assertEqual({await ask("early") for _ in range(4)},
                         {b"one", b"two"})
        with self.assertRaises(ValueError):
            one.claim("")

    async def test_old_versions(self):
        seen = asyncio.Queue()
        backend = Backend("old")

        @backend.app()
        async def handler(conn):
            await conn.accept()
            for what in (conn.send(b"x"), conn.ping()):
                with self.assertRaises(ValueError):
                    await what
            async for message in conn:
                await conn.send(message)
            seen.put_nowait(conn.request.ws_version)

        p = self.gateway(http="websocket_versions 75;")
        await self.serve(p, backend)
        s = socket.create_connection(("127.0.0.1", p.port()))
        self.addCleanup(s.close)
        s.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(s, (
            f"GET /ws HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade"
            f"\r\nHost: 127.0.0.1:{p.port()}\r\nOrigin: http://127.0.0.1:{p.port()}\r\n\r\n"
        ).encode() + b"\0hi\xff")
        got = b""
        while not got.endswith(b"\0hi\xff"):
            more = await soon(loop.sock_recv(s, 4096))
            self.assertTrue(more, got)
            got += more
        s.close()
        self.assertEqual(await soon(seen.get()), 75)


class HttpTest(BackendTestCase):
    def backend(self):
        backend = Backend("http")
        self.results = asyncio.Queue()

        @backend.http()
        async def handler(x):
            path = x.request.path
            if path == "/hello":
                await x.respond(200, {"Content-Type": "text/plain"}, "hello\n")
            elif path == "/empty":
                await x.respond(204)
            elif path == "/sum":
                digest, n = hashlib.sha256(), 0
                async for piece in x:
                    digest.update(piece)
                    n += len(piece)
                await x.respond(body=f"{n} {digest.hexdigest()}")
            elif path == "/big":
                await x.start(200, [(b"X-A", b"1"), (b"X-A", b"2")])
                for _ in range(200):
                    await x.write(b"b" * 50000)
                await x.end()
                await x.wait_over()
                self.results.put_nowait(x.complete)
            elif path == "/fail":
                raise ZeroDivisionError("as the test wants it")
            elif path == "/cut":
                await x.start(200, {"Content-Length": "10"})
                await x.write("12345")
                raise ZeroDivisionError("as the test wants it")
            elif path == "/hang":
                self.results.put_nowait("hangs")
                await x.wait_over()
                with self.assertRaises(ConnectionClosed):
                    await x.respond(200)
                self.results.put_nowait("left")

        return backend

    async def get(self, p, path, method="GET", body=b"", fields=""):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return await self.fetch(p, f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
                                f"{length}{fields}Connection: close\r\n\r\n"
                                .encode() + body)

    async def test_responses(self):
        p = self.gateway()
        await self.serve(p, self.backend())
        head, body = await self.get(p, "/hello")
        self.assertIn("HTTP/1.1 200 ", head)
        self.assertIn("Content-Type: text/plain", head)
        self.assertIn(b"hello\n", body)
        head, body = await self.get(p, "/empty")
        self.assertIn("HTTP/1.1 204 ", head)
        self.assertEqual(body, b"")
        head, body = await self.get(p, "/big")
        self.assertIn("X-A: 1\r\nX-A: 2", head)
        self.assertEqual(body.count(b"b"), 200 * 50000)
        self.assertTrue(await soon(self.results.get()))

    async def test_request_bodies(self):
        p = self.gateway()
        await self.serve(p, self.backend())
        data = random.randbytes(1 << 20)
        expected = f"{1 << 20} {hashlib.sha256(data).hexdigest()}".encode()
        _, body = await self.get(p, "/sum", "POST", data)
        self.assertIn(expected, body)
        # A body that nobody reads.
        head, body = await self.get(p, "/hello", "POST", data)
        self.assertIn("HTTP/1.1 200 ", head)

    async def test_failures(self):
        p = self.gateway()
        await self.serve(p, self.backend())
        with self.assertLogs("penstock", "ERROR"):
            head, _ = await self.get(p, "/fail")
        self.assertIn("HTTP/1.1 500 ", head)
        with self.assertLogs("penstock", "ERROR"):
            head, body = await self.get(p, "/cut")
        self.assertIn("HTTP/1.1 200 ", head)
        self.assertEqual(body, b"12345")
        head, _ = await self.get(p, "/nothing")
        self.assertIn("HTTP/1.1 500 ", head)

    async def test_a_client_that_leaves(self):
        p = self.gateway()
        await self.serve(p, self.backend())
        reader, writer = await asyncio.open_connection("127.0.0.1", p.port())
        writer.write(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(await soon(self.results.get()), "hangs")
        writer.close()
        self.assertEqual(await soon(self.results.get()), "left")


class ResumeTest(BackendTestCase):
    def counter(self, seen=None):
        backend = Backend("counter")

        @backend.app()
        async def count(conn):
            await conn.accept()
            await self.count(conn, 0)

        @count.resume
        async def resumed(conn):
            if seen is not None:
                seen.append((conn.resumed, conn.saved))
            await self.count(conn, int(conn.saved))

        return backend

    async def count(self, conn, total):
        async for message in conn:
            total += int(message)
            conn.set_state(b"%d" % total)
            await conn.send(str(total))

    async def test_a_backend_that_ends_in_good_order(self):
        seen = []
        p = self.gateway()
        first = self.counter()
        task = await self.serve(p, first)
        ws = await self.connect(p)
        await ws.send("5")
        self.assertEqual(await soon(ws.recv()), "5")
        first.stop(0)
        await soon(task)
        self.assertFalse(os.path.exists(p.path("app.sock")))
        await ws.send("6")
        await self.serve(p, self.counter(seen), times=2)
        self.assertEqual(await soon(ws.recv()), "11")
        self.assertEqual(seen, [(True, b"5")])

    async def test_handover(self):
        seen = []
        p = self.gateway(
            backend="server unix:@PREFIX@/b.sock; on_backend_loss hold 10s any;")
        first = self.counter()
        task = await self.serve(p, first)
        clients = [await self.connect(p) for _ in range(10)]
        for ws in clients:
            await ws.send("1")
            self.assertEqual(await soon(ws.recv()), "1")
        await self.serve(p, self.counter(seen), "b.sock", times=2)
        first.stop(10)
        await soon(task)
        await self.until("all ten", lambda: len(seen) == 10)
        self.assertEqual(seen, [(True, b"1")] * 10)
        for ws in clients:
            await ws.send("2")
            self.assertEqual(await soon(ws.recv()), "3")

    async def test_at_least_once(self):
        """A message that was not dealt with comes again."""
        p = self.gateway(backend="delivery at_least_once;")
        program = """
import os, sys
from penstock import Backend
backend = Backend("crash", socket=sys.argv[1])

@backend.app()
async def handler(conn):
    await conn.accept()
    total = int(conn.saved or b"0")
    async for message in conn:
        if message == "crash" and not conn.replayed:
            os._exit(1)
        total += len(message)
        conn.set_state(b"%d" % total)
        await conn.send(f"{total} {conn.replayed}")

backend.run()
"""
        args = ["-c", program, p.path("app.sock")]
        first = self.process(p, args)
        await self.until("ready", lambda: "backend is ready" in p.log())
        ws = await self.connect(p)
        await ws.send("abc")
        self.assertEqual(await soon(ws.recv()), "3 False")
        await ws.send("")
        self.assertEqual(await soon(ws.recv()), "3 False")
        await ws.send("crash")
        first.wait(20)
        await ws.send("behind")
        self.process(p, args)
        self.assertEqual(await soon(ws.recv()), "8 True")
        self.assertEqual(await soon(ws.recv()), "14 False")
        await ws.close()
        self.assertEqual(ws.close_code, 1000)

    async def test_manual_ack(self):
        backend, conns = Backend("manual"), []

        @backend.app(manual_ack=True)
        async def handler(conn):
            conns.append(conn)
            await conn.accept()
            async for message in conn:
                await conn.send(message)

        p = self.gateway(backend="delivery at_least_once;")
        await self.serve(p, backend)
        ws = await self.connect(p)
        for n in range(9):
            await ws.send(bytes(8192))
        for n in range(8):
            await soon(ws.recv())
        # The window is used up until somebody says so.
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(ws.recv()), 0.4)
        with self.assertRaises(ValueError):
            conns[0].ack(100)
        conns[0].ack(8)
        await self.until("the ninth", lambda: conns[0].seq == 9)
        conns[0].ack()

    async def test_the_gateway_dies(self):
        backend, ends = Backend("orphan"), asyncio.Queue()

        @backend.app()
        async def handler(conn):
            await conn.accept()
            async for _ in conn:
                pass
            ends.put_nowait(conn.close_code)

        p = self.gateway()
        await self.serve(p, backend)
        await self.connect(p)
        for pid in p.workers():
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(await soon(ends.get()), 1006)
        # Penstock starts another worker, which dials.
        await self.until("a link", lambda: p.log().count(
            "backend is ready") == 2)
        await self.connect(p)


class SocketTest(BackendTestCase):
    async def test_spawn_and_the_readme(self):
        with open(os.path.join(PACKAGE, "README.md")) as f:
            echo = re.search(r"```python\n(.*?)```", f.read(), re.S)[1]
        p = self.penstock("""
user root;
events { }
http {
    access_log off;
    backend app { spawn /usr/bin/env PYTHONPATH=%s PYTHONDONTWRITEBYTECODE=1
                  /usr/bin/python3 @PREFIX@/echo.py; }
    server { listen 127.0.0.1:@PORT@; location /ws { websocket_pass app; } }
}
""" % PACKAGE, files={"echo.py": echo})
        await self.until("ready", lambda: "backend is ready" in p.log())
        ws = await self.connect(p)
        await ws.send("spawned")
        self.assertEqual(await soon(ws.recv()), "spawned")

    async def test_where_it_may_not_listen(self):
        p = self.gateway()
        await self.serve(p, echo_backend())
        other = echo_backend()
        other.socket = p.path("app.sock")
        with self.assertRaises(OSError):
            await other.serve()
        other.socket = p.write("file", "x")
        with self.assertRaises(FileExistsError):
            await other.serve()
        self.assertEqual(os.stat(p.path("app.sock")).st_mode & 0o777, 0o660)
        # One that is left over is replaced.
        s = socket.socket(socket.AF_UNIX)
        s.bind(p.path("old.sock"))
        s.close()
        other.socket = p.path("old.sock")
        await other.start()
        other.stop(0)
        await other.serve()


if __name__ == "__main__":
    unittest.main()
