# SPDX-License-Identifier: BSD-2-Clause
"""OPT: what a backend sets for the clients of an app (REGISTER) or for one
(ACCEPT, SET_OPTS), and what comes of it."""

import ctypes
import os
import socket
import struct
import time
import unittest

from support.gateway import (
    ACCEPT, CLOSE, CLOSED, OPEN, OPENED, PING, READY, TEXT, Backend,
    BridgeTestCase, frame, tlv,
)
from support.penstock import wait_for
from support.websocket import Client, Ended, encode, handshake
from support.websocket import TEXT as WS_TEXT

HELLO, REGISTER, SET_OPTS, RESUME, MSEND = 1, 0x70, 0x1A, 0x17, 0x44
MORE, REPLAY = 1, 2
FEATURES = 1 | 4  # RESUME, FRAGMENTS
ALO = 2
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend echo { server unix:@PREFIX@/echo.sock; delivery %s; on_backend_loss hold 20s; }
    server {
        listen 127.0.0.1:@PORT@;
        location / {
            websocket_pass echo;
            websocket_idle_timeout 60s; websocket_ping 30s; websocket_close_timeout 30s;
            websocket_max_message 10m; websocket_send_buffer 64m;
            websocket_stream_threshold 1m;
        }
    }
}
"""
PLACES = ("register", "accept", "set")
# name, number, size, value
OPTIONS = (
    ("nodelay", 1, "B", 0), ("idle", 2, "I", 300), ("auto_pong", 3, "B", 0),
    ("max_message", 4, "I", 10), ("event_mask", 5, "I", 1), ("on_loss", 6, "B", 0),
    ("ping", 7, "I", 200), ("send_buffer", 8, "I", 1000), ("close", 9, "I", 300),
    ("threshold", 10, "I", 100), ("ack_mode", 11, "B", 0),
)


def opt(number, value, size="I"):
    return tlv(0x23, struct.pack("<H" + size, number, value))


def tlvs(data):
    found = {}
    while data:
        word, = struct.unpack_from("<I", data)
        found.setdefault(word & 0xFF, data[4 : 4 + (word >> 8)])
        data = data[4 + (word >> 8) :]
    return found


def option_of(name):
    n, size, value = [o[1:] for o in OPTIONS if o[0] == name][0]
    return opt(n, value, size)


def greeting(features=FEATURES):
    """An app for each option that is set by REGISTER, and one for the others;
    all want to see pieces."""
    data = frame(HELLO, 0, struct.pack(
        "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 24, 0,
        features, 7))
    for name, *_ in OPTIONS:
        mask = b"" if name == "event_mask" else opt(5, 1 << 4 | 1 << 8)
        data += frame(REGISTER, 0, tlv(1, name.encode()) + mask + option_of(name)
                      + tlv(0x27, b"\0/register/" + name.encode()))
    data += frame(REGISTER, 0, tlv(1, b"rest") + opt(5, 1 << 4 | 1 << 8))
    return data + frame(READY)


class OptionsTestCase(BridgeTestCase):
    delivery, features = "at_most_once", FEATURES

    def setUp(self):
        self.p = p = self.penstock(CONFIG % self.delivery, start=False)
        self.b = Backend(p.path("echo.sock"), greeting(self.features), self.on_frame)
        self.addCleanup(self.b.stop)
        p.start()
        self.wait_ready(p)

    def on_frame(self, kind, cid, payload):
        if kind != OPEN:
            return
        place, name = tlvs(payload[32:])[0x13].decode().split("/")[1:]
        options = option_of(name) if place == "accept" else b""
        self.b.send(frame(ACCEPT, cid, bytes(8) + options))
        if place == "set":
            self.b.send(frame(SET_OPTS, cid, option_of(name)))

    def join(self, place, name):
        request = f"GET /{place}/{name} HTTP/1.1"
        c = Client(self.p.port(), handshake(request=request, port=self.p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        cid = self.b.of(OPEN)[-1][1]
        # What it said is in effect when this is here.
        self.b.send(frame(TEXT, cid, b"joined"))
        self.assertEqual(c.message(), (WS_TEXT, b"joined"))
        return c, cid

    def every(self, name):
        for place in PLACES:
            with self.subTest(place):
                yield self.join(place, name)

    def of(self, kind, cid):
        return [f for f in self.b.of(kind) if f[1] == cid]

    def wait_of(self, kind, cid):
        return wait_for(f"a frame of type {kind:#x}", lambda: self.of(kind, cid))[0]

    def other(self):
        """One that nothing was said of."""
        return self.join("set", "nodelay")


class OptionsTest(OptionsTestCase):
    def nodelay_of(self, c):
        """At the gateway's end."""
        libc = ctypes.CDLL(None, use_errno=True)
        pid = self.p.workers()[0]
        pidfd = os.pidfd_open(pid)
        here = c.socket.getsockname()
        try:
            for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
                got = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
                if got < 0:
                    continue
                try:
                    s = socket.socket(fileno=os.dup(got))
                except OSError:
                    continue
                finally:
                    os.close(got)
                with s:
                    try:
                        if s.getpeername() == here:
                            return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    except OSError:
                        pass
        finally:
            os.close(pidfd)
        self.skipTest("sockets of another process can not be looked at")

    def test_nodelay(self):
        c, cid = self.join("set", "idle")
        self.assertNotEqual(self.nodelay_of(c), 0)
        for c, cid in self.every("nodelay"):
            self.assertEqual(self.nodelay_of(c), 0)
            self.b.send(frame(SET_OPTS, cid, opt(1, 1, "B")) + frame(TEXT, cid, b"x"))
            c.message()
            self.assertNotEqual(self.nodelay_of(c), 0)

    def test_idle_timeout(self):
        for c, cid in self.every("idle"):
            self.assertEqual(c.finish()[1], 1001)
            self.assertEqual(self.wait_of(CLOSED, cid)[2][0], 5)

    def test_auto_pong(self):
        for c, cid in self.every("auto_pong"):
            c.send(encode(9, b"?"))
            self.assertEqual(self.wait_of(PING, cid)[2], b"?")
            self.b.send(frame(TEXT, cid, b"first"))
            self.assertEqual(c.message(), (WS_TEXT, b"first"))  # no pong before

    def test_max_message(self):
        for c, cid in self.every("max_message"):
            c.send(encode(WS_TEXT, b"x" * 10), encode(WS_TEXT, b"x" * 11))
            self.assertEqual(c.finish()[1], 1009)
            self.wait_of(CLOSED, cid)
            self.assertEqual(len(self.of(TEXT, cid)), 1)
        opened, = [f for f in self.b.of(OPEN)
                   if tlvs(f[2][32:])[0x13] == b"/register/max_message"]
        self.assertEqual(struct.unpack_from("<I", opened[2], 24)[0], 10)

    def test_event_mask(self):
        for c, cid in self.every("event_mask"):
            c.send(encode(9, b"?"))
            self.wait_of(PING, cid)
        c, cid = self.other()
        c.send(encode(9, b"?"), encode(WS_TEXT, b"x"))
        self.wait_of(TEXT, cid)
        self.assertEqual(self.of(PING, cid), [])

    def test_ping_interval(self):
        for c, cid in self.every("ping"):
            first, payload = c.frame()
            self.assertEqual(first, 0x89)

    def test_close_timeout(self):
        for c, cid in self.every("close"):
            begun = time.monotonic()
            self.b.send(frame(CLOSE, cid, aux=1000))
            self.wait_of(CLOSED, cid)
            self.assertLess(time.monotonic() - begun, 15)
            self.assertGreaterEqual(time.monotonic() - begun, 0.25)

    def test_stream_threshold(self):
        for c, cid in self.every("threshold"):
            whole = encode(WS_TEXT, b"y" * 300, key=bytes(4))
            c.send(whole[:200])
            piece = self.wait_of(TEXT, cid)
            self.assertLess(len(piece[2]), 300)
            c.send(whole[200:])
        c, cid = self.other()
        c.send(whole)
        self.assertEqual(len(self.wait_of(TEXT, cid)[2]), 300)

    def test_send_buffer(self):
        data = b"z" * 60000
        for c, cid in self.every("send_buffer"):
            sent = 0
            while not self.of(CLOSED, cid):
                self.b.send(frame(MSEND, 0, struct.pack("<BBHIQ", 2, 0, 0, 1, cid) + data))
                sent += len(data)
                self.assertLess(sent, 40 << 20, "as much as the location allows")
            self.assertEqual(self.of(CLOSED, cid)[0][2][0], 10)  # a slow client

    def test_on_loss(self):
        going = [self.join(place, "on_loss")[0] for place in PLACES]
        staying, cid = self.other()
        self.b.on_frame = lambda *_: None
        self.b.link.shutdown(socket.SHUT_RDWR)
        for c in going:
            self.assertEqual(c.finish()[1], 1012)
        wait_for("RESUME", lambda: self.of(RESUME, cid))
        self.b.send(frame(TEXT, cid, b"again"))
        self.assertEqual(staying.message(), (WS_TEXT, b"again"))

    def test_an_unknown_one_is_ignored(self):
        c, cid = self.other()
        self.b.send(frame(SET_OPTS, cid, opt(99, 1) + opt(14, 1, "B") + opt(4, 5)))
        self.b.send(frame(TEXT, cid, b"x"))
        c.message()
        c.send(encode(WS_TEXT, b"123456"))
        self.assertEqual(c.finish()[1], 1009)

    def test_limits_get_no_wider(self):
        c, cid = self.other()
        self.b.send(frame(SET_OPTS, cid, opt(4, 1 << 30)) + frame(TEXT, cid, b"x"))
        c.message()
        try:
            c.send(encode(WS_TEXT, bytes(1), length=(10 << 20) + 1))
            self.assertEqual(c.finish()[1], 1009)
        except Ended:
            self.fail("cut")


