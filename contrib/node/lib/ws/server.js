// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// WebSocketServer of `ws` 8, on the 'upgrade' of an http.Server that a gateway
// feeds.
const crypto = require('crypto');
const EventEmitter = require('events');
const http = require('http');
const { Backend } = require('../backend');
const { feed } = require('../feed');
const { BACKEND, GATEWAY, take: takeServer } = require('../takeover');
const { VirtualSocket } = require('../socket');
const { sessionOf, take, mayBeIn101 } = require('../upgrade');
const { genuine, notBridged } = require('./peer');
const { wishDeflate } = require('../wishes');
const { WebSocket, SINK, levelOf } = require('./socket');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VERSIONS = [8, 13]; // of `ws`
const FOREVER = 2 ** 31 - 1;
const MESSAGE_MAX = 2 ** 31; // of a private gateway
const RUNNING = 0, CLOSING = 1, CLOSED = 2;

const DEFAULTS = {
  allowSynchronousEvents: true,
  autoPong: true,
  maxPayload: 100 * 1024 * 1024,
  skipUTF8Validation: false,
  perMessageDeflate: false,
  handleProtocols: null,
  clientTracking: true,
  closeTimeout: 30000,
  verifyClient: null,
  noServer: false,
  backlog: null,
  server: null,
  host: null,
  path: null,
  port: null,
  WebSocket,
};

// options: those of `ws`, and in place of port, server and noServer `socket`
// (a path; else as Backend.run()) or `backend` (one of penstock's, not running
// yet), with `name` and `signals`.
class WebSocketServer extends EventEmitter {
  constructor(options, callback) {
    super();
    const o = this.options = { ...DEFAULTS, ...options };
    const own = Boolean(o.socket || o.backend);
    const port = o.port !== undefined && o.port !== null;
    if (!own && (Number(port) + Number(Boolean(o.server)) +
        Number(Boolean(o.noServer)) !== 1))
      throw new TypeError('One and only one of the "port", "server", or ' +
        '"noServer" options must be specified');
    this._ownDeflate = !options || options.perMessageDeflate === undefined;
    if (o.perMessageDeflate === true) o.perMessageDeflate = {};
    wishDeflate(o.perMessageDeflate);
    this._state = RUNNING;
    this._server = null;
    this._listens = port;
    this._created = port || own;
    this._left = null; // listeners at the server
    this._peer = null;
    if (o.clientTracking) {
      this.clients = new Set();
      this._shouldEmitClose = false;
    }
    if (o.server) this._server = o.server;
    else if (this._created) this._server = http.createServer(upgradeRequired);
    // The callback hears of it before our own listeners.
    if (this._created) this._start(port, callback);
    if (this._server) this._listen();
  }

  _listen() {
    const server = this._server;
    const listeners = {
      listening: () => this.emit('listening'),
      error: (e) => this.emit('error', e),
      upgrade: (req, socket, head) => this.handleUpgrade(req, socket, head,
        (ws) => this.emit('connection', ws, req)),
    };
    for (const [name, f] of Object.entries(listeners)) server.on(name, f);
    this._left = () => {
      for (const [name, f] of Object.entries(listeners))
        server.removeListener(name, f);
    };
  }

  // A server of our own: behind the gateway that is there, or a private one.
  _start(port, callback) {
    const o = this.options;
    const server = this._server;
    if (port) {
      takeServer(server);
      server[GATEWAY] = { deflate: o.perMessageDeflate,
        maxMessage: o.maxPayload > 0
          ? Math.min(Math.max(o.maxPayload, DEFAULTS.maxPayload), MESSAGE_MAX)
          : MESSAGE_MAX };
      server.listen({ port: o.port, host: o.host || undefined,
        backlog: o.backlog || undefined }, callback);
      this.backend = server[BACKEND];
      return;
    }
    if (callback) server.once('listening', callback);
    const name = o.name || 'ws';
    this.backend = o.backend || new Backend({ name, signals: o.signals });
    this.backend.app({ name, text: 'buffer' }, feed(server));
    if (!o.backend)
      this.backend.run(o.socket).then(() => server.emit('listening'),
        (e) => server.emit('error', e));
  }

  address() {
    if (this.options.noServer)
      throw new Error('The server is operating in "noServer" mode');
    if (!this._server) return null;
    return this._server.address();
  }

