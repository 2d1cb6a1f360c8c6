# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket sessions, from a client that we did not write to a backend."""

import asyncio
import random
import signal
import socket
import struct
import threading
import time
import unittest

import websockets

from support.gateway import (
    ACCEPT,
    ACK,
    BINARY,
    CLOSED,
    HELLO,
    OPEN,
    OPENED,
    REJECT,
    TEXT,
    Backend,
    BridgeTestCase,
    CONFIG,
    READY,
    frame,
    hello,
    masked,
    tlv,
)
from support.penstock import wait_for
from support.websocket import Client

GOAWAY, BYE = 4, 5


class EchoTest(BridgeTestCase):
    def test_messages_of_all_kinds(self):
        p, _ = self.gateway()

        async def run():
            async with websockets.connect(self.ws(p), max_size=None) as ws:
                for message in (
                    "text", "", "\u00e4\u20ac\U0001f600", b"", b"\x00\xff",
                    "x" * 125, "x" * 126, b"y" * 65535, b"z" * 65536,
                    random.randbytes(1 << 20), "w" * (1 << 20),
                ):
                    await ws.send(message)
                    self.assertEqual(await ws.recv(), message)
                await ws.send(["frag", "men", "", "ted"])
                self.assertEqual(await ws.recv(), "fragmented")
                pong = await ws.ping(b"payload")
                await asyncio.wait_for(pong, 20)

        asyncio.run(run())

    def test_many_clients_at_once(self):
        p, _ = self.gateway()

        async def one(i):
            async with websockets.connect(self.ws(p)) as ws:
                for k in range(20):
                    await ws.send(f"{i} {k}")
                for k in range(20):
                    self.assertEqual(await ws.recv(), f"{i} {k}")

        async def run():
            await asyncio.gather(*(one(i) for i in range(100)))

        asyncio.run(run())

    def test_bytes_one_at_a_time(self):
        p, _ = self.gateway()
        s, head = self.raw(p)
        self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in masked(0x01, b"ab") + masked(0x89, b"p") + masked(0x80, b"c"):
            s.sendall(bytes([byte]))
        got = b""
        while len(got) < 8:
            got += s.recv(100)
        self.assertEqual(got, b"\x8a\x01p\x81\x03abc")

    def test_frames_right_behind_the_handshake(self):
        p, _ = self.gateway()
        s = socket.create_connection(("127.0.0.1", p.port()))
        s.settimeout(20)
        self.addCleanup(s.close)
        s.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            + masked(0x81, b"early")
        )
        self.assertIn("101", self.read_head(s))
        self.assertEqual(s.recv(100), b"\x81\x05early")

    def test_other_requests_are_not_taken(self):
        p, _ = self.gateway()
        s, head = self.raw(p, request="GET / HTTP/1.1")
        self.assertTrue(head.startswith("HTTP/1.1 200"), head)

    def test_close_codes_both_ways(self):
        p, _ = self.gateway()

        async def run():
            for code, reason in ((1000, ""), (1001, "bye"), (4321, "\u00e4")):
                ws = await websockets.connect(self.ws(p))
                await ws.close(code, reason)
                self.assertEqual(ws.close_code, code)

        asyncio.run(run())
        wait_for(
            "the access log",
            lambda: p.log("logs/access.log").count(" 101 ") == 3,
        )


