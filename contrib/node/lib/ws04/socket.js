// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A client, as ws 0.4 had it, on a session of the gateway.
const EventEmitter = require('events');
const { toBytes } = require('../conn');
const { isHixie, isStream, warn } = require('../facade');
const { client } = require('../ws/peer');
const { sessionOf, take } = require('../upgrade');

const CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;
const INTERNAL = 1011;
// Causes of CLOSED that the client is to blame for: protocol, size, UTF-8.
const FAULTS = { 7: 'protocol error', 8: 'max frame length exceeded',
  9: 'invalid utf8 sequence' };
const HIXIE_BINARY = 'hixie websockets do not support binary';
const EVENTS = ['open', 'error', 'close', 'message'];

const notOpened = () => new Error('not opened');

function opens(options) {
  if (options && options.mask)
    warn('ws04: a server does not mask what it sends');
  return options || {};
}

// Events: open, message (data, flags), ping and pong (data, flags), close (code,
// reason), error.
class WebSocket extends EventEmitter {
  // An address: a client.  [request, socket, rest]: an upgrade's, which is
  // accepted; options: protocol, sendCallback.
  constructor(address, options = {}) {
    super();
    if (!Array.isArray(address)) return client(address, options.protocol, options);
    const [request, socket] = address;
    if (!sessionOf(socket))
      throw new TypeError('the socket is not one of the gateway');
    this.upgradeReq = request;
    this._socket = socket;
    this._queue = null; // calls behind a stream()
    this._streaming = null;
    this._held = null; // events while paused
    this._blamed = false;
    this._whenQueued = options.sendCallback === 'queued';
    this.conn = take(socket, { protocol: options.protocol, wire: true },
      this._sink());
    this.protocol = this.conn.protocol || undefined;
    this.conn.data = this;
    process.nextTick(() => this.emit('open'));
  }

  get readyState() { return this.conn.readyState; }
  get bytesReceived() { return this.conn.bytesReceived; }
  get bufferedAmount() { return this.conn.bufferedAmount; }
  get url() { return undefined; }

  get protocolVersion() {
    const { version } = this.conn.request;
    return version === 76 ? 'hixie-76' : version;
  }

  get supports() {
    return { binary: this.conn.request.binaryOk };
  }

  // ---- from the client ----

  _sink() {
    const flags = (binary) => isHixie(this.conn.request.version) ? {}
      : { masked: true, binary };
    return {
      message: (conn, data, binary) => this._give('message',
        binary ? data : data.toString(), flags(binary)),
      ping: (conn, data) => this._give('ping', data, flags(true)),
      pong: (conn, data) => this._give('pong', data, flags(true)),
      drain: () => { if (this._streaming) this._streaming.next(); },
      error: (conn, error) => this._fault(error),
      close: (conn, code, reason, cause) => {
        this._letOut();
        if (FAULTS[cause] && !this._blamed)
          this._fault(Object.assign(new Error(FAULTS[cause]), { code }));
        if (this._streaming) this._streaming.stop(notOpened());
        this._dropQueue();
        this.emit('close', code, reason);
      },
    };
  }

  // While paused, what was on its way waits.
  _give(...event) {
    if (this._held !== null) this._held.push(event);
    else this.emit(...event);
  }

  _letOut() {
    while (this._held !== null && this._held.length > 0)
      this.emit(...this._held.shift());
    this._held = null;
  }

