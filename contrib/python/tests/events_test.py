# SPDX-License-Identifier: BSD-2-Clause
"""Events, decisions, pieces of messages, and what a backend asks its gateways,
behind the real one."""

import asyncio
import socket
import unittest

from harness import BackendTestCase, soon

import websockets

from penstock import Backend, ConnectionClosed, GatewayError, ReadyState, State
from support.websocket import encode, handshake


class Recorder:
    """An application with every method; what was called, in its order."""

    def __init__(self):
        self.seen = asyncio.Queue()
        self.conns = []

    async def on_connect(self, conn):
        self.conns.append(conn)
        self.seen.put_nowait(("connect", conn.state, conn.ready_state))

    async def on_message(self, conn, message):
        self.seen.put_nowait(("message", message))
        await conn.send(message)

    def on_disconnect(self, conn, code, reason):
        self.seen.put_nowait(("disconnect", code, reason))

    def on_state(self, conn, state, previous):
        self.seen.put_nowait(("state", int(state), int(previous)))

    def on_ping(self, conn, data):
        self.seen.put_nowait(("ping", data))

    def on_pong(self, conn, data):
        self.seen.put_nowait(("pong", data))

    def on_closing(self, conn, code, reason):
        self.seen.put_nowait(("closing", code, reason))

    def on_reject(self, conn):
        self.seen.put_nowait(("reject",))

    def accepts_origin(self, origin):
        return origin != "http://evil.example"

    def choose_protocol(self, protocols):
        return "good" if "good" in protocols else None

    async def verify(self, conn):
        return {b"": True, b"no": False, b"402": 402}[conn.request.query]

    def on_client_error(self, refused):
        self.seen.put_nowait(("client_error", refused.target))

    def on_shutdown(self, number):
        self.seen.put_nowait(("shutdown", number))


