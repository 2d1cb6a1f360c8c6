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
import base64
import binascii
import collections.abc
import dataclasses
import enum
import hmac
import http
import inspect
import logging
import socket
import uuid

from . import client
from .app import finished
from .backend import Backend

OK_CODES = (1000, 1001)
CODE_NAMES = {
    1000: "OK", 1001: "going away", 1002: "protocol error",
    1003: "unsupported data", 1005: "no status received",
    1006: "abnormal closure", 1007: "invalid frame payload data",
    1008: "policy violation", 1009: "message too big",
    1010: "mandatory extension", 1011: "internal error",
    1012: "service restart", 1013: "try again later", 1014: "bad gateway"}


class State(enum.IntEnum):
    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


@dataclasses.dataclass
class Close:
    """A close frame: 1005 is one without a code."""

    code: int
    reason: str = ""

    def __str__(self):
        name = CODE_NAMES.get(self.code, "registered" if 3000 <= self.code
                              < 4000 else "private use")
        return f"{self.code} ({name})" + (self.reason and f" {self.reason}")


class ConnectionClosed(client.ConnectionClosed):
    """With .code and .reason.  rcvd and sent are the close frames, None where
    there was none; rcvd_then_sent says which was first."""

    def __init__(self, code=1006, reason="", sent=None):
        super().__init__(code, reason)
        self.rcvd = self.sent = self.rcvd_then_sent = None
        if code != 1006:
            self.rcvd = Close(code, reason)
        if sent is not None or code != 1006:
            self.sent = sent or Close(code, reason)
        if self.rcvd is not None:
            self.rcvd_then_sent = sent is None

    def __str__(self):
        if self.rcvd is None:
            return "no close frame received or sent" if self.sent is None \
                else f"sent {self.sent}; no close frame received"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"


class ConnectionClosedError(ConnectionClosed):
    pass


class ConnectionClosedOK(ConnectionClosed):
    """The end was 1000 or 1001."""


class NegotiationError(Exception):
    """From select_subprotocol: the handshake is answered with 400."""


class Headers(collections.abc.MutableMapping):
    """Fields by their names in any case; [] has the first of them, and an
    assignment adds one."""

    def __init__(self, fields=()):
        if isinstance(fields, Headers):
            fields = fields.raw_items()
        elif hasattr(fields, "items"):
            fields = fields.items()
        self._fields = [(_text(n), _text(v)) for n, v in fields]

    def __getitem__(self, name):
        found = self.get_all(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __setitem__(self, name, value):
        self._fields.append((_text(name), _text(value)))

    def __delitem__(self, name):
        self._fields = [(n, v) for n, v in self._fields
                        if n.lower() != name.lower()]

    def copy(self):
        return Headers(self._fields)

    def __repr__(self):
        return f"Headers({self._fields!r})"

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


@dataclasses.dataclass
class Response:
    """Of process_request, instead of the handshake; and the 101 that
    process_response gets."""

    status_code: int
    reason_phrase: str = ""
    headers: Headers = ()
    body: bytes = b""

    def __post_init__(self):
        if not isinstance(self.headers, Headers):
            self.headers = Headers(self.headers)


class ServerConnection:
    """One client, as the handler gets it."""

    def __init__(self, server, conn):
        self.server, self._conn = server, conn
        self.ws_server = server
        self.id = uuid.uuid4()
        self.logger = server.logger
        self.request = Request(conn.request)
        self.response = None
        self._sent_close = None
        self.latency = 0.0
        self.username = None

    # What the handshake said, in the library's older names too.
    path = property(lambda self: self.request.path)
    request_headers = property(lambda self: self.request.headers)
    response_headers = property(
        lambda self: self.response.headers if self.response else Headers())
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
        return kind(e.code, e.reason, self._sent_close)

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
        was_open = self.open
        await self._conn.close(code, reason)
        if was_open and self.state == State.CLOSING:
            self._sent_close = Close(code, reason)
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
                 create_connection=None,
                 name="websockets", grace=5.0):
        # max_queue, write_limit and open_timeout are the gateway's business.
        if ssl is not None or create_protocol is not None:
            raise TypeError("TLS and protocols are the gateway's here: use "
                            "its configuration")
        self.handler, self._host, self._port = handler, host, port
        self._process_request = process_request
        self._process_response = process_response
        self._select_subprotocol = select_subprotocol
        self._connection = create_connection or ServerConnection
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

    def close(self, close_connections=True, code=1001, reason=""):
        if close_connections:
            asyncio.ensure_future(self.backend.close(code, reason))
        else:
            self.backend.stop(self._grace)

    async def wait_closed(self):
        await asyncio.shield(self._task)

    async def _run(self, conn):
        ws = self._connection(self, conn)
        if not await self._handshake(ws, conn):
            return
        self.connections.add(ws)
        try:
            if self._with_path:
                await self.handler(ws, ws.path)
            else:
                await self.handler(ws)
        finally:
            self.connections.discard(ws)

    async def _handshake(self, ws, conn):
        """Whether it was answered with 101."""
        if conn.resumed:
            return True
        answer = await self._answer(ws)
        if answer is not None:
            await conn.reject(*answer)
            return False
        try:
            chosen = self._choose(ws, conn)
        except NegotiationError as e:
            await conn.reject(400, {"Content-Type": "text/plain"},
                              f"Failed to open a WebSocket connection: {e}\n")
            return False
        fields = self._extra_headers
        if callable(fields):
            fields = fields(ws.path, ws.request_headers)
        ws.response = Response(101, "Switching Protocols", Headers(fields or ()))
        if self._process_response is not None:
            other = await finished(self._process_response(ws, ws.request,
                                                          ws.response))
            ws.response = ws.response if other is None else other
        if ws.response.status_code != 101:
            await conn.reject(*_parts(ws.response))
            return False
        await conn.accept(chosen, list(ws.response.headers.raw_items()))
        return True

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
        return _parts(Response(int(answer[0]), "", *answer[1:]) if older
                      else answer)

    async def _plain(self, exchange):
        """A request that wants no WebSocket; for health checks."""
        answer = await self._answer(self._connection(self, exchange))
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


