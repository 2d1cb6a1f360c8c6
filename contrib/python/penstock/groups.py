# SPDX-License-Identifier: BSD-2-Clause
"""What a backend sends to many clients, or to any, and what it asks its
gateways."""

import asyncio
import typing

from . import codec
from .client import ConnectionClosed, payload_of
from .connection import OPEN, Connection
from .sending import BroadcastStream


class Delivered(typing.NamedTuple):
    """What became of a group message, at all gateways."""

    matched: int  # clients that it was for
    queued: int
    skipped: int  # binary, to a version that has none
    dropped: int


class Groups:
    """Of Backend, which has _links and apps."""

    # ---- this process's clients ----

    @property
    def clients(self):
        """The WebSocket clients of this process."""
        return self.connections()

    def connections(self, app=None):
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

    # ---- one client, of whatever backend of the pool ----

    async def send(self, client, message):
        """To a client by its id.  One that is gone or unknown is ignored."""
        conn = self._here(client)
        if conn is None:
            opcode, data = payload_of(message)
            for link in self._towards(client):
                link.put_group(codec.msend([client], opcode, data),
                               16 + len(data))
            await self._drained()
        elif conn.ready_state == OPEN:
            try:
                await conn.send(message)
            except ConnectionClosed:
                pass

    async def disconnect(self, client, code=1000, reason=""):
        conn = self._here(client)
        if conn is not None:
            await conn.close(code, reason)
            return
        if code is not None and not codec.legal_close_code(code):
            raise ValueError(f"{code} may not be sent")
        for link in self._towards(client):
            link.put(codec.frame(codec.CLOSE, client, reason.encode()[:123],
                                 aux=code or 0))

    def terminate(self, client):
        conn = self._here(client)
        if conn is not None:
            conn.terminate()
            return
        for link in self._towards(client):
            link.put(codec.frame(codec.TERMINATE, client))

    def subscribe(self, client, *names):
        self._change_channels(codec.SUBSCRIBE, client, names)

    def unsubscribe(self, client, *names):
        self._change_channels(codec.UNSUBSCRIBE, client, names)

    def _change_channels(self, kind, client, names):
        conn = self._here(client)
        if conn is not None:
            if kind == codec.SUBSCRIBE:
                conn.subscribe(*names)
            else:
                conn.unsubscribe(*names)
            return
        for link in self._towards(client):
            link.put(codec.frame(kind, client, codec.channels(names)))

    def _here(self, client):
        return client if isinstance(client, Connection) else self.find(client)

    def _towards(self, cid):
        """The links of the gateway process that has this client."""
        return [link for link in self._links
                if link.ready and link.features & codec.F_CROSS
                and link.process == cid >> 44 & 511]

    # ---- many ----

    async def broadcast(self, message, app=None, except_=(), scope="app",
                        report=False, compress=True):
        """To all accepted clients of the app (of all apps), at every gateway
        process; except_: connections or ids.  scope="backend": only those of
        this process.  With report it returns a Delivered.  compress=False
        leaves it out of permessage-deflate."""
        opcode, data = payload_of(message)
        ids, opts = _ids(except_), _opts(scope)
        return await self._group(
            self._ways(app),
            lambda app_id, *how: codec.broadcast(app_id, opcode, data, ids,
                                                 opts, *how),
            report, compress)

    async def publish(self, channel, message, except_=None, report=False,
                      compress=True):
        """To the members of a channel, of every backend of the pool."""
        opcode, data = payload_of(message)
        name = codec.channel(channel)
        ids = _ids(except_)
        if len(ids) > 1:
            raise ValueError("a channel's message spares one client at most")
        return await self._group(
            self._ways(None, codec.F_CHANNELS),
            lambda _, *how: codec.publish(name, opcode, data,
                                          ids[0] if ids else 0, *how),
            report, compress)

    async def send_many(self, clients, message, report=False, compress=True):
        """One message to several clients (connections or ids)."""
        opcode, data = payload_of(message)
        wanted, waiting = _ids(clients), []
        for link in self._links:
            ids = [i for i in wanted if i in link.clients]
            room = (link.peer_max_frame - 8 - len(data)) // 8
            if ids and room < 1:
                raise ValueError("too large a message for a group")
            for at in range(0, len(ids), max(room, 1)):
                waiting.append(self._put_group(
                    link, lambda *how: codec.msend(
                        ids[at:at + room], opcode, data, *how),
                    report, compress))
        return await self._reported(waiting, report)

    def broadcast_stream(self, app=None, binary=False, except_=(),
                         scope="app", compress=True):
        """A message in pieces to all who are there when it begins:
        async with backend.broadcast_stream() as s: await s.send(piece)."""
        return BroadcastStream(self, app, binary, _ids(except_), _opts(scope),
                               compress)

    async def broadcast_raw(self, head, message=b"", app=None):
        """One frame of a given first byte (or a mapping of fin, opcode, rsv1
        to rsv3) to all.  A whole message is a broadcast; a beginning and what
        follows it a stream; control frames and unusual bits go to the clients
        of this process, these with `allow_raw`."""
        if not isinstance(head, int):
            head = _head(head)
        if not 0 <= head <= 255:
            raise ValueError("the head is a byte")
        opcode, data = payload_of(message)
        fin, kind = head & 0x80, head & 0x7F
        if kind in (1, 2) and fin and self._raw_stream is None:
            text = data.decode() if kind == 1 else data
            await self.broadcast(text, app)
        elif kind in (1, 2) and not fin or kind == 0:
            await self._raw_piece(kind, fin, data, app)
        elif head in (0x88, 0x89, 0x8A):
            await self._control(kind, data, app)
        else:
            if kind in (8, 9, 10):
                raise ValueError("control frames have no fragments")
            for conn in self.connections(app):
                if conn.ready_state == OPEN:
                    await conn.send_raw(head, data)

    async def _control(self, kind, data, app):
        if len(data) > 125 or kind == 8 and len(data) == 1:
            raise ValueError("not a control frame")
        code = int.from_bytes(data[:2], "big") or None
        for conn in self.connections(app):
            if conn.ready_state != OPEN:
                continue
            if kind == 8:
                await conn.close(code, data[2:].decode())
            else:
                conn._link.put(codec.frame(
                    codec.PING if kind == 9 else codec.PONG, conn.id, data))

    _raw_stream = None

    async def _raw_piece(self, kind, fin, data, app):
        if (kind == 0) == (self._raw_stream is None):
            raise RuntimeError("a stream is under way" if kind else
                               "no stream is under way")
        if kind:
            self._raw_stream = self.broadcast_stream(app, kind == 2)
        stream = self._raw_stream
        if data:
            await stream._put(data, 0)
        if fin:
            self._raw_stream = None
            await stream.end()

    def _ways(self, app, feature=0):
        """[(link, its number of the app)]"""
        found = []
        for link in self._links:
            if not link.ready or link.features & feature != feature:
                continue
            app_id = 0
            if app is not None:
                at = self.apps.index(app)
                app_id = link.app_ids[at] if at < len(link.app_ids) else 0
                if not app_id:
                    continue  # nobody came through it
            found.append((link, app_id))
        return found

    async def _group(self, ways, build, report, compress):
        return await self._reported([
            self._put_group(link, lambda *how: build(app_id, *how), report,
                            compress)
            for link, app_id in ways], report)

    @staticmethod
    def _put_group(link, build, report, compress):
        flags, token, answer = 0 if compress else codec.NOCOMPRESS, 0, None
        if report:
            token, answer = link.expect()
            flags |= codec.NOTIFY
        data = build(flags, token)
        link.put_group(data, len(data) - codec.HEAD.size)
        return answer

    async def _reported(self, waiting, report):
        await self._drained()
        if not report:
            return None
        answers = [a for a in await asyncio.gather(*waiting) if a is not None]
        return Delivered(*(sum(column) for column in zip(
            (0, 0, 0, 0), *answers)))

    async def _drained(self):
        for link in list(self._links):
            await link.drain()

    def _next_stream(self):
        self._streams += 1
        return self._streams

    _streams = 0

    # ---- questions ----

    async def presence(self, channel):
        """How many members a channel has, of all backends of the pool."""
        return sum(n for n, _ in await self._ask_presence(channel, False))

    async def members(self, channel):
        """Their ids, of each gateway as many as fit into one frame."""
        return [i for _, ids in await self._ask_presence(channel, True)
                for i in ids]

    async def _ask_presence(self, channel, ids):
        name, answers = codec.channel(channel), []
        for link, _ in self._ways(None, codec.F_CHANNELS):
            token, answer = link.expect()
            link.put(codec.presence_req(name, token, ids))
            answers.append(answer)
        return [a for a in await asyncio.gather(*answers) if a is not None]

    async def stats(self, scope="process"):
        """The counters of each gateway: of the link to it, of the process, or
        of the instance."""
        number = {"link": 0, "process": 1, "instance": 2}[scope]
        links = [link for link in self._links if link.ready]
        return await asyncio.gather(*(link.stats(number) for link in links))

    # ---- keys ----

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


def _ids(clients):
    if clients is None:
        return []
    if isinstance(clients, (int, Connection)):
        clients = [clients]
    return [c if isinstance(c, int) else c.id for c in clients]


def _opts(scope):
    if scope not in ("app", "backend"):
        raise ValueError("the scope is app or backend")
    return codec.OWN_ONLY if scope == "backend" else 0


def _head(fields):
    """A first byte from {"fin": True, "opcode": 1, "rsv1": False}."""
    unknown = set(fields) - {"fin", "opcode", "rsv1", "rsv2", "rsv3", "mask",
                             "masking"}
    if unknown or "fin" not in fields or "opcode" not in fields:
        raise ValueError("a head has fin and opcode, and may have rsv1-3")
    if not 0 <= fields["opcode"] <= 15:
        raise ValueError("an opcode has 4 bits")
    head = fields["opcode"] | (0x80 if fields["fin"] else 0)
    for bit, name in ((0x40, "rsv1"), (0x20, "rsv2"), (0x10, "rsv3")):
        if fields.get(name):
            head |= bit
    return head
