# SPDX-License-Identifier: BSD-2-Clause
"""allow_tunnel: backends that speak with the client themselves."""

import asyncio
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

import websockets
from websockets.frames import Frame, Opcode
from websockets.server import ServerConnection

from support import penstock
from support.gateway import (
    ACCEPT, ACK, BROADCAST, CLOSE, CLOSED, CONT, ERROR, HELLO, HTTP_BODY, OPEN,
    OPENED, PING, READY, TEXT, Backend, BridgeTestCase, frame, tlv,
)
from support.penstock import wait_for
from support.raw import Raw
from support.websocket import handshake

EXAMPLE = os.path.join(
    os.path.dirname(penstock.BINARY), "..", "contrib", "examples", "example-tunnel"
)
CONFIG = """
user root;
events { }
http {
    log_format t '$request_uri $status $bytes_sent $backend_name';
    access_log logs/access.log t;
    limit_conn_zone $binary_remote_addr zone=here:1m;
    backend app {
        server unix:@PREFIX@/a.sock;
        allow_tunnel %s;
        %s
    }
    server {
        listen 127.0.0.1:@PORT@;
        location /ws { websocket_pass app; %s }
        location / { backend_pass app; %s }
    }
}
"""
BAD_STATE, FLOW_CONTROL, LIMIT, UNSUPPORTED = 4, 6, 7, 8
HTTP_REQ, HTTP_RES, HTTP_RESET, TERMINATE = 0x50, 0x52, 0x54, 0x16
SET_OPTS, SET_STATE, DETACH, PAUSE, UNPAUSE = 0x1A, 0x19, 0x1B, 0x32, 0x33
SUBSCRIBE, GOAWAY, RAW = 0x40, 4, 0x25
HTTP, CHANNELS, STATE, MOVE, TUNNEL = 1 << 3, 1 << 4, 1 << 8, 1 << 9, 1 << 11
RESUME, ALO = 1, 2
ALL = HTTP | CHANNELS | STATE | MOVE | TUNNEL | RESUME | ALO | 1 << 7
MORE = 1
ACCEPT_TUNNEL = dict(payload=bytes(8), aux=1)
UPGRADE = (
    b"GET /other HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: lines\r\nX-A: b\r\n\r\n"
)
GONE = """
user root;
events { }
http { server { listen 127.0.0.1:@PORT@; location / { return 200; } } }
"""
REFUSED = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\n\r\n"


def greeting(features=ALL, window=65536):
    return frame(
        HELLO,
        payload=b"SLUICE1\n"
        + struct.pack(
            "<HHBBHIIIIQQ", 1, 1, 2, 0, 0, 65536, window, 1 << 24, 0, features, 7
        ),
    ) + frame(READY)


class Tunnels(Backend):
    """Takes everything as a tunnel; flags of frames are kept as well."""

    def __init__(self, path, **how):
        self.got = {}  # cid: bytes
        self.ended = set()  # cids whose clients will send no more
        self.answer = how.pop("answer", b"")
        super().__init__(path, **how)

    def read(self):
        data = b""
        while more := self.link.recv(65536):
            data += more
            while len(data) >= 16:
                n, kind, flags, aux, cid = struct.unpack_from("<IBBHQ", data)
                if len(data) < 16 + n:
                    break
                payload, data = data[16 : 16 + n], data[16 + n :]
                self.frames.append((kind, cid, payload, aux))
                self.take(kind, flags, cid, payload)

    def take(self, kind, flags, cid, payload):
        if kind in (OPEN, HTTP_REQ):
            self.got[cid] = b""
            self.open(cid)
        elif kind == HTTP_BODY:
            self.got[cid] += payload
            if not flags & MORE:
                self.ended.add(cid)
            self.bytes(cid, payload, flags & MORE)

    def open(self, cid):
        self.send(frame(ACCEPT, cid, **ACCEPT_TUNNEL))
        if self.answer:
            self.say(cid, self.answer)

    def bytes(self, cid, payload, more):
        pass

    def say(self, cid, data, more=True):
        for at in range(0, len(data), 65536) if data else [0]:
            last = not more and at + 65536 >= len(data)
            piece = data[at : at + 65536]
            self.send(frame(HTTP_BODY, cid, piece, 0 if last else MORE))

    def ack(self, cid, n):
        self.send(frame(ACK, 0, struct.pack("<QII", cid, n, 0)))

    def cid(self):
        return wait_for("a client", lambda: list(self.got))[-1]

    def closed(self, cid):
        """cause, flags and code of its CLOSED."""
        f = wait_for(
            "CLOSED", lambda: [f for f in self.of(CLOSED) if f[1] == cid]
        )
        return f[0][2][0], f[0][2][1], f[0][3]


