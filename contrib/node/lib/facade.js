// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What the facades of older servers have in common: where their clients come
// from, and what those servers called things.
const { Backend } = require('./backend');
const { attach } = require('../http');

// What programs of their time met; the facades narrow it.
const GATEWAY = { origin: 'any' };
const GROUP_MAX = 16000; // fits into a frame of any gateway
const ABNORMAL = 1006;
const VERSION_NAMES = { 75: 'draft75', 76: 'draft76', 7: 'hybi-07',
  8: 'hybi-08', 13: 'rfc6455' };

const isHixie = (version) => version === 75 || version === 76;

// A gateway started us, or its configuration names our socket.
function hasGateway(options) {
  return Boolean(options.backend || options.socket || options.fd !== undefined ||
    process.env.PENSTOCK_SOCKET || process.env.LISTEN_FDS);
}

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

  // Attaches to the gateway that there is; else one is started that listens
  // there.
  async run(where) {
    if (!this.own) return;
    if (hasGateway(this.options) || where === undefined)
      await this.backend.run(this.options.socket || undefined);
    else
      await this.backend.listen({ ...where, gateway: GATEWAY });
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

  // What no frame can hold goes to the clients of this process only.
  broadcast(data, options) {
    if (Buffer.byteLength(data) <= GROUP_MAX) {
      this.backend.broadcast(data, options);
      return;
    }
    for (const conn of this.conns())
      if (conn !== options.except) conn.send(data, options);
  }

  find(id) {
    const conn = /^\d{1,16}$/.test(String(id))
      ? this.backend.find(Number(id)) : null;
    return conn && this.apps.includes(conn.app) ? conn : null;
  }
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

// Once for each text.
const told = new Set();
function warn(text) {
  if (told.has(text)) return;
  told.add(text);
  process.emitWarning(text, 'PenstockWarning');
}

module.exports = { Place, messageOf, warn, isHixie, hasGateway, ABNORMAL,
  VERSION_NAMES };
