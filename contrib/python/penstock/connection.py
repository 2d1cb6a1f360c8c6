# SPDX-License-Identifier: BSD-2-Clause
"""A WebSocket session."""

import asyncio
import collections
import enum
import os

from . import codec
from .client import Client, ConnectionClosed, payload_of

NEVER = {b"connection", b"keep-alive", b"upgrade", b"transfer-encoding",
         b"content-length"}


class State(enum.IntEnum):
    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


CONNECTING, OPEN, CLOSING, CLOSED = State
MASK32 = 0xFFFFFFFF


class Connection(Client):
    """One client, for the handler that got it.  Not to be used from other
    threads."""

    def __init__(self, link, cid, app, opened, request):
        super().__init__(link, cid, app, opened)
        self.request = request
        self.state = CONNECTING
        self.close_code = None
        self.close_reason = ""
        self.cause = None  # of CLOSED, see contrib/docs/sluice.md
        self.subprotocol = None
        self.resumed = False  # another backend had it before this one
        self.saved = None  # what that one left with set_state()
        self.unacked = 0  # messages that it may have seen and that follow
        self.foreign = self.truncated = self.dead = False
        self.seq = 0  # of the message that recv() returned last
        self.replayed = False  # it may have been seen by another backend
        self._queue = collections.deque()  # (message, bytes, seq, replayed)
        self._current = False  # a message is with the handler
        self._waiting = collections.deque()  # (seq, bytes) for ack()
        self._receiver = None  # the future of recv()
        self._kind = 0  # of the message that comes in pieces
        self._pieces, self._size = [], 0
        self._replay = False
        self._channels = []
        self._pongs = {}
        self._detaching = False
        self._closed = None  # the future of wait_closed()

    # ---- the handshake ----

    async def accept(self, subprotocol=None, headers=()):
        """Answer with 101.  Without a subprotocol the first of the app's that
        was offered is chosen.  A client that another backend accepted already
        stays as it is."""
        if self.resumed and self.state != CLOSED:
            return
        self._may_answer()
        offers = self.request.subprotocols
        if subprotocol is None:
            subprotocol = next((s for s in self._app.subprotocols
                                if s in offers), None)
        elif subprotocol not in offers:
            raise ValueError(f"{subprotocol!r} was not offered")
        values = b""
        if subprotocol is not None:
            values = codec.tlv(codec.SUBPROTOCOL, subprotocol.encode())
        values += b"".join(codec.tlv(codec.CHANNEL, n) for n in self._channels)
        fields = list(headers.items() if hasattr(headers, "items")
                      else headers)
        for name, _ in fields:
            name = (name.encode("latin-1") if isinstance(name, str)
                    else name).lower()
            if name in NEVER or name.startswith((b"sec-websocket-",
                                                 b"websocket-")):
                raise ValueError(f"{name.decode()} is the handshake's own")
        values += codec.headers(fields)
        if len(values) + 8 > self._link.peer_max_frame:
            raise ValueError("too many headers")
        self._link.put(codec.accept(self.id, values))
        self.subprotocol = subprotocol
        self.state = OPEN

    async def reject(self, status=403, headers=(), body=b""):
        """Answer with an HTTP status, 300 to 599.  Without a body it is the
        gateway's page for it."""
        self._may_answer()
        if not 300 <= status <= 599:
            raise ValueError("a handshake is refused with 300 to 599")
        if isinstance(body, str):
            body = body.encode()
        values = codec.headers(headers)
        if body:
            values += codec.tlv(codec.BODY, bytes(body))
        if len(values) + 4 > self._link.peer_max_frame:
            raise ValueError("too long a refusal")
        self._link.put(codec.reject(self.id, status, values))
        self.state = CLOSED

    def _may_answer(self):
        if self.state == CLOSED:
            raise self._error()
        if self.state != CONNECTING:
            raise RuntimeError("it was accepted already")

    # ---- from the client ----

    async def recv(self):
        """The next message, str or bytes; ConnectionClosed after the last.
        Asking for it says that the one before has been dealt with."""
        if self._current:
            self._done()
        queue = self._queue
        while not queue:
            if self._gone:
                raise self._error()
            if self.state == CONNECTING:
                raise RuntimeError("accept() comes first")
            if self._receiver is not None:
                raise RuntimeError("recv() is waiting already")
            if self._detaching:
                self._leave()
                continue
            self._receiver = self._link.loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        message, n, self.seq, self.replayed = queue.popleft()
        self._current = True
        self._last = n
        if self._app.manual_ack:
            self._waiting.append((self.seq, n))
        return message

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    def _done(self):
        """The handler is done with the message it has."""
        self._current = False
        if not self._app.manual_ack:
            self._progress(self.seq, self._last)

    def _progress(self, seq, n):
        self._seq_done = seq
        if self._gone:
            self._link.ack_gone(self.id, seq)
        elif n or self._link.features & codec.F_ALO:
            self._owe(n)

    def ack(self, seq=None):
        """With manual_ack: done with all messages up to seq (without it: up
        to the last that recv() returned)."""
        if seq is None:
            seq = self.seq
        if (self._seq_in - seq) & 0x80000000:
            raise ValueError(f"there is no message {seq} yet")
        n, last = 0, None
        while self._waiting and not (seq - self._waiting[0][0]) & 0x80000000:
            last, size = self._waiting.popleft()
            n += size
        if last is not None:
            self._progress(last, n)
            self._look_at_end()
            self._leave()

    def _look_at_end(self):
        """The CLOSED of a client is acknowledged too, as the message after
        the last, when nothing is left to do for it."""
        if self._gone and self._finished and not self._waiting \
                and not self._queue and self._ends:
            self._link.ack_gone(self.id, self._seq_in + 1 & MASK32)

    _finished = False  # the handler has returned
    _ends = False  # CLOSED has come, and is to be acknowledged
    _last = 0

    def _on_data(self, kind, flags, data):
        n = len(data)
        first = kind != codec.CONT
        if first == (self._kind != 0):
            return self._give_up(codec.E_BAD_STATE, kind, 1011)
        if self._unread >= self._window_in:
            return self._give_up(codec.E_FLOW_CONTROL, kind, 1011)
        self._unread += n
        self.bytes_received += n
        if first:
            self._seq_in = self._seq_in + 1 & MASK32
            if not flags & codec.MORE:
                if self.state == CLOSED:
                    self._owe(n)
                    return None
                message = data.decode() if kind == codec.TEXT else data
                self._queue.append((message, n, self._seq_in,
                                    bool(flags & codec.REPLAY)))
                receiver = self._receiver
                if receiver is not None and not receiver.done():
                    receiver.set_result(None)
                return None
            self._kind, self._replay = kind, False
        return self._on_piece(kind, flags, data)

    def _on_piece(self, kind, flags, data):
        n = len(data)
        self._replay |= bool(flags & codec.REPLAY)
        self._size += n
        if self.request.max_message and self._size > self.request.max_message:
            self._pieces.clear()
            self._kind = self._kind if flags & codec.MORE else 0
            self._owe(n)
            if self.state != CLOSED:
                self._give_up(codec.E_MESSAGE_TOO_BIG, kind, 1009)
            return
        if self.state != CLOSED:
            self._pieces.append(data)
        if flags & codec.MORE:
            self._owe(n)
            return
        whole, self._pieces = b"".join(self._pieces), []
        text, self._kind, self._size = self._kind == codec.TEXT, 0, 0
        if self.state == CLOSED:
            self._owe(n)
            return
        self._queue.append((whole.decode() if text else whole, n,
                            self._seq_in, self._replay))
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _give_up(self, code, kind, close_code):
        self._link.put(codec.error(self.id, code, kind, codec.CLIENT,
                                   close_code, ""))
        self.terminate()

    def pause(self):
        """Read no more from the client."""
        self._may_send()
        self._link.put(codec.frame(codec.PAUSE, self.id))

    def resume(self):
        self._may_send()
        self._link.put(codec.frame(codec.UNPAUSE, self.id))

    # ---- to the client ----

    def _may_send(self):
        if self.state == CONNECTING:
            raise RuntimeError("accept() comes first")
        if self.state != OPEN:
            raise self._error()

    def _error(self):
        return ConnectionClosed(
            1006 if self.close_code is None else self.close_code,
            self.close_reason)

    async def send(self, message):
        """str is sent as text, bytes as binary.  Waits while the client has
        fallen behind.  Who cancels it in the middle of a message that needs
        several frames ends the connection."""
        opcode, data = payload_of(message)
        if self.state != OPEN:
            self._may_send()
        if opcode == 2 and not self.request.binary_ok:
            raise ValueError("this client's version has no binary messages")
        link, n = self._link, len(data)
        if self._credit > 0 and link.credit > 0 and n <= link.peer_max_frame \
                and not self._is_sending():
            link.put(codec.HEAD.pack(n, 0x1F + opcode, 0, 0, self.id) + data)
            self._credit -= n
            link.credit -= n
            self._unacked += n
            return
        self.buffered_amount += n
        try:
            async with self._sending():
                await self._send_part(0x1F + opcode, data, True)
        finally:
            self.buffered_amount -= n
            self._leave()

    async def _send_part(self, kind, data, last):
        before = self._unacked, self._credit
        try:
            await self._put_pieces((kind, codec.CONT), data, last)
        except ConnectionClosed:
            raise
        except BaseException:
            if (self._unacked, self._credit) != before:
                self.terminate()
            raise

    def stream(self, binary=False):
        """A message in pieces: async with conn.stream() as s: await
        s.send(piece)."""
        return OutStream(self, binary)

    async def ping(self, data=None):
        """Send a ping; what is returned can be awaited for its pong."""
        self._may_send()
        if self.request.ws_version in (75, 76):
            raise ValueError("this client's version has no pings")
        data = os.urandom(4) if data is None else bytes(data)
        if len(data) > 125:
            raise ValueError("a ping carries at most 125 bytes")
        if data in self._pongs:
            raise ValueError("such a ping is under way already")
        pong = self._pongs[data] = self._link.loop.create_future()
        self._link.put(codec.frame(codec.PING, self.id, data))
        return pong

    def _on_pong(self, data):
        # A pong answers the pings before it too.
        if data in self._pongs:
            for sent in list(self._pongs):
                pong = self._pongs.pop(sent)
                if not pong.done():
                    pong.set_result(None)
                if sent == data:
                    break

    async def close(self, code=1000, reason=""):
        """Behind all that was sent.  Does nothing when the end is under way;
        wait_closed() waits for it."""
        text = reason.encode()
        if code is None:
            code = 0
            if text:
                raise ValueError("a reason needs a code")
        elif not codec.legal_close_code(code):
            raise ValueError(f"{code} may not be sent")
        if len(text) > 123:
            raise ValueError("a reason has at most 123 bytes")
        if self.state == CONNECTING:
            await self.reject(403)
            return
        if self._is_sending():
            async with self._sending():
                pass
        if self.state != OPEN:
            return
        self._link.put(codec.frame(codec.CLOSE, self.id, text, aux=code))
        self.state = CLOSING

    def terminate(self):
        """At once, without a close frame."""
        if self.state == CLOSED or self._gone:
            return
        if self.state == CONNECTING:
            self._link.put(codec.reject(self.id, 503))
        else:
            self._link.put(codec.frame(codec.TERMINATE, self.id))
        self.state = CLOSED
        self._wake()

    async def wait_closed(self):
        if not self._gone:
            if self._closed is None:
                self._closed = self._link.loop.create_future()
            await _shielded(self._closed)

    def set_idle_timeout(self, seconds):
        self._may_send()
        self._link.put(codec.frame(codec.SET_OPTS, self.id, codec.opt(
            codec.IDLE_TIMEOUT_MS, int(seconds * 1000))))

    # ---- channels ----

    def subscribe(self, *names):
        """Before accept() it counts before the 101 leaves."""
        names = [codec.channel(n) for n in names]
        if not self._link.features & codec.F_CHANNELS:
            raise RuntimeError("the gateway has no channels")
        if self.state == CONNECTING:
            self._channels += names
            return
        self._may_send()
        if names:
            self._link.put(codec.frame(codec.SUBSCRIBE, self.id,
                                       codec.channels(names)))

    def unsubscribe(self, *names):
        """Without names: from all."""
        if self.state == CONNECTING:
            gone = {codec.channel(n) for n in names}
            self._channels = [n for n in self._channels
                              if names and n not in gone]
            return
        self._may_send()
        self._link.put(codec.frame(codec.UNSUBSCRIBE, self.id,
                                   codec.channels(names)))

    # ---- for the next backend ----

    def set_state(self, blob, ack=True):
        """Leave a state with the gateway for a backend that gets this client
        later.  ack: it contains the message that recv() returned last, which
        so is done with in the same step."""
        if self._gone or self.state == CONNECTING:
            raise self._error()
        if not self._link.features & codec.F_STATE:
            raise RuntimeError("the gateway keeps no states")
        blob = bytes(blob)
        if len(blob) + 4 > self._link.peer_max_frame:
            raise ValueError("too large a state")
        has_ack = ack and self.seq != 0
        self._link.put(codec.set_state(self.id, blob,
                                       self.seq if has_ack else None))
        if has_ack and self._app.manual_ack:
            self.ack(self.seq)

    def _on_detach(self):
        self._detaching = True
        # A handler that waits for a message has nothing left to do.
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        else:
            self._leave()

    def _leave(self):
        """Another backend gets it, when what was begun is finished."""
        if not self._detaching or self._gone or self._queue or self._current \
                or self._waiting or self._is_sending():
            return
        self._link.ack_now(self)
        self._link.put(codec.frame(codec.DETACHED, self.id))
        self._end(1012, "", None)

    # ---- the end ----

    def _on_closed(self, code, reason, cause):
        answered = self.state != CONNECTING
        self._end(code, reason, cause)
        self._ends = answered
        self._look_at_end()

    def _end(self, code, reason, cause):
        self.state = CLOSED
        self.close_code, self.close_reason = code, reason
        self.cause = cause
        self._settle()
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(self._error())
                pong.exception()  # nobody may be waiting for it
        self._pongs.clear()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    async def _after_handler(self, failed):
        """The handler has returned, or raised."""
        if self._current:
            self._done()
        self._finished = True
        # What it did not want to see is done with.
        while self._queue:
            _, n, seq, _ = self._queue.popleft()
            self._waiting.append((seq, n))
        if self.state == CONNECTING:
            await self.reject(500)
        elif self._detaching and not failed:
            while self._waiting and not self._app.manual_ack:
                self._progress(*self._waiting.popleft())
            self._leave()
        elif self.state == OPEN:
            await self.close(1011 if failed else 1000)
        if not self._app.manual_ack:
            while self._waiting:
                self._progress(*self._waiting.popleft())
        self._look_at_end()


async def _shielded(future):
    """Several may wait; one that is cancelled does not end it for others."""
    await asyncio.shield(future)


class OutStream:
    def __init__(self, conn, binary):
        self._conn, self._binary = conn, binary
        self._kind = codec.BINARY if binary else codec.TEXT

    async def __aenter__(self):
        self._conn._may_send()
        if self._binary and not self._conn.request.binary_ok:
            raise ValueError("this client's version has no binary messages")
        await self._conn._sending().acquire()
        return self

    async def send(self, piece):
        opcode, data = payload_of(piece)
        if (opcode == 2) != self._binary:
            raise TypeError("a stream is all text or all binary")
        if data:
            await self._conn._send_part(self._kind, data, False)
            self._kind = codec.CONT

    async def __aexit__(self, kind, error, trace):
        conn = self._conn
        try:
            if kind is None:
                await conn._send_part(self._kind, b"", True)
            elif self._kind == codec.CONT:
                conn.terminate()  # a beginning cannot be taken back
        finally:
            conn._sending().release()
            conn._leave()