  // Clients stay until they leave, or go to other backends of the pool.
  close(callback) {
    if (this._state === CLOSED) {
      if (callback)
        this.once('close', () => callback(
          new Error('The server is not running')));
      process.nextTick(() => this._emitClose());
      return;
    }
    if (callback) this.once('close', callback);
    if (this._state === CLOSING) return;
    this._state = CLOSING;
    if (this._left) this._left();
    const server = this._server;
    this._left = this._server = null;
    if (this._listens)
      server.close(() => this._emitClose());
    else if (this._created && !this.options.backend)
      this.backend.close(FOREVER).then(() => this._emitClose());
    else if (this.clients && this.clients.size > 0)
      this._shouldEmitClose = true;
    else
      process.nextTick(() => this._emitClose());
  }

  _emitClose() {
    this._state = CLOSED;
    this.emit('close');
  }

  // ---- a handshake ----

  shouldHandle(req) {
    const { path } = this.options;
    if (!path) return true;
    const end = req.url.indexOf('?');
    return (end === -1 ? req.url : req.url.slice(0, end)) === path;
  }

  handleUpgrade(req, socket, head, callback) {
    if (sessionOf(socket) === null && !(socket instanceof VirtualSocket)) {
      this._foreign(req, socket, head, callback);
      return;
    }
    const { headers } = req;
    const key = headers['sec-websocket-key'];
    const no = (text, status = 400, fields = {}) =>
      this._refuse(req, socket, status, text, fields);
    if (req.method !== 'GET') {
      no('Invalid HTTP method', 405);
    } else if (!headers.upgrade ||
        headers.upgrade.toLowerCase() !== 'websocket') {
      no('Invalid Upgrade header');
    } else if (key === undefined || !KEY.test(key) || isHixie(socket)) {
      no('Missing or invalid Sec-WebSocket-Key header');
    } else if (!hasVersion(req, socket)) {
      no('Missing or invalid Sec-WebSocket-Version header', 400,
        { 'Sec-WebSocket-Version': '13, 8' });
    } else if (!this.shouldHandle(req)) {
      abort(socket, 400);
    } else {
      const offers = protocolsOf(headers['sec-websocket-protocol']);
      if (offers === null) no('Invalid Sec-WebSocket-Protocol header');
      else this._verify(key, offers, req, socket, head, callback);
    }
  }

  _verify(key, offers, req, socket, head, callback) {
    const { verifyClient } = this.options;
    const yes = () =>
      this.completeUpgrade({}, key, offers, req, socket, head, callback);
    if (!verifyClient) {
      yes();
      return;
    }
    const conn = sessionOf(socket);
    const info = {
      origin: conn.request.origin || req.headers.origin ||
        req.headers['sec-websocket-origin'],
      secure: Boolean(req.socket.authorized || req.socket.encrypted),
      req,
    };
    if (verifyClient.length === 2) {
      verifyClient(info, (verified, status, text, fields) => {
        if (verified) yes();
        else abort(socket, status || 401, text, fields);
      });
      return;
    }
    const answer = verifyClient(info);
    const decide = (verified) => verified ? yes() : abort(socket, 401);
    if (answer && typeof answer.then === 'function')
      answer.then(decide).catch((e) => {
        abort(socket, 500);
        process.nextTick(() => { throw e; });
      });
    else
      decide(answer);
  }

  _refuse(req, socket, status, text, fields) {
    if (this.listenerCount('wsClientError') > 0)
      this.emit('wsClientError', new Error(text), socket, req);
    else
      abort(socket, status, text, fields);
  }

  completeUpgrade(extensions, key, protocols, req, socket, head, callback) {
    const conn = sessionOf(socket);
    if (conn === null) throw notBridged();
    if (!socket.readable || !socket.writable) {
      socket.destroy();
      return;
    }
    if (socket.taken)
      throw new Error('server.handleUpgrade() was called more than once with ' +
        'the same socket, possibly due to a misconfiguration');
    if (this._state > RUNNING) {
      abort(socket, 503);
      return;
    }
    const { options } = this;
    const ws = new options.WebSocket(null, undefined, options);
    let protocol = '';
    if (protocols.size > 0)
      protocol = (options.handleProtocols
        ? options.handleProtocols(protocols, req)
        : protocols.values().next().value) || '';
    const lines = this._lines(key, protocol, conn, req);
    const fields = fieldsOf(lines);
    const last = fields.filter(([n]) => /^sec-websocket-protocol$/i.test(n));
    if (last.length > 0) [[, protocol]] = last.slice(-1);
    if (conn.answered) ({ protocol } = conn); // it came open
    if (protocol && !conn.request.protocols.includes(protocol)) {
      conn.backend.log(`the client did not offer the protocol ${protocol}`);
      abort(socket, 500);
      return;
    }
    ws._protocol = protocol;
    take(socket, { protocol, headers: fields.filter(mayBeIn101),
      ...limitsOf(options, conn) }, SINK, lines.join('\r\n').length + 4);
    ws._open(conn, socket, { closeTimeout: options.closeTimeout,
      level: levelOf(options.perMessageDeflate,
        !(this._ownDeflate && options.perMessageDeflate === false)) });
    this._track(ws);
    callback(ws, req);
  }

