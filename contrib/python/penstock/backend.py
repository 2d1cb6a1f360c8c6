# SPDX-License-Identifier: BSD-2-Clause
"""A backend: its apps, its socket, its links."""

import asyncio
import errno
import os
import secrets
import signal
import socket as sockets
import stat

from . import codec
from .client import payload_of
from .connection import Connection
from .link import HANDOVER, Link


class App:
    """What Backend.app() makes: a name, patterns, handlers."""

    def __init__(self, name, path, path_kind, host, origins, subprotocols,
                 max_clients, idle_timeout, versions, manual_ack):
        if not name or len(name.encode()) > 255:
            raise ValueError("an app needs a name of at most 255 bytes")
        self.name, self.path, self.path_kind = name, path, path_kind
        self.host, self.origins = host, list(origins)
        self.subprotocols = list(subprotocols)
        self.max_clients, self.idle_timeout = max_clients, idle_timeout
        self.versions, self.manual_ack = list(versions), manual_ack
        self.handler = self.resume_handler = self.http_handler = None
        self.tlvs()

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

    def tlvs(self):
        """Of REGISTER."""
        out = codec.tlv(codec.NAME, self.name.encode())
        if self.host is not None:
            out += codec.pattern(codec.HOST_PATTERN, 0, self.host)
        if self.path is not None:
            out += codec.pattern(codec.PATH_PATTERN,
                                 codec.PATTERNS[self.path_kind], self.path)
        for origin in self.origins:
            out += codec.pattern(codec.ORIGIN_PATTERN, 0, origin)
        for name in self.subprotocols:
            out += codec.tlv(codec.SUBPROTOCOL, name.encode())
        out += codec.opt(codec.EVENT_MASK,
                         codec.EVENT_PONG | codec.EVENT_HTTP_DONE)
        if self.idle_timeout:
            out += codec.opt(codec.IDLE_TIMEOUT_MS,
                             int(self.idle_timeout * 1000))
        if self.versions:
            out += codec.opt(codec.VERSIONS_MASK,
                             sum(codec.VERSIONS[v] for v in self.versions))
        if self.max_clients:
            out += codec.tlv(codec.MAX_CLIENTS,
                             codec.U32.pack(self.max_clients))
        if len(out) > 16384:
            raise ValueError("the app's texts are too long")
        return out