class AckModeTest(OptionsTestCase):
    delivery, features = "at_least_once", FEATURES | ALO

    def test_ack_mode(self):
        kept, kept_cid = self.join("set", "nodelay")
        others = [self.join(place, "ack_mode") for place in PLACES]
        for c, cid in [(kept, kept_cid), *others]:
            c.send(encode(WS_TEXT, b"once"))
            self.wait_of(TEXT, cid)
        self.b.on_frame = lambda *_: None
        self.b.frames.clear()
        self.b.link.shutdown(socket.SHUT_RDWR)
        for c, cid in [(kept, kept_cid), *others]:
            self.wait_of(RESUME, cid)
            c.send(encode(WS_TEXT, b"then"))
        self.assertEqual(
            wait_for("both", lambda: len(self.of(TEXT, kept_cid)) == 2 and
                     [f[2] for f in self.of(TEXT, kept_cid)]), [b"once", b"then"])
        for c, cid in others:
            self.assertEqual(self.wait_of(TEXT, cid)[2], b"then")
            self.assertEqual(len(self.of(TEXT, cid)), 1)

    def test_on_again(self):
        c, cid = self.join("accept", "ack_mode")
        self.b.send(frame(SET_OPTS, cid, opt(11, 1, "B")) + frame(TEXT, cid, b"x"))
        c.message()
        c.send(encode(WS_TEXT, b"kept"))
        self.wait_of(TEXT, cid)
        self.b.on_frame = lambda *_: None
        self.b.frames.clear()
        self.b.link.shutdown(socket.SHUT_RDWR)
        self.wait_of(RESUME, cid)
        self.assertEqual(self.wait_of(TEXT, cid)[2], b"kept")


if __name__ == "__main__":
    unittest.main()
