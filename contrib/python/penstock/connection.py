# SPDX-License-Identifier: BSD-2-Clause
"""A WebSocket session."""

import asyncio
import enum
import os

from . import codec
from .client import ConnectionClosed, payload_of
from .receiving import Receiving
from .sending import OutStream

NEVER = {b"connection", b"keep-alive", b"upgrade", b"transfer-encoding",
         b"content-length"}


class ReadyState(enum.IntEnum):
    CONNECTING = 0
    OPEN = 1  # messages may be sent
    CLOSING = 2
    CLOSED = 3


class State(enum.IntEnum):
    UNKNOWN = 0
    OPENING = 1  # the handshake is with us
    WAITING = 2  # not seen here: Penstock waits itself
    HANDSHAKING = 3  # accepted; the 101 has not left
    CONNECTED = 4
    CLOSED = 5


CONNECTING, OPEN, CLOSING, CLOSED = ReadyState
VERSIONS = {13: "rfc6455", 8: "hybi-08", 7: "hybi-07", 76: "draft76",
            75: "draft75"}


class Connection(Receiving):
    """One client, for the handler that got it.  Not to be used from other
    threads."""

    def __init__(self, link, cid, app, opened, request):
        super().__init__(link, cid, app, opened)
        self.request = request
        self.state = State.UNKNOWN
        self.ready_state = CONNECTING
        self.close_code = None
        self.close_reason = ""
        self.cause = None  # of CLOSED, see contrib/docs/sluice.md
        self.bytes_sent = None  # on the wire, when it is over
        self.subprotocol = None
        self.resumed = False  # another backend had it before this one
        self.saved = None  # what that one left with set_state()
        self.unacked = 0  # messages that it may have seen and that follow
        self.foreign = self.truncated = self.dead = False
        self._preferred = None  # what choose_protocol said
        self._channels = []
        self._pongs = {}
        self._detaching = False
        self._refused = False  # by us
        self._rejecting = False  # the body of a refusal is to come
        self._opened = self._closed = None  # futures of who waits for it

    @property
    def app(self):
        return self._app

    @property
    def ws_version(self):
        """13, 8, 7, 76 or 75."""
        return self.request.ws_version

    protocol_version = ws_version

    @property
    def version(self):
        """The same by name: rfc6455, hybi-08, hybi-07, draft76, draft75."""
        return VERSIONS.get(self.request.ws_version)

    @property
    def binary_ok(self):
        """Its version has binary messages."""
        return self.request.binary_ok

    def _step(self, state):
        previous, self.state = self.state, state
        if "state" in self._app.hooks:
            self._app.tell("state", self, state, previous)

    # ---- the handshake ----

    async def accept(self, subprotocol=None, headers=()):
        """Answer with 101.  Without a subprotocol the first of the app's that
        was offered is chosen.  A client that another backend accepted already
        stays as it is."""
        if self.resumed and self.ready_state != CLOSED:
            return
        self._may_answer()
        offers = self.request.subprotocols
        if subprotocol is None:
            subprotocol = self._preferred or next(
                (s for s in self._app.subprotocols if s in offers), None)
        elif subprotocol not in offers:
            raise ValueError(f"{subprotocol!r} was not offered")
        values = b""
        if subprotocol is not None:
            values = codec.tlv(codec.SUBPROTOCOL, subprotocol.encode())
        values += b"".join(codec.tlv(codec.CHANNEL, n) for n in self._channels)
        fields = list(headers.items() if hasattr(headers, "items")
                      else headers)
        for name, _ in fields:
            name = (name.encode("latin-1") if isinstance(name, str)
                    else name).lower()
            if name in NEVER or name.startswith((b"sec-websocket-",
                                                 b"websocket-")):
                raise ValueError(f"{name.decode()} is the handshake's own")
        values += codec.headers(fields)
        if len(values) + 8 > self._link.peer_max_frame:
            raise ValueError("too many headers")
        self._link.put(codec.accept(self.id, values))
        self.subprotocol = subprotocol
        self.ready_state = OPEN
        self._step(State.HANDSHAKING)

    async def wait_opened(self):
        """Until the 101 has left."""
        if self.state < State.CONNECTED:
            if self._opened is None:
                self._opened = self._link.loop.create_future()
            await asyncio.shield(self._opened)
        if self._gone:
            raise self._error()

    def _on_opened(self):
        self._step(State.CONNECTED)
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    async def reject(self, status=403, headers=(), body=b"", reason=""):
        """Answer with an HTTP status, 300 to 599.  Without a body it is the
        gateway's page for it.  reason is for its log, and where `debug` is on
        for the client.  An open connection is closed with 1008."""
        if self.ready_state == OPEN:
            debug = reason if self._link.backend.debug else ""
            self._refused = True
            await self.close(1008, debug)
            return
        self._may_answer()
        if not 300 <= status <= 599:
            raise ValueError("a handshake is refused with 300 to 599")
        if isinstance(body, str):
            body = body.encode()
        values = codec.headers(headers)
        if reason:
            values += codec.tlv(codec.REASON, reason.encode())
        body = bytes(body)
        room = self._link.peer_max_frame - len(values) - 8
        if room < 0:
            raise ValueError("too many headers")
        first, rest = body[:room], body[room:]
        if first:
            values += codec.tlv(codec.BODY, first)
        self._link.put(codec.reject(self.id, status, values, bool(rest)))
        self._over_before(True)
        if rest:
            self._rejecting = True
            await self._put_body(rest, False)

    async def begin_reject(self, status, headers=()):
        """A refusal whose body follows by write_reject()."""
        self._may_answer()
        self._link.put(codec.reject(self.id, status, codec.headers(headers),
                                    True))
        self._over_before(True)
        self._rejecting = True

    async def write_reject(self, data, more=False):
        if not self._rejecting:
            raise RuntimeError("begin_reject() comes first")
        await self._put_body(bytes(data), more)

    async def _put_body(self, data, more):
        async with self._sending():
            await self._put_pieces((codec.HTTP_BODY, codec.HTTP_BODY), data,
                                   not more)
        self._rejecting = more

    async def pass_on(self):
        """Not for this app: the next one of this backend that matches is
        asked.  403 when there is none."""
        self._may_answer()
        self._link.put(codec.reject(self.id, 0, rflags=codec.REJECT_PASS))
        self._over_before(False)

    def _over_before(self, refused):
        self.ready_state = CLOSED
        self._refused = refused

    def _may_answer(self):
        if self.ready_state == CLOSED:
            raise self._error()
        if self.ready_state != CONNECTING:
            raise RuntimeError("it was accepted already")

    # ---- from the client ----

    def pause(self):
        """Read no more from the client."""
        self._must_be_open()
        self._link.put(codec.frame(codec.PAUSE, self.id))

    def resume(self):
        self._must_be_open()
        self._link.put(codec.frame(codec.UNPAUSE, self.id))

    # ---- to the client ----

    def _must_be_open(self):
        if self.ready_state == CONNECTING:
            raise RuntimeError("accept() comes first")
        if self.ready_state != OPEN:
            raise self._error()

    def _may_send(self):
        if not self._rejecting:
            self._must_be_open()
        elif self._gone:
            raise self._error()

    def _error(self):
        e = ConnectionClosed(
            1006 if self.close_code is None else self.close_code,
            self.close_reason)
        e.__cause__ = self.error
        return e

    async def send(self, message, compress=True):
        """str is sent as text, bytes as binary.  Waits while the client has
        fallen behind.  Who cancels it in the middle of a message that needs
        several frames ends the connection.  compress=False leaves the message
        out of permessage-deflate."""
        opcode, data = payload_of(message)
        if self.ready_state != OPEN:
            self._must_be_open()
        if opcode == 2 and not self.request.binary_ok:
            raise ValueError("this client's version has no binary messages")
        link, n = self._link, len(data)
        if self._credit > 0 and link.credit > 0 and n <= link.peer_max_frame \
                and not self._is_sending():
            link.put(codec.HEAD.pack(n, 0x1F + opcode, 0 if compress else 8, 0,
                                     self.id) + data)
            self._credit -= n
            link.credit -= n
            self._unacked += n
            return
        await self._take_turn(n)
        try:
            await self._send_part(0x1F + opcode, data, True,
                                  0 if compress else codec.NOCOMPRESS)
        finally:
            self._sending().release()
            self._leave()

    async def _send_part(self, kind, data, last, flags=0):
        sent = self._sent
        try:
            await self._put_pieces((kind, codec.CONT), data, last, flags)
        except ConnectionClosed:
            raise
        except BaseException:
            if self._sent != sent:
                self.terminate()
            raise

    async def send_raw(self, head, payload=b""):
        """One WebSocket frame as it is: its first byte (FIN, RSV, opcode) and
        its payload.  For pools with `allow_raw`."""
        payload = bytes(payload)
        self._must_be_open()
        if not 0 <= head <= 255:
            raise ValueError("the head is a byte")
        if not self._link.features & codec.F_RAW:
            raise RuntimeError("the gateway wants no raw frames (allow_raw)")
        if len(payload) > self._link.peer_max_frame:
            raise ValueError("too large a frame")
        async with self._sending():
            await self._wait_for_credit()
            self._link.put(codec.frame(codec.RAW, self.id, payload, aux=head))
            self._spend(len(payload))

    def stream(self, binary=False, compress=True):
        """A message in pieces: async with conn.stream() as s: await
        s.send(piece)."""
        return OutStream(self, binary, compress)

    async def broadcast(self, message):
        """To all clients of the app but this one."""
        await self._link.backend.broadcast(message, app=self._app,
                                           except_=self)

    async def ping(self, data=None):
        """Send a ping; what is returned can be awaited for its pong."""
        self._must_be_open()
        if self.request.ws_version in (75, 76):
            raise ValueError("this client's version has no pings")
        data = os.urandom(4) if data is None else bytes(data)
        if len(data) > 125:
            raise ValueError("a ping carries at most 125 bytes")
        if data in self._pongs:
            raise ValueError("such a ping is under way already")
        pong = self._pongs[data] = self._link.loop.create_future()
        self._link.put(codec.frame(codec.PING, self.id, data))
        return pong

    async def pong(self, data=b""):
        """Unasked, or with the app's auto_pong=False the answer to a ping."""
        self._must_be_open()
        data = bytes(data)
        if len(data) > 125:
            raise ValueError("a pong carries at most 125 bytes")
        self._link.put(codec.frame(codec.PONG, self.id, data))

    def _on_ping(self, flags, data):
        if not flags & codec.AUTO and self.ready_state == OPEN \
                and "ping" not in self._app.hooks:
            self._link.put(codec.frame(codec.PONG, self.id, data))
        self._app.tell("ping", self, data)

    def _on_pong(self, data):
        self._app.tell("pong", self, data)
        # A pong answers the pings before it too.
        if data in self._pongs:
            for sent in list(self._pongs):
                pong = self._pongs.pop(sent)
                if not pong.done():
                    pong.set_result(None)
                if sent == data:
                    break

    async def close(self, code=1000, reason=""):
        """Behind all that was sent.  Does nothing when the end is under way;
        wait_closed() waits for it."""
        text = reason.encode()
        if code is None:
            code = 0
            if text:
                raise ValueError("a reason needs a code")
        elif not codec.legal_close_code(code):
            raise ValueError(f"{code} may not be sent")
        if len(text) > 123:
            raise ValueError("a reason has at most 123 bytes")
        if self.ready_state == CONNECTING:
            await self.reject(403)
            return
        if self._is_sending():
            async with self._sending():
                pass
        if self.ready_state != OPEN:
            return
        self._link.put(codec.frame(codec.CLOSE, self.id, text, aux=code))
        self.ready_state = CLOSING

    def terminate(self):
        """At once, without a close frame."""
        if self.ready_state == CLOSED or self._gone:
            return
        if self.ready_state == CONNECTING:
            self._link.put(codec.reject(self.id, 503))
        else:
            self._link.put(codec.frame(codec.TERMINATE, self.id))
        self.ready_state = CLOSED
        self._wake()

    async def wait_closed(self):
        if not self._gone:
            if self._closed is None:
                self._closed = self._link.loop.create_future()
            await _shielded(self._closed)

    def set_idle_timeout(self, seconds):
        self._set_option(codec.IDLE_TIMEOUT_MS, int(seconds * 1000))

    def set_nodelay(self, on):
        self._set_option(codec.NODELAY, int(bool(on)))

    def _set_option(self, number, value):
        self._must_be_open()
        self._link.put(codec.frame(codec.SET_OPTS, self.id,
                                   codec.opt(number, value)))

    async def stats(self):
        """What the gateway has counted for it."""
        return await self._link.stats(codec.SCOPE_CLIENT, self.id)

    # ---- channels ----

    def subscribe(self, *names):
        """Before accept() it counts before the 101 leaves."""
        names = [codec.channel(n) for n in names]
        if not self._link.features & codec.F_CHANNELS:
            raise RuntimeError("the gateway has no channels")
        if self.ready_state == CONNECTING:
            self._channels += names
            return
        self._must_be_open()
        if names:
            self._link.put(codec.frame(codec.SUBSCRIBE, self.id,
                                       codec.channels(names)))

    def unsubscribe(self, *names):
        """Without names: from all."""
        if self.ready_state == CONNECTING:
            gone = {codec.channel(n) for n in names}
            self._channels = [n for n in self._channels
                              if names and n not in gone]
            return
        self._must_be_open()
        self._link.put(codec.frame(codec.UNSUBSCRIBE, self.id,
                                   codec.channels(names)))

    # ---- for the next backend ----

    def set_state(self, blob, ack=True):
        """Leave a state with the gateway for a backend that gets this client
        later.  ack: it contains the message that recv() returned last, which
        so is done with in the same step."""
        if self._gone or self.ready_state == CONNECTING:
            raise self._error()
        if not self._link.features & codec.F_STATE:
            raise RuntimeError("the gateway keeps no states")
        blob = bytes(blob)
        if len(blob) + 4 > self._link.peer_max_frame:
            raise ValueError("too large a state")
        has_ack = ack and self.seq != 0
        self._link.put(codec.set_state(self.id, blob,
                                       self.seq if has_ack else None))
        if has_ack and self._app.manual_ack:
            self.ack(self.seq)

    def _on_detach(self):
        self._detaching = True
        # A handler that waits for a message has nothing left to do.
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        else:
            self._leave()

    def _leave(self):
        """Another backend gets it, when what was begun is finished."""
        if not self._detaching or self._gone or self._queue or self._current \
                or self._waiting or self._is_sending():
            return
        self._link.ack_now(self)
        self._link.put(codec.frame(codec.DETACHED, self.id))
        self._end(1012, "", None)

    # ---- the end ----

    def _on_closing(self, code, reason):
        """A CLOSE of the client's, before its CLOSED."""
        self._app.tell("closing", self, code, reason)

    def _on_error(self, error):
        self.error = error
        self._app.tell("error", self, error)

    def _on_closed(self, payload, code):
        cause, _, _, _, received, self.bytes_sent, _, _ = \
            codec.CLOSED_FIXED.unpack_from(payload)
        if received:
            self.bytes_received = received
        answered = self.ready_state != CONNECTING
        self._end(code, payload[32:].decode("utf-8", "replace"), cause)
        self._ends = answered
        self._look_at_end()

    def _end(self, code, reason, cause):
        opened = self.state >= State.CONNECTED
        self.ready_state = CLOSED
        self.close_code, self.close_reason = code, reason
        self.cause = cause
        self._settle()
        self._notify()
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(self._error())
                pong.exception()  # nobody may be waiting for it
        self._pongs.clear()
        for future in (self._opened, self._closed):
            if future is not None and not future.done():
                future.set_result(None)
        if self.state != State.CLOSED:
            self._step(State.CLOSED)
            hooks = self._app.hooks
            if "reject" in hooks and (self._refused or not opened):
                self._app.tell("reject", self)
            if "disconnect" in hooks and opened:
                self._app.tell("disconnect", self, code, reason)

    async def _after_handler(self, failed):
        """The handler has returned, or raised."""
        if self._current:
            self._done()
        self._finished = True
        self._drop_queue()
        if self.ready_state == CONNECTING:
            await self.reject(500)
        elif self._detaching and not failed:
            while self._waiting and not self._app.manual_ack:
                self._progress(*self._waiting.popleft())
            self._leave()
        elif self.ready_state == OPEN:
            await self.close(1011 if failed else 1000)
        if not self._app.manual_ack:
            while self._waiting:
                self._progress(*self._waiting.popleft())
        self._look_at_end()


async def _shielded(future):
    """Several may wait; one that is cancelled does not end it for others."""
    await asyncio.shield(future)