class EventsTest(BackendTestCase):
    async def started(self, application, **gateway):
        backend = Backend("events")
        self.app = backend.add_application(application, "", None)
        self.p = self.gateway(**gateway)
        await self.serve(self.p, backend)
        return backend

    async def expect(self, *events):
        for event in events:
            got = await soon(self.recorder.seen.get())
            self.assertEqual(got, event)

    async def test_the_life_of_a_client(self):
        self.recorder = Recorder()
        await self.started(self.recorder)
        ws = await self.connect(self.p, subprotocols=["bad", "good"])
        self.assertEqual(ws.subprotocol, "good")
        await self.expect(
            ("state", 1, 0), ("state", 3, 1),
            # Both are told when OPENED came.
            ("state", 4, 3), ("connect", State.CONNECTED, ReadyState.OPEN))
        conn, = self.recorder.conns
        self.assertEqual((conn.version, conn.ws_version,
                          conn.protocol_version, conn.binary_ok),
                         ("rfc6455", 13, 13, True))
        await ws.send("hi")
        await self.expect(("message", "hi"))
        self.assertEqual(await soon(ws.recv()), "hi")
        await soon(await ws.ping(b"are you there"))
        await self.expect(("ping", b"are you there"))
        await soon(await conn.ping(b"and you"))
        await self.expect(("pong", b"and you"))
        await ws.pong(b"unasked")
        await self.expect(("pong", b"unasked"))
        await conn.pong(b"")
        await ws.close(3001, "bye")
        await self.expect(("closing", 3001, "bye"), ("state", 5, 4),
                          ("disconnect", 3001, "bye"))
        # Frames of the client: "hi", a ping, pongs, a close.
        self.assertEqual(conn.bytes_received,
                         8 + 19 + 13 + 13 + 6 + 2 + 3)
        self.assertGreater(conn.bytes_sent, 4)

    async def test_decisions(self):
        self.recorder = Recorder()
        await self.started(self.recorder, location="websocket_origin any;")

        async def ask(query="", **how):
            fields = how.pop("fields", {})
            head, _ = await self.fetch(self.p, handshake(
                request=f"GET /ws?{query} HTTP/1.1",
                fields={"Connection": "Upgrade, close", **fields}))
            return int(head.split()[1])

        self.assertEqual(await ask("no"), 401)
        await self.expect(("state", 1, 0), ("state", 5, 1), ("reject",))
        self.assertEqual(await ask("402"), 402)
        self.assertEqual(await ask(fields={
            "Sec-WebSocket-Protocol": "bad"}), 400)
        self.assertEqual(await ask(fields={
            "Origin": "http://evil.example"}), 403)  # no app is left
        while not self.recorder.seen.empty():
            self.recorder.seen.get_nowait()
        self.assertEqual(await ask(fields={"Sec-WebSocket-Version": "12"}),
                         426)
        seen = []
        while not seen or seen[-1][0] != "client_error":
            seen.append(await soon(self.recorder.seen.get()))
        self.assertEqual(seen[-1], ("client_error", b"/ws?"))

    async def test_apps_take_their_turn(self):
        class Named:
            def __init__(self, name, origin):
                self.name, self.origin = name, origin

            def accepts_origin(self, origin):
                return origin == self.origin

            async def on_connect(self, conn):
                await conn.send(self.name)

        backend = Backend("turns")
        backend.add_application(Named("a", "http://a.example"))
        backend.add_application(Named("b", "http://b.example"))
        p = self.gateway(location="websocket_origin any;")
        await self.serve(p, backend)
        for name in "ab":
            ws = await self.connect(p, origin=f"http://{name}.example")
            self.assertEqual(await soon(ws.recv()), name)
        with self.assertRaises(websockets.InvalidStatusCode):
            await self.connect(p, origin="http://c.example")

    async def test_an_object_without_methods(self):
        await self.started(object())
        ws = await self.connect(self.p)
        await ws.send("ignored")
        await ws.close()
        self.assertEqual(ws.close_code, 1000)

    async def test_a_method_that_fails(self):
        class Failing:
            def on_ping(self, conn, data):
                raise ZeroDivisionError("as the test wants it")

            async def on_pong(self, conn, data):
                raise ZeroDivisionError("as the test wants it")

            async def on_message(self, conn, message):
                raise ZeroDivisionError("as the test wants it")

        await self.started(Failing())
        ws = await self.connect(self.p)
        for send in (ws.ping, ws.pong, lambda: ws.send("x")):
            with self.assertLogs("penstock", "ERROR"):
                await send()
                await asyncio.sleep(0.1)
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1011)

    async def test_pongs_of_our_own(self):
        backend = Backend("pongs")

        @backend.app(auto_pong=False)
        async def handler(conn):
            await conn.accept()
            await conn.wait_closed()

        p = self.gateway()
        await self.serve(p, backend)
        ws = await self.connect(p)
        await soon(await ws.ping(b"x"))

    async def test_shutdown_of_the_gateway(self):
        self.recorder = Recorder()
        await self.started(self.recorder)
        self.p.stop()
        await self.expect(("shutdown", 0))


class ResumedTest(BackendTestCase):
    async def test_resume_with_the_state(self):
        seen = asyncio.Queue()

        class Counter:
            async def on_connect(self, conn):
                conn.set_state(b"left", ack=False)
                await conn.send("set")

            async def on_resume(self, conn, state):
                seen.put_nowait((conn.resumed, conn.state, state))
                await conn.send("again")

        def made():
            backend = Backend("counter")
            backend.add_application(Counter())
            return backend

        p = self.gateway()
        first = made()
        task = await self.serve(p, first)
        ws = await self.connect(p)
        self.assertEqual(await soon(ws.recv()), "set")
        first.stop(0)
        await soon(task)
        await self.serve(p, made(), times=2)
        self.assertEqual(await soon(seen.get()),
                         (True, State.CONNECTED, b"left"))
        self.assertEqual(await soon(ws.recv()), "again")


