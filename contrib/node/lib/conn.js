// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { TYPE, TAG, FLAG, FEATURE, ERROR, OPT, EVENT, tlv, tlvHeader, tlvOpt,
  payload } = require('./codec');
const { optionTlvs } = require('./options');
const { FragmentStream } = require('./pieces');
const { Flow, CONNECTING, OPEN, CLOSING, CLOSED } = require('./flow');

const SHORT = 4096; // a string that goes straight into the output
const KEEP = 512; // a message up to this is copied out of what was read
const CHANNEL_MAX = 255;
const CAUSE_CLIENT = 0;
const EMPTY = Buffer.alloc(0);

const seqBefore = (a, b) => ((a - b) | 0) < 0;

function toBytes(data) {
  if (typeof data === 'string') return Buffer.from(data);
  if (Buffer.isBuffer(data)) return data;
  if (ArrayBuffer.isView(data))
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer)
    return Buffer.from(data);
  throw new TypeError('a message is a string, a Buffer, a TypedArray, ' +
    'a DataView or an ArrayBuffer');
}

const RESERVED = new Set(['connection', 'keep-alive', 'upgrade',
  'transfer-encoding']);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const isField = (name, value) => TOKEN.test(name) && VALUE.test(value);

// HEADER TLVs of an object, of [name, value] pairs, or of [name, value, ...].
function headerTlvs(headers, accept) {
  if (!headers) return [];
  let pairs = headers;
  if (!Array.isArray(headers)) pairs = Object.entries(headers);
  else if (headers.length > 0 && !Array.isArray(headers[0]))
    pairs = headers.flatMap((x, i) => i % 2 ? [] : [[x, headers[i + 1]]]);
  return pairs.flatMap(([name, value]) => {
    const lower = String(name).toLowerCase();
    if (!TOKEN.test(lower) || RESERVED.has(lower) ||
        lower.startsWith('sec-websocket-') ||
        (accept && lower === 'content-length'))
      throw new TypeError(`the field ${name} may not be sent`);
    return (Array.isArray(value) ? value : [value]).map((one) => {
      if (!VALUE.test(String(one)))
        throw new TypeError(`the field ${name} has a bad value`);
      return tlvHeader(String(name), String(one));
    });
  });
}

class Conn extends Flow {
  constructor(link, lo, hi, open, app, request) {
    super(link, lo, hi, open, app);
    this.request = request;
    this.protocol = '';
    this.data = undefined; // the application's
    this.socket = this.sink = this.onGone = null; // lib/upgrade.js
    this.resumed = false;
    this.answered = false;
    this.refused = false;
    this.paused = false;
    this.maxMessage = open.maxMessage;
    this.joins = null;
    this.closed = null; // what CLOSED said
    this.rooms = null; // who waits for room
    this.inOpcode = 0;
    this.outOpcode = 0;
    this.outBegun = false;
    this.outRaw = false; // what is under way was begun by raw()
    this.parts = null;
    this.partsBytes = 0;
    this.replay = false;
    this.wire = app.wire; // bytesReceived is of the wire
    this.inPieces = Boolean(app.handlers.fragment);
    this.seqIn = 0;
    this.seqOut = 0;
    this.waiting = null; // messages whose handlers have not finished
    this.flushed = null; // callbacks of send()
    this.detaching = false;
  }

  get backend() {
    return this.link.backend;
  }

  get isPaused() {
    return this.paused;
  }

  // ---- the answer to a handshake ----

  accept(answer = {}) {
    if (this.gone || this.answered) return false;
    const tlvs = [];
    if (answer.protocol) {
      if (!this.request.protocols.includes(answer.protocol))
        throw new TypeError(`${answer.protocol} was not offered`);
      tlvs.push(tlv(TAG.SUBPROTOCOL, answer.protocol));
    }
    for (const name of [...(this.joins || []), ...(answer.channels || [])])
      tlvs.push(tlv(TAG.CHANNEL, channelOf(name)));
    if (answer.state !== undefined)
      tlvs.push(tlv(TAG.STATE, toBytes(answer.state)));
    if (answer.maxMessage) this.maxMessage = answer.maxMessage;
    tlvs.push(...optionTlvs(answer));
    if (answer.wire || answer.fragments) this.want(answer, tlvs);
    tlvs.push(...headerTlvs(answer.headers, true));
    this.link.fit(this, TYPE.ACCEPT, 0, payload.accept(tlvs));
    this.protocol = answer.protocol || '';
    this.answered = true;
    this.readyState = OPEN;
    return true;
  }