class HandshakeTest(BridgeTestCase):
    def test_refusals(self):
        p, _ = self.gateway(location="websocket_protocol v2 v1;")
        host = f"127.0.0.1:{p.port()}"
        for fields, status in (
            ({"Sec-WebSocket-Version": "12"}, 426),
            ({"Sec-WebSocket-Key": "short"}, 400),
            ({"Sec-WebSocket-Key": None}, 400),
            ({"Origin": "http://elsewhere.example"}, 403),
            ({"Origin": f"https://{host}"}, 403),
            ({"Origin": f"http://{host}"}, 101),
            ({"Content-Length": "2"}, 400),
        ):
            _, head = self.raw(p, fields)
            self.assertTrue(
                head.startswith(f"HTTP/1.1 {status} "), (fields, head)
            )
            if status == 426:
                self.assertIn("Sec-WebSocket-Version: 13, 8\r\n", head)
        _, head = self.raw(p, request="POST /ws HTTP/1.1")
        self.assertTrue(head.startswith("HTTP/1.1 405 "), head)

    def test_origin_rules(self):
        p, _ = self.gateway(
            location="websocket_origin https://a.example ~^https://[bc]\\.example$;"
        )
        for origin, status in (
            ("https://a.example", 101), ("https://c.example", 101),
            ("https://d.example", 403), (None, 403),
        ):
            _, head = self.raw(p, {"Origin": origin})
            self.assertTrue(head.startswith(f"HTTP/1.1 {status} "), origin)

    def test_no_backend_is_503_and_it_is_found_later(self):
        p, _ = self.gateway(echo=False)
        _, head = self.raw(p)
        self.assertTrue(head.startswith("HTTP/1.1 503 "), head)
        self.start_echo(p)
        self.wait_ready(p)
        self.check_echo(p)

    def test_the_backend_chooses_and_refuses(self):
        def answer(kind, cid, payload):
            if kind != OPEN:
                return
            if b"/ws?no" in payload:
                b.send(
                    frame(
                        REJECT, cid,
                        struct.pack("<HH", 401, 0)
                        + tlv(0x10, struct.pack("<H", 12) + b"Content-Typetext/x")
                        + tlv(0x21, b"not you"),
                    )
                )
            elif b"/ws?bad" in payload:
                b.send(frame(ACCEPT, cid, bytes(8) + tlv(0x19, b"v9")))
            elif b"/ws?late" not in payload:
                b.send(
                    frame(
                        ACCEPT, cid,
                        bytes(8) + tlv(0x19, b"v1")
                        + tlv(0x10, struct.pack("<H", 3) + b"X-Ayes"),
                    )
                )

        p, b = self.with_backend(
            backend="accept_timeout 1s;", on_frame=answer
        )
        self.wait_ready(p)
        offer = {"Sec-WebSocket-Protocol": "v2, v1"}
        _, head = self.raw(p, offer)
        self.assertIn("\r\nSec-WebSocket-Protocol: v1\r\n", head)
        self.assertIn("\r\nX-A: yes\r\n", head)
        s, head = self.raw(p, request="GET /ws?no HTTP/1.1")
        self.assertTrue(head.startswith("HTTP/1.1 401 "), head)
        self.assertEqual(s.recv(7), b"not you")
        # The connection is as good as before.
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn("200", self.read_head(s))
        _, head = self.raw(p, offer, request="GET /ws?bad HTTP/1.1")
        self.assertTrue(head.startswith("HTTP/1.1 502 "), head)
        _, head = self.raw(p, request="GET /ws?late HTTP/1.1")
        self.assertTrue(head.startswith("HTTP/1.1 504 "), head)
        s = socket.create_connection(("127.0.0.1", p.port()))
        s.sendall(
            b"GET /ws?late HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        wait_for("the OPEN", lambda: len(b.of(OPEN)) == 5)
        s.close()
        wait_for(
            "the CLOSED of a client that left before the accept",
            lambda: any(f[2][0] == 17 for f in b.of(CLOSED)),
        )


class FaultTest(BridgeTestCase):
    def close_of(self, s):
        """The code of the close frame that comes next, and the end."""
        data = b""
        while True:
            more = s.recv(100)
            if not more:
                break
            data += more
        self.assertEqual(data[:1], b"\x88", data)
        return struct.unpack(">H", data[2:4])[0]

    def test_bad_frames_of_a_client(self):
        p, _ = self.gateway(location="websocket_max_message 1000;")
        for data, code in (
            (b"\x81\x02hi", 1002), (masked(0xF1, b"x"), 1002),
            (masked(0x83, b"x"), 1002), (masked(0x80, b"x"), 1002),
            (masked(0x09, b"x"), 1002), (masked(0x88, b"x"), 1002),
            (masked(0x81, b"\xff"), 1007), (masked(0x81, b"\xe2\x82"), 1007),
            (masked(0x82, bytes(1001)), 1009),
        ):
            s, _ = self.raw(p)
            s.sendall(data)
            self.assertEqual(self.close_of(s), code, data[:8])
        self.check_echo(p)

    def test_a_killed_backend_closes_with_1012_and_is_found_again(self):
        p, echo = self.gateway("on_backend_loss close;")

        async def run():
            async with websockets.connect(self.ws(p)) as ws:
                await ws.send("x")
                await ws.recv()
                echo.kill()
                echo.wait()
                with self.assertRaises(websockets.ConnectionClosed):
                    await ws.recv()
                self.assertEqual(ws.close_code, 1012)

        asyncio.run(run())
        self.start_echo(p)
        self.wait_ready(p, 2)
        self.check_echo(p)

    def test_a_stopped_backend_stops_its_clients_and_goes_on(self):
        """Back-pressure: what a client can push is bounded, nothing is lost."""
        p, echo = self.gateway(backend="client_window 64k;")
        before = self.memory(p)
        s, head = self.raw(p)
        self.assertIn("101", head)
        echo.send_signal(signal.SIGSTOP)
        s.settimeout(1)
        message = masked(0x82, b"m" * 60000)
        sent = 0
        rest = b""
        try:
            while sent < 400 << 20:
                rest = rest or message
                n = s.send(rest)
                rest = rest[n:]
                sent += n
        except socket.timeout:
            pass
        self.assertLess(sent, 64 << 20)
        self.assertLess(self.memory(p) - before, 64 << 10)  # KiB
        echo.send_signal(signal.SIGCONT)
        s.settimeout(20)
        # Every message that was sent whole comes back.
        expected = sent // len(message) * (60000 + 4)
        got = 0
        while got < expected:
            more = s.recv(1 << 20)
            self.assertTrue(more)
            got += len(more)

    def memory(self, p):
        with open(f"/proc/{p.workers()[0]}/status") as f:
            for line in f:
                if line.startswith("VmRSS"):
                    return int(line.split()[1])

    def test_a_slow_client_is_dropped_and_others_are_not(self):
        p, b = self.with_backend(location="websocket_send_timeout 1s;")
        self.wait_ready(p)
        s, _ = self.raw(p)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        other, _ = self.raw(p)
        wait_for("the sessions", lambda: len(b.of(OPENED)) == 2)
        slow, quick = (f[1] for f in b.of(OPEN))
        # More than the kernel takes in, as credit comes back.
        credit, done = 256 << 10, 0
        while not b.of(CLOSED):
            acked = sum(
                struct.unpack_from("<QII", f[2], i)[1]
                for f in b.of(ACK)
                for i in range(0, len(f[2]), 16)
                if struct.unpack_from("<Q", f[2], i)[0] == slow
            )
            if done - acked < credit:
                b.send(frame(BINARY, slow, bytes(60000)))
                done += 60000
            else:
                threading.Event().wait(0.01)
            self.assertLess(done, 200 << 20)
        kind, cid, payload, aux = b.of(CLOSED)[0]
        self.assertEqual((cid, payload[0]), (slow, 10))
        b.send(frame(TEXT, quick, b"hello"))
        self.assertEqual(other.recv(100), b"\x81\x05hello")

    def test_hostile_bytes_of_a_backend(self):
        p, b = self.with_backend(backend="link_keepalive 500ms timeout=1s;")
        self.wait_ready(p)
        rng = random.Random(7)
        good = hello() + frame(READY)
        cases = [
            struct.pack("<IBBHQ", 0xFFFFFFFF, TEXT, 0, 0, 5),
            struct.pack("<IBBHQ", (256 << 10) + 1, TEXT, 0, 0, 5),
            frame(0), frame(0x7F), frame(OPENED, 5), frame(TEXT, 1 << 53),
            frame(ACCEPT, 5, b"short"), frame(OPEN, 5, bytes(32)), hello(),
            frame(ACK, payload=b"123"),
            frame(0x43, payload=bytes(12)),
            frame(ACCEPT, 5, bytes(8) + struct.pack("<I", 0x19 | 99 << 8)),
        ] + [b"\xff\xff\xff\x01" + rng.randbytes(2000) for _ in range(20)]
        for data in cases:
            links = b.links
            s, head = self.raw(p)
            self.assertIn("101", head)
            b.send(data)
            self.assertEqual(self.close_of(s), 1012, data[:20])
            wait_for("another dial", lambda: b.links > links)
            wait_for(
                "a ready backend", lambda: "101" in self.raw(p)[1]
            )
        self.assertEqual(b.greeting, good)

    def test_greetings_that_are_none(self):
        for greeting in (
            b"HTTP/1.1 200 OK\r\n\r\n", frame(READY), frame(HELLO, 0, bytes(48)),
            hello().replace(b"SLUICE1", b"SLUICE2"), hello(window=0),
        ):
            p, b = self.with_backend(greeting=greeting)
            wait_for("a second dial", lambda: b.links >= 2)
            _, head = self.raw(p)
            self.assertTrue(head.startswith("HTTP/1.1 503 "), head)
            self.assertLess(p.log().count("broke the protocol"), 5)

    def test_sessions_live_through_a_reload_and_end_with_a_quit(self):
        p, _ = self.gateway()
        process = p.process

        async def run():
            async with websockets.connect(self.ws(p)) as ws:
                p.configure(p.config.replace("plain", "changed"))
                await asyncio.get_running_loop().run_in_executor(None, p.reload)
                await ws.send("after")
                self.assertEqual(await ws.recv(), "after")
                p.signal(signal.SIGQUIT)
                with self.assertRaises(websockets.ConnectionClosed):
                    await ws.recv()
                self.assertEqual(ws.close_code, 1001)

        asyncio.run(run())
        self.assertEqual(process.wait(20), 0)


class ConfigurationTest(BridgeTestCase):
    def test_what_is_refused(self):
        for backend, location, message in (
            ("on_backend_loss hold;", "", 'expected "hold TIME [any]"'),
            ("on_backend_loss close 1005;", "", 'invalid close code "1005"'),
            ("delivery exactly_once;", "", "at_least_once"),
            ("server 127.0.0.1:1;", "", 'expected "unix:PATH"'),
            ("server unix:@PREFIX@/echo.sock;", "", "duplicate server"),
            ("link_window 1m;", "", "invalid number of arguments"),
            ("link_keepalive 10s timeout=5s;", "", "must be longer"),
            ("allow_uid no-such-user;", "", "no-such-user"),
            ("max_frame 1k;", "", "max_frame"),
            ("", "websocket_versions 13 9;", 'invalid version "9"'),
            ("", "websocket_send_buffer 1m overflow=drop;",
             'expected "overflow=close"'),
            ("", "websocket_protocol a,b;", 'invalid subprotocol "a,b"'),
            ("", "websocket_origin ~(;", "("),
            ("} backend echo { server unix:x;", "", 'duplicate backend "echo"'),
        ):
            p = self.penstock(CONFIG % (backend, location), start=False)
            done = p.run("-t")
            self.assertEqual(done.returncode, 1, backend + location)
            self.assertIn(message, done.stderr)
            self.assertIn("penstock.conf:", done.stderr)

    def test_a_pool_that_is_not_there(self):
        config = CONFIG.replace("websocket_pass echo", "websocket_pass nix")
        p = self.penstock(config % ("", ""), start=False)
        self.assertIn('backend "nix" is not defined', p.run("-t").stderr)

    def test_captures_and_parameters_reach_the_backend(self):
        config = CONFIG.replace(
            "location /ws {",
            "location ~ ^/ws/(?<room>\\w+)/(\\d+)$ { backend_param who $remote_addr;",
        )
        p = self.penstock(config % ("", ""), start=False)
        b = Backend(p.path("echo.sock"))
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        self.raw(p, request="GET /ws/tea/42 HTTP/1.1")
        payload = b.of(OPEN)[0][2]
        for tag, value in (
            (0x18, b"\x04roomtea"), (0x18, b"\x01242"),
            (0x25, b"\x03who127.0.0.1"), (0x13, b"/ws/tea/42"),
        ):
            self.assertIn(tlv(tag, value), payload)


class GoawayTest(BridgeTestCase):
    def test_grace(self):
        """Who takes no more clients keeps those that are there for grace_ms,
        and a second to say BYE."""
        for ms, mode in ((400, 0), (400, 1), (0, 0)):
            with self.subTest(grace_ms=ms, mode=mode):
                p, b = self.with_backend("on_backend_loss close 4001;")
                self.wait_ready(p)
                c = Client(p.port())
                self.addCleanup(c.socket.close)
                self.assertEqual(c.status, 101)
                begin = time.monotonic()
                b.send(frame(GOAWAY, 0, struct.pack("<I", ms) + b"tired", aux=mode))
                p.wait_for_log("takes no more clients")
                other = Client(p.port())
                other.socket.close()
                self.assertEqual(other.status // 100, 5)
                b.send(frame(TEXT, b.of(OPEN)[0][1], b"still"))
                self.assertEqual(c.message(), (1, b"still"))
                if not ms:  # none was said
                    b.send(frame(BYE))
                self.assertEqual(c.finish()[1], 4001)
                if ms:
                    self.assertGreaterEqual(time.monotonic() - begin, 1.35)
                    self.assertIn("its grace is over", p.log())
                p.stop()


if __name__ == "__main__":
    unittest.main()
