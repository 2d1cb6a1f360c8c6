# SPDX-License-Identifier: BSD-2-Clause
"""What a WebSocket session and an HTTP request have in common: an id on a
link, and credit both ways."""

import asyncio

from . import codec


class ConnectionClosed(OSError):
    """The client is gone, or its end is under way.

    code is the WebSocket code (1005: none was given, 1006: no close frame),
    reason the text that came with it.
    """

    def __init__(self, code=1006, reason=""):
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code, self.reason = code, reason


class GatewayError(Exception):
    """What the gateway refused; code is one of contrib/docs/sluice.md."""

    def __init__(self, code, text):
        super().__init__(f"{text} (code {code})")
        self.code = code


class Client:
    def __init__(self, link, cid, app, opened):
        self._link, self.id, self._app = link, cid, app
        self._credit = opened.window_out  # may be below 0 by a frame
        self._unacked = 0  # sent, and not returned by the gateway
        self._window_in = opened.window_in
        self._unread = 0  # received, and not returned by us
        self._owed = 0  # part of it that the next ACK returns
        self._seq_in = self._seq_done = 0
        self._lock = None  # held by who sends more than a frame, or waits
        self._waiter = None  # for credit
        self._gone = False  # nothing more comes from the gateway
        self._task = None
        self._sent = 0  # in all, but for what send() had no need to count
        self._held = 0  # bytes that wait for credit
        self._flushing = []  # [bytes to be acknowledged, future]
        self.error = None  # the last GatewayError about it
        self.bytes_received = 0

    @property
    def buffered_amount(self):
        """Bytes that were sent and have not left for the client."""
        return self._held + self._unacked

    # ---- credit that we have ----

    def _has_credit(self):
        return self._credit > 0 and self._link.credit > 0

    def _spend(self, n):
        self._credit -= n
        self._link.credit -= n
        self._unacked += n
        self._sent += n

    def _wake(self):
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _may_send(self):
        """Raise when it may not."""
        raise NotImplementedError

    async def _wait_for_credit(self):
        """Only the holder of the lock waits."""
        self._may_send()
        while not self._has_credit():
            self._waiter = self._link.loop.create_future()
            self._link.blocked[self] = None
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._link.blocked.pop(self, None)
            self._may_send()

    async def flushed(self):
        """Until what was sent so far has been given to the kernel for the
        client."""
        left = self._unacked + self._held
        if left:
            if not self._gone:
                future = self._link.loop.create_future()
                self._flushing.append([left, future])
                await future
            if self._gone:
                raise ConnectionClosed()

    def _acked(self, n):
        """n more bytes are with the kernel; there are who wait for it."""
        for entry in self._flushing:
            entry[0] -= n
            if entry[0] <= 0 and not entry[1].done():
                entry[1].set_result(None)
        self._flushing = [e for e in self._flushing if not e[1].done()]

    def _sending(self):
        """An async context manager: one message after the other."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def _is_sending(self):
        return self._lock is not None and self._lock.locked()

    async def _put_pieces(self, kinds, data, last, flags=0):
        """In frames that the gateway takes; the lock is held.  kinds: of the
        first frame, of the others; flags: of the first."""
        link, view, at = self._link, memoryview(data), 0
        kind, following = kinds
        size = link.peer_max_frame
        self._held += len(view)
        try:
            while True:
                await self._wait_for_credit()
                piece = bytes(view[at:at + size])
                at += len(piece)
                more = not last or at < len(view)
                link.put(codec.frame(kind, self.id, piece,
                                     flags | codec.MORE if more else flags))
                self._spend(len(piece))
                self._held -= len(piece)
                kind, flags = following, 0
                if at >= len(view):
                    return
        finally:
            self._held -= len(view) - at

    async def _take_turn(self, n):
        """The lock, for who wants to send n bytes."""
        self._held += n
        try:
            await self._sending().acquire()
        finally:
            self._held -= n

    # ---- credit that we give back ----

    def _owe(self, n):
        if self._gone:
            return
        self._owed += n
        self._link.owe(self, self._owed >= self._window_in // 2)

    def _settle(self):
        """The end of a client returns what it owes, both ways."""
        self._gone = True
        self._link.forget(self)
        self._wake()
        self._acked(1 << 62)


def payload_of(message):
    """(opcode, bytes): str is text, bytes-like is binary."""
    if isinstance(message, str):
        return 1, message.encode()
    if isinstance(message, bytes):
        return 2, message
    if isinstance(message, (bytearray, memoryview)):
        return 2, bytes(message)
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
