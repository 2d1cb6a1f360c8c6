# SPDX-License-Identifier: BSD-2-Clause
"""Messages larger than any memory, in both directions: EV_FRAGMENTS and
websocket_stream_threshold.  HUGE in the environment is their size in MiB."""

import os
import struct
import threading
import unittest

from support.gateway import (
    ACCEPT, ACK, BINARY, CONT, OPEN, TEXT, Backend, BridgeTestCase, frame,
    hello, tlv,
)
from support.gateway import READY
from support.penstock import wait_for
from support.websocket import BINARY as WS_BINARY
from support.websocket import Client, encode

HUGE = int(os.environ.get("HUGE", "256")) << 20
MORE = 1
# Freed memory that a sanitizer keeps looks like a leak here.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=4"
EVENT_FRAGMENTS = 1 << 4
ZEROS = bytes(1 << 20)


def option(number, value):
    return tlv(0x23, struct.pack("<HI", number, value))


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(l for l in f if l.startswith("VmRSS:")).split()[1])


class FragmentsTest(BridgeTestCase):
    options = option(5, EVENT_FRAGMENTS)

    def on_frame(self, kind, cid, payload):
        """In the backend's thread: count, and return the credit."""
        if kind == OPEN:
            self.cid = cid
            self.backend.send(frame(ACCEPT, cid, bytes(8) + self.options))
        if kind in (TEXT, BINARY, CONT):
            self.got += len(payload)
            self.largest = max(self.largest, len(payload))
            self.pieces.append(kind)
            if self.paying.is_set():
                self.pay(len(payload))
            else:
                self.owed += len(payload)
        if kind == ACK:
            for i in range(0, len(payload), 16):
                self.credit += struct.unpack_from("<QII", payload, i)[1]
            self.more.set()

    def pay(self, n):
        self.backend.send(
            frame(ACK, 0, struct.pack("<QII", self.cid, n, 0))
        )

    def begin(self, location="", window=65536):
        self.got = self.largest = self.owed = self.credit = 0
        self.pieces = []
        self.paying, self.more = threading.Event(), threading.Event()
        self.paying.set()
        limits = f"websocket_max_message {HUGE}; websocket_max_frame {HUGE};"
        p, self.backend = self.with_backend(
            location=limits + location,
            on_frame=self.on_frame,
            greeting=hello(window=window) + frame(READY),
        )
        self.backend.keep = False
        self.wait_ready(p)
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return p, c

    def test_from_a_client(self):
        p, c = self.begin()
        (worker,) = p.workers()
        c.send(encode(WS_BINARY, b"", length=HUGE, key=bytes(4)))
        c.send(ZEROS)
        wait_for("the first pieces", lambda: self.got >= len(ZEROS) - 65536)
        before = resident_kib(worker)
        for _ in range(HUGE // len(ZEROS) - 1):
            c.send(ZEROS)
        wait_for("all of it", lambda: self.got == HUGE)
        self.assertLess(resident_kib(worker) - before, 4096)
        self.assertLessEqual(self.largest, 65536)
        self.assertEqual(self.pieces[0], BINARY)
        self.assertEqual(set(self.pieces[1:]), {CONT})

    def test_to_a_client(self):
        p, c = self.begin()
        (worker,) = p.workers()
        self.credit += 262144  # reply_window
        state = {"before": 0}

        def produce():
            sent = 0
            while sent < HUGE:
                while self.credit <= 0:
                    self.more.clear()
                    if self.credit <= 0:
                        self.more.wait(20)
                n = min(65536, HUGE - sent)
                sent += n
                self.credit -= n
                kind = CONT if sent > n else BINARY
                self.backend.send(
                    frame(kind, self.cid, ZEROS[:n], MORE if sent < HUGE else 0)
                )

        wait_for("the session", lambda: hasattr(self, "cid"))
        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        got, first = 0, 0x02
        while got < HUGE:
            head, payload = c.frame()
            got += len(payload)
            self.assertEqual(head, first | (0x80 if got == HUGE else 0))
            first = 0
            if not state["before"] and got > len(ZEROS):
                state["before"] = resident_kib(worker)
        thread.join()
        self.assertLess(resident_kib(worker) - state["before"], 16384)

    def test_a_backend_that_stops_stops_the_client(self):
        p, c = self.begin()
        self.paying.clear()
        c.send(encode(WS_BINARY, b"", length=HUGE, key=bytes(4)))
        c.socket.setblocking(False)
        sent = 0

        def stuck():
            nonlocal sent
            before = sent
            try:
                while sent < HUGE:
                    sent += c.socket.send(ZEROS[: HUGE - sent])
            except BlockingIOError:
                pass
            return sent == before and self.got >= 65536

        wait_for("the socket to be full", stuck)
        # One window, and one frame that passed it.
        self.assertLessEqual(self.got, 65536 + 65536)
        self.assertLess(sent, 16 << 20)
        self.paying.set()
        self.pay(self.owed)
        c.socket.settimeout(20)
        rest = min(HUGE, sent + (4 << 20))
        while sent < rest:
            sent += c.socket.send(ZEROS[: rest - sent])
        wait_for("more", lambda: self.got >= rest - 65536)

    def test_the_threshold(self):
        p, c = self.begin("websocket_stream_threshold 100;")
        c.send(encode(WS_BINARY, bytes(99))[:50])
        c.send(encode(WS_BINARY, bytes(99), key=bytes(4))[50:])
        wait_for("a message", lambda: self.got == 99)
        self.assertEqual(self.pieces, [BINARY])
        whole = encode(WS_BINARY, bytes(100))
        c.send(whole[:50])
        wait_for("a piece", lambda: self.got > 99)
        c.send(whole[50:])
        wait_for("the rest", lambda: self.got == 199)
        self.assertEqual(self.pieces, [BINARY, BINARY, CONT])


class WholeTest(FragmentsTest):
    """A backend that takes no fragments gets frames of its own size."""

    options = b""

    def test_the_threshold(self):
        p, c = self.begin("websocket_stream_threshold 100;")
        whole = encode(WS_BINARY, bytes(60000))
        c.send(whole[:50000])
        c.send(whole[50000:])
        wait_for("a message", lambda: self.got == 60000)
        self.assertEqual(self.pieces, [BINARY])


if __name__ == "__main__":
    unittest.main()