def _parts(response):
    """For reject(); how long the body is, is the gateway's to say."""
    return int(response.status_code), [
        (n, v) for n, v in response.headers.raw_items()
        if n.lower() not in ("content-length", "connection", "date")
    ], response.body or b""


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
    """One frame for each worker of the gateway, whoever they are for.  It
    cannot fail for one of them: raise_exceptions changes nothing."""
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        raise TypeError("data must be str or bytes")
    members = [ws for ws in connections if ws.open]
    for backend in {ws.server.backend for ws in members}:
        task = asyncio.ensure_future(backend.send_many(
            [ws._conn for ws in members if ws.server.backend is backend],
            message))
        backend._tasks.add(task)
        task.add_done_callback(backend._tasks.discard)


def basic_auth(realm="", credentials=None, check_credentials=None):
    """A process_request: 401 unless the client is one of credentials, a
    (name, password) or several of them, or check_credentials(name, password),
    which may be a coroutine function, says so.  Its name is ws.username."""
    if (credentials is None) == (check_credentials is None):
        raise ValueError("provide either credentials or check_credentials")
    if any(ord(c) < 32 or c in '"\\\x7f' for c in realm):
        raise ValueError("a realm has no quotes and no control characters")
    if credentials is not None:
        known = [credentials] if isinstance(credentials, tuple) and len(
            credentials) == 2 and isinstance(credentials[0], str) \
            else list(credentials)
        known = {name: password.encode() for name, password in known}

        def check_credentials(name, password):
            same = hmac.compare_digest(known.get(name, b""), password.encode())
            return same and name in known

    async def process_request(connection, request):
        found = _basic(request.headers.get("Authorization", ""))
        if found is not None and await finished(check_credentials(*found)):
            connection.username = found[0]
            return None
        refusal = connection.respond(http.HTTPStatus.UNAUTHORIZED,
                                     "Invalid credentials\n" if found
                                     else "Missing credentials\n")
        refusal.headers["WWW-Authenticate"] = \
            f'Basic realm="{realm}", charset="UTF-8"'
        return refusal

    return process_request


def _basic(value):
    """(name, password) of an Authorization field, or None."""
    kind, _, token = value.strip().partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = pair.partition(":")
    return (name, password) if colon else None


__all__ = ["Close", "ConnectionClosed", "ConnectionClosedError",
           "ConnectionClosedOK", "Headers", "NegotiationError", "Request",
           "Response", "Server", "ServerConnection", "State", "basic_auth",
           "broadcast", "serve"]
