// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of `ws` 0.4, server side, on sessions of the gateway.
const EventEmitter = require('events');
const http = require('http');
const { Place, isHixie, onUpgrade, refuse } = require('./lib/facade');
const { sessionOf } = require('./lib/upgrade');
const { genuine, notBridged } = require('./lib/ws/peer');
const { WebSocket } = require('./lib/ws04/socket');

const DEFAULTS = { host: '127.0.0.1', port: null, server: null,
  verifyClient: null, handleProtocols: null, path: null, noServer: false,
  disableHixie: false, clientTracking: true, closeTimeout: 30000,
  sendCallback: 'flushed' };
const OFFERED = [76, 8, 13];

const has = (x) => x !== null && x !== undefined && x !== false;

// The paths of each http.Server that are served.
const paths = new WeakMap();

// Events: connection (ws), connection/url (ws), error, close.
class Server extends EventEmitter {
  // Of ws 0.4: host, port, server, verifyClient, handleProtocols, path,
  // noServer, disableHixie, clientTracking.  Besides: closeTimeout (ms),
  // sendCallback ('queued'); socket, backend, name, signals as those of
  // penstock/ws.
  constructor(options, callback) {
    super();
    const o = this.options = { ...DEFAULTS, ...options };
    const own = has(o.port) || has(o.socket) || has(o.backend);
    if (!own && !o.server && !o.noServer)
      throw new TypeError('`port` or a `server` must be provided');
    this.clients = [];
    this._ownServer = own;
    this._closing = false;
    this._leave = () => {};
    if (own) this._begin(callback);
    else if (o.server) this._serve(o.server);
  }

  _begin(callback) {
    const o = this.options;
    const server = this._server = http.createServer((req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain' });
      res.end('Not implemented');
    });
    this.place = new Place('ws04', o);
    this.backend = this.place.backend;
    this.place.attach(server, { name: o.name || 'ws04' });
    this._serve(server);
    if (callback) this.once('listening', callback);
    this.place.run({ port: o.port, host: o.host }).then(
      () => this.emit('listening'), (e) => this.emit('error', e));
  }

  _serve(server) {
    const { path } = this.options;
    this._server = server;
    if (path) {
      const taken = paths.get(server) || new Set();
      paths.set(server, taken);
      if (taken.has(path))
        throw new Error('two instances of WebSocketServer cannot listen on ' +
          'the same http server path');
      taken.add(path);
    }
    if (!this._ownServer) server.on('error', this._onError = (e) => {
      if (this.listenerCount('error') > 0) this.emit('error', e);
    });
    const off = onUpgrade(server, (req) => this._ownServer || this._isMine(req),
      (req, socket, head) => this.handleUpgrade(req, socket, head, (ws) => {
        this.emit('connection', ws);
        this.emit(`connection${req.url}`, ws);
      }));
    this._leave = () => {
      off();
      if (path) paths.get(server).delete(path);
      if (this._onError) server.removeListener('error', this._onError);
    };
  }

  // The query does not matter.
  _isMine(req) {
    const { path } = this.options;
    return !path || req.url.split('?', 1)[0] === path;
  }

  address() {
    if (this.place) return this.place.address();
    return this._server ? this._server.address() : null;
  }

  // callback(ws), when the client is accepted.
  handleUpgrade(req, socket, head, callback) {
    const conn = sessionOf(socket);
    if (conn === null) {
      this._foreign(req, socket, head, callback);
      return;
    }
    if (!this._isMine(req)) {
      if (this._ownServer) refuse(socket, 400);
      return;
    }
    const { version } = conn.request;
    if (!OFFERED.includes(version)) refuse(socket, 400);
    else if (isHixie(version) && this.options.disableHixie)
      refuse(socket, 401, 'Hixie support disabled');
    else
      this._verify(conn, req, socket, () =>
        this._protocol(conn, req, socket, (protocol) =>
          this._connect(req, socket, head, protocol, callback)));
  }

  _verify(conn, req, socket, yes) {
    const { verifyClient } = this.options;
    if (typeof verifyClient !== 'function') {
      yes();
      return;
    }
    const info = { origin: conn.request.origin || undefined,
      secure: conn.request.tls, req };
    const decide = (ok, code = 401, name = '', headers = {}) => {
      if (ok) yes();
      else refuse(socket, code, name, headers);
    };
    if (verifyClient.length === 2) {
      verifyClient(info, decide);
      return;
    }
    const answer = verifyClient(info);
    if (!answer || typeof answer.then !== 'function') decide(answer);
    else answer.then((ok) => decide(ok), (e) => {
      refuse(socket, 500);
      this.emit('error', e);
    });
  }

  _protocol(conn, req, socket, yes) {
    const { protocols } = conn.request;
    const { handleProtocols } = this.options;
    if (protocols.length === 0 || typeof handleProtocols !== 'function') {
      yes(protocols[0]);
      return;
    }
    handleProtocols(protocols, (ok, protocol) => {
      if (ok) yes(protocol);
      else refuse(socket, 401);
    });
  }

  _connect(req, socket, head, protocol, callback) {
    const conn = sessionOf(socket);
    if (conn.gone || conn.refused || this._closing) {
      refuse(socket, 503);
      return;
    }
    const { sendCallback } = this.options;
    const ws = new WebSocket([req, socket, head], { protocol, sendCallback });
    if (this.options.clientTracking) this.clients.push(ws);
    ws.on('close', () => {
      const at = this.clients.indexOf(ws);
      if (at !== -1) this.clients.splice(at, 1);
    });
    callback(ws);
  }

  // A socket that no gateway has: the npm package ws takes it.
  _foreign(req, socket, head, callback) {
    const Peer = genuine();
    if (!Peer) throw notBridged();
    const { path, verifyClient } = this.options;
    if (!this._peer)
      this._peer = new Peer.Server({ noServer: true, path: path || undefined,
        verifyClient: verifyClient || undefined });
    this._peer.handleUpgrade(req, socket, head, callback);
  }

  // No new clients; those that are there are terminated, or with a code get a
  // Close and closeTimeout.
  close(code, data) {
    if (this._closing) return;
    this._closing = true;
    this._leave();
    if (this.place) this.place.unlisten();
    const all = [...this.clients];
    for (const ws of all) {
      if (code === undefined || code === null) ws.terminate();
      else ws.close(code, data);
    }
    const gone = Promise.all(all.map((ws) => ws.readyState === ws.CLOSED ? null
      : new Promise((resolve) => ws.once('close', resolve))));
    const timer = setTimeout(() => all.forEach((ws) => ws.terminate()),
      this.options.closeTimeout).unref();
    gone.then(() => {
      clearTimeout(timer);
      return this.place ? this.place.stop(0) : undefined;
    }).then(() => this.emit('close'));
  }
}

function createServer(options, listener) {
  const server = new Server(options);
  if (typeof listener === 'function') server.on('connection', listener);
  return server;
}

WebSocket.WebSocket = WebSocket;
WebSocket.Server = WebSocket.WebSocketServer = Server;
WebSocket.createServer = createServer;
module.exports = WebSocket;
