# SPDX-License-Identifier: BSD-2-Clause
"""What a backend offers: names, patterns, handlers."""

import inspect
import re

from . import codec
from .client import ConnectionClosed

# What an application may have, as methods on_NAME or with @app.on("NAME").
EVENTS = ("connect", "resume", "message", "stream", "disconnect", "reject", "ping",
          "pong", "state", "error", "closing")
DECISIONS = ("accepts_origin", "choose_protocol", "verify")
LOSSES = ("close", "hold", "hold any", "reassign")
VERSION_NAMES = {"rfc6455": (13,), "hybi-08": (8,), "hybi-07": (7,),
                 "draft76": (76,), "draft75": (75,), "hixie-76": (76,),
                 "hixie-75": (75,), "auto": tuple(codec.VERSIONS)}


async def finished(value):
    """A handler may be a coroutine function or a plain one."""
    return await value if inspect.isawaitable(value) else value


class App:
    """What Backend.app() makes."""

    def __init__(self, backend, name, path, *, path_kind="prefix", host=None,
                 host_kind="exact", origins="*", subprotocols=(),
                 max_clients=0, idle_timeout=0, versions=(), manual_ack=False,
                 nodelay=True, fragments=False, stream_threshold=0,
                 max_message=0, auto_pong=True, ping_interval=0,
                 close_timeout=0, send_buffer=0, on_loss=None, verify=None):
        if not name or len(name.encode()) > 255:
            raise ValueError("an app needs a name of at most 255 bytes")
        if any(app.name == name for app in backend.apps):
            raise ValueError(f"there is an app {name!r} already")
        self.backend, self.name = backend, name
        self.path, self.path_kind = path, path_kind
        self.host, self.host_kind = host, host_kind
        self.origins = _listed(origins)
        self.subprotocols = _listed(subprotocols)
        self.max_clients, self.idle_timeout = max_clients, idle_timeout
        self.versions = _versions(versions)
        self.manual_ack, self.nodelay = manual_ack, nodelay
        self.fragments, self.stream_threshold = fragments, stream_threshold
        self.max_message, self.auto_pong = max_message, auto_pong
        self.ping_interval, self.close_timeout = ping_interval, close_timeout
        self.send_buffer = send_buffer
        self.on_loss = None if on_loss is None else LOSSES.index(on_loss)
        self.handler = self.resume_handler = self.http_handler = None
        self.hooks = {}
        if verify is not None:
            self.hooks["verify"] = verify
        self.tlvs()

    # ---- handlers ----

    def __call__(self, handler):
        """As a decorator: the coroutine function for each client."""
        self.handler = handler
        return self

    def resume(self, handler):
        """A decorator: the handler, instead of the first, of clients that
        another backend had."""
        self.resume_handler = handler
        return handler

    def http(self, handler):
        """A decorator: the handler of HTTP requests (backend_pass)."""
        self.http_handler = handler
        return handler

    def on(self, name):
        """A decorator for one of EVENTS and DECISIONS."""
        if name not in EVENTS and name not in DECISIONS:
            raise ValueError(f"no event is called {name!r}")

        def register(handler):
            self._hook(name, handler)
            return handler

        return register

    def _hook(self, name, handler):
        self.hooks[name] = handler
        if self.handler is None and name in ("connect", "message", "stream"):
            self.handler = self._run_events

    def use(self, application):
        """The methods of an object, all of them optional."""
        for name in EVENTS:
            method = getattr(application, f"on_{name}", None)
            if method is not None:
                self._hook(name, method)
        for name in DECISIONS:
            method = getattr(application, name, None)
            if method is not None:
                self._hook(name, method)
        if self.handler is None:
            self.handler = self._run_events

    def tell(self, name, *args):
        """Call a handler when the loop comes to it, if there is one."""
        handler = self.hooks.get(name)
        if handler is not None:
            self.backend._call(handler, *args)

    async def _decide(self, conn):
        """Before the handler; False when it is refused."""
        hooks, request = self.hooks, conn.request
        accepts = hooks.get("accepts_origin")
        if accepts and not await finished(accepts(request.origin)):
            await conn.pass_on()
            return False
        verify = hooks.get("verify")
        if verify:
            verdict = await finished(verify(conn))
            if conn.ready_state != 0:
                return False  # it has answered itself
            if verdict is not True and isinstance(verdict, int) and verdict:
                await conn.reject(verdict)
                return False
            if not verdict:
                await conn.reject(401)
                return False
        choose = hooks.get("choose_protocol")
        if choose and request.subprotocols:
            chosen = await finished(choose(request.subprotocols))
            if not chosen:
                await conn.reject(400)
                return False
            conn._preferred = chosen
        return True

    async def run(self, conn):
        """All of a client's life in this process."""
        handler = self.handler
        if conn.resumed:
            handler = self.resume_handler or handler
        elif self.hooks and not await self._decide(conn):
            return
        await handler(conn)

    async def _run_events(self, conn):
        hooks = self.hooks
        message, stream = hooks.get("message"), hooks.get("stream")
        await conn.accept()
        await conn.wait_opened()
        if conn.resumed and "resume" in hooks:
            await finished(hooks["resume"](conn, conn.saved))
        elif "connect" in hooks:
            await finished(hooks["connect"](conn))
        while True:
            try:
                in_pieces = await conn._next_is_stream()
                if in_pieces and stream:
                    await finished(stream(conn, conn.recv_streaming()))
                    continue
                data = await conn.recv()
            except ConnectionClosed:
                return
            if message:
                await finished(message(conn, data))

    # ---- what the gateway is told ----

    def event_mask(self):
        mask = (codec.EVENT_PONG | codec.EVENT_HTTP_DONE | codec.EVENT_OPENED
                | codec.EVENT_WIRE)
        hooks, backend = self.hooks, self.backend
        for there, bit in (
            ("ping" in hooks or not self.auto_pong, codec.EVENT_PING),
            ("closing" in hooks, codec.EVENT_CLOSING),
            (self.fragments or "stream" in hooks, codec.EVENT_FRAGMENTS),
            ("raw_connection" in backend.hooks, codec.EVENT_CONN),
            ("client_error" in backend.hooks, codec.EVENT_CLIENT_ERROR),
        ):
            if there:
                mask |= bit
        return mask

    def tlvs(self):
        """Of REGISTER."""
        out = codec.tlv(codec.NAME, self.name.encode())
        if self.host:
            out += _pattern(codec.HOST_PATTERN, self.host, self.host_kind)
        if self.path:
            out += _pattern(codec.PATH_PATTERN, self.path, self.path_kind)
        for origin in self.origins:
            out += _pattern(codec.ORIGIN_PATTERN, origin, "exact")
        for name in self.subprotocols:
            out += codec.tlv(codec.SUBPROTOCOL, name.encode())
        for option, value in (
            (codec.EVENT_MASK, self.event_mask()),
            (codec.PING_INTERVAL_MS, int(self.ping_interval * 1000)),
            (codec.CLOSE_TIMEOUT_MS, int(self.close_timeout * 1000)),
            (codec.SEND_BUFFER, self.send_buffer),
            (codec.IDLE_TIMEOUT_MS, int(self.idle_timeout * 1000)),
            (codec.STREAM_THRESHOLD, self.stream_threshold),
            (codec.MAX_MESSAGE, self.max_message),
            (codec.VERSIONS_MASK,
             sum(codec.VERSIONS[v] for v in self.versions)),
        ):
            if value:
                out += codec.opt(option, value)
        if not self.nodelay:
            out += codec.opt(codec.NODELAY, 0)
        if not self.auto_pong:
            out += codec.opt(codec.AUTO_PONG, 0)
        if self.on_loss is not None:
            out += codec.opt(codec.ON_LOSS, self.on_loss)
        if self.max_clients:
            out += codec.tlv(codec.MAX_CLIENTS,
                             codec.U32.pack(self.max_clients))
        if len(out) > 16384:
            raise ValueError("the app's texts are too long")
        return out


def _listed(value):
    if value is None or isinstance(value, (str, re.Pattern)):
        return [value]
    return list(value)


def _versions(versions):
    if isinstance(versions, (str, int)):
        versions = [versions]
    found = []
    for version in versions:
        for number in VERSION_NAMES.get(version, (version,)):
            if number not in codec.VERSIONS:
                raise ValueError(f"no version is called {version!r}")
            if number not in found:
                found.append(number)
    return found


def _pattern(tag, value, kind):
    """"*" is any, None is none at all, an re.Pattern is for PCRE2."""
    if value is None:
        return codec.pattern(tag, codec.PATTERNS["none"], "")
    if isinstance(value, re.Pattern):
        return codec.pattern(tag, codec.PATTERNS["regex"], value.pattern)
    if value == "*":
        return codec.pattern(tag, codec.PATTERNS["any"], "")
    return codec.pattern(tag, codec.PATTERNS[kind], value)
