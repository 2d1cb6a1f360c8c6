// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of `ws` 8, server side, on sessions of the gateway.
const EventEmitter = require('events');
const { Backend } = require('./lib/backend');

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
const TYPES = ['nodebuffer', 'arraybuffer', 'fragments'];
const NOT_BUILT = ['server', 'port', 'noServer', 'host', 'backlog'];
const LISTENER = Symbol('listener');

class WebSocket extends EventEmitter {
  constructor(conn) {
    super();
    if (!conn || !conn.request)
      throw new TypeError('penstock/ws has no client side');
    this.conn = conn;
    this.type = 'nodebuffer';
    for (const name of ['open', 'message', 'close', 'error'])
      this[`on${name}`] = null;
  }

  get binaryType() { return this.type; }
  set binaryType(type) {
    if (TYPES.includes(type)) this.type = type;
  }

  get readyState() { return this.conn.readyState; }
  get protocol() { return this.conn.protocol; }
  get extensions() { return this.conn.request.extension.split(';')[0].trim(); }
  get url() { return undefined; }
  get isPaused() { return this.conn.isPaused; }
  get bufferedAmount() { return this.conn.bufferedAmount; }

  // As ws: text from strings and numbers, and binary from all else.
  send(data, options, callback) {
    if (typeof options === 'function') {
      callback = options;
      options = undefined;
    }
    if (this.readyState === WebSocket.CONNECTING)
      throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
    if (typeof data === 'number') data = String(data);
    const o = options || {};
    if (o.fin === false || this.conn.outOpcode !== 0) {
      this.conn.fragment(data === undefined ? '' : data,
        { binary: o.binary, last: o.fin !== false });
      if (callback) process.nextTick(callback);
      return;
    }
    this.conn.send(data === undefined || data === null ? '' : data, o,
      callback);
  }

  ping(data, mask, callback) {
    this.control('ping', data, mask, callback);
  }

  pong(data, mask, callback) {
    this.control('pong', data, mask, callback);
  }

  control(name, ...args) {
    const callback = args.find((x) => typeof x === 'function');
    let [data] = args;
    if (this.readyState === WebSocket.CONNECTING)
      throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
    if (typeof data === 'function' || data === undefined || data === null)
      data = '';
    if (typeof data === 'number') data = String(data);
    const went = this.conn[name](data);
    if (callback)
      process.nextTick(callback,
        went ? undefined : new Error('WebSocket is not open'));
  }

  close(code, reason) { this.conn.close(code, reason); }
  terminate() { this.conn.terminate(); }
  pause() { this.conn.pause(); }
  resume() { this.conn.resume(); }

  give(data, isBinary) {
    let out = data;
    if (isBinary && this.type === 'arraybuffer')
      out = data.buffer.slice(data.byteOffset,
        data.byteOffset + data.byteLength);
    else if (isBinary && this.type === 'fragments') out = [data];
    this.emit('message', out, isBinary);
  }

  addEventListener(type, listener, options = {}) {
    if (this.listeners(type).some((l) => l[LISTENER] === listener)) return;
    const call = typeof listener === 'function' ? listener
      : (e) => listener.handleEvent(e);
    const wrapped = (...args) => call.call(this, eventOf(this, type, args));
    wrapped[LISTENER] = listener;
    if (options.once) this.once(type, wrapped);
    else this.on(type, wrapped);
  }

  removeEventListener(type, listener) {
    for (const l of this.rawListeners(type))
      if (l[LISTENER] === listener || (l.listener &&
          l.listener[LISTENER] === listener))
        this.removeListener(type, l);
  }

  emit(type, ...args) {
    const on = this[`on${type}`];
    const has = typeof on === 'function';
    if (has) on.call(this, eventOf(this, type, args));
    // An error that onerror saw is seen.
    if (type === 'error' && has && this.listenerCount('error') === 0)
      return true;
    return super.emit(type, ...args) || has;
  }
}

function eventOf(target, type, args) {
  const event = { type, target };
  if (type === 'message')
    event.data = args[1] ? args[0] : args[0].toString();
  else if (type === 'close')
    Object.assign(event, { code: args[0], reason: args[1].toString(),
      wasClean: args[0] !== 1006 });
  else if (type === 'error')
    Object.assign(event, { error: args[0], message: args[0].message });
  return event;
}

