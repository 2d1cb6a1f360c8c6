// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Sluice/1: bytes to frames and back (contrib/docs/sluice.md).  Does no I/O.
// A client id is two numbers here, lo and hi, or one below 2^53 (`id`).

const TYPE = {
  HELLO: 0x01, READY: 0x02, KEEPALIVE: 0x03, GOAWAY: 0x04, BYE: 0x05,
  ERROR: 0x06, LOG: 0x07, STATS_REQ: 0x08, STATS: 0x09, SETLOG: 0x0b,
  NOP: 0x0c, OPEN: 0x10, ACCEPT: 0x11, REJECT: 0x12, OPENED: 0x13,
  CLOSE: 0x14, CLOSED: 0x15, TERMINATE: 0x16, RESUME: 0x17, RESUME_END: 0x18,
  SET_STATE: 0x19, SET_OPTS: 0x1a, DETACH: 0x1b, DETACHED: 0x1c, STATE: 0x1d,
  TEXT: 0x20, BINARY: 0x21, CONT: 0x22, PING: 0x23, PONG: 0x24, RAW: 0x25,
  ACK: 0x30, PAUSE: 0x32, UNPAUSE: 0x33, SUBSCRIBE: 0x40, UNSUBSCRIBE: 0x41,
  PUBLISH: 0x42, BROADCAST: 0x43, MSEND: 0x44, BSTREAM: 0x45, DELIVERED: 0x46,
  PRESENCE_REQ: 0x47, PRESENCE: 0x48, HTTP_REQ: 0x50, HTTP_BODY: 0x51,
  HTTP_RES: 0x52, HTTP_INFO: 0x53, HTTP_RESET: 0x54, HTTP_TRAILERS: 0x55,
  HTTP_DONE: 0x56, CONN: 0x64, CLIENT_ERROR: 0x65, REGISTER: 0x70,
  REGISTERED: 0x71, UNREGISTER: 0x72, CLAIM: 0x73, UNCLAIM: 0x74,
};

const TAG = {
  NAME: 0x01, AGENT: 0x02, TOKEN: 0x03, POOL: 0x04, PID: 0x05,
  RESUME_OF: 0x06, HOSTNAME: 0x08, HEADER: 0x10, METHOD: 0x11, TARGET: 0x12,
  PATH: 0x13, LOCATION: 0x14, REMOTE_ADDR: 0x15, LOCAL_ADDR: 0x16, TLS: 0x17,
  CAPTURE: 0x18, SUBPROTOCOL: 0x19, EXTENSION: 0x1a, ORIGIN: 0x1b, APP: 0x1c,
  ROUTE: 0x1d, REQUEST_ID: 0x1e, STATE: 0x1f, CHANNEL: 0x20, BODY: 0x21,
  REASON: 0x22, OPT: 0x23, RESUME_INFO: 0x24, VAR: 0x25, HOST_PATTERN: 0x26,
  PATH_PATTERN: 0x27, ORIGIN_PATTERN: 0x28, MAX_CLIENTS: 0x29, KEY: 0x2c,
  REMOTE_PORT: 0x2d, LOCAL_PORT: 0x2e,
};

const FEATURE = {
  RESUME: 1 << 0, ALO: 1 << 1, FRAGMENTS: 1 << 2, HTTP: 1 << 3,
  CHANNELS: 1 << 4, RAW: 1 << 7, STATE: 1 << 8, MOVE: 1 << 9, CLAIM: 1 << 10,
  TUNNEL: 1 << 11, BSTREAM: 1 << 12, CROSS: 1 << 13, WIRECOUNT: 1 << 14,
};

const ERROR = {
  PROTOCOL: 1, UNKNOWN_TYPE: 2, FRAME_TOO_BIG: 3, BAD_STATE: 4,
  NO_SUCH_CLIENT: 5, FLOW_CONTROL: 6, LIMIT: 7, UNSUPPORTED: 8, DENIED: 9,
  VERSION: 10, AUTH: 11, ADDR_IN_USE: 12, TIMEOUT: 13, INTERNAL: 14,
  BAD_UTF8: 15, MESSAGE_TOO_BIG: 16, WS_PROTOCOL: 17, CONFLICT: 18,
  HANDSHAKE: 19,
};

