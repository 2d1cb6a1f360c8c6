# SPDX-License-Identifier: BSD-2-Clause
"""Sluice/1: bytes to frames and back.  No sockets, no state but a Reader's.

Writers return bytes, readers take a payload and raise ProtocolError when it
is cut short.  contrib/docs/sluice.md describes every frame.
"""

import re
import struct

HELLO, READY, KEEPALIVE, GOAWAY, BYE, ERROR, LOG = 1, 2, 3, 4, 5, 6, 7
STATS_REQ, STATS, SETLOG, NOP = 8, 9, 0x0B, 0x0C
OPEN, ACCEPT, REJECT, OPENED, CLOSE, CLOSED = range(0x10, 0x16)
TERMINATE, RESUME, RESUME_END, SET_STATE, SET_OPTS = range(0x16, 0x1B)
DETACH, DETACHED, STATE = 0x1B, 0x1C, 0x1D
TEXT, BINARY, CONT, PING, PONG, RAW = range(0x20, 0x26)
ACK, PAUSE, UNPAUSE = 0x30, 0x32, 0x33
SUBSCRIBE, UNSUBSCRIBE, PUBLISH, BROADCAST, MSEND, BSTREAM = range(0x40, 0x46)
DELIVERED, PRESENCE_REQ, PRESENCE = 0x46, 0x47, 0x48
HTTP_REQ, HTTP_BODY, HTTP_RES, HTTP_INFO, HTTP_RESET = range(0x50, 0x55)
HTTP_TRAILERS, HTTP_DONE = 0x55, 0x56
CONN, CLIENT_ERROR = 0x64, 0x65
REGISTER, REGISTERED, UNREGISTER, CLAIM, UNCLAIM = range(0x70, 0x75)
FIRST_SKIPPED = 0x80
MAX_CID = (1 << 53) - 1

# Frame flags.
MORE, REPLAY, NOTIFY, NOCOMPRESS = 1, 2, 4, 8
REPLY, HAS_ACK, AUTO, LIST, START, END = 1, 1, 1, 1, 1, 2
OWN_ONLY = 2  # among the opts of BROADCAST

# TLV tags.
NAME, AGENT, PID, RESUME_OF, HEADER = 0x01, 0x02, 0x05, 0x06, 0x10
METHOD, TARGET, PATH, LOCATION = 0x11, 0x12, 0x13, 0x14
REMOTE_ADDR, LOCAL_ADDR, TLS, CAPTURE, SUBPROTOCOL = range(0x15, 0x1A)
EXTENSION, ORIGIN, APP, ROUTE, REQUEST_ID = 0x1A, 0x1B, 0x1C, 0x1D, 0x1E
STATE_BLOB, CHANNEL, BODY, REASON, OPT = 0x1F, 0x20, 0x21, 0x22, 0x23
RESUME_INFO, VAR, HOST_PATTERN, PATH_PATTERN = 0x24, 0x25, 0x26, 0x27
ORIGIN_PATTERN, MAX_CLIENTS, KEY = 0x28, 0x29, 0x2C
REMOTE_PORT, LOCAL_PORT = 0x2D, 0x2E

# Tags within TLS.
(TLS_VERSION, TLS_CIPHER, TLS_SNI, TLS_ALPN, TLS_VERIFY_ERROR, TLS_CLIENT_DN,
 TLS_CLIENT_CERT, TLS_SERVER_CERT) = range(1, 9)

PATTERNS = {"exact": 0, "prefix": 1, "suffix": 2, "regex": 3, "any": 4,
            "none": 5}
VERSIONS = {13: 1, 8: 2, 7: 4, 76: 8, 75: 16}

# Options.
NODELAY, IDLE_TIMEOUT_MS, AUTO_PONG, MAX_MESSAGE, EVENT_MASK = 1, 2, 3, 4, 5
ON_LOSS, PING_INTERVAL_MS, SEND_BUFFER, CLOSE_TIMEOUT_MS = 6, 7, 8, 9
STREAM_THRESHOLD, ACK_MODE, DEBUG, VERSIONS_MASK = 10, 11, 12, 13
OPTION_SIZES = {NODELAY: 1, AUTO_PONG: 1, ON_LOSS: 1, ACK_MODE: 1, DEBUG: 1}