class WebSocketServer(Tunnels):
    """Speaks RFC 6455 on its own; echoes messages."""

    def __init__(self, path, **how):
        self.servers = {}
        self.credit = {}
        self.waiting = {}  # cid: [(piece, more)], for want of credit
        super().__init__(path, **how)

    def take(self, kind, flags, cid, payload):
        super().take(kind, flags, cid, payload)
        if kind == ACK:
            for cid, n, _ in struct.iter_unpack("<QII", payload):
                self.credit[cid] += n
                self.pump(cid)

    def say(self, cid, data, more=True):
        self.waiting[cid] += [
            (data[at : at + 65536], more) for at in range(0, len(data) or 1, 65536)
        ]
        self.pump(cid)

    def pump(self, cid):
        waiting = self.waiting[cid]
        while waiting and self.credit[cid] > 0:
            piece, more = waiting.pop(0)
            self.credit[cid] -= len(piece)
            self.send(frame(HTTP_BODY, cid, piece, MORE if more else 0))

    def open(self, cid):
        self.servers[cid] = ServerConnection()
        _, _, payload, _ = self.frames[-1]
        self.credit[cid], = struct.unpack_from("<I", payload, 8)
        self.waiting[cid] = []
        self.send(frame(ACCEPT, cid, **ACCEPT_TUNNEL))
        # The library reads a head: this is what a virtual socket feeds it.
        self.feed(cid, head_of(payload))

    def feed(self, cid, data):
        server = self.servers[cid]
        server.receive_data(data)
        for event in server.events_received():
            if not isinstance(event, Frame):
                server.send_response(server.accept(event))
            elif event.opcode is Opcode.TEXT:
                server.send_text(event.data)
            elif event.opcode is Opcode.BINARY:
                server.send_binary(event.data)
        for data in server.data_to_send():
            self.say(cid, data, more=bool(data))

    def bytes(self, cid, payload, more):
        if payload:
            self.ack(cid, len(payload))
            self.feed(cid, payload)
        if not more:
            self.servers[cid].receive_eof()


def tlvs(payload):
    at = 32
    while at < len(payload):
        word, = struct.unpack_from("<I", payload, at)
        n = word >> 8
        yield word & 0xFF, payload[at + 4 : at + 4 + n]
        at += 4 + n


def fields_of(payload):
    for tag, value in tlvs(payload):
        if tag == 0x10:
            n, = struct.unpack_from("<H", value)
            yield value[2 : 2 + n], value[2 + n :]


def head_of(payload):
    target = dict(tlvs(payload))[0x12]
    lines = [b"%s: %s\r\n" % f for f in fields_of(payload)]
    return b"GET " + target + b" HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"


