# SPDX-License-Identifier: BSD-2-Clause
"""Messages in pieces, to one client or to many."""

from . import codec
from .client import payload_of


class OutStream:
    """What Connection.stream() makes."""

    def __init__(self, conn, binary, compress):
        self._conn, self._binary = conn, binary
        self._kind = codec.BINARY if binary else codec.TEXT
        self._flags = 0 if compress else codec.NOCOMPRESS

    async def __aenter__(self):
        conn = self._conn
        conn._must_be_open()
        if self._binary and not conn.request.binary_ok:
            raise ValueError("this client's version has no binary messages")
        await conn._sending().acquire()
        return self

    async def send(self, piece):
        opcode, data = payload_of(piece)
        if (opcode == 2) != self._binary:
            raise TypeError("a stream is all text or all binary")
        if data:
            await self._conn._send_part(self._kind, data, False, self._flags)
            self._kind, self._flags = codec.CONT, 0

    async def __aexit__(self, kind, error, trace):
        conn = self._conn
        try:
            if kind is None:
                await conn._send_part(self._kind, b"", True, self._flags)
            elif self._kind == codec.CONT:
                conn.terminate()  # a beginning cannot be taken back
        finally:
            conn._sending().release()
            conn._leave()


class BroadcastStream:
    """What Backend.broadcast_stream() makes: one message in pieces, to those
    who are there when its first piece is sent."""

    def __init__(self, backend, app, binary, except_ids, opts, compress=True):
        self._backend, self._app = backend, app
        self._flags = 0 if compress else codec.NOCOMPRESS
        self._opcode = 2 if binary else 1
        self._except, self._opts = except_ids, opts
        self._links = None  # link -> the stream's id
        self._over = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        # Also after an exception: its members wait for the end.
        if kind is None or self._links:
            await self.end()

    async def send(self, piece):
        opcode, data = payload_of(piece)
        if opcode != self._opcode:
            raise TypeError("a stream is all text or all binary")
        if self._over:
            raise RuntimeError("the stream has ended")
        if data:
            await self._put(data, 0)

    async def end(self):
        if not self._over:
            self._over = True
            await self._put(b"", codec.END)

    async def _put(self, data, flags):
        backend = self._backend
        if self._links is None:
            self._begin(data[:16384])
            data = data[16384:]
            if not data and not flags:
                return await backend._drained()
        for link, stream in self._links.items():
            size = link.peer_max_frame
            pieces = range(0, max(len(data), 1), size)
            for at in pieces:
                last = flags if at + size >= len(data) else 0
                piece = data[at:at + size]
                link.put_group(codec.frame(codec.BSTREAM, stream, piece,
                                           last), len(piece))
        return await backend._drained()

    def _begin(self, data):
        self._links = {}
        for link, app_id in self._backend._ways(self._app):
            if not link.features & codec.F_BSTREAM:
                raise RuntimeError("the gateway has no streams for groups")
            stream = self._links[link] = self._backend._next_stream()
            link.put_group(codec.bstream(stream, app_id, self._opcode, data,
                                         self._except, self._opts,
                                         self._flags), len(data))