class PiecesTest(BackendTestCase):
    async def client(self, p):
        """A socket after the handshake, for frames of any shape."""
        reader, writer = await asyncio.open_connection("127.0.0.1", p.port())
        writer.write(handshake())
        await soon(reader.readuntil(b"\r\n\r\n"))
        self.addCleanup(writer.close)
        return reader, writer

    async def test_pieces_come_as_they_are_sent(self):
        backend, seen = Backend("pieces"), asyncio.Queue()

        @backend.app(stream_threshold=16384)
        async def handler(conn):
            await conn.accept()
            for _ in range(3):
                async for piece in conn.recv_streaming():
                    seen.put_nowait(piece)
                seen.put_nowait(None)
            async for message in conn:  # put together again
                seen.put_nowait(message)

        p = self.gateway()
        await self.serve(p, backend)
        _, writer = await self.client(p)
        euro = "\u20ac".encode()
        writer.write(encode(1, b"one " + euro[:1], fin=False))
        self.assertEqual(await soon(seen.get()), "one ")
        writer.write(encode(0, euro[1:] + b" two", fin=False))
        self.assertEqual(await soon(seen.get()), "\u20ac two")
        writer.write(encode(0, b""))
        self.assertIsNone(await soon(seen.get()))
        writer.write(encode(2, b"whole"))
        self.assertEqual(await soon(seen.get()), b"whole")
        self.assertIsNone(await soon(seen.get()))
        # More than a window.
        data = bytes(range(256)) * 2000
        writer.write(encode(2, data))
        got = b""
        while True:
            piece = await soon(seen.get())
            if piece is None:
                break
            got += piece
        self.assertTrue(got == data)
        writer.write(encode(2, data[:100000], fin=False)
                     + encode(0, data[100000:]))
        self.assertTrue(await soon(seen.get()) == data)

    async def test_a_stream_nobody_finishes(self):
        backend, seen = Backend("drops"), asyncio.Queue()

        @backend.app(fragments=True)
        async def handler(conn):
            await conn.accept()
            async for piece in conn.recv_streaming():
                seen.put_nowait(piece)
                break
            seen.put_nowait(await conn.recv())

        p = self.gateway()
        await self.serve(p, backend)
        _, writer = await self.client(p)
        writer.write(encode(2, b"first", fin=False))
        self.assertEqual(await soon(seen.get()), b"first")
        for _ in range(20):
            writer.write(encode(0, bytes(16384), fin=False))
        writer.write(encode(0, b"end") + encode(1, b"next"))
        self.assertEqual(await soon(seen.get()), "next")

    async def test_the_client_leaves_within(self):
        backend, seen = Backend("leaves"), asyncio.Queue()

        @backend.app(fragments=True)
        async def handler(conn):
            await conn.accept()
            try:
                if conn.request.query:
                    seen.put_nowait(await conn.recv())
                else:
                    async for piece in conn.recv_streaming():
                        seen.put_nowait(piece)
            except ConnectionClosed as e:
                seen.put_nowait(e.code)

        p = self.gateway()
        await self.serve(p, backend)
        _, writer = await self.client(p)
        writer.write(encode(2, b"first", fin=False))
        self.assertEqual(await soon(seen.get()), b"first")
        writer.transport.abort()
        self.assertEqual(await soon(seen.get()), 1006)

    async def test_streams_as_events(self):
        class Streams:
            seen = asyncio.Queue()

            async def on_stream(self, conn, pieces):
                self.seen.put_nowait("start")
                async for piece in pieces:
                    self.seen.put_nowait(piece)
                self.seen.put_nowait("end")

            async def on_message(self, conn, message):
                self.seen.put_nowait(("message", message))

        backend = Backend("streams")
        backend.add_application(Streams())
        p = self.gateway()
        await self.serve(p, backend)
        ws = await self.connect(p)
        await ws.send("small")
        await ws.send(["a", "b"])
        await ws.send("last")
        got = []
        while not got or got[-1] != ("message", "last"):
            got.append(await soon(Streams.seen.get()))
        self.assertEqual(got[0], ("message", "small"))
        self.assertEqual(got[1], "start")
        self.assertEqual("".join(got[2:-2]), "ab")
        self.assertEqual(got[-2], "end")

    async def test_more_than_max_message(self):
        backend, seen = Backend("large"), asyncio.Queue()

        @backend.app(fragments=True)
        async def handler(conn):
            await conn.accept()
            try:
                seen.put_nowait(len(await conn.recv()))
            except ConnectionClosed as e:
                seen.put_nowait(e.code)

        p = self.gateway(http="websocket_max_message 300k;")
        await self.serve(p, backend)
        ws = await self.connect(p)
        await ws.send([bytes(200000)] * 2)
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1009)


