// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of the `websocket` module of v8cgi (TeaJS).
const fs = require('fs');
const { Place, idOf, isHixie, ABNORMAL } = require('./lib/facade');
const { Coalescer } = require('./lib/coalesce');
const { OPEN } = require('./lib/flow');

const IDLE_MS = 15000;
const LOST = [1001, 'Connection was closed'];

// All that an application may have; one that is any other object will do.
class Application {
  onconnect() {}
  onmessage() {}
  ondisconnect() {}
  onidle() {}
  acceptsOrigin() { return true; }
}

// options: nodelay; idle (ms until onidle); certificate and privateKey (files,
// for a gateway of our own); socket, backend, name, signals as those of
// penstock/ws.
class Server {
  constructor(ip = '127.0.0.1', port = 80, options = {}) {
    this.ip = ip || '127.0.0.1';
    this.port = port === null ? 80 : port;
    this.options = { nodelay: true, idle: IDLE_MS, ...options };
    this.place = new Place('v8cgi', this.options);
    this.backend = this.place.backend;
    this.coalescer = new Coalescer(this.backend);
    this.debug = false;
    this.count = 0;
    this.idle = null;
  }

  setDebug(on) {
    this.debug = Boolean(on);
    if (this.backend.setDebug) this.backend.setDebug(this.debug);
  }

  log(text) {
    if (this.debug) process.stderr.write(`[websocket] ${text}\n`);
  }

  // A host or a path that is falsy matches all.  The first one that matches
  // gets the client, in the order in which they were added.
  addApplication(app, host, path) {
    if (app === null || typeof app !== 'object')
      throw new TypeError('an application is an object');
    const call = (name, ...args) => {
      if (typeof app[name] === 'function') return app[name](...args);
      return undefined;
    };
    const { name = 'v8cgi' } = this.options;
    this.place.app({
      name: this.count++ ? `${name}-${this.count}` : name, host: host || undefined,
      path: path || undefined, pathKind: 'exact', nodelay: this.options.nodelay,
    }, {
      accept: (request) => this.accept(app, call, request),
      open: (conn) => {
        this.log(`${conn.id} connected`);
        this.stir();
        call('onconnect', String(conn.id), conn.request.headers, conn.protocol);
      },
      message: (conn, data) => {
        if (conn.readyState !== OPEN) return; // it was disconnected
        this.stir();
        call('onmessage', String(conn.id), data);
      },
      close: (conn, code, reason) => {
        const [c, text] = conn.data ||
          (code === ABNORMAL ? LOST : [code, reason]);
        this.log(`${conn.id} disconnected: ${c} ${text}`);
        call('ondisconnect', String(conn.id), c, text);
      },
      error: (conn, error) => this.log(`${conn.id}: ${error.message}`),
    });
    if (typeof app.onidle === 'function') this.onIdle(app);
  }

  // Not this one's origin: the next application that matches is asked.
  accept(app, call, request) {
    if (typeof app.acceptsOrigin === 'function' &&
        !app.acceptsOrigin(request.origin))
      return { pass: true };
    const { protocols } = request;
    if (protocols.length === 0 || typeof app.chooseProtocol !== 'function')
      return { protocol: undefined };
    const protocol = call('chooseProtocol', protocols.slice());
    if (!protocol) return { status: 400, reason: 'no protocol was chosen' };
    return { protocol };
  }

  // Strings leave as text, Buffers as binary.  Who is not there gets nothing.
  send(clientId, data) {
    const conn = this.place.find(clientId);
    if (!conn) {
      this.coalescer.flush();
      this.place.toStranger(clientId, data);
      return;
    }
    if (!Buffer.isBuffer(data) && !ArrayBuffer.isView(data))
      data = String(data);
    else if (isHixie(conn.request.version)) {
      this.log(`${clientId}: its version has no binary messages`);
      return;
    }
    this.stir();
    this.coalescer.send(conn, data);
  }

  disconnect(clientId, code = 1000, message = '') {
    const conn = this.place.find(clientId);
    this.coalescer.flush();
    if (!conn) {
      const id = idOf(clientId);
      if (id) this.backend.disconnect(id, code, message);
      return;
    }
    if (conn.readyState !== OPEN) return;
    conn.close(code, message);
    conn.data = [code, message];
  }

  onIdle(app) {
    this.idlers = [...(this.idlers || []), app];
  }

  stir() {
    if (this.idle) this.idle.refresh();
  }

  // Keeps the process alive until close().  The promise is fulfilled when
  // clients may come.
  async run() {
    if (this.idlers)
      this.idle = setInterval(() => {
        for (const app of this.idlers) app.onidle();
      }, this.options.idle).unref();
    const { certificate, privateKey } = this.options;
    await this.place.run({ host: this.ip, port: this.port,
      tls: certificate ? { cert: fs.readFileSync(certificate),
        key: fs.readFileSync(privateKey || certificate) } : undefined });
    return this;
  }

  address() {
    return this.place.address();
  }

  async close(graceMs) {
    clearInterval(this.idle);
    await this.place.stop(graceMs);
  }
}

module.exports = { Server, Application };
