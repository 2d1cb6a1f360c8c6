# SPDX-License-Identifier: BSD-2-Clause
"""An ASGI 3 server: python -m penstock.asgi module:app

HTTP requests (backend_pass), WebSockets (websocket_pass) and lifespan.
"""

import argparse
import asyncio
import contextvars
import importlib
import inspect
import logging
import os
import sys

from .backend import Backend
from .client import ConnectionClosed
from .connection import CONNECTING, OPEN

FILE_PIECE = 131072
log = logging.getLogger("penstock.asgi")
current_connection = contextvars.ContextVar("penstock.asgi", default=None)


def scope_of(client, kind, root_path, state):
    r = client.request
    # What Penstock matched locations and rules with; raw_path is the client's.
    path = r.path.encode("utf-8", "surrogateescape")
    secure = r.tls is not None
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": r.http_version,
        "scheme": {"http": ("http", "https"),
                   "websocket": ("ws", "wss")}[kind][secure],
        "path": path.decode("utf-8", "replace"),
        "raw_path": _raw_path(r.target),
        "query_string": r.query,
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in r.headers],
        "client": _address(r.client),
        "server": _address(r.server),
        "state": dict(state),
        "extensions": {},
    }
    if secure:
        scope["extensions"]["tls"] = {
            "server_cert": r.tls.server_cert,
            "client_cert_chain": tuple(r.tls.client_certs),
            "client_cert_name": r.tls.client_dn,
            "client_cert_error": r.tls.verify_error,
            "tls_version": r.tls.version, "cipher_suite": r.tls.cipher}
    return scope


