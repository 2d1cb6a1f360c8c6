# SPDX-License-Identifier: BSD-2-Clause
"""A backend that speaks to a client of another one of its pool (CROSS)."""

import json
import struct
import unittest

from support.gateway import (
    ACCEPT, ACK, BINARY, CLOSE, CLOSED, CONT, ERROR, OPEN, PING, READY, TEXT,
    Backend, BridgeTestCase, frame, tlv,
)
from support.penstock import wait_for
from support.websocket import Client, handshake
from support.websocket import BINARY as WS_BINARY
from support.websocket import TEXT as WS_TEXT

HELLO, TERMINATE, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, MSEND = 1, 0x16, 0x40, 0x41, 0x42, 0x44
SET_STATE, SET_OPTS, PAUSE, DETACH, DELIVERED, REGISTER = 0x19, 0x1A, 0x32, 0x1B, 0x46, 0x70
CROSS, CHANNELS, STATE, MOVE, RESUME = 1 << 13, 1 << 4, 1 << 8, 1 << 9, 1
MORE, NOTIFY = 1, 4
BAD_UTF8, DENIED, WS_PROTOCOL = 15, 9, 17
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend one { server unix:@PREFIX@/a.sock; server unix:@PREFIX@/b.sock; cross_backend %s; }
    backend two { server unix:@PREFIX@/c.sock; }
    server {
        listen 127.0.0.1:@PORT@;
        location /b { websocket_pass one app=b; }
        location /c { websocket_pass two; }
    }
}
"""


def hello(features, app):
    return frame(HELLO, 0, struct.pack(
        "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20, 0,
        features | 4, ord(app))) + frame(REGISTER, 0, tlv(1, app.encode())) + frame(READY)


class CrossTestCase(BridgeTestCase):
    def start(self, cross="on", features=CROSS | CHANNELS | STATE | MOVE | RESUME):
        self.p = p = self.penstock(CONFIG % cross, start=False)
        for name in "abc":
            b = Backend(p.path(f"{name}.sock"), hello(features, name))
            self.addCleanup(b.stop)
            setattr(self, name, b)
        p.start()
        self.wait_ready(p, 3)

    def join(self, path="/b"):
        request = f"GET {path} HTTP/1.1"
        c = Client(self.p.port(), handshake(request=request, port=self.p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return c, getattr(self, path[1]).of(OPEN)[-1][1]

    def settle(self):
        """What a sent before is dealt with."""
        before = len(self.a.of(DELIVERED))
        self.a.send(frame(MSEND, 0, struct.pack("<BBHI", 1, 0, 0, 0), NOTIFY))
        wait_for("DELIVERED", lambda: len(self.a.of(DELIVERED)) > before)
        return self.a.of(DELIVERED)[-1]


class CrossTest(CrossTestCase):
    def test_what_it_may_say(self):
        self.start()
        c, cid = self.join()
        self.a.send(frame(TEXT, cid, "grüß".encode()) + frame(BINARY, cid, b"\xff")
                    + frame(PING, cid, b"?"))
        self.assertEqual(c.message(), (WS_TEXT, "grüß".encode()))
        self.assertEqual(c.message(), (WS_BINARY, b"\xff"))
        self.assertEqual(c.frame(), (0x89, b"?"))
        # Nobody's credit is spent, nobody is told that it left.
        self.a.send(frame(TEXT, cid, b"x" * 60000) * 20)
        for _ in range(20):
            self.assertEqual(len(c.message()[1]), 60000)
        self.assertEqual(self.a.of(ACK) + self.b.of(ACK), [])
        self.a.send(frame(SUBSCRIBE, cid, b"\x01\x00x")
                    + frame(PUBLISH, 0, struct.pack("<BBH", 1, 0, 1) + b"x" + b"news"))
        self.assertEqual(c.message(), (WS_TEXT, b"news"))
        self.a.send(frame(UNSUBSCRIBE, cid, b"\x01\x00x")
                    + frame(PUBLISH, 0, struct.pack("<BBH", 1, 0, 1) + b"x" + b"news")
                    + frame(MSEND, 0, struct.pack("<BBHIQ", 1, 0, 0, 1, cid) + b"many"))
        self.assertEqual(c.message(), (WS_TEXT, b"many"))
        self.a.send(frame(CLOSE, cid, b"bye", aux=4000))
        self.assertEqual(c.frame(), (0x88, struct.pack(">H", 4000) + b"bye"))
        self.assertEqual(self.a.of(ERROR) + self.a.of(CLOSED), [])
        c.socket.close()
        wait_for("CLOSED at its own", lambda: self.b.of(CLOSED))

    def test_what_it_has_done(self):
        for cross, found in (("on", True), ("off", False)):
            self.start(cross)
            c, cid = self.join()
            self.b.send(frame(TEXT, cid, b"hello"))
            c.message()
            self.a.send(frame(0x08, cid, aux=3))
            wait_for("the answer", lambda: self.a.of(0x09) + self.a.of(ERROR))
            if found:
                told = json.loads(self.a.of(0x09)[0][2])
                self.assertEqual((told["id"], told["messages_out"]), (cid, 1))
            else:
                self.assertEqual(self.a.of(ERROR)[0][3], 5)
            self.p.stop()

    def test_terminate(self):
        self.start()
        c, cid = self.join()
        self.a.send(frame(TERMINATE, cid))
        self.assertEqual(c.finish(), ([], 0, b""))
        end = wait_for("CLOSED", lambda: self.b.of(CLOSED))[0]
        self.assertEqual(end[2][0], 2)

    def test_what_it_may_not(self):
        self.start()
        c, cid = self.join()
        cases = (
            (frame(TEXT, cid, b"x", MORE), 4), (frame(CONT, cid, b"x"), DENIED),
            (frame(SET_STATE, cid, bytes(4)), DENIED), (frame(SET_OPTS, cid), DENIED),
            (frame(PAUSE, cid), DENIED), (frame(DETACH, cid), DENIED),
            (frame(ACCEPT, cid, bytes(8)), DENIED), (frame(TEXT, cid, b"\xff"), BAD_UTF8),
            (frame(CLOSE, cid, aux=1005), None), (frame(PING, cid, bytes(126)), None),
        )
        for n, (data, code) in enumerate(cases, 1):
            self.a.send(data)
            _, of, payload, aux = wait_for(
                "ERROR", lambda: len(self.a.of(ERROR)) == n and self.a.of(ERROR))[-1]
            self.assertEqual((of, payload[1]), (cid, 0))  # only told
            if code:
                self.assertEqual(aux, code)
        self.b.send(frame(TEXT, cid, b"unmoved"))
        self.assertEqual(c.message(), (WS_TEXT, b"unmoved"))

    def test_who_is_out_of_reach(self):
        for cross, features, path in (
            ("off", CROSS, "/b"), ("on", 0, "/b"), ("on", CROSS, "/c"),
        ):
            with self.subTest(cross=cross, features=features, path=path):
                self.start(cross, features)
                c, cid = self.join(path)
                self.a.send(frame(TEXT, cid, b"no") + frame(TERMINATE, cid)
                            + frame(MSEND, 0, struct.pack("<BBHIQ", 1, 0, 0, 1, cid) + b"no",
                                    NOTIFY))
                done = wait_for("DELIVERED", lambda: self.a.of(DELIVERED))[0]
                self.assertEqual(done[2], bytes(16))
                own = self.b if path == "/b" else self.c
                own.send(frame(TEXT, cid, b"yes"))
                self.assertEqual(c.message(), (WS_TEXT, b"yes"))
                self.assertEqual(self.a.of(ERROR), [])
                self.p.stop()

    def test_one_that_waits_for_another_backend(self):
        self.start()
        c, cid = self.join()
        self.b.link.shutdown(2)
        self.b.greeting = b""  # no READY any more
        self.p.wait_for_log("clients lose their backend")
        self.a.send(frame(TEXT, cid, b"still"))
        self.assertEqual(c.message(), (WS_TEXT, b"still"))
        self.a.send(frame(SUBSCRIBE, cid, b"\x01\x00x") + frame(CLOSE, cid, aux=1000))
        self.assertEqual(c.frame(), (0x88, b"\x03\xe8"))

    def test_one_that_is_gone(self):
        self.start()
        c, cid = self.join()
        c.socket.close()
        wait_for("CLOSED", lambda: self.b.of(CLOSED))
        self.a.send(frame(TEXT, cid, b"x") + frame(CLOSE, cid) + frame(TERMINATE, cid + 1))
        self.settle()
        self.assertEqual(self.a.of(ERROR), [])


if __name__ == "__main__":
    unittest.main()