class Backend:
    """One process of an application.

    socket: where it listens, a path, a descriptor or a socket.  Without it
    the descriptors of LISTEN_FDS, else the path in PENSTOCK_SOCKET, else
    descriptor 3.
    """

    def __init__(self, name="backend", socket=None):
        self.name, self.socket = name, socket
        self.apps = []
        self.boot_id = secrets.randbits(64) or 1
        self.resume_of = _predecessors()
        self.stopping = False
        self._links, self._tasks = set(), set()
        self._claims = {}  # in the order they were made
        self._listeners = []
        self._made = None  # (path, inode, device) of a socket file of ours
        self._changed = None  # an Event: clients or links are fewer
        self._stop = None  # an Event
        self._grace = 5.0

    def app(self, path=None, *, name=None, path_kind="prefix", host=None,
            origins=(), subprotocols=(), max_clients=0, idle_timeout=0,
            versions=(), manual_ack=False):
        """A decorator for `async def handler(conn)`."""
        if self._links or self._listeners:
            raise RuntimeError("apps are added before anything is served")
        if len(self.apps) == 64:
            raise ValueError("a backend has at most 64 apps")
        if name is None:
            name = self.name if not self.apps else \
                f"{self.name}-{len(self.apps) + 1}"
        app = App(name, path, path_kind, host, origins, subprotocols,
                  max_clients, idle_timeout, versions, manual_ack)
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

    # ---- clients ----

    def connections(self, app=None):
        """The WebSocket clients of this process."""
        return [c for link in self._links for c in link.clients.values()
                if isinstance(c, Connection)
                and (app is None or c._app is app)]

    def find(self, cid):
        """The client of that id, or None."""
        for link in self._links:
            client = link.clients.get(cid)
            if isinstance(client, Connection):
                return client
        return None

    async def _drained(self):
        for link in list(self._links):
            await link.drain()

    async def broadcast(self, message, app=None, except_=()):
        """To all accepted clients of the app (of all apps), at every gateway
        process; except_: connections or ids."""
        opcode, data = payload_of(message)
        ids = _ids(except_)
        for link in self._links:
            app_id = 0
            if app is not None:
                at = self.apps.index(app)
                app_id = link.app_ids[at] if at < len(link.app_ids) else 0
                if not app_id:
                    continue  # nobody came through it
            link.put_group(codec.broadcast(app_id, opcode, data, ids),
                           12 + 8 * len(ids) + len(data))
        await self._drained()

    async def publish(self, channel, message, except_=None):
        """To the members of a channel, of every backend of the pool."""
        opcode, data = payload_of(message)
        name = codec.channel(channel)
        ids = _ids(except_)
        if len(ids) > 1:
            raise ValueError("a channel's message spares one client at most")
        for link in self._links:
            if link.features & codec.F_CHANNELS:
                link.put_group(codec.publish(name, opcode, data,
                                             ids[0] if ids else 0),
                               4 + len(name) + len(data))
        await self._drained()

    async def send_many(self, clients, message):
        """One message to several clients (connections or ids)."""
        opcode, data = payload_of(message)
        wanted = _ids(clients)
        for link in self._links:
            ids = [i for i in wanted if i in link.clients]
            room = (link.peer_max_frame - 8 - len(data)) // 8
            if ids and room < 1:
                raise ValueError("too large a message for a group")
            for at in range(0, len(ids), max(room, 1)):
                some = ids[at:at + room]
                link.put_group(codec.msend(some, opcode, data),
                               8 + 8 * len(some) + len(data))
        await self._drained()

    def claim(self, key):
        """Requests whose key (the pool's `claim`) is this one come here
        first, until unclaim() or the end.  At most 65 536 of them."""
        if len(self._claims) >= 65536 and key not in self._claims:
            raise ValueError("too many keys")
        self._put_claim(codec.claim(key))
        self._claims[key] = None

    def unclaim(self, key):
        if key in self._claims:
            del self._claims[key]
            self._put_claim(codec.claim(key, codec.UNCLAIM))

    def _put_claim(self, data):
        for link in self._links:
            if link.features & codec.F_CLAIM:
                link.put(data)

    def log(self, text, level=6):
        """A line into the gateway's error log; level as in syslog."""
        for link in self._links:
            if link.ready:
                link.put(codec.frame(codec.LOG, 0, text.encode()[:4096],
                                     aux=level))

    def goaway(self, handover=True, grace=0.0):
        """Take no more clients; with handover other backends get those that
        are here."""
        for link in self._links:
            link.goaway(HANDOVER if handover else 0, grace)

    # ---- serving ----

    def run(self, grace=5.0):
        """Serve until SIGTERM or SIGINT; then clients are handed over to
        other backends or have grace seconds to leave."""
        asyncio.run(self.serve(grace, signals=True))

    async def start(self):
        """Listen.  serve() does it too."""
        if not self.apps:
            raise RuntimeError("a backend without apps")
        loop = asyncio.get_running_loop()
        self._changed, self._stop = asyncio.Event(), asyncio.Event()
        for sock in self._sockets():
            sock.setblocking(False)
            self._listeners.append(await loop.create_unix_server(
                lambda: Link(self), sock=sock, backlog=1024))

    async def serve(self, grace=5.0, signals=False):
        """Until stop()."""
        self._grace = grace
        if not self._listeners:
            await self.start()
        if signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop, grace)
        await self._stop.wait()
        await self._finish()

    def stop(self, grace=5.0):
        """End serve()."""
        self._grace = grace
        if self._stop is not None:
            self._stop.set()

    async def _finish(self):
        self.stopping = True
        self._remove_socket()
        for server in self._listeners:
            server.close()
        self.goaway(True, self._grace)
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

    def _link_lost(self, link):
        self._links.discard(link)
        self._changed.set()

    def _client_gone(self):
        if self.stopping:
            self._changed.set()

    # ---- the socket ----

    def _sockets(self):
        where = self.socket
        if where is None and _inherited_count():
            return [_inherited(3 + i) for i in range(_inherited_count())]
        if where is None:
            where = os.environ.get("PENSTOCK_SOCKET", 3)
        if isinstance(where, int):
            return [_inherited(where)]
        if isinstance(where, sockets.socket):
            return [where]
        return [self._listen(os.fspath(where))]

    def _listen(self, path):
        """Mode 0660.  A socket that is left over is replaced, one on which
        somebody answers is not."""
        _remove_stale(path)
        sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        before = os.umask(0o117)  # nobody connects between bind and chmod
        try:
            sock.bind(path)
        except OSError as e:
            sock.close()
            raise OSError(e.errno, os.strerror(e.errno or 0), path) from None
        finally:
            os.umask(before)
        sock.listen(1024)
        made = os.lstat(path)
        self._made = path, made.st_ino, made.st_dev
        return sock

    def _remove_socket(self):
        if self._made is None:
            return
        path, inode, device = self._made
        self._made = None
        try:
            now = os.lstat(path)
            if (now.st_ino, now.st_dev) == (inode, device):
                os.unlink(path)
        except FileNotFoundError:
            pass


def _ids(clients):
    if clients is None:
        return []
    if isinstance(clients, (int, Connection)):
        clients = [clients]
    return [c if isinstance(c, int) else c.id for c in clients]


def _predecessors():
    """PENSTOCK_RESUME_OF: boot ids, in decimal or 0x hexadecimal."""
    found = []
    for word in os.environ.get("PENSTOCK_RESUME_OF", "").split(","):
        try:
            found.append(int(word.strip(), 0) & (1 << 64) - 1)
        except ValueError:
            break
    return found[:16]


def _inherited_count():
    pid = os.environ.get("LISTEN_PID", str(os.getpid()))
    count = os.environ.get("LISTEN_FDS", "0")
    if pid != str(os.getpid()) or not count.isdigit():
        return 0
    return min(int(count), 64)


def _inherited(fd):
    try:
        sock = sockets.socket(fileno=fd)
        listening = sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ACCEPTCONN)
    except OSError:
        raise OSError(errno.ENOTCONN, "no socket to listen on: name a path, "
                      "or set PENSTOCK_SOCKET, or start it by spawn") from None
    if not listening or sock.family != sockets.AF_UNIX:
        sock.detach()
        raise OSError(errno.EINVAL, f"descriptor {fd} is no listening Unix "
                      "socket")
    os.set_inheritable(fd, False)
    return sock


def _remove_stale(path):
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST),
                                  path)
    except FileNotFoundError:
        return
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