(EVENT_PING, EVENT_PONG, EVENT_STATE, EVENT_CLOSING, EVENT_FRAGMENTS,
 EVENT_CONN, EVENT_CLIENT_ERROR, EVENT_HTTP_DONE, EVENT_OPENED,
 EVENT_WIRE) = (1 << n for n in range(10))

# Features of HELLO.
F_RESUME, F_ALO, F_FRAGMENTS, F_HTTP, F_CHANNELS = 1, 2, 4, 8, 16
F_RAW, F_STATE, F_MOVE, F_CLAIM = 1 << 7, 1 << 8, 1 << 9, 1 << 10
F_BSTREAM, F_CROSS, F_WIRECOUNT = 1 << 12, 1 << 13, 1 << 14
FEATURES = (F_RESUME | F_ALO | F_FRAGMENTS | F_HTTP | F_CHANNELS | F_RAW
            | F_STATE | F_MOVE | F_CLAIM | F_BSTREAM | F_CROSS | F_WIRECOUNT)

WANTS_RESUME, HEALTH_CHECK, REJECT_PASS = 1, 2, 1
ROLE_GATEWAY, ROLE_BACKEND = 1, 2

# Flags of OPEN and of RESUME_INFO.
OPEN_TLS, OPEN_ALREADY, OPEN_BINARY_OK, OPEN_BY_PROXY = 1, 2, 4, 0x10
RESUME_FOREIGN, RESUME_TRUNCATED, RESUME_DEAD = 1, 2, 4

# Error codes, and severities.
E_PROTOCOL, E_UNKNOWN_TYPE, E_FRAME_TOO_BIG, E_BAD_STATE = 1, 2, 3, 4
E_NO_SUCH_CLIENT, E_FLOW_CONTROL, E_UNSUPPORTED, E_INTERNAL = 5, 6, 8, 14
E_MESSAGE_TOO_BIG, E_WS_PROTOCOL, E_HANDSHAKE = 16, 17, 19
TOLD, CLIENT, LINK = 0, 1, 2
SCOPE_LINK, SCOPE_PROCESS, SCOPE_INSTANCE, SCOPE_CLIENT = range(4)

MAGIC = b"SLUICE1\n"
HEAD = struct.Struct("<IBBHQ")
HELLO_FIXED = struct.Struct("<8sHHBBHIIIIQQ")
OPEN_FIXED = struct.Struct("<HBBHHIIQIHH")
CLOSED_FIXED = struct.Struct("<BBHIQQII")
ACK_ENTRY = struct.Struct("<QII")
BROADCAST_FIXED = struct.Struct("<BBHHHI")
MSEND_FIXED = struct.Struct("<BBHI")
ERROR_FIXED = struct.Struct("<BBH")
RESUME_FIXED = struct.Struct("<IIII")
DELIVERED_FIXED = struct.Struct("<IIII")
U16, U32, U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
U16X2 = struct.Struct("<HH")

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


class ProtocolError(Exception):
    """The gateway broke the protocol: the link ends with this code."""

    def __init__(self, code, kind, text):
        super().__init__(text)
        self.code, self.kind = code, kind


def frame(kind, cid=0, payload=b"", flags=0, aux=0):
    return HEAD.pack(len(payload), kind, flags, aux, cid) + payload


# What a gateway may send: (smallest payload, is it about a client).  ERROR
# and LOG may be either.
GATEWAY_SENDS = {
    HELLO: (48, False), KEEPALIVE: (8, False), GOAWAY: (4, False),
    BYE: (0, False), ERROR: (4, None), LOG: (0, None), STATS: (0, None),
    NOP: (0, False), OPEN: (32, True), OPENED: (0, True), CLOSE: (0, True),
    CLOSED: (32, True), RESUME: (32, True), RESUME_END: (4, False),
    DETACH: (0, True), DETACHED: (0, True), STATE: (0, True),
    TEXT: (0, True), BINARY: (0, True), CONT: (0, True), PING: (0, True),
    PONG: (0, True), ACK: (0, False), DELIVERED: (16, False),
    PRESENCE: (4, False), HTTP_REQ: (32, True), HTTP_BODY: (0, True),
    HTTP_RESET: (0, True), HTTP_TRAILERS: (0, True), HTTP_DONE: (9, True),
    CONN: (0, False), CLIENT_ERROR: (0, False), REGISTERED: (0, False),
}


