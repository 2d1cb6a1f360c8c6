# SPDX-License-Identifier: BSD-2-Clause
"""The way from a WebSocket client: messages, whole or in pieces, and what of
them has been dealt with."""

import codecs
import collections

from . import codec
from .client import Client

MASK32 = 0xFFFFFFFF


class InStream:
    """A message whose pieces come one by one."""

    def __init__(self, text):
        self.text = text
        self.pieces, self.size = collections.deque(), 0
        self.over = False  # the last piece is there
        self.wanted = False  # recv() waits for all of it
        self.dropped = False  # nobody wants the rest


class Receiving(Client):
    def __init__(self, link, cid, app, opened):
        super().__init__(link, cid, app, opened)
        self.seq = 0  # of the message that recv() returned last
        self.replayed = False  # it may have been seen by another backend
        self._queue = collections.deque()  # (message, bytes, seq, replayed)
        self._current = False  # a message is with the handler
        self._last = 0  # bytes that its end returns
        self._waiting = collections.deque()  # (seq, bytes) for ack()
        self._receiver = None  # the future of recv()
        self._stream = None  # the InStream that is not over
        self._in_pieces = False  # the gateway was asked for fragments
        self._finished = False  # the handler has returned
        self._ends = False  # CLOSED has come, and is to be acknowledged

    # ---- for the handler ----

    async def recv(self):
        """The next message, str or bytes; ConnectionClosed after the last.
        Asking for it says that the one before has been dealt with."""
        if self._current:
            self._done()
        queue = self._queue
        while not queue or type(queue[0][0]) is InStream \
                and not self._is_whole(queue[0][0]):
            await self._wait()
        message, n, self.seq, self.replayed = queue.popleft()
        if type(message) is InStream:
            n, message = self._whole(message)
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
        except OSError:
            raise StopAsyncIteration from None

    async def recv_streaming(self):
        """An iterator over the next message's pieces as they arrive, all str
        or all bytes.  From the first call on, or with the app's `fragments`,
        messages come as the client cuts them; else, and when they are small,
        whole."""
        self._ask_for_pieces()
        await self._next_is_stream()
        message, n, self.seq, self.replayed = self._queue.popleft()
        self._current, self._last = True, 0
        stream = type(message) is InStream
        if self._app.manual_ack:
            self._waiting.append((self.seq, 0 if stream else n))
        if not stream:
            self._last = n
            yield message
            return
        decode = codecs.getincrementaldecoder("utf-8")().decode \
            if message.text else bytes
        try:
            while True:
                while message.pieces:
                    data = message.pieces.popleft()
                    piece = decode(data)
                    if piece:
                        yield piece
                    self._owe(len(data))
                if message.over:
                    return
                await self._wait()
        finally:
            self._drop(message)

    async def _next_is_stream(self):
        """Until there is a message or its first piece."""
        if self._current:
            self._done()
        while not self._queue:
            await self._wait()
        return type(self._queue[0][0]) is InStream

    async def _wait(self):
        """For anything to come."""
        if self._gone:
            self._queue.clear()  # at most a part of a message
            raise self._error()
        if self.ready_state == 0:
            raise RuntimeError("accept() comes first")
        if self._receiver is not None:
            raise RuntimeError("recv() is waiting already")
        if self._detaching:
            self._leave()
            if self._gone:
                return
        self._receiver = self._link.loop.create_future()
        try:
            await self._receiver
        finally:
            self._receiver = None

    def _ask_for_pieces(self):
        if self._in_pieces or self._app.fragments:
            return
        self._may_send()
        self._in_pieces = True
        if self._link.features & codec.F_FRAGMENTS:
            mask = self._app.event_mask() | codec.EVENT_FRAGMENTS
            self._link.put(codec.frame(codec.SET_OPTS, self.id,
                                       codec.opt(codec.EVENT_MASK, mask)))

    # ---- progress ----

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

    def _drop_queue(self):
        """What the handler did not want to see is done with."""
        while self._queue:
            message, n, seq, _ = self._queue.popleft()
            if type(message) is InStream:
                self._drop(message)
            self._waiting.append((seq, n))

    # ---- from the link ----

    def _on_data(self, kind, flags, data, aux):
        n = len(data)
        if (kind != codec.CONT) == (self._stream is not None):
            return self._give_up(codec.E_BAD_STATE, kind, 1011)
        if self._unread >= self._window_in:
            return self._give_up(codec.E_FLOW_CONTROL, kind, 1011)
        self._unread += n
        self.bytes_received += n + (aux if aux < 32768 else aux - 65536)
        if kind != codec.CONT:
            self._seq_in = self._seq_in + 1 & MASK32
            if flags & codec.MORE:
                self._stream = InStream(kind == codec.TEXT)
                self._queue.append((self._stream, 0, self._seq_in,
                                    bool(flags & codec.REPLAY)))
                return self._on_piece(flags, data)
            if self.ready_state == 3:
                self._owe(n)
                return None
            message = data.decode() if kind == codec.TEXT else data
            self._queue.append((message, n, self._seq_in,
                                bool(flags & codec.REPLAY)))
            receiver = self._receiver
            if receiver is not None and not receiver.done():
                receiver.set_result(None)
            return None
        return self._on_piece(flags, data)

    def _on_piece(self, flags, data):
        stream, n = self._stream, len(data)
        stream.size += n
        if not flags & codec.MORE:
            stream.over = True
            self._stream = None
        if stream.dropped or self.ready_state == 3:
            self._owe(n)
        else:
            stream.pieces.append(data)
            if stream.wanted:
                self._check_size(stream)
                if not stream.over:
                    self._owe(n)
        self._notify()

    def _notify(self):
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _is_whole(self, stream):
        """If not, it becomes so: the gateway gets the credit for the rest."""
        if not stream.wanted:
            stream.wanted = True
            self._check_size(stream)
            for piece in list(stream.pieces)[:-1 if stream.over else None]:
                self._owe(len(piece))
        return stream.over and not stream.dropped

    def _check_size(self, stream):
        most = self.request.max_message
        if most and stream.size > most:
            self._drop(stream)
            if self.ready_state != 3:
                self._give_up(codec.E_MESSAGE_TOO_BIG, codec.CONT, 1009)

    def _whole(self, stream):
        last = len(stream.pieces[-1]) if stream.pieces else 0
        whole = b"".join(stream.pieces)
        return last, whole.decode() if stream.text else whole

    def _drop(self, stream):
        """Nobody wants the rest."""
        pieces = list(stream.pieces)
        if stream.wanted:  # the credit for others is on its way
            pieces = pieces[-1:] if stream.over else []
        stream.dropped = True
        stream.pieces.clear()
        for piece in pieces:
            self._owe(len(piece))

    def _give_up(self, code, kind, close_code):
        self._link.put(codec.error(self.id, code, kind, codec.CLIENT,
                                   close_code, ""))
        self.terminate()
