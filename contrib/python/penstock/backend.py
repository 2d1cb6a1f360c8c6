# SPDX-License-Identifier: BSD-2-Clause
"""A backend: its apps, its socket, its links."""

import asyncio
import inspect
import logging
import os
import random
import secrets
import signal
import socket as socket_module

from . import codec, sockets
from .app import App
from .gateway import Gateway
from .groups import Groups
from .link import DEBUG, HANDOVER, Link

EVENTS = ("raw_connection", "client_error", "shutdown")
log = logging.getLogger("penstock")


class Backend(Groups):
    """One process of an application.

    socket: where it listens, a path, a descriptor or a socket.  Without it
    the descriptors of LISTEN_FDS, else the path in PENSTOCK_SOCKET, else
    descriptor 3.
    """

    def __init__(self, name="backend", socket=None, debug=False):
        self.name, self.socket = name, socket
        self.apps = []
        self.boot_id = secrets.randbits(64) or 1
        self.resume_of = sockets.predecessors()
        self.stopping = False
        self.accepting = True
        self.hooks = {}
        self._debug = bool(debug)
        self._links, self._tasks = set(), set()
        self._claims = {}  # in the order they were made
        self._listeners, self._dialling = [], []
        self._made = None  # the socket's file, if it is ours
        self._gateway = None  # a private one
        self._started = False
        self._changed = None  # an Event: clients or links are fewer
        self._links_wanted, self._linked = 1, None  # an Event
        self._stop = None  # an Event
        self._grace = 5.0

    # ---- apps and handlers ----

    def app(self, path=None, *, name=None, **options):
        """A decorator for `async def handler(conn)`.  options: those of
        App."""
        if self._links or self._started:
            raise RuntimeError("apps are added before anything is served")
        if len(self.apps) == 64:
            raise ValueError("a backend has at most 64 apps")
        if name is None:
            name = self.name if not self.apps else \
                f"{self.name}-{len(self.apps) + 1}"
        app = App(self, name, path, **options)
        self.apps.append(app)
        return app

    def http(self, path=None, **options):
        """A decorator for `async def handler(exchange)`: an app that answers
        HTTP requests and refuses WebSockets."""
        app = self.app(path, **options)

        def register(handler):
            app.http(handler)
            return app

        return register

    def add_application(self, application, host=None, path=None, **options):
        """An object with any of the methods on_connect(conn), on_message(conn,
        message), on_disconnect(conn, code, reason), accepts_origin(origin),
        choose_protocol(protocols) and so on.  Without host or path: any; the
        first application that fits gets a client."""
        app = self.app(path or None, host=host or None, **options)
        app.use(application)
        for name in EVENTS:
            method = getattr(application, f"on_{name}", None)
            if method is not None:
                self.hooks[name] = method
        return app

    def on(self, name):
        """A decorator for one of EVENTS."""
        if name not in EVENTS:
            raise ValueError(f"no event is called {name!r}")

        def register(handler):
            self.hooks[name] = handler
            return handler

        return register

    def _tell(self, name, *args):
        handler = self.hooks.get(name)
        if handler is not None:
            self._call(handler, *args)

    def _call(self, handler, *args):
        """From the loop, never from within what the application calls."""
        asyncio.get_running_loop().call_soon(self._call_now, handler, args)

    def _call_now(self, handler, args):
        try:
            result = handler(*args)
            if inspect.isawaitable(result):
                task = asyncio.ensure_future(self._watch(handler, result))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except Exception:
            log.exception("%r failed", handler)

    async def _watch(self, handler, result):
        try:
            await result
        except Exception:
            log.exception("%r failed", handler)

    # ---- logs ----

    @property
    def debug(self):
        """What the gateway logs about this backend's links is shown by the
        logger `penstock.gateway`, where the pool's `debug` allows it."""
        return self._debug

    @debug.setter
    def debug(self, on):
        self._debug = bool(on)
        for link in self._links:
            link.set_log(DEBUG if on else 3)

    def log(self, text, level=6):
        """A line into the gateway's error log; level as in syslog."""
        for link in self._links:
            if link.ready:
                link.put(codec.frame(codec.LOG, 0, text.encode()[:4096],
                                     aux=level))

    # ---- serving ----

    def run(self, grace=5.0, *, port=None, host="127.0.0.1", **gateway):
        """Serve until SIGTERM or SIGINT; then clients are handed over to
        other backends or have grace seconds to leave.  With port: as
        listen()."""
        asyncio.run(self.serve(grace, signals=True, port=port, host=host,
                               **gateway))

    async def listen(self, host="127.0.0.1", port=80, **gateway):
        """Start a gateway of our own (the program PENSTOCK_BIN, or penstock)
        that listens there, and ends with us.  Where a gateway started us, or
        PENSTOCK_SOCKET names a socket for one, that one is served instead.
        Returns the port, which it chooses for port 0; None without a gateway
        of ours.  gateway: see penstock.gateway.Gateway."""
        self._loop()
        if not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"not a port: {port!r}")
        if self.socket is None and (sockets.inherited_count()
                                    or "PENSTOCK_SOCKET" in os.environ):
            await self.start()
            return None
        if self._gateway is not None:
            raise RuntimeError("it listens already")
        own = Gateway(host, port, self.apps, **gateway)
        try:
            self.socket = own.prepare()
            await self.start()
            self._links_wanted = own.workers
            await own.start(self._linked)
        except BaseException:
            own.stop()
            self._close_listeners()
            raise
        self._gateway = own
        return own.port

    def _loop(self):
        if self._stop is None:
            self._changed, self._stop = asyncio.Event(), asyncio.Event()
            self._linked = asyncio.Event()

    async def start(self):
        """Listen for gateways.  serve() does it too."""
        if not self.apps:
            raise RuntimeError("a backend without apps")
        self._loop()
        loop = asyncio.get_running_loop()
        for sock in self._sockets():
            self._started = True
            sock.setblocking(False)
            self._listeners.append(await loop.create_unix_server(
                lambda: Link(self), sock=sock, backlog=1024))

    async def connect(self, path):
        """Dial a gateway that listens at path, and again, for ever, when that
        fails or the link is lost."""
        self._loop()
        self._started = True
        self._dialling.append(asyncio.ensure_future(self._dial(path)))

    async def _dial(self, path):
        loop, pause = asyncio.get_running_loop(), 0.1
        while not self.stopping:
            try:
                _, link = await loop.create_unix_connection(
                    lambda: Link(self), path)
                await link.wait_lost()
                if link.ready:
                    pause = 0.1
            except OSError as e:
                log.info("%s: %s", path, e)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 5)

    async def serve(self, grace=5.0, signals=False, *, port=None,
                    host="127.0.0.1", **gateway):
        """Until stop().  With port: as listen()."""
        self._grace = grace
        if signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop, grace)
        self._loop()
        if port is not None:
            await self.listen(host, port, **gateway)
        elif not self._started:
            await self.start()
        if self._gateway is not None:
            gone = asyncio.ensure_future(self._gateway.wait())
            stop = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({gone, stop},
                               return_when=asyncio.FIRST_COMPLETED)
            died = not self._stop.is_set()
            gone.cancel()
            stop.cancel()
            await self._finish()
            if died:
                raise RuntimeError("the gateway ended: "
                                   + self._gateway.last_words())
            return
        await self._stop.wait()
        await self._finish()

    def stop(self, grace=5.0):
        """End serve()."""
        self._grace = grace
        if self._stop is not None:
            self._stop.set()

    def stop_accepting(self):
        """No new clients; those that are here stay."""
        self.accepting = False
        for link in self._links:
            for app_id in link.app_ids:
                if app_id:
                    link.put(codec.frame(codec.UNREGISTER, aux=app_id))
            link.goaway(0, 0)

    async def close(self, code=None, reason="", timeout=5.0):
        """Take no more clients, end all that are here, with this code or at
        once, and end serve()."""
        self.stop_accepting()
        clients = self.clients
        if code is not None and clients:
            for conn in clients:
                await conn.close(code, reason)
            await asyncio.wait({asyncio.ensure_future(c.wait_closed())
                                for c in clients}, timeout=timeout)
        for conn in clients:
            conn.terminate()
        self.stop(0.5)

    def goaway(self, handover=True, grace=0.0):
        """Take no more clients; with handover other backends get those that
        are here."""
        for link in self._links:
            link.goaway(HANDOVER if handover else 0, grace)

    def _close_listeners(self):
        if self._made is not None:
            self._made.remove()
            self._made = None
        for server in self._listeners:
            server.close()
        for task in self._dialling:
            task.cancel()

    async def _finish(self):
        self.stopping = True
        self._close_listeners()
        own = self._gateway
        if own is not None:
            own.drain()
        self.goaway(own is None, self._grace)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace
        while any(link.clients for link in self._links):
            left = deadline - loop.time()
            if left <= 0:
                break
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except asyncio.TimeoutError:
                break
        for link in list(self._links):
            if link.ready:
                link.put(codec.frame(codec.BYE))
            link.close()
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=1)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        if own is not None:
            await own.end()

    # ---- from links ----

    def _link_ready(self):
        if sum(link.ready for link in self._links) >= self._links_wanted:
            self._linked.set()

    def _link_lost(self, link, number):
        self._links.discard(link)
        self._changed.set()
        if not self._links and not self.stopping and link.ready:
            self._tell("shutdown", number)

    def _client_gone(self):
        if self.stopping:
            self._changed.set()

    def _sockets(self):
        where = self.socket
        if where is None and sockets.inherited_count():
            return [sockets.inherited(3 + i)
                    for i in range(sockets.inherited_count())]
        if where is None:
            where = os.environ.get("PENSTOCK_SOCKET", 3)
        if isinstance(where, int):
            return [sockets.inherited(where)]
        if isinstance(where, socket_module.socket):
            return [where]
        path = os.fspath(where)
        sock = sockets.listen(path)
        self._made = sockets.Made(path)
        return [sock]
