# SPDX-License-Identifier: BSD-2-Clause
"""The server side of the websockets library, behind Penstock:

    from penstock.websockets import serve  # instead of websockets

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with serve(echo, "localhost", 8765) as server:
            await server.serve_forever()

serve() starts a private gateway, or attaches to the one that started this
process.  The names are those of websockets 10 and of its newer asyncio API.
"""

import asyncio
import collections.abc
import enum
import http
import inspect
import logging
import socket
import uuid

from . import client
from .app import finished
from .backend import Backend

OK_CODES = (1000, 1001)


class State(enum.IntEnum):
    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


class ConnectionClosed(client.ConnectionClosed):
    """With .code and .reason."""


class ConnectionClosedError(ConnectionClosed):
    pass


class ConnectionClosedOK(ConnectionClosed):
    """The end was 1000 or 1001."""


class Headers(collections.abc.Mapping):
    """Fields by their names in any case; [] has the first of them."""

    def __init__(self, fields=()):
        if hasattr(fields, "items"):
            fields = fields.items()
        self._fields = [(_text(n), _text(v)) for n, v in fields]

    def __getitem__(self, name):
        found = self.get_all(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __iter__(self):
        return iter({n.lower(): None for n, _ in self._fields})

    def __len__(self):
        return len({n.lower() for n, _ in self._fields})

    def __contains__(self, name):
        return bool(self.get_all(name))

    def get_all(self, name):
        return [v for n, v in self._fields if n.lower() == name.lower()]

    def raw_items(self):
        return iter(self._fields)


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Request:
    def __init__(self, request):
        self.path = request.target.decode("latin-1")
        self.headers = Headers(request.headers)


class Response:
    """For process_request, instead of the handshake."""

    def __init__(self, status_code, reason_phrase="", headers=(), body=b""):
        self.status_code, self.reason_phrase = status_code, reason_phrase
        self.headers, self.body = Headers(headers), body


class ServerConnection:
    """One client, as the handler gets it."""

    def __init__(self, server, conn):
        self.server, self._conn = server, conn
        self.ws_server = server
        self.id = uuid.uuid4()
        self.logger = server.logger
        self.request = Request(conn.request)
        self.response_headers = Headers()
        self.latency = 0.0
        self.username = None

    # What the handshake said, in the library's older names too.
    path = property(lambda self: self.request.path)
    request_headers = property(lambda self: self.request.headers)
    subprotocol = property(lambda self: self._conn.subprotocol)
    origin = property(lambda self: self._conn.request.origin)
    remote_address = property(lambda self: self._conn.request.client)
    local_address = property(lambda self: self._conn.request.server)
    secure = property(lambda self: self._conn.request.tls is not None)
    state = property(lambda self: State(self._conn.ready_state))
    open = property(lambda self: self._conn.ready_state == State.OPEN)
    closed = property(lambda self: self._conn.close_code is not None)
    close_code = property(lambda self: self._conn.close_code)

    @property
    def close_reason(self):
        return None if self.close_code is None else self._conn.close_reason

    def respond(self, status, text):
        """A Response for process_request."""
        return Response(int(status), http.HTTPStatus(status).phrase,
                        {"Content-Type": "text/plain; charset=utf-8"},
                        text.encode())

    def _closed(self, e):
        kind = ConnectionClosedOK if e.code in OK_CODES \
            else ConnectionClosedError
        return kind(e.code, e.reason)

    async def recv(self, decode=None):
        """decode: True for str, False for bytes, whatever came."""
        try:
            message = await self._conn.recv()
        except client.ConnectionClosed as e:
            raise self._closed(e) from None
        return _decoded(message, decode)

    async def recv_streaming(self, decode=None):
        try:
            async for piece in self._conn.recv_streaming():
                yield _decoded(piece, decode)
        except client.ConnectionClosed as e:
            raise self._closed(e) from None

    async def __aiter__(self):
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    async def send(self, message, text=None):
        """str, bytes, or an iterable of either, also an asynchronous one,
        whose items are the fragments of one message."""
        try:
            if isinstance(message, (str, bytes, bytearray, memoryview)):
                await self._conn.send(_decoded(message, text))
            elif isinstance(message, collections.abc.Mapping):
                raise TypeError("data is a dict-like object")
            elif isinstance(message, collections.abc.Iterable):
                await self._send_pieces(_each(message), text)
            elif isinstance(message, collections.abc.AsyncIterable):
                await self._send_pieces(message, text)
            else:
                raise TypeError("data must be str, bytes, or iterable")
        except client.ConnectionClosed as e:
            raise self._closed(e) from None

    async def _send_pieces(self, pieces, text):
        stream = None
        try:
            async for piece in pieces:
                piece = _decoded(piece, text)
                if stream is None:
                    stream = self._conn.stream(not isinstance(piece, str))
                    await stream.__aenter__()
                await stream.send(piece)
        except BaseException as e:
            if stream is not None:
                await stream.__aexit__(type(e), e, None)
            raise
        if stream is not None:
            await stream.__aexit__(None, None, None)

    async def ping(self, data=None):
        """What it returns can be awaited for the pong, and is the latency."""
        loop = asyncio.get_running_loop()
        sent = loop.time()
        try:
            pong = await self._conn.ping(
                data.encode() if isinstance(data, str) else data)
        except client.ConnectionClosed as e:
            raise self._closed(e) from None

        async def wait():
            try:
                await pong
            except client.ConnectionClosed as e:
                raise self._closed(e) from None
            self.latency = loop.time() - sent
            return self.latency

        task = asyncio.ensure_future(wait())
        task.add_done_callback(lambda t: t.cancelled() or t.exception())
        return task

    async def pong(self, data=b""):
        try:
            await self._conn.pong(data.encode() if isinstance(data, str)
                                  else data)
        except client.ConnectionClosed as e:
            raise self._closed(e) from None

    async def close(self, code=1000, reason=""):
        await self._conn.close(code, reason)
        await self._conn.wait_closed()

    async def wait_closed(self):
        await self._conn.wait_closed()


def _decoded(data, text):
    if text is True and not isinstance(data, str):
        return bytes(data).decode()
    if text is False and isinstance(data, str):
        return data.encode()
    return data


async def _each(items):
    for item in items:
        yield item


class Server:
    """What serve() makes."""

    def __init__(self, handler, host, port, *, origins=None, subprotocols=None,
                 process_request=None, select_subprotocol=None,
                 process_response=None, extra_headers=None,
                 compression="deflate", max_size=1 << 20, ping_interval=20,
                 ping_timeout=20, close_timeout=10, logger=None, ssl=None,
                 backlog=511, server_header=None, open_timeout=10,
                 max_queue=None, write_limit=None, create_protocol=None,
                 name="websockets", grace=5.0):
        # max_queue, write_limit and open_timeout are the gateway's business.
        if ssl is not None or create_protocol is not None:
            raise TypeError("TLS and protocols are the gateway's here: use "
                            "its configuration")
        self.handler, self._host, self._port = handler, host, port
        self._process_request = process_request
        self._process_response = process_response
        self._select_subprotocol = select_subprotocol
        self._extra_headers = extra_headers
        self.logger = logger or logging.getLogger("websockets.server")
        self._grace = grace
        lines = f"websocket_close_timeout {int(close_timeout or 60)}s;"
        if ping_interval:
            lines += f"websocket_ping {int(ping_interval)}s" + (
                f" timeout={int(ping_timeout)}s;" if ping_timeout else ";")
        self._gateway = {"deflate": compression == "deflate", "http": lines,
                         "max_message": max_size or 1 << 30,
                         "backlog": backlog}
        self.backend = Backend(name)
        app = self.backend.app(
            origins="*" if origins is None else [
                None if o in (None, "") else str(o) for o in origins],
            subprotocols=subprotocols or ())
        app(self._run)
        app.http(self._plain)
        self.port = None
        self._task = None
        self.connections = set()
        # Handlers of versions before 10.1 also want the path.
        try:
            inspect.signature(handler).bind(None)
            self._with_path = False
        except (TypeError, ValueError):
            self._with_path = True

    websockets = property(lambda self: self.connections)

    async def start(self):
        port = 0 if self._port is None else self._port
        self.port = await self.backend.listen(self._host or "0.0.0.0", port,
                                              **self._gateway)
        self._task = asyncio.ensure_future(self.backend.serve(self._grace))
        return self

    def __await__(self):
        return self.start().__await__()

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, kind, error, trace):
        self.close()
        await self.wait_closed()

    @property
    def sockets(self):
        """Only for their getsockname(), which says the port."""
        return () if self.port is None or not self.is_serving() else (
            _Address((self._host or "0.0.0.0", self.port)),)

    def is_serving(self):
        return self._task is not None and not self._task.done()

    async def serve_forever(self):
        await asyncio.shield(self._task)

    def close(self, close_connections=True):
        if close_connections:
            asyncio.ensure_future(self.backend.close(1001, ""))
        else:
            self.backend.stop(self._grace)

    async def wait_closed(self):
        await asyncio.shield(self._task)

    async def _run(self, conn):
        ws = ServerConnection(self, conn)
        fields = await self._handshake(ws, conn)
        if fields is None:
            return
        await conn.accept(ws._chosen, fields)
        ws.response_headers = Headers(fields)
        self.connections.add(ws)
        try:
            if self._with_path:
                await self.handler(ws, ws.path)
            else:
                await self.handler(ws)
        finally:
            self.connections.discard(ws)

    async def _handshake(self, ws, conn):
        """The fields of the 101, or None when it was answered otherwise."""
        if conn.resumed:
            ws._chosen = None
            return []
        answer = await self._answer(ws)
        if answer is not None:
            await conn.reject(*answer)
            return None
        ws._chosen = self._choose(ws, conn)
        fields = self._extra_headers
        if callable(fields):
            fields = fields(ws.path, ws.request_headers)
        fields = list(Headers(fields or ()).raw_items())
        return fields

    async def _answer(self, ws):
        """(status, fields, body) of process_request, or None."""
        process = self._process_request
        if process is None:
            return None
        older = next(iter(inspect.signature(process).parameters), "") == "path"
        answer = await finished(process(ws.path, ws.request_headers) if older
                                else process(ws, ws.request))
        if answer is None:
            return None
        if not older:
            answer = (answer.status_code, answer.headers, answer.body)
        status, fields, body = answer
        return int(status), [
            (n, v) for n, v in Headers(fields).raw_items()
            if n.lower() not in ("content-length", "connection", "date")
        ], body or b""

    async def _plain(self, exchange):
        """A request that wants no WebSocket; for health checks."""
        answer = await self._answer(ServerConnection(self, exchange))
        if answer is None:
            answer = (426, {"Upgrade": "websocket"},
                      b"Failed to open a WebSocket connection.\n")
        await exchange.respond(*answer)

    def _choose(self, ws, conn):
        offered, select = conn.request.subprotocols, self._select_subprotocol
        if select is None:
            return None  # the first of ours that was offered
        older = next(iter(inspect.signature(select).parameters),
                     "").startswith("client")
        return select(offered, conn.app.subprotocols) if older \
            else select(ws, offered)


class _Address:
    def __init__(self, name):
        self._name = name

    def getsockname(self):
        return self._name

    @property
    def family(self):
        return socket.AF_INET6 if ":" in self._name[0] else socket.AF_INET


def serve(handler, host=None, port=None, **options):
    """await it, or use it as an asynchronous context manager."""
    return Server(handler, host, port, **options)


def broadcast(connections, message, raise_exceptions=False):
    """One frame for each worker of the gateway, whoever they are for."""
    members = [ws for ws in connections if ws.open]
    for backend in {ws.server.backend for ws in members}:
        task = asyncio.ensure_future(backend.send_many(
            [ws._conn for ws in members if ws.server.backend is backend],
            message))
        backend._tasks.add(task)
        task.add_done_callback(backend._tasks.discard)


__all__ = ["ConnectionClosed", "ConnectionClosedError", "ConnectionClosedOK",
           "Headers", "Request", "Response", "Server", "ServerConnection",
           "State", "broadcast", "serve"]