def _raw_path(target):
    """Of http://host/path too, which a client may ask for."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") and b"://" in path:
        return b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return path


def _address(pair):
    host, port = pair
    if host.startswith("unix:"):
        return (host[5:], None)
    return (host, port) if host else None


class HttpRun:
    """One request of the application."""

    def __init__(self, server, exchange):
        self.server, self.x = server, exchange
        self.scope = scope_of(exchange, "http", server.root_path, server.state)
        self.scope["method"] = exchange.request.method.upper()
        self.scope["extensions"].update({
            "http.response.trailers": {}, "http.response.early_hint": {},
            "http.response.pathsend": {}, "http.response.zerocopysend": {}})
        self.status, self.fields = None, ()
        self.body_over = False
        self.trailers = None  # a list when they are to come
        self.no_more_body = False

    async def receive(self):
        if self.body_over:
            await self.x.wait_over()
            return {"type": "http.disconnect"}
        try:
            piece = await self.x.receive()
        except ConnectionClosed:
            self.body_over = True
            return {"type": "http.disconnect"}
        more = self.x._more or bool(self.x._queue)
        self.body_over = not more
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(self, event):
        kind, x = event["type"], self.x
        if x._gone:
            if x.ended and x.complete:
                raise RuntimeError("the response has ended")
            raise ConnectionClosed()
        if kind == "http.response.start":
            if self.status is not None:
                raise RuntimeError("http.response.start came already")
            self.status = event["status"]
            self.fields = list(event.get("headers", ()))
            if event.get("trailers", False):
                self.trailers = []
        elif kind == "http.response.body":
            if self.status is None:
                raise RuntimeError("http.response.start comes first")
            if self.no_more_body:
                raise RuntimeError("the body has ended")
            self.no_more_body = not event.get("more_body", False)
            await self.body(bytes(event.get("body", b"")),
                            not self.no_more_body
                            or self.trailers is not None)
        elif kind in ("http.response.pathsend", "http.response.zerocopysend"):
            await self.file(event)
        elif kind == "http.response.trailers":
            if self.trailers is None or not self.no_more_body:
                raise RuntimeError("http.response.start announces trailers, "
                                   "and the body comes before them")
            self.trailers += event.get("headers", ())
            if not event.get("more_trailers", False):
                await x.end(trailers=self.trailers)
        elif kind == "http.response.early_hint":
            await x.inform(103, [(b"link", link) for link in event["links"]])
        else:
            raise RuntimeError(f"an http application may not send {kind!r}")

    async def file(self, event):
        """A file by its path, or from a descriptor and where it stands.  It
        is read by threads, as fast as the client takes it."""
        if self.status is None:
            raise RuntimeError("http.response.start comes first")
        if self.no_more_body:
            raise RuntimeError("the body has ended")
        if self.x.request.method == "HEAD":
            event = {**event, "count": 0}
        own = "path" in event
        run = asyncio.get_running_loop().run_in_executor
        file = await run(None, lambda: open(
            event["path"] if own else event["file"].fileno(), "rb",
            buffering=0, closefd=own))
        try:
            if event.get("offset") is not None:
                await run(None, file.seek, event["offset"])
            left = event.get("count")
            while left is None or left > 0:
                piece = await run(None, file.read, FILE_PIECE if left is None
                                  else min(left, FILE_PIECE))
                if not piece:
                    break
                if left is not None:
                    left -= len(piece)
                await self.body(piece, True)
        finally:
            file.close()
        self.no_more_body = not event.get("more_body", False)
        await self.body(b"", not self.no_more_body
                        or self.trailers is not None)

    async def body(self, data, more):
        x = self.x
        if x.request.method == "HEAD":
            data = b""
        if not x.started:
            await x.start(self.status, self.fields, more=bool(data) or more)
            if not data:
                return
        if data or not more:
            await x.write(data, more=more)

    async def run(self):
        try:
            await self.server.call(self.scope, self.receive, self.send)
        except ConnectionClosed:
            return
        if not self.x.ended and not self.x._gone:
            log.error("the application returned without a whole response")


class WebSocketRun:
    """One WebSocket of the application."""

    def __init__(self, server, conn):
        self.server, self.conn = server, conn
        self.scope = scope_of(conn, "websocket", server.root_path,
                              server.state)
        self.scope["subprotocols"] = list(conn.request.subprotocols)
        self.scope["extensions"]["websocket.http.response"] = {}
        self.told_connect = False
        self.refusal = None  # status, headers; () when they are sent
        self.answered = asyncio.Event()

    async def receive(self):
        conn = self.conn
        if not self.told_connect:
            self.told_connect = True
            return {"type": "websocket.connect"}
        if conn.ready_state == CONNECTING and not conn.resumed:
            # Until the application has answered, or the client has left.
            ended = asyncio.ensure_future(conn.wait_closed())
            answered = asyncio.ensure_future(self.answered.wait())
            try:
                await asyncio.wait({ended, answered},
                                   return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()
                answered.cancel()
        if self.refusal is not None:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await conn.recv()
        except ConnectionClosed as e:
            code = e.code
            if conn.cause is None:  # the link ended, or another has it
                code = 1012
            return {"type": "websocket.disconnect", "code": code,
                    "reason": e.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, event):
        kind, conn = event["type"], self.conn
        if kind == "websocket.accept":
            await conn.accept(event.get("subprotocol"),
                              event.get("headers", ()))
            self.answered.set()
        elif kind == "websocket.send":
            if conn.ready_state == CONNECTING:
                raise RuntimeError("websocket.accept comes first")
            text = event.get("text")
            await conn.send(event["bytes"] if text is None else text)
        elif kind == "websocket.close":
            await self.close(event)
        elif kind == "websocket.http.response.start":
            if conn.ready_state != CONNECTING or self.refusal is not None:
                raise RuntimeError("the handshake was answered already")
            # The gateway says how long its body is.
            self.refusal = (event["status"], [
                (n, v) for n, v in event.get("headers", ())
                if n.lower() != b"content-length"])
        elif kind == "websocket.http.response.body":
            await self.refuse(event)
        else:
            raise RuntimeError(
                f"a websocket application may not send {kind!r}")

    async def close(self, event):
        conn = self.conn
        if conn.ready_state == CONNECTING:
            self.refusal = ()
            await conn.reject(403)
            self.answered.set()
        else:
            if conn.ready_state != OPEN:
                raise conn._error()
            await conn.close(event.get("code") or 1000,
                             event.get("reason") or "")

    async def refuse(self, event):
        conn, body = self.conn, bytes(event.get("body", b""))
        if self.refusal is None or self.answered.is_set():
            raise RuntimeError("websocket.http.response.start comes first")
        more = event.get("more_body", False)
        if not self.refusal:
            await conn.write_reject(body, more)
        elif more:
            await conn.begin_reject(*self.refusal)
            await conn.write_reject(body, True)
        else:
            await conn.reject(*self.refusal, body)
        self.refusal = ()
        if not more:
            self.answered.set()

    async def run(self):
        current_connection.set(self.conn)
        try:
            await self.server.call(self.scope, self.receive, self.send)
        except ConnectionClosed:
            return


class StartupFailed(RuntimeError):
    """The application said so, or raised with lifespan="on"."""


class Lifespan:
    """Startup before clients come, shutdown when they are gone.  An
    application that raises has no such protocol."""

    def __init__(self, server):
        self.server = server
        self.events = asyncio.Queue()
        self.answers = asyncio.Queue()
        self.task = None
        self.asked = ""  # what has no answer yet
        self.known = False  # the application has such a protocol

    async def run(self):
        scope = {"type": "lifespan", "state": self.server.state,
                 "asgi": {"version": "3.0", "spec_version": "2.0"}}
        try:
            await self.server.application(scope, self.events.get, self.send)
        except Exception as e:
            if self.known or self.server.lifespan == "on":
                log.exception("the application's lifespan failed")
            else:
                log.debug("the application has no lifespan", exc_info=True)
            if self.server.lifespan == "on":
                await self.answers.put(("failed", str(e)))
                return
        await self.answers.put(("none", ""))

    async def send(self, event):
        what, _, answer = event["type"].rpartition(".")
        if answer not in ("complete", "failed") \
                or what != f"lifespan.{self.asked}":
            raise RuntimeError("a lifespan application may not send "
                               f"{event['type']!r} now")
        self.asked, self.known = "", True
        await self.answers.put((answer, event.get("message", "")))

    async def startup(self):
        self.task = asyncio.ensure_future(self.run())
        return await self.ask("startup")

    async def ask(self, what):
        self.asked = what
        await self.events.put({"type": f"lifespan.{what}"})
        answer, text = await self.answers.get()
        if answer == "failed":
            kind = StartupFailed if what == "startup" else RuntimeError
            raise kind(f"the application's {what} failed: {text}")
        return answer

    async def shutdown(self):
        if not self.task.done():
            await self.ask("shutdown")
            await self.task


def as_asgi3(application):
    """Applications of ASGI 2 are called twice: app(scope)(receive, send)."""
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):
        return application
    try:
        signature.bind(None, None, None)
        return application
    except TypeError:
        pass
    try:
        signature.bind(None)
    except TypeError:
        return application

    async def called_twice(scope, receive, send):
        await application(scope)(receive, send)

    return called_twice


class Server:
    current = None  # the one that was made last

    def __init__(self, application, *, socket=None, name="asgi", root_path="",
                 lifespan="auto", **options):
        """options: of Backend.app()."""
        if lifespan not in ("auto", "on", "off"):
            raise ValueError("lifespan is auto, on or off")
        self.application = as_asgi3(application)
        self.root_path = root_path
        Server.current = self
        self.lifespan, self.state = lifespan, {}
        self.backend = Backend(name, socket)
        app = self.backend.app(options.pop("path", None), **options)
        app(self._websocket)
        app.http(self._http)

    async def call(self, scope, receive, send):
        """sys.exit() for one client is not the end of all."""
        try:
            await self.application(scope, receive, send)
        except SystemExit as e:
            raise RuntimeError("the application called sys.exit()") from e

    async def _websocket(self, conn):
        await WebSocketRun(self, conn).run()

    async def _http(self, exchange):
        await HttpRun(self, exchange).run()

    async def serve(self, grace=5.0, signals=False, **listen):
        """Until stop(), or SIGTERM and SIGINT.  listen: port, host and the
        options of a private gateway."""
        lifespan = Lifespan(self)
        if self.lifespan != "off":
            await lifespan.startup()
        try:
            await self.backend.serve(grace, signals, **listen)
        finally:
            if self.lifespan != "off":
                await lifespan.shutdown()

    def stop(self, grace=5.0):
        self.backend.stop(grace)


def serve(application, *, grace=5.0, port=None, host="127.0.0.1", workers=1,
          **options):
    """Serve until SIGTERM or SIGINT.  With port: in front of a gateway of our
    own that listens there."""
    asyncio.run(Server(application, **options).serve(
        grace, signals=True, port=port, host=host, workers=workers))


def load(name):
    """module:attribute, as uvicorn has it."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise SystemExit(f"penstock.asgi: {name!r} is not module:app")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is None or not module.startswith(e.name):
            raise  # it is there, and lacks something itself
        raise SystemExit(f"penstock.asgi: there is no module {module!r}") \
            from None
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def main(args=None):
    parser = argparse.ArgumentParser(
        prog="python -m penstock.asgi",
        description="Run an ASGI application behind Penstock.")
    parser.add_argument("app", help="module:app")
    parser.add_argument("--socket", help="path of the Unix socket; default: "
                        "LISTEN_FDS, PENSTOCK_SOCKET, descriptor 3")
    parser.add_argument("--port", type=int, help="start a gateway of our own "
                        "that listens there (PENSTOCK_BIN, or penstock in "
                        "PATH), unless a gateway started us")
    parser.add_argument("--host", default="127.0.0.1", help="with --port")
    parser.add_argument("--gateway-workers", type=int, default=1, help="processes "
                        "of that gateway; more processes of the application "
                        "are a matter of its configuration")
    parser.add_argument("--app-dir", default=".", help="where modules are "
                        "looked for first (default: here)")
    parser.add_argument("--factory", action="store_true",
                        help="module:app is called to make the application")
    parser.add_argument("--root-path", default="")
    parser.add_argument("--lifespan", choices=("auto", "on", "off"),
                        default="auto")
    parser.add_argument("--grace", type=float, default=5.0,
                        help="seconds that clients have at the end")
    parser.add_argument("--name", default="asgi", help="of the app, for "
                        "websocket_pass POOL app=NAME")
    got = parser.parse_args(args)
    logging.basicConfig(level=logging.INFO,
                        format="%(asctime)s %(levelname)s %(message)s")
    sys.path.insert(0, os.path.abspath(got.app_dir))
    application = load(got.app)
    if got.factory:
        application = application()
    try:
        serve(application, socket=got.socket, grace=got.grace,
              root_path=got.root_path, lifespan=got.lifespan, name=got.name,
              port=got.port, host=got.host, workers=got.gateway_workers)
    except StartupFailed as e:
        print(f"penstock.asgi: {e}", file=sys.stderr)
        raise SystemExit(3) from None  # as uvicorn
    except (OSError, RuntimeError) as e:
        raise SystemExit(f"penstock.asgi: {e}") from None


if __name__ == "__main__":
    main()