const CAUSE = {
  CLIENT: 0, BACKEND: 1, TERMINATE: 2, EOF: 3, SOCKET: 4, IDLE: 5, PING: 6,
  PROTOCOL: 7, TOO_BIG: 8, BAD_UTF8: 9, SLOW: 10, BACKEND_LOST: 11,
  SHUTDOWN: 12, REJECTED: 13, ACCEPT_TIMEOUT: 14, LIMIT: 15, MOVED: 16,
  LEFT: 17,
};

const FLAG = { MORE: 1, REPLAY: 2, NOTIFY: 4, NOCOMPRESS: 8 };
const OPT = { NODELAY: 1, IDLE_TIMEOUT_MS: 2, AUTO_PONG: 3, MAX_MESSAGE: 4,
  EVENT_MASK: 5, ON_LOSS: 6, PING_INTERVAL_MS: 7, SEND_BUFFER: 8,
  CLOSE_TIMEOUT_MS: 9, STREAM_THRESHOLD: 10, DEBUG: 12, VERSIONS: 13 };
const EVENT = { PING: 1, PONG: 2, STATE: 4, CLOSING: 8, FRAGMENTS: 16,
  CONN: 32, CLIENT_ERROR: 64, HTTP_DONE: 128, OPENED: 256, WIRE: 512 };
const MAGIC = Buffer.from('SLUICE1\n', 'latin1');
const HEADER_SIZE = 16;
const HI = 0x100000000;

const cidOf = (lo, hi) => hi * HI + lo;
const loOf = (id) => id >>> 0;
const hiOf = (id) => Math.floor(id / HI);

// ---- reading ----

// What a gateway may send: the least length, whether it names a client (0: the
// link, 1: a client, 2: either), and the feature that it needs.
const RULES = new Array(256).fill(null);
function rule(type, fixed, cid, feature = 0) {
  RULES[type] = { fixed, cid, feature };
}
rule(TYPE.HELLO, 48, 0); rule(TYPE.KEEPALIVE, 8, 0); rule(TYPE.GOAWAY, 4, 0);
rule(TYPE.BYE, 0, 0); rule(TYPE.ERROR, 4, 2); rule(TYPE.LOG, 0, 2);
rule(TYPE.STATS_REQ, 0, 2); rule(TYPE.STATS, 0, 2); rule(TYPE.NOP, 0, 0);
rule(TYPE.OPEN, 32, 1); rule(TYPE.OPENED, 0, 1); rule(TYPE.CLOSE, 0, 1);
rule(TYPE.CLOSED, 32, 1); rule(TYPE.RESUME, 32, 1, FEATURE.RESUME);
rule(TYPE.RESUME_END, 4, 0, FEATURE.RESUME);
rule(TYPE.DETACH, 0, 1, FEATURE.MOVE); rule(TYPE.DETACHED, 0, 1, FEATURE.MOVE);
rule(TYPE.STATE, 0, 1); rule(TYPE.TEXT, 0, 1); rule(TYPE.BINARY, 0, 1);
rule(TYPE.CONT, 0, 1); rule(TYPE.PING, 0, 1); rule(TYPE.PONG, 0, 1);
rule(TYPE.ACK, 0, 0); rule(TYPE.DELIVERED, 16, 0);
rule(TYPE.PRESENCE, 4, 0, FEATURE.CHANNELS);
rule(TYPE.HTTP_REQ, 32, 1, FEATURE.HTTP); rule(TYPE.HTTP_BODY, 0, 1);
rule(TYPE.HTTP_RESET, 0, 1, FEATURE.HTTP);
rule(TYPE.HTTP_TRAILERS, 0, 1, FEATURE.HTTP);
rule(TYPE.HTTP_DONE, 9, 1, FEATURE.HTTP);
rule(TYPE.CONN, 0, 0); rule(TYPE.CLIENT_ERROR, 0, 0);
rule(TYPE.REGISTERED, 0, 0);
const KNOWN = new Set(Object.values(TYPE));

