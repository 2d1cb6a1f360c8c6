# SPDX-License-Identifier: BSD-2-Clause
"""A link: the connection of one gateway process."""

import asyncio
import collections
import errno
import json
import logging
import os

from . import codec
from .client import ConnectionClosed, GatewayError
from .connection import Connection, State
from .http import Exchange
from .request import RawConnection, RefusedClient, Request

MAX_FRAME = 256 * 1024
WINDOW = 64 * 1024  # credit of the gateway for each client
LINK_WINDOW = 16 * 1024 * 1024
ACK_SECONDS = 0.1  # credit is returned at the latest
OUT_MAX = 64 * 1024 * 1024  # what group sends may leave unwritten

CAUSE_LINK_LOST = 11
HANDOVER = 1
DEBUG = 7
log = logging.getLogger("penstock")
gateway_log = logging.getLogger("penstock.gateway")
LEVELS = [logging.CRITICAL, logging.CRITICAL, logging.CRITICAL, logging.ERROR,
          logging.WARNING, logging.INFO, logging.INFO, logging.DEBUG]


class Link(asyncio.Protocol):
    def __init__(self, backend):
        self.backend = backend
        self.loop = asyncio.get_running_loop()
        self.transport = None
        self.ready = False  # HELLO has come: frames may be sent
        self.lost = False
        self.features = self.credit = self.process = 0
        self.peer_max_frame = 0
        self.clients = {}
        self.blocked = {}  # clients that wait for credit, the first first
        self.app_ids = []  # REGISTERED answers, in the order of the apps
        self._reader = codec.Reader(MAX_FRAME)
        self._out = []
        self._flushing = False
        self._paused = False
        self._drained = []
        self._owing, self._urgent = {}, {}
        self._late = None  # the timer of what is owed
        self._answers = {}  # token -> the future of DELIVERED or PRESENCE
        self._token = 0
        self._asked = collections.deque()  # futures of STATS, in their order
        self._wait_lost = None  # a future
        self.orderly = False  # GOAWAY or BYE announced the end
        self._handlers = {
            codec.HELLO: self._second_hello,
            codec.REGISTERED: self._on_registered,
            codec.KEEPALIVE: self._on_keepalive,
            codec.ERROR: self._on_error,
            codec.ACK: self._on_ack,
            codec.BYE: self._on_bye,
            codec.GOAWAY: self._on_goaway,
            codec.LOG: self._on_log,
            codec.STATS: self._on_stats,
            codec.DELIVERED: self._on_delivered,
            codec.PRESENCE: self._on_presence,
            codec.CONN: self._on_conn,
            codec.CLIENT_ERROR: self._on_client_error,
            codec.OPENED: self._on_opened,
            codec.CLOSE: self._on_closing,
            codec.PING: self._on_ping,
            codec.OPEN: self._on_open,
            codec.RESUME: self._on_resume,
            codec.HTTP_REQ: self._on_http,
            codec.CLOSED: self._on_closed,
            codec.PONG: self._on_pong,
            codec.DETACH: self._on_detach,
            codec.HTTP_BODY: self._on_body,
            codec.HTTP_TRAILERS: self._on_trailers,
            codec.HTTP_RESET: self._on_reset,
            codec.HTTP_DONE: self._on_done,
        }

    # ---- the socket ----

    def connection_made(self, transport):
        self.transport = transport
        backend = self.backend
        values = (codec.tlv(codec.NAME, backend.name.encode())
                  + codec.tlv(codec.AGENT, b"penstock-python")
                  + codec.tlv(codec.PID, codec.U32.pack(os.getpid())))
        for boot_id in backend.resume_of:
            values += codec.tlv(codec.RESUME_OF, codec.U64.pack(boot_id))
        transport.write(codec.hello(backend.boot_id, MAX_FRAME, WINDOW,
                                    LINK_WINDOW, values))
        backend._links.add(self)

    def connection_lost(self, error):
        self._lose(error)

    def _lose(self, error=None):
        """The clients hear of it."""
        if self.lost:
            return
        self.lost = True
        if self._late is not None:
            self._late.cancel()
        self.transport.abort()
        for client in list(self.clients.values()):
            if isinstance(client, Exchange):
                client._end(False)
            else:
                client._end(1006, "", None)
        for waiter in self._drained:
            if not waiter.done():
                waiter.set_result(None)
        for answer in (*self._answers.values(), *self._asked):
            if not answer.done():
                answer.set_result(None)
        number = 0 if self.orderly else getattr(error, "errno", None) \
            or errno.ECONNRESET
        if self._wait_lost is not None and not self._wait_lost.done():
            self._wait_lost.set_result(None)
        self.backend._link_lost(self, number)

    async def wait_lost(self):
        if not self.lost:
            self._wait_lost = self.loop.create_future()
            await self._wait_lost

    def data_received(self, data):
        try:
            for kind, flags, aux, cid, payload in self._reader.feed(data):
                if 0x20 <= kind <= 0x22:
                    client = self.clients.get(cid)
                    if client is not None:
                        client._on_data(kind, flags, payload, aux)
                    continue
                if not self.ready:
                    self._on_hello(kind, payload)
                    continue
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(flags, aux, cid, payload)
                if self.lost:
                    return
        except codec.ProtocolError as e:
            self._fail(e.code, e.kind, str(e))
        except UnicodeDecodeError as e:
            self._fail(15, 0, str(e))

    def _fail(self, code, kind, text):
        log.error("the gateway broke the protocol: %s", text)
        self.put(codec.error(0, code, kind, codec.LINK, 0, text))
        self.close()

    def put(self, data):
        """Frames of one turn of the loop leave in one write."""
        self._out.append(data)
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self):
        self._flushing = False
        if self._urgent:
            self._put_acks(self._urgent)
        out, self._out = self._out, []
        if out and not self.lost:
            self.transport.write(b"".join(out) if len(out) > 1 else out[0])

    def close(self):
        """What was put is written, then the clients hear of the end."""
        if not self.lost:
            self._flush()
            transport = self.transport
            transport.close()
            if not transport.get_write_buffer_size():
                self._lose()

    def pause_writing(self):
        self._paused = True

    def resume_writing(self):
        self._paused = False
        drained, self._drained = self._drained, []
        for waiter in drained:
            if not waiter.done():
                waiter.set_result(None)

    async def drain(self):
        if self._paused and not self.lost:
            waiter = self.loop.create_future()
            self._drained.append(waiter)
            await waiter

    def put_group(self, data, size):
        """Group sends spend no credit: their bound is what is unwritten."""
        if not self.ready or self.lost:
            return
        if size > self.peer_max_frame:
            raise ValueError(f"a group message has at most "
                             f"{self.peer_max_frame} bytes")
        if self.transport.get_write_buffer_size() > OUT_MAX:
            raise BufferError("a gateway does not read")
        self.put(data)

    # ---- credit ----

    def owe(self, client, urgently):
        if urgently:
            self._owing.pop(client, None)
            self._urgent[client] = None
            if not self._flushing:
                self._flushing = True
                self.loop.call_soon(self._flush)
        elif client not in self._urgent:
            self._owing[client] = None
            if self._late is None:
                self._late = self.loop.call_later(ACK_SECONDS, self._pay_late)

    def _pay_late(self):
        self._late = None
        self._put_acks(self._owing)
        self._flush()

    def _put_acks(self, clients):
        most = self.peer_max_frame // 16
        entries = []
        for client in clients:
            entries.append((client.id, client._owed, client._seq_done))
            client._unread -= client._owed
            client._owed = 0
        clients.clear()
        for at in range(0, len(entries), most):
            self._out.append(codec.ack(entries[at:at + most]))

    def ack_now(self, client):
        if client in self._owing or client in self._urgent:
            self._owing.pop(client, None)
            self._urgent.pop(client, None)
            self._put_acks({client: None})

    def ack_gone(self, cid, seq):
        """Progress with the messages of a client that has left."""
        if self.features & codec.F_ALO and not self.lost:
            self.put(codec.ack([(cid, 0, seq)]))

    def forget(self, client):
        if self.clients.get(client.id) is client:
            del self.clients[client.id]
        self._owing.pop(client, None)
        self._urgent.pop(client, None)
        self.credit += client._unacked
        client._unacked = 0
        self._wake_blocked()
        self.backend._client_gone()

    def _wake_blocked(self):
        if self.blocked and self.credit > 0:
            for client in list(self.blocked):
                if client._credit > 0:
                    client._wake()

    def _on_ack(self, flags, aux, cid, payload):
        clients = self.clients
        for cid, n, _ in codec.acks(payload):
            client = clients.get(cid)
            if client is None:
                continue  # it races with its CLOSED
            if n > client._unacked:
                raise codec.ProtocolError(codec.E_PROTOCOL, codec.ACK,
                                          "too much acknowledged")
            client._unacked -= n
            client._credit += n
            self.credit += n
            if client._flushing:
                client._acked(n)
        self._wake_blocked()

    # ---- the link ----

    def _on_hello(self, kind, payload):
        if kind != codec.HELLO:
            raise codec.ProtocolError(codec.E_HANDSHAKE, kind, "no HELLO")
        hello = codec.Hello(payload)
        if hello.flags & codec.HEALTH_CHECK:
            self.transport.close()
            return
        self.process, self.credit = hello.process, hello.link_window
        self.peer_max_frame = hello.max_frame
        self.features = hello.features & codec.FEATURES
        self.ready = True
        for i, app in enumerate(self.backend.apps):
            self.put(codec.frame(codec.REGISTER, 0, app.tlvs(), aux=i + 1))
        if self.features & codec.F_CLAIM:
            for key in self.backend._claims:
                self.put(codec.claim(key))
        if self.backend.debug:
            self.set_log(DEBUG)
        if self.backend.accepting and not self.backend.stopping:
            self.put(codec.frame(codec.READY))

    def _second_hello(self, flags, aux, cid, payload):
        raise codec.ProtocolError(codec.E_PROTOCOL, codec.HELLO,
                                  "a second HELLO")

    def _on_registered(self, flags, aux, cid, payload):
        if len(self.app_ids) == len(self.backend.apps):
            raise codec.ProtocolError(codec.E_PROTOCOL, codec.REGISTERED,
                                      "an answer too many")
        self.app_ids.append(aux)
        if not aux:
            name = self.backend.apps[len(self.app_ids) - 1].name
            log.error("app %r was refused: %s", name,
                      payload.decode("utf-8", "replace"))
        # It has READY too then, which stands behind them.
        if len(self.app_ids) == len(self.backend.apps):
            self.backend._link_ready()

    def _on_keepalive(self, flags, aux, cid, payload):
        if not flags & codec.REPLY:
            self.put(codec.frame(codec.KEEPALIVE, 0, payload[:8],
                                 codec.REPLY))

    def _on_error(self, flags, aux, cid, payload):
        kind, severity, _ = codec.ERROR_FIXED.unpack_from(payload)
        text = payload[4:].decode("utf-8", "replace")
        error = GatewayError(aux, text)
        if kind == codec.STATS_REQ and self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(error)
            return
        log.warning("the gateway refused frame type %#x%s: %s (code %d)", kind,
                    f" for {cid:#x}" if cid else "", text, aux)
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._on_error(error)
        elif client is not None:
            client.error = error
        if severity == codec.LINK:
            self.close()

    def _on_bye(self, flags, aux, cid, payload):
        self.orderly = True
        self.close()

    def _on_goaway(self, flags, aux, cid, payload):
        self.orderly = True
        log.info("the gateway goes away: %s",
                 payload[4:].decode("utf-8", "replace") or "no reason given")

    # ---- questions, and what it tells ----

    def expect(self):
        """A token, and the future of what comes with it; None when the link
        ends before."""
        while True:
            self._token = self._token % 0xFFFF + 1
            if self._token not in self._answers:
                break
        answer = self._answers[self._token] = self.loop.create_future()
        if self.lost:
            answer.set_result(None)
        return self._token, answer

    def _answer(self, token, value):
        answer = self._answers.pop(token, None)
        if answer is not None and not answer.done():
            answer.set_result(value)

    def _on_delivered(self, flags, aux, cid, payload):
        self._answer(aux, codec.DELIVERED_FIXED.unpack_from(payload))

    def _on_presence(self, flags, aux, cid, payload):
        self._answer(aux, codec.presence(payload))

    async def stats(self, scope, cid=0):
        if not self.ready or self.lost:
            raise ConnectionError("the link is lost")
        answer = self.loop.create_future()
        self._asked.append(answer)
        self.put(codec.frame(codec.STATS_REQ, cid, aux=scope))
        found = await answer
        if found is None:
            raise ConnectionError("the link is lost")
        return found

    def _on_stats(self, flags, aux, cid, payload):
        if self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result(json.loads(payload))

    def set_log(self, level):
        if self.ready:
            self.put(codec.frame(codec.SETLOG, aux=level))

    def _on_log(self, flags, aux, cid, payload):
        gateway_log.log(LEVELS[min(aux, DEBUG)], "%s",
                        payload.decode("utf-8", "replace"))

    def _on_conn(self, flags, aux, cid, payload):
        self.backend._tell("raw_connection", RawConnection(aux, payload))

    def _on_client_error(self, flags, aux, cid, payload):
        self.backend._tell("client_error", RefusedClient(aux, payload))

    def _on_opened(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._on_opened()

    def _on_closing(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._on_closing(aux, payload.decode("utf-8", "replace"))

    def _on_ping(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            if len(payload) > 125:
                client._give_up(codec.E_WS_PROTOCOL, codec.PING, 1011)
            else:
                client._on_ping(flags, payload)

    def goaway(self, mode, grace):
        if self.ready:
            if not self.features & codec.F_MOVE:
                mode = 0
            self.put(codec.goaway(mode, int(grace * 1000)))

    # ---- clients ----

    def _app_of(self, opened):
        apps = self.backend.apps
        for app, app_id in zip(apps, self.app_ids):
            if opened.app_id and app_id == opened.app_id:
                return app
        return apps[0] if len(apps) == 1 else None

    def _check_new(self, cid, kind):
        if cid in self.clients:
            raise codec.ProtocolError(codec.E_BAD_STATE, kind,
                                      "a client id is used twice")

    def _begin(self, client, handler):
        self.clients[client.id] = client
        client._task = self.loop.create_task(self._serve(client, handler))
        self.backend._tasks.add(client._task)
        client._task.add_done_callback(self.backend._tasks.discard)

    async def _serve(self, client, handler):
        failed = False
        try:
            await handler(client)
        except ConnectionClosed:
            failed = not client._gone
        except asyncio.CancelledError:
            failed = True
        except Exception:
            failed = True
            log.exception("the handler of %r failed", client._app.name)
        try:
            await client._after_handler(failed)
        except ConnectionClosed:
            pass

    def _on_open(self, flags, aux, cid, payload):
        self._check_new(cid, codec.OPEN)
        opened = codec.Open(payload)
        app = self._app_of(opened)
        if app is None or app.handler is None or self.backend.stopping:
            known = app is not None and app.handler is not None
            self.put(codec.reject(cid, 503 if known else 404))
            return
        conn = Connection(self, cid, app, opened, Request(opened))
        conn._step(State.OPENING)
        self._begin(conn, app.run)

    def _on_resume(self, flags, aux, cid, payload):
        self._check_new(cid, codec.RESUME)
        opened = codec.Open(payload, codec.RESUME)
        app = self._app_of(opened)
        if app is None or app.handler is None:
            self.put(codec.error(cid, codec.E_NO_SUCH_CLIENT, codec.RESUME,
                                 codec.CLIENT, 1012, "no such app"))
            return
        conn = Connection(self, cid, app, opened, Request(opened))
        conn.resumed, conn.ready_state = True, 1
        conn.state = State.CONNECTED
        for tag, value in opened.tlvs:
            if tag == codec.STATE_BLOB:
                conn.saved = value
            elif tag == codec.RESUME_INFO and len(value) >= 16:
                first, _, conn.unacked, info = codec.RESUME_FIXED.unpack_from(
                    value)
                conn._seq_in = conn._seq_done = first - 1 & 0xFFFFFFFF
                conn.foreign = bool(info & codec.RESUME_FOREIGN)
                conn.truncated = bool(info & codec.RESUME_TRUNCATED)
                conn.dead = bool(info & codec.RESUME_DEAD)
        conn.subprotocol = next(iter(conn.request.subprotocols), None)
        self._begin(conn, app.run)

    def _on_http(self, flags, aux, cid, payload):
        self._check_new(cid, codec.HTTP_REQ)
        opened = codec.Open(payload, codec.HTTP_REQ)
        app = self._app_of(opened)
        if app is None or app.http_handler is None or self.backend.stopping:
            known = app is not None and app.http_handler is not None
            self.put(codec.http_res(cid, 503 if known else 404, b"", False))
            return
        self._begin(Exchange(self, cid, app, opened, Request(opened),
                             bool(flags & codec.MORE)), app.http_handler)

    def _on_closed(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._on_closed(payload, aux)

    def _on_pong(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            if len(payload) > 125:
                client._give_up(codec.E_WS_PROTOCOL, codec.PONG, 1011)
            else:
                client._on_pong(payload)

    def _on_detach(self, flags, aux, cid, payload):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._on_detach()

    def _exchange(self, cid, kind):
        client = self.clients.get(cid)
        if isinstance(client, Connection):
            client._give_up(codec.E_BAD_STATE, kind, 1011)
            return None
        return client

    def _on_body(self, flags, aux, cid, payload):
        client = self._exchange(cid, codec.HTTP_BODY)
        if client is not None:
            client._on_body(flags, payload)

    def _on_trailers(self, flags, aux, cid, payload):
        client = self._exchange(cid, codec.HTTP_TRAILERS)
        if client is not None:
            client._on_trailers(payload)

    def _on_reset(self, flags, aux, cid, payload):
        client = self._exchange(cid, codec.HTTP_RESET)
        if client is not None:
            client._end(False)

    def _on_done(self, flags, aux, cid, payload):
        client = self._exchange(cid, codec.HTTP_DONE)
        if client is not None:
            client._end(bool(payload[8]))