class Reader:
    """Cuts what comes from a gateway into frames."""

    def __init__(self, max_frame):
        self.max_frame = max_frame
        self.left = b""

    def feed(self, data):
        """All whole frames: [(type, flags, aux, cid, payload)]."""
        if self.left:
            data = self.left + data
        out, at, end = [], 0, len(data)
        unpack, known = HEAD.unpack_from, GATEWAY_SENDS
        while end - at >= 16:
            n, kind, flags, aux, cid = unpack(data, at)
            if n > self.max_frame:
                raise ProtocolError(E_FRAME_TOO_BIG, kind, f"{n} bytes")
            if cid > MAX_CID:
                raise ProtocolError(E_PROTOCOL, kind, "an id of no client")
            stop = at + 16 + n
            rule = known.get(kind)
            if rule is None:
                if kind < FIRST_SKIPPED:
                    raise ProtocolError(E_UNKNOWN_TYPE, kind,
                                        f"type {kind:#x} from a gateway")
            elif n < rule[0] or (rule[1] is not None
                                 and rule[1] != (cid != 0)):
                raise ProtocolError(E_PROTOCOL, kind, "a malformed frame")
            if stop > end:
                break
            if rule is not None:
                out.append((kind, flags, aux, cid, data[at + 16:stop]))
            at = stop
        self.left = data[at:] if at < end else b""
        return out


# ---- tagged values ----

def tlv(tag, value):
    return U32.pack(tag | len(value) << 8) + value


def tlvs(payload, at=0, kind=0):
    """[(tag, value)]"""
    out, end = [], len(payload)
    while at < end:
        if end - at < 4:
            raise ProtocolError(E_PROTOCOL, kind, "a TLV cut short")
        word, = U32.unpack_from(payload, at)
        at += 4
        stop = at + (word >> 8)
        if stop > end:
            raise ProtocolError(E_PROTOCOL, kind, "a TLV cut short")
        out.append((word & 255, payload[at:stop]))
        at = stop
    return out


def header(name, value):
    return tlv(HEADER, U16.pack(len(name)) + name + value)


def get_header(value):
    if len(value) < 2:
        raise ProtocolError(E_PROTOCOL, 0, "a header cut short")
    n, = U16.unpack_from(value)
    if 2 + n > len(value):
        raise ProtocolError(E_PROTOCOL, 0, "a header cut short")
    return value[2:2 + n], value[2 + n:]


def get_named(value):
    """A CAPTURE or VAR."""
    if not value or 1 + value[0] > len(value):
        raise ProtocolError(E_PROTOCOL, 0, "a name cut short")
    return value[1:1 + value[0]], value[1 + value[0]:]


def headers(fields):
    """HEADER TLVs of (name, value) pairs or a mapping, str or bytes."""
    if hasattr(fields, "items"):
        fields = fields.items()
    out = []
    for name, value in fields:
        if isinstance(name, str):
            name = name.encode("latin-1")
        if isinstance(value, str):
            value = value.encode("latin-1")
        if not TOKEN.fullmatch(name) or not FIELD_VALUE.fullmatch(value):
            raise ValueError(f"not a header field: {name!r}: {value!r}")
        out.append(header(name, value))
    return b"".join(out)


def opt(number, value):
    return tlv(OPT, U16.pack(number) + value.to_bytes(
        OPTION_SIZES.get(number, 4), "little"))


def pattern(tag, kind, text):
    return tlv(tag, bytes([kind]) + text.encode())


# ---- the link ----

def hello(boot_id, max_frame, window, link_window, values, flags=WANTS_RESUME,
          features=FEATURES):
    return frame(HELLO, 0, HELLO_FIXED.pack(
        MAGIC, 1, 1, ROLE_BACKEND, flags, 0, max_frame, window, link_window, 0,
        features, boot_id) + values)


class Hello:
    """The gateway's."""

    def __init__(self, payload):
        (magic, low, high, self.role, self.flags, self.process,
         self.max_frame, self.window, self.link_window, self.keepalive_ms,
         self.features, self.epoch) = HELLO_FIXED.unpack_from(payload)
        if magic != MAGIC or low > 1 or high < 1:
            raise ProtocolError(E_HANDSHAKE, HELLO, "not Sluice/1")
        if self.role != ROLE_GATEWAY:
            raise ProtocolError(E_HANDSHAKE, HELLO, "not a gateway")
        if not 16384 <= self.max_frame <= 16 << 20 or not self.window \
                or not self.link_window:
            raise ProtocolError(E_HANDSHAKE, HELLO, "a bad HELLO")
        self.tlvs = tlvs(payload, 48, HELLO)


