// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A client, with the API of `ws` 8.
const EventEmitter = require('events');
const { toBytes } = require('../conn');
const { addEvents } = require('./events');
const { client, isClient } = require('./peer');

const CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;
const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
const TYPES = ['nodebuffer', 'arraybuffer', 'fragments', 'blob'];
const EMPTY = Buffer.alloc(0);
const THRESHOLD = 1024; // of `ws`: less is not compressed

const isBlob = (x) => typeof Blob === 'function' && x instanceof Blob;

// Anything that `ws` takes, as bytes.
function bytesOf(data) {
  if (Buffer.isBuffer(data)) return data;
  return ArrayBuffer.isView(data) || data instanceof ArrayBuffer
    ? toBytes(data) : Buffer.from(data);
}

function sizeOf(data) {
  if (typeof data === 'string') return Buffer.byteLength(data);
  return isBlob(data) ? data.size : bytesOf(data).length;
}

function notOpen(ws) {
  return new Error(`WebSocket is not open: readyState ${ws.readyState} ` +
    `(${STATES[ws.readyState]})`);
}

class WebSocket extends EventEmitter {
  constructor(address, protocols, options) {
    super();
    if (address !== null) return client(address, protocols, options);
    this._readyState = CONNECTING;
    this._binaryType = 'nodebuffer';
    this._protocol = '';
    this._socket = null;
    this._conn = null;
    this._paused = false;
    this._late = 0; // bytes that were sent to nobody
    this._queue = null; // what waits for a Blob: functions
    this._blobs = 0; // bytes
    this._level = undefined; // least size to compress; undefined: gateway's
    this._closeTimer = null;
    this._closeTimeout = 30000;
  }

  // Clients are another class's, and WebSockets nevertheless.
  static [Symbol.hasInstance](x) {
    return Function.prototype[Symbol.hasInstance].call(this, x) ||
      (this === WebSocket && isClient(x));
  }

  get binaryType() { return this._binaryType; }
  set binaryType(type) {
    if (TYPES.includes(type) && (type !== 'blob' || typeof Blob === 'function'))
      this._binaryType = type;
  }

  get readyState() { return this._readyState; }
  get protocol() { return this._protocol; }
  get url() { return undefined; }
  get isPaused() { return this._paused; }

  get extensions() {
    const { _conn } = this;
    return _conn ? _conn.request.extension.split(';')[0].trim() : '';
  }

  get bufferedAmount() {
    const { _conn } = this;
    return (_conn ? _conn.bufferedAmount : 0) + this._late + this._blobs;
  }

  // ---- to the client ----

  send(data, options, callback) {
    if (this._readyState === CONNECTING) throw notOpen(this);
    if (typeof options === 'function') {
      callback = options;
      options = undefined;
    }
    if (typeof data === 'number') data = data.toString();
    if (this._readyState !== OPEN) {
      this._tooLate(data, callback);
      return;
    }
    const out = { binary: typeof data !== 'string', compress: true, fin: true };
    if (options) Object.assign(out, options);
    out.binary = Boolean(out.binary);
    if (!data) data = EMPTY;
    if (isBlob(data)) this._sendBlob(data, out, callback);
    else if (this._queue !== null)
      this._wait(sizeOf(data), () => this._put(data, out, callback));
    else this._put(data, out, callback);
  }

  _put(data, options, callback) {
    if (typeof data !== 'string') data = bytesOf(data);
    options.compress = options.compress && !this._isSmall(data);
    const conn = this._conn;
    if (options.fin && conn.outOpcode === 0)
      conn.send(data, options, callback);
    else
      conn.fragment(data, { binary: options.binary, last: options.fin,
        compress: options.compress }, callback);
  }

  _isSmall(data) {
    const level = this._level;
    if (level === undefined || data.length >= level) return false;
    return typeof data !== 'string' || data.length * 3 < level ||
      Buffer.byteLength(data) < level;
  }

  _sendBlob(blob, options, callback) {
    if (this._queue === null) this._queue = [];
    let bytes = null;
    let failed = null;
    const first = this._queue.length === 0;
    const entry = () => {
      if (failed === null && bytes === null) return false;
      if (failed === null) this._put(bytes, options, callback);
      else if (callback) callback(failed);
      return true;
    };
    this._wait(blob.size, entry);
    blob.arrayBuffer().then((b) => { bytes = Buffer.from(b); },
      (e) => { failed = e; }).then(() => this._goOn());
    return first;
  }

  _wait(size, entry) {
    this._blobs += size;
    this._queue.push({ size, entry });
  }

  // In order: behind a Blob that is still being read everything waits.
  _goOn() {
    while (this._queue !== null && this._queue.length > 0) {
      const { size, entry } = this._queue[0];
      if (this._conn.gone) break;
      if (entry() === false) return;
      this._queue.shift();
      this._blobs -= size;
    }
    this._queue = null;
  }

  _tooLate(data, callback) {
    if (data) this._late += sizeOf(data);
    if (callback) process.nextTick(callback, notOpen(this));
  }

  ping(data, mask, callback) { this._control('ping', data, mask, callback); }
  pong(data, mask, callback) { this._control('pong', data, mask, callback); }