  // What this client's app did not ask for.
  want({ wire, fragments }, tlvs) {
    this.wire = this.wire || Boolean(wire);
    this.inPieces = this.inPieces || Boolean(fragments);
    tlvs.push(tlvOpt(OPT.EVENT_MASK, this.app.mask |
      (this.wire ? EVENT.WIRE : 0) | (this.inPieces ? EVENT.FRAGMENTS : 0)));
  }

  reject(answer = {}) {
    if (this.gone || this.answered) return false;
    const status = answer.pass ? 0 : answer.status || 403;
    if (!answer.pass &&
        !(Number.isInteger(status) && status >= 300 && status <= 599))
      throw new RangeError('a refusal has a status from 300 to 599');
    const tlvs = headerTlvs(answer.headers, false);
    if (answer.body) tlvs.push(tlv(TAG.BODY, toBytes(answer.body)));
    if (answer.reason) tlvs.push(tlv(TAG.REASON, String(answer.reason)));
    this.link.fit(this, TYPE.REJECT, 0,
      payload.reject(status, answer.pass ? 1 : 0, tlvs));
    this.answered = this.refused = true;
    this.readyState = CLOSED;
    return true;
  }

  // ---- to the client ----

  // True: go on.  False: wait for drain, or it is closed and this was dropped.
  // callback(error) comes when the message is on its way, as the kernel sees
  // it, or never will be.
  send(data, options, callback) {
    if (typeof options === 'function') {
      callback = options;
      options = undefined;
    }
    if (this.readyState !== OPEN) return this.cannot(callback);
    if (this.outOpcode !== 0)
      throw new Error('a message in fragments is under way');
    let flags = callback ? FLAG.NOTIFY : 0;
    let binary = typeof data !== 'string';
    if (options !== undefined && options !== null) {
      if (options.binary !== undefined) binary = options.binary;
      if (options.compress === false) flags |= FLAG.NOCOMPRESS;
    }
    if (typeof data === 'string' && data.length <= SHORT &&
        this.queue === null && this.credit > 0 && this.link.credit > 0) {
      const { link } = this;
      this.spend(link.out.text(binary ? TYPE.BINARY : TYPE.TEXT, flags,
        this.lo, this.hi, data));
      link.dirty();
    } else if (!this.pieces(binary ? 2 : 1, toBytes(data), true, flags)) {
      return this.cannot(callback);
    }
    this.seqOut = (this.seqOut + 1) >>> 0;
    if (callback) this.onFlushed(callback);
    return this.settle();
  }

  // A message whose pieces leave as they are given.
  // The callback comes as that of send(); of what is not last, when the gateway
  // has been given it.
  fragment(data, { binary = typeof data !== 'string', last = false,
    compress = true } = {}, callback) {
    if (this.readyState !== OPEN) return this.cannot(callback);
    if (this.outRaw) throw new Error('a raw message is under way');
    const opcode = this.outOpcode || (binary ? 2 : 1);
    const flags = (last && callback ? FLAG.NOTIFY : 0) |
      (compress ? 0 : FLAG.NOCOMPRESS);
    if (!this.pieces(opcode, toBytes(data), last, flags))
      return this.cannot(callback);
    this.outOpcode = last ? 0 : opcode;
    if (last) this.seqOut = (this.seqOut + 1) >>> 0;
    if (callback && last) this.onFlushed(callback);
    else if (callback) this.onSent(callback);
    this.mayLeave();
    return this.settle();
  }

  cannot(callback) {
    if (callback) {
      const e = new Error(this.readyState === CONNECTING
        ? 'the client is not accepted yet' : 'the client is not open');
      process.nextTick(callback, e);
    }
    return false;
  }

  // In as many frames as the gateway's max_frame makes necessary.
  pieces(opcode, data, last, flags) {
    const max = this.link.peerMaxFrame;
    if (this.bufferedAmount + data.length > this.backend.maxBuffered) {
      this.tell(ERROR.FLOW_CONTROL, 'too much waits for the client');
      this.terminate();
      return false;
    }
    let at = 0;
    do {
      const take = Math.min(data.length - at, max);
      const more = !last || at + take < data.length;
      const type = this.outBegun ? TYPE.CONT
        : opcode === 2 ? TYPE.BINARY : TYPE.TEXT;
      this.putData(type, more ? flags | FLAG.MORE : flags,
        data.subarray(at, at + take));
      this.outBegun = more;
      at += take;
    } while (at < data.length);
    return true;
  }

