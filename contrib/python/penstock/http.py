# SPDX-License-Identifier: BSD-2-Clause
"""An HTTP request of a location with backend_pass."""

import asyncio
import collections

from . import codec
from .client import Client, ConnectionClosed


class Exchange(Client):
    """A request and its response, for the handler that got it."""

    def __init__(self, link, cid, app, opened, request, more):
        super().__init__(link, cid, app, opened)
        self.request = request
        self.started = False  # the response's head is sent
        self.ended = False  # and all of its body; or it was broken off
        self.complete = None  # all of the response left (HTTP_DONE)
        self.trailers = []  # (name, value) behind the request's body
        self._more = more  # body is to come
        self._queue = collections.deque()
        self._receiver = None
        self._over = None  # the future of wait_over()
        self._continue = more and (request.header("Expect", "").lower()
                                   == "100-continue")

    # ---- the request's body ----

    async def receive(self):
        """The next piece of the body, b"" at its end.  Asking returns the
        client's credit.  ConnectionClosed when the client has left."""
        if self._continue:
            self._continue = False
            if not self.started:
                await self.inform(100)
        while not self._queue:
            if not self._more:
                return b""
            if self._gone:
                raise ConnectionClosed()
            if self._receiver is not None:
                raise RuntimeError("receive() is waiting already")
            self._receiver = self._link.loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        piece = self._queue.popleft()
        self._owe(len(piece))
        return piece

    def __aiter__(self):
        return self

    async def __anext__(self):
        piece = await self.receive()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def body(self):
        """All of it; client_max_body_size bounds it."""
        return b"".join([piece async for piece in self])

    def _on_body(self, flags, data):
        n = len(data)
        if not self._more:
            return self._give_up(codec.E_BAD_STATE, codec.HTTP_BODY)
        if self._unread >= self._window_in:
            return self._give_up(codec.E_FLOW_CONTROL, codec.HTTP_BODY)
        self._unread += n
        self.bytes_received += n
        self._more = bool(flags & codec.MORE)
        if data:
            if self.ended:
                self._owe(n)
            else:
                self._queue.append(data)
        self._notify()
        return None

    def _on_trailers(self, payload):
        if not self._more:
            return self._give_up(codec.E_BAD_STATE, codec.HTTP_TRAILERS)
        self.trailers += [codec.get_header(value) for tag, value
                          in codec.tlvs(payload, 0, codec.HTTP_TRAILERS)
                          if tag == codec.HEADER]
        self._more = False
        return self._notify()

    def _notify(self):
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def _give_up(self, code, kind):
        self._link.put(codec.error(self.id, code, kind, codec.CLIENT, 0, ""))
        self.ended = True

    # ---- the response ----

    def _may_send(self):
        if self._gone:
            raise ConnectionClosed()
        if self.ended:
            raise RuntimeError("the response has ended")

    async def inform(self, status, headers=()):
        """100, 102 or 103 before the response."""
        self._may_send()
        if self.started:
            raise RuntimeError("the response has begun")
        if status not in (100, 102, 103):
            raise ValueError("only 100, 102 and 103 may come before")
        self._head(codec.HTTP_INFO, status, headers, False)

    def _head(self, kind, status, headers, more):
        values = codec.headers(headers)
        if len(values) + 4 > self._link.peer_max_frame:
            raise ValueError("too many headers")
        self._link.put(codec.http_res(self.id, status, values, more, kind))

    async def start(self, status=200, headers=(), more=True):
        """The head; with more a body follows, by write() and end()."""
        self._may_send()
        if self.started:
            raise RuntimeError("the response has begun")
        if not 200 <= status <= 599:
            raise ValueError("a response has a status from 200 to 599")
        self._head(codec.HTTP_RES, status, headers, more)
        self.started, self.ended = True, not more

    async def write(self, data, more=True):
        """A piece of the body.  Waits while the client has fallen behind."""
        if isinstance(data, str):
            data = data.encode()
        self._may_send()
        if not self.started:
            raise RuntimeError("start() comes first")
        if not data and more:
            return
        await self._take_turn(len(data))
        try:
            self._may_send()
            await self._put_pieces((codec.HTTP_BODY, codec.HTTP_BODY), data,
                                   not more)
            self.ended = not more
        finally:
            self._sending().release()

    async def end(self, data=b"", trailers=()):
        """The last piece of the body, and the fields behind it."""
        if not trailers:
            await self.write(data, more=False)
            return
        if data:
            await self.write(data)
        self._may_send()
        if not self.started:
            raise RuntimeError("start() comes first")
        values = codec.headers(trailers)
        if len(values) > self._link.peer_max_frame:
            raise ValueError("too many trailers")
        async with self._sending():
            self._may_send()
            self._link.put(codec.frame(codec.HTTP_TRAILERS, self.id, values))
            self.ended = True

    async def respond(self, status=200, headers=(), body=b""):
        """A whole response."""
        if isinstance(body, str):
            body = body.encode()
        await self.start(status, headers, more=bool(body))
        if body:
            await self.write(body, more=False)

    def reset(self):
        """Break it off: the client gets 502, or a cut response."""
        if self.ended and self.complete is not None or self._gone:
            return
        self.ended = True
        self._link.put(codec.frame(codec.HTTP_RESET, self.id,
                                   aux=codec.E_INTERNAL))
        self._wake()

    async def wait_over(self):
        """Until the response has left, or the client has."""
        if not self._gone:
            if self._over is None:
                self._over = self._link.loop.create_future()
            await asyncio.shield(self._over)

    def _end(self, complete):
        self.complete = complete
        self._settle()
        self._notify()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def _after_handler(self, failed):
        self._queue.clear()
        if self._gone or self.ended:
            self._drop_rest()
            return
        if not self.started:
            await self.respond(500)
        else:
            self.reset()
        self._drop_rest()

    def _drop_rest(self):
        """What is left of the body is of no use; the gateway must not wait
        for credit to send it."""
        rest = self._unread - self._owed
        if rest > 0 and not self._gone:
            self._owe(rest)