// push() gives every whole frame to onFrame(type, flags, aux, lo, hi, buf, at,
// end), the payload being buf[at, end).  onFrame returns 0 or an error code,
// -1 to stop in silence.  push() returns 0, -1, or a code that is fatal to the
// link; the type at fault is in `badType`.  Types from 0x80 on are skipped.
class Reader {
  constructor(onFrame, maxFrame) {
    this.onFrame = onFrame;
    this.maxFrame = maxFrame;
    this.features = 0;
    this.helloSeen = false;
    this.badType = 0;
    this.parts = [];
    this.kept = 0;
    this.need = 0;
  }

  push(chunk) {
    if (this.kept > 0) {
      this.parts.push(chunk);
      this.kept += chunk.length;
      if (this.kept < this.need) return 0;
      chunk = Buffer.concat(this.parts, this.kept);
      this.parts = [];
      this.kept = 0;
    }
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    const size = chunk.length;
    let at = 0;
    this.need = HEADER_SIZE;
    while (size - at >= HEADER_SIZE) {
      const length = view.getUint32(at, true);
      const type = chunk[at + 4];
      const lo = view.getUint32(at + 8, true);
      const hi = view.getUint32(at + 12, true);
      const bad = this.check(type, length, lo, hi);
      if (bad !== 0) {
        this.badType = type;
        return bad;
      }
      const from = at + HEADER_SIZE;
      if (size - from < length) {
        this.need = HEADER_SIZE + length;
        break;
      }
      const flags = chunk[at + 5];
      const aux = view.getUint16(at + 6, true);
      at = from + length;
      this.helloSeen = true;
      if (type >= 0x80) continue;
      const code = this.onFrame(type, flags, aux, lo, hi, chunk, from, at);
      if (code !== 0) {
        this.badType = type;
        return code;
      }
    }
    if (at < size) {
      this.parts.push(at === 0 ? chunk : chunk.subarray(at));
      this.kept = size - at;
    }
    return 0;
  }

  check(type, length, lo, hi) {
    if ((type === TYPE.HELLO) === this.helloSeen) return ERROR.PROTOCOL;
    if (length > this.maxFrame) return ERROR.FRAME_TOO_BIG;
    if (type >= 0x80) return 0;
    const r = RULES[type];
    if (r === null)
      return type === 0 || KNOWN.has(type) ? ERROR.PROTOCOL
        : ERROR.UNKNOWN_TYPE;
    if (length < r.fixed || hi >= 0x200000) return ERROR.PROTOCOL;
    if (r.cid !== 2 && (r.cid === 1) !== ((lo | hi) !== 0))
      return ERROR.PROTOCOL;
    if (r.feature !== 0 && (this.features & r.feature) === 0)
      return ERROR.UNSUPPORTED;
    return 0;
  }
}

class Malformed extends Error {}

// [[tag, value]], the values being parts of buf.
function readTlvs(buf, at, end) {
  const list = [];
  while (at < end) {
    if (end - at < 4) throw new Malformed('a tag is cut short');
    const tag = buf[at];
    const n = buf[at + 1] | (buf[at + 2] << 8) | (buf[at + 3] << 16);
    at += 4;
    if (n > end - at) throw new Malformed('a value is cut short');
    list.push([tag, buf.subarray(at, at + n)]);
    at += n;
  }
  return list;
}

// [name, value] of a HEADER (wide), CAPTURE or VAR.  Bytes of fields are
// latin1, as they are in node:http.
function readNamed(value, wide, encoding) {
  const head = wide ? 2 : 1;
  if (value.length < head) throw new Malformed('a name is cut short');
  const n = wide ? value.readUInt16LE(0) : value[0];
  if (n > value.length - head) throw new Malformed('a name is cut short');
  return [value.toString(encoding, head, head + n),
    value.toString(encoding, head + n)];
}

function readHello(aux, buf, at, end) {
  const b = buf.subarray(at, end);
  if (!b.subarray(0, 8).equals(MAGIC)) throw new Malformed('no HELLO');
  return {
    versionMin: b.readUInt16LE(8), versionMax: b.readUInt16LE(10),
    role: b[12], flags: b[13], process: b.readUInt16LE(14),
    maxFrame: b.readUInt32LE(16), window: b.readUInt32LE(20),
    linkWindow: b.readUInt32LE(24), keepaliveMs: b.readUInt32LE(28),
    features: b.readUInt32LE(32), epoch: b.readBigUInt64LE(40),
    tlvs: readTlvs(b, 48, b.length),
  };
}

