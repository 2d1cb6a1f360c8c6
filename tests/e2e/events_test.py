# SPDX-License-Identifier: BSD-2-Clause
"""What a backend hears beside messages when it asks for it (EVENT_MASK):
connections, refused handshakes, states, closings, pings and pongs, bytes on
the wire, ends of requests."""

import socket
import struct
import unittest

from support.gateway import (
    ACCEPT, CLOSE, CLOSED, OPEN, OPENED, PING, PONG, READY, REJECT, TEXT,
    Backend, BridgeTestCase, frame, tlv,
)
from support.penstock import wait_for
from support.raw import Raw
from support.websocket import handshake

HELLO, REGISTER, STATE, CONN, CLIENT_ERROR, SET_OPTS = 1, 0x70, 0x1D, 0x64, 0x65, 0x1A
HTTP_REQ, HTTP_RES, HTTP_DONE, TERMINATE = 0x50, 0x52, 0x56, 0x16
(EV_PING, EV_PONG, EV_STATE, EV_CLOSING, EV_FRAGMENTS, EV_CONN,
 EV_CLIENT_ERROR, EV_HTTP_DONE, EV_OPENED, EV_WIRE) = (1 << i for i in range(10))
LIMIT, DENIED, VERSION, HANDSHAKE = 7, 9, 10, 19
HTTP, WIRECOUNT = 1 << 3, 1 << 14
ACCEPT_OK = bytes(8)

CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    limit_conn_zone $remote_addr zone=all:64k;
    backend echo { server unix:@PREFIX@/echo.sock; %s }
    server {
        listen 127.0.0.1:@PORT@;
        listen 127.0.0.1:@PORT1@;
        location /ws { websocket_pass echo; backend_pass echo; }
        location /auth { websocket_pass echo; auth_basic x; auth_basic_user_file /dev/null; }
        location /deny { websocket_pass echo; deny all; }
        location /few { websocket_pass echo; limit_websocket_conn all 1; }
        location /origin { websocket_pass echo; websocket_origin https://good.example; }
        location /report { websocket_pass echo; websocket_origin https://good.example;
                           websocket_origin_mode report; }
        location /chat { websocket_pass echo; websocket_protocol chat required; }
        location /nobody { websocket_pass echo app=nobody; }
        location /manual { websocket_pass echo; websocket_auto_pong off; }
        location /http { return 404; }
    }
}
"""


def opt(number, value, size="I"):
    return tlv(0x23, struct.pack("<H" + size, number, value))


def tlvs(data):
    found = {}
    while data:
        word, = struct.unpack_from("<I", data)
        found.setdefault(word & 0xFF, data[4 : 4 + (word >> 8)])
        data = data[4 + (word >> 8) :]
    return found


class EventsTestCase(BridgeTestCase):
    def ready(self, mask, backend="", app=b"", features=4, on_frame=None):
        self.p = p = self.penstock(CONFIG % backend, start=False)
        greeting = frame(HELLO, 0, struct.pack(
            "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20,
            0, features, 7))
        greeting += frame(REGISTER, 0, tlv(1, b"app") + opt(5, mask) + app)
        self.b = b = Backend(p.path("echo.sock"), greeting + frame(READY), on_frame)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        return p, b

    def join(self, path="/ws", **fields):
        s, head = self.raw(self.p, fields, request=f"GET {path} HTTP/1.1")
        self.assertIn(" 101 ", head)
        return s, wait_for("OPEN", lambda: self.b.of(OPEN))[-1][1]

    def wait_of(self, kind, n=1):
        return wait_for(f"frames of type {kind:#x}",
                        lambda: len(self.b.of(kind)) >= n and self.b.of(kind))


class ClientErrorTest(EventsTestCase):
    CASES = (
        # why, path, fields, status, code
        ("no key", "/ws", {"Sec-WebSocket-Key": None}, 400, HANDSHAKE),
        ("a bad key", "/ws", {"Sec-WebSocket-Key": "x"}, 400, HANDSHAKE),
        ("no such version", "/ws", {"Sec-WebSocket-Version": "12"}, 426, VERSION),
        ("an old version", "/ws", {"Sec-WebSocket-Version": "7"}, 426, VERSION),
        ("another origin", "/origin", {"Origin": "https://evil.example"}, 403, DENIED),
        ("no origin", "/origin", {}, 403, DENIED),
        ("no subprotocol", "/chat", {}, 400, HANDSHAKE),
        ("another subprotocol", "/chat", {"Sec-WebSocket-Protocol": "x"}, 400, HANDSHAKE),
        ("a bad list", "/ws", {"Sec-WebSocket-Protocol": "a,,;"}, 400, HANDSHAKE),
        ("no password", "/auth", {}, 401, DENIED),
        ("deny", "/deny", {}, 403, DENIED),
        ("no such app", "/nobody", {}, 404, HANDSHAKE),
    )

    def test_each_refusal(self):
        p, b = self.ready(EV_CLIENT_ERROR)
        for n, (why, path, fields, status, code) in enumerate(self.CASES, 1):
            with self.subTest(why):
                s, head = self.raw(p, fields, request=f"GET {path}?a=1 HTTP/1.1")
                self.assertIn(f" {status} ", head)
                kind, cid, payload, aux = self.wait_of(CLIENT_ERROR, n)[-1]
                self.assertEqual((cid, aux), (0, code))
                found = tlvs(payload)
                self.assertEqual(found[0x15], b"127.0.0.1")
                self.assertEqual(found[0x12], path.encode() + b"?a=1")
                self.assertTrue(found[0x22])
                s.close()
        # Refused by no one, or of no concern.
        s, head = self.raw(p, {"Origin": "https://evil.example"},
                           request="GET /report HTTP/1.1")
        self.assertIn(" 101 ", head)
        for path, fields in (("/http", {}), ("/deny", {"Upgrade": "h2c"}),
                             ("/deny", {"Upgrade": None})):
            s, head = self.raw(p, fields, request=f"GET {path} HTTP/1.1")
            s.close()
        self.raw(p, {"Sec-WebSocket-Key": "x"})
        self.assertEqual(len(self.wait_of(CLIENT_ERROR, len(self.CASES) + 1)),
                         len(self.CASES) + 1)

    def test_limits(self):
        p, b = self.ready(EV_CLIENT_ERROR)
        self.join("/few")
        s, head = self.raw(p, request="GET /few HTTP/1.1")
        self.assertIn(" 503 ", head)
        self.assertEqual(self.wait_of(CLIENT_ERROR)[0][3], LIMIT)

    def test_too_many_clients(self):
        for backend, app in (("max_clients 1;", b""),
                             ("", tlv(0x29, struct.pack("<I", 1)))):
            with self.subTest(backend):
                p, b = self.ready(EV_CLIENT_ERROR, backend, app)
                self.join()
                s, head = self.raw(p)
                self.assertIn(" 503 ", head)
                self.assertEqual(self.wait_of(CLIENT_ERROR)[0][3], LIMIT)
                p.stop()

    def test_what_an_app_does_not_take(self):
        for app, status, code in ((opt(13, 2), 400, VERSION),
                                  (tlv(0x28, b"\0http://x"), 403, DENIED),
                                  (tlv(0x27, b"\0/x"), 404, HANDSHAKE)):
            p, b = self.ready(EV_CLIENT_ERROR, app=app)
            s, head = self.raw(p)
            self.assertIn(f" {status} ", head)
            self.assertEqual(self.wait_of(CLIENT_ERROR)[0][3], code)
            p.stop()

    def test_only_who_asks(self):
        p, b = self.ready(EV_OPENED)
        s, head = self.raw(p, {"Sec-WebSocket-Key": "x"})
        self.join()
        self.wait_of(OPENED)
        self.assertEqual(b.of(CLIENT_ERROR), [])


class ConnTest(EventsTestCase):
    def test_each_connection(self):
        p, b = self.ready(EV_CONN, "conn_events on;")
        for n, name in enumerate(("PORT", "PORT1", "PORT"), 1):
            s = socket.create_connection(("127.0.0.1", p.port(name)))
            kind, cid, payload, aux = self.wait_of(CONN, n)[-1]
            self.assertEqual((cid, aux), (0, ("PORT", "PORT1").index(name)))
            self.assertEqual(tlvs(payload), {
                0x15: b"127.0.0.1", 0x16: b"127.0.0.1",
                0x2D: struct.pack("<H", s.getsockname()[1]),
                0x2E: struct.pack("<H", p.port(name))})
            s.close()

    def test_who_may_hear_and_who_asks(self):
        for mask, backend in ((EV_CONN, ""), (EV_OPENED, "conn_events on;")):
            p, b = self.ready(mask, backend)
            self.join()
            s, cid = self.join()
            b.send(frame(TERMINATE, cid))
            self.wait_of(CLOSED)
            self.assertEqual(b.of(CONN), [])
            p.stop()

    def test_a_reload_turns_it_on_and_off(self):
        p, b = self.ready(EV_CONN | EV_OPENED)
        self.join()
        for value, told in (("on", 1), ("off", 1), ("on", 2)):
            p.configure(CONFIG % f"conn_events {value};")
            p.reload()
            self.join()
            self.wait_of(CONN, told)
            self.assertEqual(len(b.of(CONN)), told)

    def test_a_backend_that_lags_behind_misses_them(self):
        p, b = self.ready(EV_CONN, "conn_events on; link_window 64k 64k;")
        b.on_frame = lambda kind, cid, payload: (
            b.send(frame(ACCEPT, cid, ACCEPT_OK)) if kind == OPEN else None)
        s, cid = self.join()
        before = len(b.of(CONN))
        self.assertEqual(before, 1)
        data = bytes(60000)  # never acknowledged
        s.sendall(b"\x82\xfe" + struct.pack(">H", len(data)) + bytes(4) + data)
        s.sendall(b"\x82\xfe" + struct.pack(">H", len(data)) + bytes(4) + data)
        wait_for("no credit", lambda: sum(len(f[2]) for f in b.of(0x21)) >= 60000)
        for _ in range(20):
            socket.create_connection(("127.0.0.1", p.port())).close()
        s, cid = self.join()
        self.assertLessEqual(len(b.of(CONN)), 22)


class StateTest(EventsTestCase):
    def states(self, cid):
        return [(f[3] >> 8, f[3] & 0xFF) for f in self.b.of(STATE) if f[1] == cid]

    def test_accepted(self):
        p, b = self.ready(EV_STATE | EV_OPENED)
        s, cid = self.join()
        self.wait_of(OPENED)
        self.assertEqual(self.states(cid), [(1, 0), (3, 1), (4, 3)])
        s.close()
        self.wait_of(CLOSED)
        self.assertEqual(self.states(cid), [(1, 0), (3, 1), (4, 3), (5, 4)])
        # The last comes before CLOSED, OPENED after its state.
        order = [f[0] for f in b.frames if f[0] in (STATE, OPEN, OPENED, CLOSED)]
        self.assertEqual(order, [OPEN, STATE, STATE, STATE, OPENED, STATE, CLOSED])

    def test_rejected(self):
        def refuse(kind, cid, payload):
            if kind == OPEN:
                self.b.send(frame(REJECT, cid, struct.pack("<HH", 403, 0)))

        p, b = self.ready(EV_STATE, on_frame=refuse)
        s, head = self.raw(p)
        self.assertIn(" 403 ", head)
        self.wait_of(CLOSED)
        self.assertEqual(self.states(b.of(OPEN)[0][1]), [(1, 0), (5, 1)])

    def test_from_accept_on(self):
        def on_frame(kind, cid, payload):
            if kind == OPEN:
                self.b.send(frame(ACCEPT, cid, ACCEPT_OK + opt(5, EV_STATE)))

        p, b = self.ready(0, on_frame=on_frame)
        s, cid = self.join()
        s.close()
        self.wait_of(CLOSED)
        self.assertEqual(self.states(cid), [(4, 3), (5, 4)])
        self.assertEqual(b.of(OPENED), [])


class SessionEventsTest(EventsTestCase):
    def test_closing(self):
        p, b = self.ready(EV_CLOSING)
        for sent, code, reason in ((b"\x03\xe8bye", 1000, b"bye"), (b"", 0, b"")):
            s, cid = self.join()
            s.sendall(b"\x88" + bytes([0x80 | len(sent)]) + bytes(4) + sent)
            wait_for("CLOSED", lambda: [f for f in b.of(CLOSED) if f[1] == cid])
            close, = [f for f in b.of(CLOSE) if f[1] == cid]
            self.assertEqual((close[3], close[2]), (code, reason))
            order = [f[0] for f in b.frames if f[1] == cid]
            self.assertLess(order.index(CLOSE), order.index(CLOSED))
        # Not when the backend began it, or the client just left.
        s, cid = self.join()
        b.send(frame(CLOSE, cid, aux=1000))
        s.recv(4)
        s.sendall(b"\x88\x82" + bytes(4) + b"\x03\xe8")
        other, gone = self.join()
        other.close()
        wait_for("CLOSEDs", lambda: len(b.of(CLOSED)) == 4)
        self.assertEqual(len(b.of(CLOSE)), 2)

    def test_pings_and_pongs(self):
        p, b = self.ready(EV_PING | EV_PONG)
        s, cid = self.join()
        s.sendall(b"\x89\x82" + bytes(4) + b"hi" + b"\x8a\x81" + bytes(4) + b"!")
        self.assertEqual(s.recv(4), b"\x8a\x02hi")  # answered by the gateway
        ping = self.wait_of(PING)[0]
        pong = self.wait_of(PONG)[0]
        self.assertEqual((ping[1], ping[2]), (cid, b"hi"))
        self.assertEqual((pong[1], pong[2]), (cid, b"!"))
        b.send(frame(PING, cid, b"you"))
        self.assertEqual(s.recv(5), b"\x89\x03you")

    def test_auto(self):
        p, b = self.ready(EV_PING)
        for path, automatic in (("/ws", 1), ("/manual", 0)):
            s, cid = self.join(path)
            s.sendall(b"\x89\x80" + bytes(4))
            self.wait_of(PING)
            s.settimeout(0.3)
            try:
                answer = s.recv(10)
            except TimeoutError:
                answer = b""
            self.assertEqual(answer, b"\x8a\x00" if automatic else b"")
            b.send(frame(PONG, cid))
            s.settimeout(20)
            self.assertEqual(s.recv(10), b"\x8a\x00")

    def test_no_pings_unasked(self):
        p, b = self.ready(EV_OPENED)
        s, cid = self.join()
        s.sendall(b"\x89\x80" + bytes(4) + b"\x8a\x80" + bytes(4)
                  + b"\x81\x81" + bytes(4) + b"x")
        self.wait_of(TEXT)
        self.assertEqual(b.of(PING) + b.of(PONG), [])

    def test_wire(self):
        p, b = self.ready(EV_WIRE, features=WIRECOUNT | 4)
        s, cid = self.join()
        sent = 0
        for data in (b"\x81\x85" + bytes(4) + b"hello",
                     b"\x89\x80" + bytes(4) + b"\x81\x80" + bytes(4),
                     b"\x01\x81" + bytes(4) + b"a" + b"\x80\x81" + bytes(4) + b"b",
                     b"\x82\xfe" + struct.pack(">H", 40000) + bytes(4 + 40000)):
            s.sendall(data)
            sent += len(data)
            n = len(b.of(TEXT)) + len(b.of(0x21))
            wait_for("a message", lambda: len(b.of(TEXT)) + len(b.of(0x21)) > 0)
            wait_for("all of it", lambda: sent == sum(
                len(f[2]) + struct.unpack("<h", struct.pack("<H", f[3]))[0]
                for f in b.of(TEXT) + b.of(0x21) + b.of(0x22)))
        s.sendall(b"\x88\x80" + bytes(4))
        end = self.wait_of(CLOSED)[0]
        self.assertEqual(struct.unpack_from("<Q", end[2], 8)[0], sent + 6)

    def test_opened_may_be_left_out(self):
        for mask, n in ((0, 0), (EV_OPENED, 1)):
            p, b = self.ready(mask)
            s, cid = self.join()
            s.close()
            self.wait_of(CLOSED)
            self.assertEqual(len(b.of(OPENED)), n)
            p.stop()

    def test_terminate_resets_the_connection(self):
        p, b = self.ready(EV_CLOSING | EV_STATE)
        s, cid = self.join()
        b.send(frame(TERMINATE, cid))
        with self.assertRaises(ConnectionResetError):
            while s.recv(100):
                self.fail("a frame")
            raise AssertionError("a FIN")
        end = self.wait_of(CLOSED)[0]
        self.assertEqual((end[3], end[2][0], b.of(CLOSE)), (1006, 2, []))
        # Before the 101 there is a request to answer.
        b.on_frame = lambda kind, cid, payload: (
            b.send(frame(TERMINATE, cid)) if kind == OPEN else None)
        s, head = self.raw(p)
        self.assertIn(" 502 ", head)

    def test_http_done(self):
        def on_frame(kind, cid, payload):
            if kind == HTTP_REQ:
                self.b.send(frame(HTTP_RES, cid, struct.pack("<HH", 200, 0), 1)
                            + frame(0x51, cid, b"body"))

        p, b = self.ready(EV_HTTP_DONE, features=HTTP, on_frame=on_frame)
        with Raw(p.port()) as c:
            answer = c.ask("/ws")
            self.assertEqual((answer.status, answer.body), (200, b"body"))
        done = self.wait_of(HTTP_DONE)[0]
        n, complete = struct.unpack("<QB", done[2])
        self.assertEqual((done[1], complete), (b.of(HTTP_REQ)[0][1], 1))
        self.assertGreater(n, 100)


if __name__ == "__main__":
    unittest.main()