def error(cid, code, kind, severity, close_code, text):
    return frame(ERROR, cid, ERROR_FIXED.pack(kind, severity, close_code)
                 + text.encode(), aux=code)


def goaway(mode, grace_ms, text=""):
    return frame(GOAWAY, 0, U32.pack(grace_ms) + text.encode(), aux=mode)


def ack(entries):
    """entries: (cid, bytes, seq)"""
    return frame(ACK, 0, b"".join(ACK_ENTRY.pack(*e) for e in entries))


def acks(payload):
    if len(payload) % 16:
        raise ProtocolError(E_PROTOCOL, ACK, "an ACK cut short")
    return ACK_ENTRY.iter_unpack(payload)


# ---- a client ----

class Open:
    """The fixed part and TLVs of OPEN, RESUME and HTTP_REQ."""

    def __init__(self, payload, kind=OPEN):
        (self.ws_version, self.http_version, self.flags, self.app_id, _,
         self.window_out, self.window_in, self.t_us, self.max_message,
         self.remote_port, self.local_port) = OPEN_FIXED.unpack_from(payload)
        self.tlvs = tlvs(payload, 32, kind)


def accept(cid, values=b""):
    return frame(ACCEPT, cid, bytes(8) + values)


def reject(cid, status, values=b"", more=False, rflags=0):
    """rflags: REJECT_PASS, the link's next app that matches is asked."""
    return frame(REJECT, cid, U16X2.pack(status, rflags) + values,
                 MORE if more else 0)


def set_state(cid, blob, ack_seq=None):
    return frame(SET_STATE, cid, U32.pack(ack_seq or 0) + blob,
                 HAS_ACK if ack_seq is not None else 0)


def channel(name):
    name = name.encode() if isinstance(name, str) else bytes(name)
    if not 1 <= len(name) <= 255:
        raise ValueError("the name of a channel has 1 to 255 bytes")
    return name


def channels(names):
    """The payload of SUBSCRIBE and UNSUBSCRIBE."""
    return b"".join(U16.pack(len(n)) + n for n in map(channel, names))


# ---- groups ----

def publish(name, opcode, data, except_cid=0, flags=0, token=0):
    return frame(PUBLISH, except_cid, struct.pack("<BBH", opcode, 0, len(name))
                 + name + data, flags, token)


def broadcast(app_id, opcode, data, except_cids=(), opts=0, flags=0, token=0):
    return frame(BROADCAST, 0, BROADCAST_FIXED.pack(
        opcode, opts, app_id, len(except_cids), 0, 0)
        + b"".join(map(U64.pack, except_cids)) + data, flags, token)


def msend(cids, opcode, data, flags=0, token=0):
    return frame(MSEND, 0, MSEND_FIXED.pack(opcode, 0, 0, len(cids))
                 + b"".join(map(U64.pack, cids)) + data, flags, token)


def bstream(stream, app_id, opcode, data, except_cids=(), opts=0, flags=0):
    """The beginning; the rest is frames of BSTREAM with data alone."""
    return frame(BSTREAM, stream, broadcast(
        app_id, opcode, data, except_cids, opts)[HEAD.size:], START | flags)


def presence_req(name, token, ids=False):
    return frame(PRESENCE_REQ, 0, U16.pack(len(name)) + name,
                 LIST if ids else 0, token)


def presence(payload):
    """(how many, [ids])"""
    count, = U32.unpack_from(payload)
    if (len(payload) - 4) % 8:
        raise ProtocolError(E_PROTOCOL, PRESENCE, "an id cut short")
    return count, [i for i, in U64.iter_unpack(payload[4:])]


# ---- keys ----

def claim(key, kind=CLAIM):
    key = key.encode() if isinstance(key, str) else bytes(key)
    if not 1 <= len(key) <= 255:
        raise ValueError("a key has 1 to 255 bytes")
    return frame(kind, 0, tlv(KEY, key))


# ---- requests ----

def http_res(cid, status, values, more, kind=HTTP_RES):
    return frame(kind, cid, U16X2.pack(status, 0) + values,
                 MORE if more else 0)


def legal_close_code(code):
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