  // Not before what waits for credit has left, so that who pipes is held back.
  onSent(callback) {
    if (this.queue !== null) this.queue[this.queue.length - 1].sent = callback;
    else process.nextTick(callback);
  }

  onFlushed(callback) {
    if (this.flushed === null) this.flushed = [];
    this.flushed.push({ seq: this.seqOut, callback });
  }

  control(type, data = EMPTY) {
    const b = toBytes(data);
    if (b.length > 125) throw new RangeError('at most 125 bytes');
    if (this.readyState !== OPEN) return false;
    this.put(type, 0, 0, b);
    return true;
  }

  // One frame as it stands: head is its first byte (FIN, RSV, opcode).  Only
  // with `allow_raw on` in the pool, and not to the oldest versions, which have
  // no such frames.  A Close is close()'s.
  raw(head, data = EMPTY) {
    if (!(this.link.features & FEATURE.RAW))
      throw Object.assign(new Error('the gateway lets no raw frames through'),
        { code: 'ERR_NO_RAW' });
    const b = toBytes(data);
    this.checkRaw(head, b.length);
    if (this.readyState !== OPEN || !this.request.binaryOk) return false;
    this.putData(TYPE.RAW, 0, b, head);
    if ((head & 8) === 0) {
      const last = (head & 0x80) !== 0;
      this.outRaw = !last;
      this.outOpcode = last ? 0 : head & 15 || this.outOpcode;
      if (last) this.seqOut = (this.seqOut + 1) >>> 0;
      this.mayLeave();
    }
    return this.settle();
  }

  // What the gateway would end the client for.
  checkRaw(head, n) {
    const opcode = head & 15;
    const control = opcode >= 8;
    const bits = head >> 4 & 7;
    const packed = bits === 4 && (opcode === 1 || opcode === 2) &&
      this.request.extension.startsWith('permessage-deflate');
    if (!(head >= 0 && head <= 255) || (bits !== 0 && !packed) ||
        (opcode > 2 && opcode !== 9 && opcode !== 10) ||
        (control && (!(head & 0x80) || n > 125)))
      throw new RangeError(`${head} is no head of a frame to send`);
    if (n > this.link.peerMaxFrame)
      throw new RangeError(`${n} bytes do not fit into a frame`);
    if (!control && (opcode === 0 ? !this.outRaw : this.outOpcode !== 0))
      throw new Error(opcode === 0 ? 'no raw message is under way'
        : 'a message in fragments is under way');
  }

  ping(data) {
    return this.control(TYPE.PING, data);
  }

  pong(data) {
    return this.control(TYPE.PONG, data);
  }

  close(code = 0, reason = '') {
    const text = closeReason(code, reason);
    if (this.readyState === CONNECTING) return this.reject({ status: 503 });
    if (this.readyState !== OPEN) return false;
    if (this.waits) this.enqueue(TYPE.CLOSE, 0, code, text, false);
    else this.put(TYPE.CLOSE, 0, code, text);
    this.readyState = CLOSING;
    return true;
  }

  // At once, without a Close.
  terminate() {
    if (this.readyState === CLOSED) return false;
    if (!this.answered) return this.reject({ status: 503 });
    this.forget();
    this.put(TYPE.TERMINATE, 0, 0, null);
    this.readyState = CLOSED;
    return true;
  }

  pause() {
    if (this.readyState !== OPEN) return;
    this.put(TYPE.PAUSE, 0, 0, null);
    this.paused = true;
  }

  resume() {
    if (this.readyState !== OPEN) return;
    this.put(TYPE.UNPAUSE, 0, 0, null);
    this.paused = false;
  }

  setIdleTimeout(ms) {
    this.setOptions({ idleTimeout: ms });
  }

  // Of what an app has as options, for this client.
  setOptions(options) {
    const tlvs = optionTlvs(options);
    if (this.readyState !== OPEN || tlvs.length === 0) return false;
    if (options.maxMessage) this.maxMessage = options.maxMessage;
    this.put(TYPE.SET_OPTS, 0, 0, Buffer.concat(tlvs));
    return true;
  }

  // For the backend that has the client after this one.  ackSeq: messages up
  // to it are in the state.
  setState(state, ackSeq) {
    const blob = toBytes(state);
    if (this.gone || !this.answered) return false;
    if (ackSeq !== undefined && seqBefore(this.seqIn, ackSeq))
      throw new RangeError(`message ${ackSeq} has not come`);
    if (!(this.link.features & FEATURE.STATE)) return false;
    this.link.fit(this, TYPE.SET_STATE, ackSeq === undefined ? 0 : 1,
      payload.setState(ackSeq === undefined ? 0 : ackSeq, blob));
    if (ackSeq !== undefined && this.app.manualAck) this.ack(ackSeq);
    return true;
  }