class TunnelTestCase(BridgeTestCase):
    def tunnels(self, kind=Tunnels, allow="on", backend="", ws="", http="", **how):
        p = self.penstock(CONFIG % (allow, backend, ws, http), start=False)
        how.setdefault("greeting", greeting())
        b = kind(p.path("a.sock"), **how)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        self.pids = p.workers()
        return p, b

    def ask(self, p, b, request=None, small=False):
        """A client and its id."""
        seen = len(b.got)
        s = Raw(p.port(), small=small)
        self.addCleanup(s.close)
        s.send(handshake(port=p.port()) if request is None else request)
        wait_for("the client", lambda: len(b.got) > seen)
        return s.s, b.cid()

    def error_of(self, b, cid):
        f = wait_for("ERROR", lambda: [f for f in b.of(ERROR) if f[1] == cid])
        return f[-1][3], f[-1][2][1]

    def read_all(self, s):
        data = b""
        while more := s.recv(65536):
            data += more
        return data

    def read(self, s, n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            self.assertTrue(more, data)
            data += more
        return data


class WebSocketTest(TunnelTestCase):
    """A library that brings its own 101 and frames."""

    def test_an_independent_client_talks_to_it(self):
        p, b = self.tunnels(WebSocketServer)

        async def run(n):
            async with websockets.connect(
                self.ws(p) + f"/{n}", max_size=None
            ) as ws:
                for i in range(20):
                    await ws.send(f"{n}:{i}")
                    self.assertEqual(await ws.recv(), f"{n}:{i}")
                data = random.Random(n).randbytes(300000)
                await ws.send(data)
                self.assertEqual(await ws.recv(), data)
                await (await ws.ping())

        async def crowd():
            await asyncio.gather(*(run(n) for n in range(10)))

        asyncio.run(crowd())
        for cid in b.got:
            self.assertEqual(b.closed(cid)[1:], (1 | b.closed(cid)[1], 1005))
        self.assertEqual(b.of(OPENED), [])
        lines = wait_for(
            "the log",
            lambda: len(p.log("logs/access.log").splitlines()) == 10
            and p.log("logs/access.log").splitlines(),
        )
        self.assertEqual(sorted(lines)[0].split()[:2], ["/ws/0", "101"])
        self.assertGreater(int(lines[0].split()[2]), 300000)
        self.assertEqual(lines[0].split()[3], "app")

    def test_the_same_where_only_requests_are_passed(self):
        p, b = self.tunnels(WebSocketServer)

        async def run():
            async with websockets.connect(self.ws(p, "/plain")) as ws:
                await ws.send("hi")
                self.assertEqual(await ws.recv(), "hi")

        asyncio.run(run())
        self.assertEqual(len(b.of(HTTP_REQ)), 1)
        self.assertEqual(b.closed(b.cid())[2], 1005)

    def test_what_a_library_refuses(self):
        p, b = self.tunnels(WebSocketServer)
        with Raw(p.port()) as s:
            s.send(handshake({"Sec-WebSocket-Key": "short"}, "GET /x HTTP/1.1"))
            self.assertEqual(s.answer().status, 400)
        wait_for("the log", lambda: "/x 400" in p.log("logs/access.log"))


class TunnelTest(TunnelTestCase):
    def check_ends(self, p):
        """Nothing is left, and nobody died."""
        self.assertEqual(p.workers(), self.pids)

    # ---- bytes ----

    def test_bytes_are_carried_as_they_are(self):
        p, b = self.tunnels()
        for request in (None, UPGRADE):
            s, cid = self.ask(p, b, request)
            b.say(cid, bytes(range(256)))
            self.assertEqual(self.read(s, 256), bytes(range(256)))
            s.sendall(b"\x00\xff\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            wait_for("the bytes", lambda: len(b.got[cid]) == 24)
            self.assertEqual(b.got[cid], b"\x00\xff\r\n\r\nGET / HTTP/1.1\r\n\r\n"[:24])
        self.check_ends(p)

    def test_what_was_sent_behind_the_request_arrives(self):
        p, b = self.tunnels()
        for request in (handshake(), UPGRADE):
            _, cid = self.ask(p, b, request + b"early")
            wait_for("the bytes", lambda: b.got[cid] == b"early")

    def test_the_secret_of_the_oldest_handshake_comes_too(self):
        p, b = self.tunnels(ws="websocket_versions 76; websocket_origin any;")
        request = (
            b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
            b"Upgrade: WebSocket\r\nSec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\n"
            b"Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n\r\nTm[K T2u"
        )
        _, cid = self.ask(p, b, request + b"more")
        wait_for("the secret", lambda: b.got[cid] == b"Tm[K T2umore")

    def test_much_both_ways_at_once(self):
        data = random.Random(4).randbytes(3 << 20)

        class Slow(Tunnels):
            def bytes(self, cid, payload, more):
                if payload:
                    self.ack(cid, len(payload))
                    self.say(cid, payload)
                if not more:
                    self.say(cid, b"", more=False)

        p, b = self.tunnels(
            Slow, backend="client_window 16k; reply_window 4m;",
            greeting=greeting(window=16384),
        )
        s, cid = self.ask(p, b)
        got = []
        reader = threading.Thread(target=lambda: got.append(self.read_all(s)))
        reader.start()
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        reader.join(60)
        self.assertTrue(got and got[0] == data)
        self.assertEqual(b.closed(cid), (0, 1, 1005))
        total = b.of(CLOSED)[0][2]
        self.assertEqual(struct.unpack_from("<QQ", total, 8), (len(data),) * 2)

    # ---- credit ----

    def test_a_client_is_read_no_faster_than_there_is_credit(self):
        p, b = self.tunnels(backend="client_window 16k;")
        s, cid = self.ask(p, b)
        s.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += s.send(bytes(1 << 16))
        except TimeoutError:
            pass
        self.assertLess(sent, 64 << 20)
        # One frame may go beyond it.
        self.assertLess(len(b.got[cid]), 16384 + 65536)
        self.assertGreaterEqual(len(b.got[cid]), 16384)
        before = len(b.got[cid])
        b.ack(cid, before)
        wait_for("more", lambda: len(b.got[cid]) > before)

    def test_credit_comes_back_as_bytes_leave(self):
        p, b = self.tunnels(backend="reply_window 64k;")
        s, cid = self.ask(p, b)
        b.say(cid, bytes(65536))
        self.read(s, 65536)
        acks = wait_for(
            "credit",
            lambda: sum(
                struct.unpack_from("<QI", f[2])[1] for f in b.of(ACK)
            ) == 65536,
        )
        self.assertTrue(acks)

    def test_more_than_the_credit(self):
        p, b = self.tunnels(backend="reply_window 64k;")
        s, cid = self.ask(p, b, small=True)
        while not b.of(ERROR):
            b.send(frame(HTTP_BODY, cid, bytes(60000), MORE))
        self.assertEqual(self.error_of(b, cid), (FLOW_CONTROL, 1))
        self.assertEqual(b.closed(cid)[0], 1)
        self.assertEqual(b.links, 1)

    def test_the_end_waits_for_credit(self):
        p, b = self.tunnels(backend="client_window 16k;")
        s, cid = self.ask(p, b)
        s.sendall(bytes(16384))
        s.shutdown(socket.SHUT_WR)
        wait_for("the bytes", lambda: len(b.got[cid]) == 16384)
        time.sleep(0.2)
        self.assertNotIn(cid, b.ended)
        b.ack(cid, 16384)
        wait_for("the end", lambda: cid in b.ended)

    def test_pause(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        b.send(frame(PAUSE, cid) + frame(HTTP_BODY, cid, b"x", MORE))
        self.read(s, 1)
        s.sendall(b"held")
        s.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        self.assertEqual((b.got[cid], b.ended), (b"", set()))
        b.send(frame(UNPAUSE, cid))
        wait_for("the end", lambda: cid in b.ended)
        self.assertEqual(b.got[cid], b"held")

    # ---- ends ----

    def test_each_direction_ends_by_itself(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        s.sendall(b"question")
        s.shutdown(socket.SHUT_WR)
        wait_for("the client's end", lambda: cid in b.ended)
        self.assertEqual(b.got[cid], b"question")
        b.say(cid, b"answer", more=False)
        self.assertEqual(self.read_all(s), b"answer")
        self.assertEqual(b.closed(cid), (0, 1, 1005))
        # The other way round.
        s, cid = self.ask(p, b)
        b.say(cid, b"bye", more=False)
        self.assertEqual(self.read_all(s), b"bye")
        s.sendall(b"still here")
        wait_for("the bytes", lambda: b.got[cid] == b"still here")
        self.assertEqual(len(b.of(CLOSED)), 1)
        s.close()
        self.assertEqual(b.closed(cid), (1, 3, 1005))
        self.check_ends(p)

    def test_close_ends_both(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        b.say(cid, b"last")
        b.send(frame(CLOSE, cid, b"why", aux=1000))
        self.assertEqual(self.read_all(s), b"last")
        self.assertEqual(b.closed(cid), (1, 3, 1005))

    def test_terminate_resets(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        b.say(cid, b"x")
        self.read(s, 1)
        b.send(frame(TERMINATE, cid))
        with self.assertRaises(ConnectionResetError):
            self.read_all(s)
        self.assertEqual(b.closed(cid), (2, 0, 1006))

    def test_a_client_that_resets(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        self.assertEqual(b.closed(cid), (4, 0, 1006))

    def test_silence(self):
        p, b = self.tunnels(ws="websocket_idle_timeout 500ms;")
        s, cid = self.ask(p, b)
        for _ in range(4):
            time.sleep(0.2)
            s.sendall(b"x")
        self.assertEqual(b.of(CLOSED), [])
        self.assertEqual(self.read_all(s), b"")
        self.assertEqual(b.closed(cid), (5, 0, 1006))

    def test_an_idle_timeout_of_the_backend(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        b.send(frame(SET_OPTS, cid, tlv(0x23, struct.pack("<HI", 2, 300))))
        self.assertEqual(self.read_all(s), b"")
        self.assertEqual(b.closed(cid), (5, 0, 1006))

    def test_options_that_mean_nothing_here(self):
        """Acknowledged messages, pings, pieces, channels: there are none."""
        opts = b"".join(
            tlv(0x23, struct.pack("<HB" if i in (1, 3, 6, 11, 12) else "<HI", i, 1))
            for i in range(1, 14) if i not in (2, 9)
        )
        ping = "websocket_ping 100ms timeout=100ms;"
        p, b = self.tunnels(backend="delivery at_least_once;", ws=ping, http=ping)
        b.open = lambda cid: b.send(
            frame(ACCEPT, cid, bytes(8) + opts + tlv(0x20, b"room") + tlv(0x1F, b"s"), aux=1)
        )
        for request in (None, UPGRADE):
            s, cid = self.ask(p, b, request)
            b.send(frame(SET_OPTS, cid, opts))
            s.sendall(b"in")
            wait_for("the bytes", lambda: b.got[cid] == b"in")
            time.sleep(0.3)
            b.ack(cid, 2)
            b.say(cid, b"out", more=False)
            self.assertEqual(self.read_all(s), b"out")
            s.close()
            self.assertEqual(b.closed(cid)[2], 1005)
        self.check_ends(p)

    def test_a_client_that_takes_nothing(self):
        p, b = self.tunnels(
            ws="websocket_send_timeout 500ms;", backend="reply_window 16m;"
        )
        s, cid = self.ask(p, b, small=True)
        b.say(cid, bytes(15 << 20))
        self.assertEqual(b.closed(cid), (10, 0, 1006))

    def test_a_lost_backend_can_not_be_waited_for(self):
        p, b = self.tunnels(
            backend="on_backend_loss hold 30s any; delivery at_least_once;"
        )
        for request in (None, UPGRADE):
            s, cid = self.ask(p, b, request)
            b.say(cid, b"x")
            self.read(s, 1)
            b.link.shutdown(socket.SHUT_RDWR)
            with self.assertRaises(ConnectionResetError):
                self.read_all(s)
            wait_for("the link", lambda: p.log().count("backend is ready") > 1)
        self.assertNotIn(0x17, [f[0] for f in b.frames])
        self.check_ends(p)

    def test_a_reload_keeps_it_and_may_withdraw_the_permission(self):
        p, b = self.tunnels()
        clients = [self.ask(p, b), self.ask(p, b, UPGRADE)]
        p.configure(CONFIG % ("off", "", "", ""))
        p.reload()
        wait_for("the reload", lambda: self.refused(p))
        for s, cid in clients:
            b.say(cid, b"x")
            self.assertEqual(self.read(s, 1), b"x")
            s.sendall(b"y")
            wait_for("y", lambda: b.got[cid] == b"y")
        s, cid = self.ask(p, b)
        self.assertIn(b" 502 ", s.recv(100))
        self.assertEqual(self.error_of(b, cid), (UNSUPPORTED, 1))
        self.check_ends(p)

    def refused(self, p):
        with Raw(p.port()) as s:
            s.send(UPGRADE)
            data = s.s.recv(100)
            return b" 426 " in data

    def test_a_pool_that_a_reload_removes(self):
        p, b = self.tunnels(backend="drain_timeout 1s;")
        clients = [self.ask(p, b), self.ask(p, b, UPGRADE)]
        p.configure(GONE)
        p.reload()
        wait_for("GOAWAY", lambda: b.of(GOAWAY))
        for s, cid in clients:
            b.say(cid, b"still")
        for s, cid in clients:
            self.assertEqual(self.read(s, 5), b"still")
            with self.assertRaises(ConnectionResetError):
                self.read_all(s)
        self.check_ends(p)

    def test_it_counts_as_a_connection_and_its_log_line_comes_at_the_end(self):
        p, b = self.tunnels(
            ws="limit_conn here 1;", http="limit_conn here 1;", answer=REFUSED
        )
        for request, path in ((None, "/ws"), (UPGRADE, "/other")):
            s, cid = self.ask(p, b, request)
            self.assertEqual(self.read(s, len(REFUSED)), REFUSED)
            with Raw(p.port()) as other:
                other.send(request or handshake(port=p.port()))
                self.assertEqual(other.answer().status, 503)
            self.assertNotIn(f"{path} 407", p.log("logs/access.log"))
            b.say(cid, b"", more=False)
            s.close()
            b.closed(cid)
            wait_for(
                "the log",
                lambda: f"{path} 407 {len(REFUSED)} app" in p.log("logs/access.log"),
            )

    def test_a_gateway_that_stops(self):
        p, b = self.tunnels(backend="websocket_drain rate=100/s;")
        clients = [self.ask(p, b), self.ask(p, b, UPGRADE)]
        p.signal(signal.SIGQUIT)
        for s, cid in clients:
            self.assertEqual(self.read_all(s), b"")
            self.assertEqual(b.closed(cid), (12, 0, 1006))

    def test_a_backend_that_hands_over_keeps_its_tunnels(self):
        p, b = self.tunnels()
        s, cid = self.ask(p, b)
        b.send(frame(GOAWAY, 0, struct.pack("<I", 0), aux=1))
        b.send(frame(DETACH, cid))
        self.assertEqual(self.error_of(b, cid), (LIMIT, 0))
        b.say(cid, b"here")
        self.assertEqual(self.read(s, 4), b"here")
        self.assertEqual(b.of(DETACH), [])

    # ---- requests that want another protocol ----

    def test_such_a_request_is_told_with_its_upgrade(self):
        p, b = self.tunnels()
        self.ask(p, b, UPGRADE)
        fields = dict(fields_of(b.of(HTTP_REQ)[0][2]))
        self.assertEqual(
            fields,
            {
                b"Host": b"h", b"X-A": b"b", b"Connection": b"Upgrade",
                b"Upgrade": b"lines",
            },
        )

    def test_it_may_be_answered_in_http(self):
        class Plain(Tunnels):
            def open(self, cid):
                self.send(frame(HTTP_RES, cid, struct.pack("<HH", 204, 0)))

        p, b = self.tunnels(Plain)
        with Raw(p.port()) as s:
            for _ in range(2):
                s.send(UPGRADE)
                self.assertEqual(s.answer().status, 204)

    def test_it_has_done_its_body(self):
        p, b = self.tunnels(answer=SWITCHING)
        body = UPGRADE.replace(b"GET", b"POST").replace(
            b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n"
        )
        b.open = lambda cid: None
        s, cid = self.ask(p, b, body)
        b.send(frame(ACCEPT, cid, **ACCEPT_TUNNEL))
        self.assertIn(b" 502 ", s.recv(100))
        self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1))
        s, cid = self.ask(p, b, body + b"bodyraw")
        wait_for("the body", lambda: b.got[cid] == b"body")
        b.ack(cid, 4)
        b.send(frame(ACCEPT, cid, **ACCEPT_TUNNEL))
        wait_for("the rest", lambda: b.got[cid] == b"bodyraw")
        b.say(cid, b"", more=False)
        s.close()
        self.assertEqual(b.closed(cid)[0], 1)
        self.check_ends(p)

    def test_h2c_is_no_tunnel(self):
        p, b = self.tunnels()
        b.open = lambda cid: b.send(
            frame(HTTP_RES, cid, struct.pack("<HH", 204, 0))
        )
        with Raw(p.port()) as s:
            s.send(UPGRADE.replace(b"lines", b"h2c"))
            self.assertEqual(s.answer().status, 204)
        names = dict(fields_of(b.of(HTTP_REQ)[0][2]))
        self.assertNotIn(b"Upgrade", names)

    def test_no_backend_can_do_it(self):
        p, b = self.tunnels(greeting=greeting(ALL & ~TUNNEL))
        self.assertTrue(self.refused(p))
        p, b = self.tunnels(allow="off")
        self.assertTrue(self.refused(p))
        self.assertEqual(b.of(HTTP_REQ), [])

    # ---- a backend that breaks the rules ----

    def test_each_way_to_break_one(self):
        p, b = self.tunnels()
        group = frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0) + b"all")
        cases = (
            ("ACCEPT twice", lambda c: frame(ACCEPT, c, **ACCEPT_TUNNEL)),
            ("ACCEPT of a session", lambda c: frame(ACCEPT, c, bytes(8))),
            ("REJECT", lambda c: frame(0x12, c, struct.pack("<HH", 403, 0))),
            ("TEXT", lambda c: frame(TEXT, c, b"x")),
            ("BINARY", lambda c: frame(0x21, c, b"x")),
            ("CONT", lambda c: frame(CONT, c, b"x")),
            ("PING", lambda c: frame(PING, c, b"x")),
            ("PONG", lambda c: frame(0x24, c, b"x")),
            ("SUBSCRIBE", lambda c: frame(SUBSCRIBE, c, b"\1\0a")),
            ("SET_STATE", lambda c: frame(SET_STATE, c, bytes(5))),
            ("HTTP_RES", lambda c: frame(HTTP_RES, c, struct.pack("<HH", 200, 0))),
            ("HTTP_RESET", lambda c: frame(HTTP_RESET, c)),
            ("HTTP_TRAILERS", lambda c: frame(0x55, c)),
            ("DETACHED", lambda c: frame(0x1C, c)),
            ("a body behind the end", lambda c: frame(HTTP_BODY, c) + frame(HTTP_BODY, c, b"x")),
        )
        other, other_cid = self.ask(p, b)
        for request in (None, UPGRADE):
            for name, data in cases:
                s, cid = self.ask(p, b, request)
                b.send(data(cid))
                self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1), name)
                if name == "a body behind the end":
                    self.assertEqual(self.read_all(s), b"", name)
                else:
                    with self.assertRaises(ConnectionResetError, msg=name):
                        self.read_all(s)
                self.assertEqual(b.closed(cid)[0], 1, name)
                s.close()
        # A group's message is for WebSockets.
        b.send(group + frame(0x44, 0, struct.pack("<BBHIQ", 1, 0, 0, 1, other_cid) + b"one"))
        b.say(other_cid, b"mine", more=False)
        self.assertEqual(self.read_all(other), b"mine")
        self.assertEqual(b.links, 1)
        self.check_ends(p)

    def test_bytes_before_the_answer(self):
        p, b = self.tunnels()
        b.open = lambda cid: b.send(frame(HTTP_BODY, cid, b"HTTP/1.1 101\r\n", MORE))
        for request in (None, UPGRADE):
            s, cid = self.ask(p, b, request)
            self.assertIn(b" 502 ", s.recv(100))
            self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1))

    def test_a_tunnel_that_was_not_offered(self):
        """Without the feature, without permission, to who has a 101, and for a
        request that wants nothing."""
        for allow, features, ws in (
            ("off", ALL, ""), ("on", ALL & ~TUNNEL, ""),
            ("on", ALL, "websocket_accept auto;"),
        ):
            p, b = self.tunnels(allow=allow, ws=ws, greeting=greeting(features))
            s, cid = self.ask(p, b)
            self.assertEqual(self.error_of(b, cid)[1], 1)
            head = s.recv(1000)
            self.assertIn(b" 101 " if ws else b" 502 ", head)
            self.assertEqual(b.links, 1)
            p.stop()
        p, b = self.tunnels()
        s, cid = self.ask(p, b, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1))
        self.assertIn(b" 502 ", s.recv(1000))

    def test_bytes_on_a_session(self):
        p, b = self.tunnels()
        b.open = lambda cid: b.send(frame(ACCEPT, cid, bytes(8)))
        s, cid = self.ask(p, b)
        self.read_head(s)
        b.send(frame(HTTP_BODY, cid, b"x", MORE))
        self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1))
        self.assertEqual(self.read_all(s), b"\x88\x02\x03\xf3")