STATES.forEach((name, i) => {
  for (const on of [WebSocket, WebSocket.prototype])
    Object.defineProperty(on, name, { value: i, enumerable: true });
});

// What connection and verifyClient get of the handshake.
function messageOf(r) {
  const socket = { remoteAddress: r.remoteAddress, remotePort: r.remotePort,
    localAddress: r.localAddress, localPort: r.localPort, encrypted: r.tls };
  return { method: r.method, url: r.target, headers: r.headers,
    rawHeaders: r.rawHeaders, httpVersion: '1.1', socket, connection: socket };
}

// options: `backend` (one of penstock's, not running yet) or `socket` (a path;
// else as Backend.run()), `name`, and of ws path, verifyClient,
// handleProtocols, clientTracking, maxPayload, autoPong, WebSocket.
class WebSocketServer extends EventEmitter {
  constructor(options = {}, callback) {
    super();
    for (const name of NOT_BUILT)
      if (options[name] !== undefined && options[name] !== null)
        throw new TypeError(`penstock/ws has no option ${name}`);
    this.options = { clientTracking: true, WebSocket, ...options };
    if (this.options.clientTracking) this.clients = new Set();
    if (callback) this.once('listening', callback);
    this.backend = options.backend || new Backend({
      name: options.name || 'ws', signals: options.signals });
    this.backend.app({ name: options.name || 'ws', path: options.path,
      pathKind: 'exact', maxMessage: options.maxPayload, text: 'buffer',
      autoPong: options.autoPong }, this.handlers());
    if (!options.backend)
      this.backend.run(options.socket).then(() => this.emit('listening'),
        (e) => this.emit('error', e));
  }

  handlers() {
    return {
      accept: (r, conn) => this.verify(r, conn),
      open: (conn) => this.connected(conn),
      message: (conn, data, isBinary) => conn.data.give(data, isBinary),
      ping: (conn, data) => { conn.data.emit('ping', data); },
      pong: (conn, data) => { conn.data.emit('pong', data); },
      // Not worth a crash: one message was refused, or close follows.
      error: (conn, e) => {
        const ws = conn.data;
        if (ws && (ws.onerror || ws.listenerCount('error') > 0))
          ws.emit('error', e);
      },
      close: (conn, code, reason) => {
        if (!conn.data) return; // it left before its 101
        if (this.clients) this.clients.delete(conn.data);
        conn.data.emit('close', code, Buffer.from(reason));
      },
    };
  }

  async verify(r, conn) {
    const { verifyClient } = this.options;
    const req = messageOf(r);
    conn.message = req;
    if (!verifyClient) return this.protocol(r, req);
    const info = { origin: r.origin, secure: r.tls, req };
    if (verifyClient.length < 2)
      return await verifyClient(info) ? this.protocol(r, req) : 401;
    return new Promise((resolve) => {
      verifyClient(info, (ok, status = 401, text = '', headers = {}) => {
        resolve(ok ? this.protocol(r, req)
          : { status, body: text || undefined, headers });
      });
    });
  }

  protocol(r, req) {
    const headers = [];
    this.emit('headers', headers, req);
    const fields = headers.map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    });
    let protocol = r.protocols[0];
    if (r.protocols.length > 0 && this.options.handleProtocols)
      protocol = this.options.handleProtocols(new Set(r.protocols), req) ||
        undefined;
    return { protocol, headers: fields };
  }

  connected(conn) {
    const ws = new this.options.WebSocket(conn);
    conn.data = ws;
    if (this.clients) this.clients.add(ws);
    this.emit('connection', ws, conn.message || messageOf(conn.request));
  }

  // Clients stay until they leave, or go to other backends of the pool.
  close(callback) {
    if (callback) this.once('close', callback);
    if (this.closing) return;
    this.closing = true;
    if (this.options.backend) {
      process.nextTick(() => this.emit('close'));
      return;
    }
    this.backend.close(2 ** 31 - 1).then(() => this.emit('close'));
  }
}

WebSocket.WebSocket = WebSocket;
WebSocket.Server = WebSocket.WebSocketServer = WebSocketServer;
module.exports = WebSocket;