  // The head of the 101, for who adds to it.
  _lines(key, protocol, conn, req) {
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket',
      'Connection: Upgrade'];
    if (this.listenerCount('headers') === 0) return lines;
    lines.push('Sec-WebSocket-Accept: ' +
      crypto.createHash('sha1').update(key + GUID).digest('base64'));
    if (protocol) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
    if (conn.request.extension)
      lines.push(`Sec-WebSocket-Extensions: ${conn.request.extension}`);
    this.emit('headers', lines, req);
    return lines;
  }

  _track(ws) {
    const { clients } = this;
    if (!clients) return;
    clients.add(ws);
    ws.on('close', () => {
      clients.delete(ws);
      if (this._shouldEmitClose && clients.size === 0)
        process.nextTick(() => this._emitClose());
    });
  }

  // A connection of Node's own.
  _foreign(req, socket, head, callback) {
    if (this._peer === null) {
      const Peer = genuine();
      if (Peer === null) {
        abort(socket, 501);
        throw notBridged();
      }
      this._peer = peerOf(this, Peer);
    }
    Object.assign(this._peer.options, this.options, this._peer.keep);
    this._peer.handleUpgrade(req, socket, head, (ws) => {
      this._track(ws);
      callback(ws, req);
    });
  }
}

// Whose gateway it is says which versions may come; a private one lets all in,
// and `ws` has two.
const ofPrivate = (socket) => {
  const conn = sessionOf(socket);
  return conn !== null && conn.backend.gateway !== null;
};

function isHixie(socket) {
  return ofPrivate(socket) && sessionOf(socket).request.version >= 75;
}

function hasVersion(req, socket) {
  const version = Number(req.headers['sec-websocket-version']);
  return VERSIONS.includes(version) || (version === 7 && !ofPrivate(socket));
}

function peerOf(server, Peer) {
  const own = { noServer: true, server: null, port: null, path: null,
    clientTracking: false };
  // A class derived from ours is nothing to the other package.
  own.WebSocket = Peer;
  const peer = new Peer.WebSocketServer({ ...server.options, ...own });
  peer.keep = own;
  peer.shouldHandle = (req) => server.shouldHandle(req);
  peer.on('headers', (lines, req) => server.emit('headers', lines, req));
  // As with `ws`, who listens answers.
  Object.defineProperty(peer, 'listenerCount', { value(name) {
    return EventEmitter.prototype.listenerCount.call(
      name === 'wsClientError' ? server : peer, name);
  } });
  const { emit } = peer;
  peer.emit = (name, ...args) => name === 'wsClientError'
    ? server.emit(name, ...args) : emit.call(peer, name, ...args);
  return peer;
}

// The limits of a client that are this server's.
function limitsOf({ maxPayload, autoPong }, conn) {
  const limits = {};
  const max = conn.request.maxMessage;
  if (maxPayload > 0 && (!max || maxPayload < max))
    limits.maxMessage = maxPayload;
  if (autoPong === false) limits.autoPong = false;
  return limits;
}

// Offers, or null: no list of tokens.
function protocolsOf(value) {
  const offers = new Set();
  if (value === undefined) return offers;
  for (const text of value.split(',')) {
    const one = text.replace(/^[ \t]+|[ \t]+$/g, '');
    if (!TOKEN.test(one) || offers.has(one)) return null;
    offers.add(one);
  }
  return offers;
}

function fieldsOf(lines) {
  return lines.slice(1).map((line) => {
    const at = line.indexOf(':');
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
}

function upgradeRequired(req, res) {
  const body = http.STATUS_CODES[426];
  res.writeHead(426, { 'Content-Length': body.length,
    'Content-Type': 'text/plain' });
  res.end(body);
}

function abort(socket, status, words, fields = {}) {
  const text = words || http.STATUS_CODES[status];
  const all = { Connection: 'close', 'Content-Type': 'text/html',
    'Content-Length': Buffer.byteLength(text), ...fields };
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n` +
    Object.entries(all).map(([n, v]) => `${n}: ${v}\r\n`).join('') +
    `\r\n${text}`);
}

module.exports = { WebSocketServer };