class AskingTest(BackendTestCase):
    async def chat(self, **gateway):
        backend, self.conns = Backend("asks"), []

        @backend.app()
        async def handler(conn):
            conn.subscribe("room")
            await conn.accept()
            self.conns.append(conn)
            async for message in conn:
                await conn.send(message)

        self.handler = handler
        self.p = self.gateway(front="worker_processes 2;", **gateway)
        await self.serve(self.p, backend, times=2)
        return backend

    async def test_reports_and_presence(self):
        backend = await self.chat()
        clients = [await self.connect(self.p) for _ in range(5)]
        for ws in clients:
            await ws.send("x")
            await soon(ws.recv())
        self.assertEqual(await soon(backend.presence("room")), 5)
        self.assertEqual(await soon(backend.presence("empty")), 0)
        self.assertEqual(set(await soon(backend.members("room"))),
                         {conn.id for conn in self.conns})
        self.assertEqual(len(backend.clients), 5)
        got = await soon(backend.publish("room", "1", report=True))
        self.assertEqual(got, (5, 5, 0, 0))
        self.assertEqual((got.matched, got.queued), (5, 5))
        self.assertEqual(await soon(backend.broadcast(
            "2", self.handler, except_=self.conns[0], report=True)),
            (4, 4, 0, 0))
        self.assertEqual(await soon(backend.broadcast(
            "3", scope="backend", report=True)), (5, 5, 0, 0))
        self.assertEqual(await soon(backend.send_many(
            self.conns[:3], b"4", report=True)), (3, 3, 0, 0))
        await self.conns[0].broadcast("5")
        with self.assertRaises(ValueError):
            await backend.broadcast("x", scope="moon")

    async def test_one_client_by_its_id(self):
        backend = await self.chat()
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        cid = self.conns[0].id
        await backend.send(cid, "direct")
        self.assertEqual(await soon(ws.recv()), "direct")
        await backend.send(cid + 1, "nobody")
        await backend.disconnect(cid + 1)
        backend.terminate(cid + 1)
        await backend.disconnect(cid, 4000, "go")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason), (4000, "go"))
        await backend.send(cid, "late")

    async def test_stats(self):
        backend = await self.chat()
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        for scope in ("link", "process"):
            found = await soon(backend.stats(scope))
            self.assertEqual(len(found), 2)
            self.assertTrue(all(isinstance(f, dict) and f for f in found))
        one, two = await soon(asyncio.gather(self.conns[0].stats(),
                                             self.conns[0].stats()))
        self.assertIsInstance(one, dict)
        await ws.close()
        await soon(self.conns[0].wait_closed())
        with self.assertRaises(GatewayError):
            await soon(self.conns[0].stats())

    async def test_groups_without_compression(self):
        backend = await self.chat(http="websocket_deflate on min=1;")
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        conn, = self.conns
        text = "y" * 20000
        sizes = []
        for compress in (True, False):
            for send, *to in ((conn.send,), (backend.broadcast,),
                              (backend.publish, "room"),
                              (backend.send_many, [conn])):
                before = (await soon(conn.stats()))["bytes_out"]
                await send(*to, text, compress=compress)
                self.assertEqual(await soon(ws.recv()), text)
                sizes.append((await soon(conn.stats()))["bytes_out"]
                             - before)
        self.assertLess(max(sizes[:4]), 1000)
        self.assertGreater(min(sizes[4:]), 20000)

    async def test_flushed_and_buffered(self):
        await self.chat()
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        conn, = self.conns
        for _ in range(20):
            await conn.send(bytes(1000))
        self.assertGreaterEqual(conn.buffered_amount, 20000)
        await soon(conn.flushed())
        self.assertEqual(conn.buffered_amount, 0)
        await conn.send("not compressed", compress=False)
        await ws.close()
        await soon(conn.wait_closed())
        with self.assertRaises(ConnectionClosed):
            await conn.send("x")

    async def test_raw_frames(self):
        backend = await self.chat(backend="allow_raw on;")
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        conn, = self.conns
        await conn.send_raw(0x81, b"raw")
        self.assertEqual(await soon(ws.recv()), "raw")
        await backend.broadcast_raw({"fin": True, "opcode": 1}, "all")
        self.assertEqual(await soon(ws.recv()), "all")
        await backend.broadcast_raw(0x82, b"all")
        self.assertEqual(await soon(ws.recv()), b"all")
        await backend.broadcast_raw({"fin": True, "opcode": 9}, b"ping")
        await conn.send("behind it")
        self.assertEqual(await soon(ws.recv()), "behind it")
        for head in ({"fin": True}, {"fin": True, "opcode": 77}, 256):
            with self.assertRaises(ValueError):
                await backend.broadcast_raw(head, b"")
        await backend.broadcast_raw({"fin": True, "opcode": 8},
                                    b"\x0f\xa0bye")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason), (4000, "bye"))

    async def test_raw_needs_leave(self):
        backend = await self.chat()
        ws = await self.connect(self.p)
        await ws.send("x")
        await soon(ws.recv())
        with self.assertRaises(RuntimeError):
            await self.conns[0].send_raw(0x81, b"raw")
        with self.assertRaises(RuntimeError):
            await backend.broadcast_raw(0xC1, b"raw")
        # What is no more than the protocol's own needs none.
        await backend.broadcast_raw({"fin": True, "opcode": 9}, b"ping")
        await backend.broadcast_raw({"fin": True, "opcode": 8},
                                    b"\x03\xe9away")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason), (1001, "away"))

    async def test_broadcast_stream(self):
        backend = await self.chat()
        clients = [await self.connect(self.p) for _ in range(4)]
        for ws in clients:
            await ws.send("x")
            await soon(ws.recv())
        large = "y" * 600000
        async with backend.broadcast_stream() as s:
            await s.send("one ")
            late = await self.connect(self.p)
            await self.conns[0].send("behind")
            await s.send("two ")
            await s.send(large)
        for ws in clients:
            self.assertEqual(await soon(ws.recv()), "one two " + large)
        async with backend.broadcast_stream(self.handler, binary=True,
                                            compress=False) as s:
            await s.send(b"bytes")
            with self.assertRaises(TypeError):
                await s.send("text")
        self.assertEqual(await soon(late.recv()), b"bytes")
        async with backend.broadcast_stream():
            pass
        self.assertEqual(await soon(late.recv()), "")
        await backend.broadcast_raw({"fin": False, "opcode": 1}, "a")
        with self.assertRaises(RuntimeError):
            await backend.broadcast_raw({"fin": False, "opcode": 1}, "a")
        await backend.broadcast_raw({"fin": False, "opcode": 0}, b"b")
        await backend.broadcast_raw({"fin": True, "opcode": 0}, b"")
        self.assertEqual(await soon(late.recv()), "ab")

    async def test_closing_the_backend(self):
        backend = await self.chat()
        one, two = await self.connect(self.p), await self.connect(self.p)
        backend.stop_accepting()
        await self.until("refusals", lambda: True)
        await one.send("still here")
        self.assertEqual(await soon(one.recv()), "still here")
        with self.assertRaises(websockets.InvalidStatusCode):
            await self.connect(self.p)
        await backend.close(4001, "over")
        for ws in (one, two):
            await soon(ws.wait_closed())
            self.assertEqual((ws.close_code, ws.close_reason), (4001, "over"))

    async def test_debug_and_log(self):
        backend = await self.chat(backend="debug on;")
        backend.log("a line of the backend's", 4)
        await self.until("the line", lambda: "a line of the backend's"
                         in self.p.log())
        with self.assertLogs("penstock.gateway", "DEBUG"):
            backend.debug = True
            ws = await self.connect(self.p)
            await ws.close()
            await asyncio.sleep(0.1)
        self.assertTrue(backend.debug)
        backend.debug = False

    async def test_clients_of_other_backends(self):
        p = self.gateway(backend="server unix:@PREFIX@/b.sock; round_robin;")
        conns = {}

        def made(name):
            backend = Backend(name)

            @backend.app(name="same")
            async def handler(conn):
                await conn.accept()
                conns[name] = conn
                await conn.send(name)
                async for message in conn:
                    await conn.send(f"{name} {message}")

            return backend

        one, two = made("one"), made("two")
        await self.serve(p, one)
        await self.serve(p, two, "b.sock", times=2)
        clients = {}
        while len(clients) < 2:
            ws = await self.connect(p)
            clients[await soon(ws.recv())] = ws
        cid, ws = conns["two"].id, clients["two"]
        self.assertIsNone(one.find(cid))
        await one.send(cid, "across")
        self.assertEqual(await soon(ws.recv()), "across")
        await one.send(cid, b"across")
        self.assertEqual(await soon(ws.recv()), b"across")
        one.subscribe(cid, "room")
        await two.publish("room", "by a channel")
        # The two links race; what is sent by the same one does not.
        got = await soon(one.publish("room", "again", report=True))
        self.assertEqual(got.matched, 1)
        while await soon(ws.recv()) != "again":
            pass
        one.unsubscribe(cid, "room")
        self.assertEqual(await soon(one.presence("room")), 0)
        await one.disconnect(cid, 4321, "from afar")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason),
                         (4321, "from afar"))
        await soon(conns["two"].wait_closed())
        ws = clients["one"]
        two.terminate(conns["one"].id)
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1006)

    async def test_raw_connections(self):
        backend, seen = Backend("raw"), asyncio.Queue()
        backend.app()(lambda conn: conn.accept())
        backend.on("raw_connection")(seen.put_nowait)
        p = self.gateway(backend="conn_events on;")
        await self.serve(p, backend)
        _, writer = await asyncio.open_connection("127.0.0.1", p.port())
        raw = await soon(seen.get())
        self.assertEqual(
            (raw.remote_addr, raw.remote_port, raw.local_addr, raw.local_port,
             raw.secure, raw.listener),
            (*writer.get_extra_info("sockname"), "127.0.0.1", p.port(), False,
             0))
        writer.close()
        with self.assertRaises(ValueError):
            backend.on("nothing")

    async def test_options(self):
        backend = Backend("options")

        @backend.app("/", host="127.0.0.1", versions="auto", nodelay=False,
                     ping_interval=10, close_timeout=1.5, send_buffer=65536,
                     on_loss="close", max_message=2000, idle_timeout=0.5)
        async def handler(conn):
            await conn.accept()
            conn.set_nodelay(True)
            await conn.wait_closed()

        p = self.gateway()
        await self.serve(p, backend)
        ws = await self.connect(p)
        await ws.send("x" * 2001)
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1009)
        ws = await self.connect(p)
        await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1001)
        for wrong in ({"on_loss": "shrug"}, {"versions": ["12"]},
                      {"name": "x" * 256}):
            with self.assertRaises(ValueError):
                Backend("wrong").app("/", **wrong)
        twice = Backend("twice")
        twice.app(name="a")
        with self.assertRaises(ValueError):
            twice.app(name="a")


class DialTest(BackendTestCase):
    async def test_it_dials_again(self):
        """A gateway that listens, in as far as HELLO goes."""
        p = self.gateway()  # for its directory
        path = p.path("gateway.sock")
        greetings = asyncio.Queue()

        async def greet(reader, writer):
            greetings.put_nowait((await reader.readexactly(64))[:24])
            writer.close()

        backend = Backend("dials")
        backend.app()(lambda conn: None)
        await backend.connect(path)
        task = asyncio.create_task(backend.serve(0))
        await asyncio.sleep(0.05)  # nobody is there
        server = await asyncio.start_unix_server(greet, path)
        first, second = await soon(greetings.get()), await soon(greetings.get())
        self.assertEqual(first[16:24], b"SLUICE1\n")
        self.assertEqual(second[16:24], b"SLUICE1\n")
        backend.stop(0)
        await soon(task)
        server.close()


if __name__ == "__main__":
    unittest.main()