  // Not worth a crash when nobody listens.
  _fault(error) {
    this._blamed = true;
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  pause() {
    if (this.readyState !== OPEN) throw notOpened();
    this.conn.pause();
    if (this._held === null) this._held = [];
  }

  resume() {
    if (this.readyState !== OPEN) throw notOpened();
    const held = this._held || [];
    this._held = null;
    while (held.length > 0) {
      this.emit(...held.shift());
      if (this._held !== null) { // it was paused again
        this._held.unshift(...held);
        return;
      }
    }
    this.conn.resume();
  }

  // ---- to the client ----

  // Without a callback it throws when the client is not there.
  _fails(callback) {
    if (this.readyState === OPEN) return false;
    if (typeof callback !== 'function') throw notOpened();
    process.nextTick(callback, notOpened());
    return true;
  }

  send(data, options, callback) {
    if (typeof options === 'function') {
      callback = options;
      options = {};
    }
    if (this._fails(callback)) return;
    if (this._queue !== null) {
      this._queue.push({ callback,
        go: () => this.send(data, options, callback) });
      return;
    }
    if (isStream(data)) {
      this._pipe(data, options, callback);
      return;
    }
    const { out, binary } = this._toSend(data, opens(options));
    if (this._isRefused(binary, callback)) return;
    if (!this._whenQueued) {
      this.conn.send(out, { binary }, callback);
      return;
    }
    this.conn.send(out, { binary });
    if (callback) process.nextTick(callback);
  }

  _toSend(data, options) {
    const isBytes = ArrayBuffer.isView(data) || data instanceof ArrayBuffer;
    const out = isBytes ? toBytes(data)
      : data === undefined || data === null ? '' : String(data);
    return { out, binary: options.binary === undefined ? isBytes
      : Boolean(options.binary) };
  }

  _isRefused(binary, callback) {
    if (!binary || this.conn.request.binaryOk) return false;
    const error = new Error(HIXIE_BINARY);
    this._fault(error);
    this._blamed = false;
    if (callback) process.nextTick(callback, error);
    return true;
  }

  // Successive ticks call callback(error) or callback(null, send), whose
  // send(data, final) is the next fragment, until it is final.
  stream(options, callback) {
    if (typeof options === 'function') {
      callback = options;
      options = {};
    }
    if (typeof callback !== 'function')
      throw new Error('callback must be provided');
    if (this._fails(callback)) return;
    if (this._queue !== null) {
      this._queue.push({ callback,
        go: () => this.stream(options, callback) });
      return;
    }
    this._begin(opens(options), callback);
  }

  _begin(options, callback) {
    this._queue = [];
    let binary = options.binary;
    let waits = true; // for a call of send()
    const stop = (error) => {
      if (this._streaming !== streaming) return;
      this._streaming = null;
      callback(error);
    };
    const send = (data, final) => {
      if (this._streaming !== streaming) throw notOpened();
      const part = this._toSend(data, options);
      if (binary === undefined) binary = part.binary;
      if (this._isRefused(binary, null)) {
        stop(new Error(HIXIE_BINARY));
        this._endQueue();
        return;
      }
      const room = this.conn.fragment(toBytes(part.out),
        { binary, last: final === true });
      waits = false;
      if (final === true) {
        this._streaming = null;
        this._endQueue();
      } else if (room) {
        process.nextTick(streaming.next);
      }
    };
    const streaming = this._streaming = { stop, next: () => {
      if (this._streaming !== streaming || waits) return;
      waits = true;
      try {
        callback(null, send);
      } catch (e) {
        stop(e);
        this.close(INTERNAL); // what was sent is no message
        this._dropQueue();
      }
    } };
    waits = false;
    process.nextTick(streaming.next);
  }

  // A Readable, as one message.
  _pipe(readable, options, callback) {
    let first = true;
    const done = (error) => {
      if (callback) callback(error);
      else if (error) this._fault(error);
    };
    readable.on('error', (e) => {
      if (this._streaming) this._streaming.stop(e);
      this.close(INTERNAL);
    });
    const chunks = readable[Symbol.asyncIterator]();
    this.stream(options, (error, send) => {
      if (error) {
        done(error);
        return;
      }
      chunks.next().then((step) => {
        send(step.done ? (first ? '' : Buffer.alloc(0)) : step.value, step.done);
        first = false;
        if (step.done) done();
      }).catch(() => {}); // 'error' told
    });
  }

  _endQueue() {
    const queue = this._queue || [];
    this._queue = null;
    while (queue.length > 0 && this._queue === null) queue.shift().go();
    if (this._queue !== null) this._queue.push(...queue);
  }

  _dropQueue() {
    const queue = this._queue || [];
    this._queue = null;
    for (const { callback } of queue) if (callback) callback(notOpened());
  }

  ping(data, options, dontFailWhenClosed) {
    this._control('ping', data, options, dontFailWhenClosed);
  }

  pong(data, options, dontFailWhenClosed) {
    this._control('pong', data, options, dontFailWhenClosed);
  }

  _control(name, data, options, dontFail) {
    if (this.readyState !== OPEN) {
      if (dontFail === true) return;
      throw notOpened();
    }
    opens(options);
    if (!isHixie(this.conn.request.version))
      this.conn[name](this._toSend(data, {}).out);
  }

  close(code = 1000, data = '') {
    if (this.readyState === OPEN) this.conn.close(code, data);
  }

  terminate() {
    if (this.readyState !== CLOSED) this.conn.terminate();
  }

  // ---- as browsers have it ----

  addEventListener(method, listener) {
    if (typeof listener !== 'function') return;
    const wrapped = (a, b) =>
      listener.call(this, eventOf(this, method, a, b));
    wrapped._listener = listener;
    this.on(method, wrapped);
  }
}

function eventOf(target, type, a, b) {
  switch (type) {
  case 'message': return { type, data: a, binary: Boolean(b && b.binary),
    target };
  case 'close': return { type, code: a, reason: b, wasClean: a === 1000,
    target };
  case 'error': return { type, message: a.message, error: a, target };
  default: return { type, target };
  }
}

for (const name of EVENTS)
  Object.defineProperty(WebSocket.prototype, `on${name}`, {
    configurable: true,
    enumerable: true,
    get() {
      const l = this.listeners(name).find((f) => f._isProperty);
      return l && l._listener;
    },
    set(listener) {
      for (const l of this.listeners(name))
        if (l._isProperty) this.removeListener(name, l);
      const before = this.listeners(name).length;
      this.addEventListener(name, listener);
      const l = this.listeners(name)[before];
      if (l) l._isProperty = true;
    },
  });

Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED }).forEach(([name, value]) => {
  for (const on of [WebSocket, WebSocket.prototype])
    Object.defineProperty(on, name, { value, enumerable: true });
});

module.exports = { WebSocket };