// OPEN, RESUME and HTTP_REQ.
function readOpen(buf, at, end) {
  const b = buf.subarray(at, end);
  return {
    version: b.readUInt16LE(0), httpVersion: b[2], flags: b[3],
    appId: b.readUInt16LE(4), windowOut: b.readUInt32LE(8),
    windowIn: b.readUInt32LE(12),
    time: b.readUInt32LE(16) + b.readUInt32LE(20) * HI,
    maxMessage: b.readUInt32LE(24),
    remotePort: b.readUInt16LE(28), localPort: b.readUInt16LE(30),
    tlvs: readTlvs(b, 32, b.length),
  };
}

function readClosed(buf, at, end) {
  const b = buf.subarray(at, end);
  return {
    cause: b[0], flags: b[1], errno: b.readUInt16LE(2),
    lost: b.readUInt32LE(4), bytesIn: b.readBigUInt64LE(8),
    bytesOut: b.readBigUInt64LE(16), messagesIn: b.readUInt32LE(24),
    messagesOut: b.readUInt32LE(28), reason: b.toString('utf8', 32),
  };
}

function readError(buf, at, end) {
  return { type: buf[at], severity: buf[at + 1],
    wsCode: buf.readUInt16LE(at + 2), text: buf.toString('utf8', at + 4, end) };
}

// ---- writing ----

const BLOCK = 65536;

// Frames one behind another in blocks, which take() gives away.
class Writer {
  constructor() {
    this.full = [];
    this.fullBytes = 0;
    this.begin = 0; // of what was not taken yet, in the block
    this.at = 0;
    this.buf = null;
    this.view = null;
  }

  get pending() {
    return this.fullBytes + this.at - this.begin;
  }

  // Room for n more bytes at this.at.
  reserve(n) {
    if (this.buf !== null && this.buf.length - this.at >= n) return;
    if (this.at > this.begin) {
      this.full.push(this.buf.subarray(this.begin, this.at));
      this.fullBytes += this.at - this.begin;
    }
    this.buf = Buffer.allocUnsafeSlow(Math.max(n, BLOCK));
    this.view = new DataView(this.buf.buffer);
    this.at = this.begin = 0;
  }

  // All that was written, for one writev.
  take() {
    const list = this.full;
    if (this.at > this.begin) list.push(this.buf.subarray(this.begin, this.at));
    this.begin = this.at;
    this.full = [];
    this.fullBytes = 0;
    return list;
  }

  // What was taken has left: use the block from its beginning.
  rewind() {
    if (this.begin === this.at && this.full.length === 0) {
      if (this.buf !== null && this.buf.length > BLOCK) this.buf = null;
      this.begin = this.at = 0;
    }
  }

  header(length, type, flags, aux, lo, hi) {
    const { view, at } = this;
    view.setUint32(at, length, true);
    view.setUint32(at + 4, type | (flags << 8) | (aux << 16), true);
    view.setUint32(at + 8, lo, true);
    view.setUint32(at + 12, hi, true);
    this.at = at + HEADER_SIZE;
  }

  frame(type, flags, aux, lo, hi, payload) {
    const n = payload === null ? 0 : payload.length;
    this.reserve(HEADER_SIZE + n);
    this.header(n, type, flags, aux, lo, hi);
    if (n > 0) {
      this.buf.set(payload, this.at);
      this.at += n;
    }
  }

  // A short string, without a Buffer of its own; returns its size.
  text(type, flags, lo, hi, string) {
    const length = string.length;
    this.reserve(HEADER_SIZE + length * 3);
    const from = this.at + HEADER_SIZE;
    const { buf } = this;
    let n = 0;
    if (length <= 32) {
      for (; n < length; n++) {
        const ch = string.charCodeAt(n);
        if (ch > 127) break;
        buf[from + n] = ch;
      }
    }
    if (n < length) n = buf.write(string, from, 'utf8');
    this.header(n, type, flags, 0, lo, hi);
    this.at += n;
    return n;
  }