  _control(name, data, mask, callback) {
    if (this._readyState === CONNECTING) throw notOpen(this);
    if (typeof data === 'function') {
      callback = data;
      data = undefined;
    } else if (typeof mask === 'function') {
      callback = mask;
    }
    if (typeof data === 'number') data = data.toString();
    if (this._readyState !== OPEN) {
      this._tooLate(data, callback);
      return;
    }
    const bytes = data ? bytesOf(data) : EMPTY;
    if (bytes.length > 125)
      throw new RangeError(
        'The data size must not be greater than 125 bytes');
    const go = () => {
      this._conn[name](bytes);
      if (callback) process.nextTick(callback);
    };
    if (this._queue !== null) this._wait(bytes.length, go);
    else go();
  }

  // ---- its end ----

  close(code, data) {
    if (this._readyState === CLOSED || this._readyState === CLOSING) return;
    if (this._readyState === CONNECTING) {
      this._readyState = CLOSING;
      return;
    }
    let reason = EMPTY;
    if (code !== undefined) {
      if (!isCode(code))
        throw new TypeError('First argument must be a valid error code number');
      if (data !== undefined && data.length) reason = bytesOf(data);
      if (reason.length > 123)
        throw new RangeError('The message must not be greater than 123 bytes');
    }
    this._readyState = CLOSING;
    const go = () => { this._conn.close(code || 0, reason); };
    if (this._queue !== null) this._wait(0, go);
    else go();
    this._closeTimer = setTimeout(() => this._conn.terminate(),
      this._closeTimeout);
    this._closeTimer.unref();
  }

  terminate() {
    if (this._readyState === CLOSED) return;
    this._readyState = CLOSING;
    if (this._conn) this._conn.terminate();
  }

  pause() {
    if (this._readyState === CONNECTING || this._readyState === CLOSED) return;
    this._paused = true;
    this._conn.pause();
  }

  resume() {
    if (this._readyState === CONNECTING || this._readyState === CLOSED) return;
    this._paused = false;
    this._conn.resume();
  }

  // ---- from the gateway ----

  _open(conn, socket, { closeTimeout, level }) {
    this._conn = conn;
    this._socket = socket;
    if (closeTimeout !== undefined) this._closeTimeout = closeTimeout;
    this._level = level;
    conn.data = this;
    this._readyState = OPEN;
    this.emit('open');
  }

  _message(data, isBinary) {
    if (isBinary && this._binaryType !== 'nodebuffer') {
      if (this._binaryType === 'arraybuffer')
        data = data.buffer.slice(data.byteOffset,
          data.byteOffset + data.length);
      else if (this._binaryType === 'fragments') data = [data];
      else data = new Blob([data]);
    }
    this.emit('message', data, isBinary);
  }

  // Not worth the program's end, if it does not listen.
  _error(error) {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  _closed(code, reason, cause) {
    clearTimeout(this._closeTimer);
    const error = errorOf(cause);
    this._readyState = CLOSING;
    if (error) this._error(error);
    this._readyState = CLOSED;
    this._queue = null;
    this._conn.sink = null;
    this.emit('close', error ? 1006 : code, Buffer.from(error ? '' : reason));
  }
}

function isCode(code) {
  return typeof code === 'number' && ((code >= 1000 && code <= 1014 &&
    code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code <= 4999));
}

// What the client did wrong, by the cause that the gateway tells.
function errorOf(cause) {
  const of = (Class, code, text) =>
    Object.assign(new Class(text), { code });
  switch (cause) {
  case 7: return of(RangeError, 'WS_ERR_PROTOCOL', 'Invalid WebSocket frame');
  case 8: return of(RangeError, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
    'Max payload size exceeded');
  case 9: return of(Error, 'WS_ERR_INVALID_UTF8',
    'Invalid WebSocket frame: invalid UTF-8 sequence');
  default: return null;
  }
}

// Least size of a message to be compressed, for the option perMessageDeflate;
// none of its own: as the gateway is set.
function levelOf(option, isSet) {
  if (!option) return isSet ? Infinity : undefined;
  return option.threshold === undefined ? THRESHOLD : option.threshold;
}

// What a session tells, for its WebSocket.
const SINK = {
  message(conn, data, isBinary) {
    conn.data._message(typeof data === 'string' ? Buffer.from(data) : data,
      isBinary);
  },
  ping(conn, data) { conn.data.emit('ping', data); },
  pong(conn, data) { conn.data.emit('pong', data); },
  error(conn, error) { conn.data._error(error); },
  close(conn, code, reason, cause) { conn.data._closed(code, reason, cause); },
};

STATES.forEach((name, value) => {
  for (const on of [WebSocket, WebSocket.prototype])
    Object.defineProperty(on, name, { value, enumerable: true });
});
for (const name of ['binaryType', 'bufferedAmount', 'extensions', 'isPaused',
  'protocol', 'readyState', 'url'])
  Object.defineProperty(WebSocket.prototype, name, { enumerable: true });
addEvents(WebSocket.prototype);

module.exports = { WebSocket, SINK, levelOf };