  // manualAck: done with all messages up to seq.
  ack(seq) {
    if (seqBefore(this.seqIn, seq))
      throw new RangeError(`message ${seq} has not come`);
    if (this.waiting === null) return;
    for (const m of this.waiting) if (!seqBefore(seq, m.seq)) m.done = true;
    this.settleWaiting();
  }

  subscribe(...names) {
    return this.channels(TYPE.SUBSCRIBE, names.map(channelOf));
  }

  // Without a name: leaves all.
  unsubscribe(...names) {
    return this.channels(TYPE.UNSUBSCRIBE, names.map(channelOf));
  }

  channels(type, names) {
    if (this.gone || this.readyState === CLOSED) return false;
    if (!(this.link.features & FEATURE.CHANNELS))
      throw new Error('the gateway has no channels');
    if (!this.answered) {
      const before = new Set(type === TYPE.SUBSCRIBE || names.length
        ? this.joins : []);
      for (const n of names)
        type === TYPE.SUBSCRIBE ? before.add(n) : before.delete(n);
      this.joins = before;
    } else if (type === TYPE.UNSUBSCRIBE || names.length) {
      this.link.fit(this, type, 0, payload.channels(names));
    }
    return true;
  }

  // ---- from the client ----

  onData(type, flags, buf, at, end) {
    const first = type !== TYPE.CONT;
    const last = (flags & FLAG.MORE) === 0;
    if (first === (this.inOpcode !== 0)) return ERROR.BAD_STATE;
    const code = this.received(end - at);
    if (code !== 0) return code;
    if (first) {
      this.inOpcode = type === TYPE.TEXT ? 1 : 2;
      this.seqIn = (this.seqIn + 1) >>> 0;
      this.replay = false;
    }
    if (flags & FLAG.REPLAY) this.replay = true;
    const result = this.readyState === CLOSED ? undefined
      : this.give(type, buf, at, end, first, last);
    if (last) this.inOpcode = 0;
    this.took(end - at, last, result);
    return 0;
  }

  give(type, buf, at, end, first, last) {
    const { app } = this;
    if (this.inPieces)
      return this.givePiece(copy(buf, at, end), first, last);
    if (first && last) {
      const binary = type === TYPE.BINARY;
      if (!app.onMessage) return undefined;
      return app.call('message', this,
        binary || app.text === 'buffer' ? copy(buf, at, end)
          : buf.utf8Slice(at, end), binary, this.seqIn, this.replay);
    }
    return this.assemble(type, buf.subarray(at, end), last);
  }

  givePiece(piece, first, last) {
    const { app, sink } = this;
    const binary = this.inOpcode === 2;
    if (sink === null)
      return app.call('fragment', this, piece, binary, first, last);
    try {
      return sink.fragment(this, piece, binary, first, last);
    } catch (e) {
      app.backend.fail(e);
      return undefined;
    }
  }

  assemble(type, piece, last) {
    if (this.parts === null) this.parts = [];
    this.partsBytes += piece.length;
    if (this.maxMessage && this.partsBytes > this.maxMessage) {
      this.parts = null;
      this.giveUp(ERROR.MESSAGE_TOO_BIG, type, 1009);
      this.terminate();
      return undefined;
    }
    this.parts.push(Buffer.from(piece));
    if (!last) return undefined;
    const whole = Buffer.concat(this.parts, this.partsBytes);
    const binary = this.inOpcode === 2;
    this.parts = null;
    this.partsBytes = 0;
    return this.app.call('message', this,
      binary || this.app.text === 'buffer' ? whole : whole.toString(),
      binary, this.seqIn, this.replay);
  }

  // Credit comes back, and messages are acknowledged, when the handler is done:
  // with a promise, when that is settled.
  took(n, last, result) {
    const slow = result !== null && typeof result === 'object' &&
      typeof result.then === 'function';
    if (last && (slow || this.app.manualAck || this.waiting !== null)) {
      if (this.readyState === CLOSED) return this.owe(n);
      const m = { seq: this.seqIn, n, done: false };
      if (this.waiting === null) this.waiting = [];
      this.waiting.push(m);
      if (!slow) {
        if (!this.app.manualAck) m.done = true;
      } else {
        const finish = () => {
          if (this.app.manualAck) return;
          m.done = true;
          this.settleWaiting();
        };
        result.then(finish, (e) => {
          finish();
          this.app.backend.fail(e);
        });
      }
      return this.settleWaiting();
    }
    if (last) this.seqDone = this.seqIn;
    if (n > 0 || (last && this.link.features & FEATURE.ALO)) this.owe(n);
    return undefined;
  }

