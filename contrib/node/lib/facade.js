// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What the facades of older servers have in common: where their clients come
// from, and what those servers called things.
const { Backend } = require('./backend');
const { attach } = require('../http');
const { sessionOf } = require('./upgrade');

const GROUP_MAX = 16000; // fits into a frame of any gateway
const ABNORMAL = 1006;
const VERSION_NAMES = { 75: 'draft75', 76: 'draft76', 7: 'hybi-07',
  8: 'hybi-08', 13: 'rfc6455' };

// Of a client, as the facades give it out; 0: that is none.
const idOf = (id) => /^\d{1,16}$/.test(String(id)) ? Number(id) : 0;
const isHixie = (version) => version === 75 || version === 76;

// A facade's server on a backend of its own, or on one of yours.
class Place {
  constructor(name, options) {
    this.options = options;
    this.own = !options.backend;
    this.backend = options.backend || new Backend({
      name: options.name || name, signals: options.signals });
    this.apps = [];
  }

  app(options, handlers) {
    const app = this.backend.app(options, handlers);
    this.apps.push(app);
    return app;
  }

  // Requests are the http.Server's, sessions the handlers'.
  attach(server, options, handlers) {
    const { backend } = this;
    attach(server, { ...options, backend, handlers });
    const app = backend.apps[backend.apps.length - 1];
    this.apps.push(app);
    return app;
  }

  // At `socket`, or the gateway that the environment names; else one is started
  // that listens there.
  async run(where) {
    if (!this.own) return;
    const { socket, gateway } = this.options;
    if (socket) await this.backend.run(socket);
    else await this.backend.listen({ ...where, port: where.port || 0, gateway });
  }

  address() {
    return this.own && this.backend.address ? this.backend.address() : null;
  }

  // No new clients.
  unlisten() {
    for (const app of this.apps) this.backend.unregister(app);
  }

  async stop(graceMs) {
    this.unlisten();
    if (this.own) await this.backend.close(graceMs);
  }

  * conns() {
    for (const app of this.apps) yield* this.backend.conns(app);
  }

  // Another backend's client, at the same pool; who is not there gets nothing.
  toStranger(id, data) {
    const n = idOf(id);
    if (n && !this.backend.find(n))
      this.backend.send(n, typeof data === 'string' || Buffer.isBuffer(data) ||
        ArrayBuffer.isView(data) ? data : String(data));
  }

  find(id) {
    const n = idOf(id);
    const conn = n ? this.backend.find(n) : null;
    return conn && this.apps.includes(conn.app) ? conn : null;
  }
}

// To all clients of the app; what no frame can hold, in pieces.
function broadcast(backend, data, options) {
  if (Buffer.byteLength(data) <= GROUP_MAX) {
    backend.broadcast(data, options);
    return;
  }
  const stream = backend.broadcastStream(
    { binary: typeof data !== 'string', ...options });
  stream.on('error', (e) => backend.log(e.message));
  stream.end(data);
}

// What node:http would have made of the handshake.
function messageOf(request) {
  const socket = { remoteAddress: request.remoteAddress,
    remotePort: request.remotePort, localAddress: request.localAddress,
    localPort: request.localPort, encrypted: request.tls };
  return { method: request.method, url: request.target,
    headers: request.headers, rawHeaders: request.rawHeaders,
    httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1,
    socket, connection: socket };
}

// ---- the upgrades of an http.Server ----

const listeners = new WeakMap(); // servers: our listeners
const claimed = new WeakSet(); // sockets

// handle(req, socket, head) for the upgrades that are ours.  One that no server
// of this package wants gets 404, if nobody else listens.  Returns how to stop.
function onUpgrade(server, isOurs, handle) {
  const ours = listeners.get(server) || new Set();
  listeners.set(server, ours);
  const listener = (req, socket, head) => {
    if (isOurs(req)) {
      claimed.add(socket);
      handle(req, socket, head);
      return;
    }
    setImmediate(() => {
      if (claimed.has(socket) || !sessionOf(socket)) return;
      if (!server.listeners('upgrade').every((l) => ours.has(l))) return;
      claimed.add(socket);
      refuse(socket, 404);
    });
  };
  ours.add(listener);
  server.on('upgrade', listener);
  return () => {
    ours.delete(listener);
    server.removeListener('upgrade', listener);
  };
}

// No other server gets any of its upgrades.
function isAlone(server) {
  const all = server.listeners('upgrade');
  return all.length === 1 && Boolean(listeners.get(server)?.has(all[0]));
}

// The answer to a handshake that is not accepted.
function refuse(socket, status, text, headers = {}) {
  const conn = sessionOf(socket);
  if (conn && !conn.answered)
    conn.reject({ status, headers, body: text ? `${text}\n` : undefined,
      reason: text });
  socket.destroy();
}

const isStream = (x) => x !== null && typeof x === 'object' &&
  typeof x.pipe === 'function' && typeof x.read === 'function';

// Once for each text.
const told = new Set();
function warn(text) {
  if (told.has(text)) return;
  told.add(text);
  process.emitWarning(text, 'PenstockWarning');
}

module.exports = { Place, broadcast, messageOf, idOf, onUpgrade, isAlone, refuse,
  warn, isHixie, isStream, ABNORMAL, VERSION_NAMES };
