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
        self.buffered_amount = 0
        self.bytes_received = 0

    # ---- credit that we have ----

    def _has_credit(self):
        return self._credit > 0 and self._link.credit > 0

    def _spend(self, n):
        self._credit -= n
        self._link.credit -= n
        self._unacked += n

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

    def _sending(self):
        """An async context manager: one message after the other."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def _is_sending(self):
        return self._lock is not None and self._lock.locked()

    async def _put_pieces(self, kinds, data, last):
        """In frames that the gateway takes; the lock is held.  kinds: of the
        first frame, of the others."""
        link, view, at = self._link, memoryview(data), 0
        kind, following = kinds
        size = link.peer_max_frame
        while True:
            await self._wait_for_credit()
            piece = bytes(view[at:at + size])
            at += len(piece)
            more = not last or at < len(view)
            link.put(codec.frame(kind, self.id, piece,
                                 codec.MORE if more else 0))
            self._spend(len(piece))
            kind = following
            if at >= len(view):
                return

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


def payload_of(message):
    """(opcode, bytes): str is text, bytes-like is binary."""
    if isinstance(message, str):
        return 1, message.encode()
    if isinstance(message, bytes):
        return 2, message
    if isinstance(message, (bytearray, memoryview)):
        return 2, bytes(message)
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