  settleWaiting() {
    let i = 0;
    let n = 0;
    const { waiting } = this;
    while (waiting !== null && i < waiting.length && waiting[i].done) {
      n += waiting[i].n;
      this.seqDone = waiting[i++].seq;
    }
    if (i === 0) return;
    if (i === waiting.length) this.waiting = null;
    else waiting.splice(0, i);
    this.owe(n);
    this.mayLeave();
  }

  // Messages that wait for credit, or a part of them.
  unsent() {
    return (this.queue || []).reduce((n, f) =>
      n + Number(f !== null && f.spends && !(f.flags & FLAG.MORE)), 0);
  }

  onAck(seq) {
    if (this.flushed === null) return;
    while (this.flushed.length && !seqBefore(seq, this.flushed[0].seq))
      this.app.backend.guard(this.flushed.shift().callback);
    if (this.flushed.length === 0) this.flushed = null;
  }

  writable() {
    if (this.tunnel !== null) {
      this.tunnel.writable();
      return;
    }
    this.mayLeave();
    const { rooms } = this;
    this.rooms = null;
    if (rooms !== null) rooms.forEach((go) => this.backend.guard(go));
    if (this.readyState === OPEN) this.app.call('drain', this);
  }

  // Once, as `drain`; with an error when it ends before.
  whenRoom(callback) {
    if (this.rooms === null) this.rooms = [];
    this.rooms.push(callback);
  }

  // A Writable that is one message, in pieces.
  fragmentStream(options) {
    return new FragmentStream(this, options);
  }

  tell(code, text) {
    const e = new Error(text);
    e.code = code;
    this.app.call('error', this, e);
  }

  // ---- its end ----

  detach() {
    if (this.detaching) return ERROR.BAD_STATE;
    this.detaching = true;
    if (this.readyState !== CLOSED) this.app.call('detach', this);
    this.mayLeave();
    return 0;
  }

  mayLeave() {
    if (!this.detaching || this.gone) return;
    this.link.leaving.add(this);
    this.link.dirty(); // of an idle client nothing else would end the turn
  }

  // What was begun is finished first.
  get busy() {
    return this.readyState !== CLOSED &&
      (this.waits || this.outOpcode !== 0 || this.waiting !== null);
  }

  // end: what CLOSED says, if it was that.
  finish(code, reason, cause, end) {
    if (end) this.onAck(end.messagesOut);
    // What met the client's Close on its way is no failure, as it is none
    // where the kernel has taken it by then.
    if (end && end.cause === CAUSE_CLIENT && end.lost === 0)
      this.onAck((this.seqOut - this.unsent()) >>> 0);
    const accepted = this.answered && !this.refused;
    const callbacks = [...this.flushed || []];
    const unsent = (this.queue || []).filter((f) => f && f.sent)
      .map((f) => ({ callback: f.sent }));
    this.flushed = null;
    this.leave();
    for (const callback of this.rooms || []) callbacks.push({ callback });
    this.rooms = null;
    for (const { callback } of callbacks.concat(unsent))
      this.app.backend.guard(callback, new Error('the client is closed'));
    if (accepted) this.app.call('close', this, code, reason, cause);
    else if (!this.answered) this.app.call('left', this, cause);
    if (this.onGone) this.onGone();
  }
}

function copy(buf, at, end) {
  const part = buf.subarray(at, end);
  return end - at <= KEEP ? Buffer.from(part) : part;
}

// The bytes of a reason that may go with the code.
function closeReason(code, reason) {
  const text = toBytes(reason);
  const legal = (code >= 1000 && code <= 1014 && code !== 1004 &&
    code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999);
  if (code ? !legal : text.length > 0)
    throw new RangeError(`${code} is no code to close with`);
  if (text.length > 123) throw new RangeError('at most 123 bytes');
  return text;
}

function channelOf(name) {
  const n = Buffer.byteLength(name);
  if (n < 1 || n > CHANNEL_MAX)
    throw new RangeError('the name of a channel has 1 to 255 bytes');
  return name;
}

module.exports = { Conn, closeReason, headerTlvs, isField, toBytes, channelOf };