class LibraryTest(TunnelTestCase):
    """The example, as applications are written."""

    def example(self, allow="on", backend=""):
        p = self.penstock(CONFIG % (allow, backend, "", ""), start=False)
        process = subprocess.Popen([EXAMPLE, p.path("a.sock")])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for("the socket", lambda: os.path.exists(p.path("a.sock")))
        p.start()
        self.wait_ready(p)
        return p

    def test_lines(self):
        p = self.example(backend="client_window 16k; reply_window 16k;")
        data = random.Random(5).randbytes(2 << 20)
        with Raw(p.port()) as s:
            s.send(UPGRADE)
            self.assertIn("101 Switching", self.read_head(s.s))
            sender = threading.Thread(
                target=lambda: (s.send(data), s.s.shutdown(socket.SHUT_WR))
            )
            sender.start()
            self.assertEqual(self.read_all(s.s), data)
            sender.join()
        self.assertTrue(self.refused_by_app(p))

    def refused_by_app(self, p):
        with Raw(p.port()) as s:
            s.send(UPGRADE.replace(b"lines", b"words"))
            return s.answer().status == 400

    def test_without_permission(self):
        p = self.example(allow="off")
        self.assertTrue(TunnelTest.refused(self, p))


if __name__ == "__main__":
    unittest.main()