  // Entries of {lo, hi, owed, seqDone}.
  acks(entries) {
    this.reserve(HEADER_SIZE + entries.length * 16);
    this.header(entries.length * 16, TYPE.ACK, 0, 0, 0, 0);
    for (const e of entries) {
      const { view, at } = this;
      view.setUint32(at, e.lo, true);
      view.setUint32(at + 4, e.hi, true);
      view.setUint32(at + 8, e.owed, true);
      view.setUint32(at + 12, e.seqDone, true);
      this.at = at + 16;
    }
  }
}

const bytes = (x) => typeof x === 'string' ? Buffer.from(x) : x;

function u16(n) {
  const b = Buffer.alloc(2);
  b.writeUInt16LE(n);
  return b;
}

function u32(n) {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
}

function ids(list) {
  const b = Buffer.alloc(list.length * 8);
  list.forEach((id, i) => {
    b.writeUInt32LE(loOf(id), i * 8);
    b.writeUInt32LE(hiOf(id), i * 8 + 4);
  });
  return b;
}

// A value is a string or bytes.
function tlv(tag, value) {
  const v = bytes(value);
  return Buffer.concat([u32((tag | (v.length << 8)) >>> 0), v]);
}

function tlvHeader(name, value) {
  const n = Buffer.from(name, 'latin1');
  return tlv(TAG.HEADER,
    Buffer.concat([u16(n.length), n, Buffer.from(value, 'latin1')]));
}

const tlvOpt = (id, value) => tlv(TAG.OPT,
  Buffer.concat([u16(id), typeof value === 'number' ? u32(value) : value]));
const tlvPattern = (tag, kind, text) =>
  tlv(tag, Buffer.concat([Buffer.from([kind]), Buffer.from(text)]));

function hello(h) {
  const b = Buffer.alloc(48);
  MAGIC.copy(b);
  b.writeUInt16LE(1, 8);
  b.writeUInt16LE(1, 10);
  b[12] = h.role;
  b[13] = h.flags;
  b.writeUInt16LE(h.process || 0, 14);
  b.writeUInt32LE(h.maxFrame, 16);
  b.writeUInt32LE(h.window, 20);
  b.writeUInt32LE(h.linkWindow, 24);
  b.writeUInt32LE(h.keepaliveMs || 0, 28);
  b.writeUInt32LE(h.features, 32);
  b.writeBigUInt64LE(h.epoch, 40);
  return Buffer.concat([b, ...h.tlvs]);
}

// Payloads of what a backend sends; the rest of each frame is in its header.
const payload = {
  hello,
  accept: (tlvs) => Buffer.concat([Buffer.alloc(8), ...tlvs]),
  reject: (status, flags, tlvs) =>
    Buffer.concat([u16(status), u16(flags), ...tlvs]),
  setState: (seq, blob) => Buffer.concat([u32(seq), blob]),
  goaway: (graceMs, text) => Buffer.concat([u32(graceMs), Buffer.from(text)]),
  error: (type, severity, wsCode, text) => Buffer.concat(
    [Buffer.from([type, severity]), u16(wsCode), Buffer.from(text)]),
  channels: (names) => Buffer.concat(names.flatMap((name) => {
    const n = Buffer.from(name);
    return [u16(n.length), n];
  })),
  publish(opcode, channel, data) {
    const name = Buffer.from(channel);
    return Buffer.concat(
      [Buffer.from([opcode, 0]), u16(name.length), name, data]);
  },
  broadcast: (opcode, opts, appId, except, data) => Buffer.concat(
    [Buffer.from([opcode, opts]), u16(appId), u16(except.length),
      Buffer.alloc(6), ids(except), data]),
  msend: (opcode, list, data) => Buffer.concat(
    [Buffer.from([opcode, 0, 0, 0]), u32(list.length), ids(list), data]),
  httpRes: (status, tlvs) => Buffer.concat([u16(status), u16(0), ...tlvs]),
};

module.exports = {
  TYPE, TAG, FEATURE, ERROR, CAUSE, FLAG, OPT, EVENT, HEADER_SIZE,
  Reader, Writer, Malformed, cidOf, loOf, hiOf, u16, u32, bytes,
  tlv, tlvHeader, tlvOpt, tlvPattern, payload,
  readTlvs, readNamed, readHello, readOpen, readClosed, readError,
};
