// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of `websockets`: a server that is a Writable to all of its clients.
const http = require('http');
const { Writable } = require('stream');
const { toBytes } = require('./lib/conn');
const { Place, broadcast, onUpgrade, isAlone, refuse, warn } = require('./lib/facade');
const { sessionOf } = require('./lib/upgrade');
const { WebSocketSocket } = require('./lib/websockets/socket');

const EMPTY = Buffer.alloc(0);
const TRY_AGAIN = 1013;
const FULL = 'Maximum amount of connections reached.';
const RETRY_AFTER = { 'Retry-After': '5' };
const BY_HEAD = Symbol('broadcast(head, message)');
const CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
const DEFAULTS = { url: 'ws://localhost:3000', timeout: 600000,
  maxConnections: 10, overflow: 'reject', mask: false, binaryAsStream: false,
  streamThreshold: 16384, listen: false };

// The same pieces to each of some clients.
class Several {
  constructor(sockets, binary) {
    this.binary = binary;
    this.sockets = sockets.filter(
      (s) => !s.open && (!binary || s.conn.request.binaryOk));
  }

  write(chunk, callback) {
    this.each(chunk, false, callback);
  }

  end(callback) {
    this.each(EMPTY, true, callback);
  }

  each(chunk, last, callback) {
    let waits = this.sockets.length;
    if (waits === 0) process.nextTick(callback);
    for (const s of this.sockets)
      s.out(chunk, last, this.binary, () => {
        if (--waits === 0) callback();
      });
  }
}

// Events: open (socket), message (data, socket), stream:start, stream:end and
// stream:stop (socket), pong (string, socket), close (code, socket, reason),
// error (error, socket), listening.
class WebSocketServer extends Writable {
  // Of the original: url (its path and query), timeout (ms), maxConnections.
  // Besides: overflow ('evict_oldest'), binaryAsStream, streamThreshold, listen
  // (at the url's host and port); socket, backend, name, signals as those of
  // penstock/ws.
  constructor(options) {
    super({ autoDestroy: false, emitClose: false });
    const o = this.options = { ...DEFAULTS, ...options };
    const url = new URL(o.url);
    this.path = url.pathname + url.search;
    this.sockets = [];
    this.stream = null; // { owner, to }
    this.deaf = false; // to the rest of a message that was refused
    this.place = this.app = this.web = null;
    this.leave = () => {};
    if (o.mask) warn('websockets: a server does not mask what it sends');
    if (o.listen || o.socket || o.backend)
      this.begin({ host: url.hostname, port: Number(url.port) || 80 });
  }

  get connections() { return this.sockets.length; }
  get maxConnections() { return this.options.maxConnections; }
  set maxConnections(n) { this.options.maxConnections = n; }

  // ---- where clients come from ----

  begin(where) {
    const o = this.options;
    const web = http.createServer((req, res) => {
      res.writeHead(426, { 'Content-Type': 'text/plain' });
      res.end('426 Upgrade Required\n');
    });
    this.place = new Place('websockets', o);
    this.backend = this.place.backend;
    this.app = this.place.attach(web, { name: o.name || 'websockets' });
    this.listen(web);
    this.place.run(where).then(() => this.emit('listening'),
      (e) => this.fault(e));
  }

  // To the upgrades of an http.Server that the gateway feeds.
  listen(server) {
    if (!server || typeof server.on !== 'function')
      throw new TypeError('listen() takes an http.Server');
    this.leave();
    this.web = server;
    this.leave = onUpgrade(server, (req) => req.url === this.path,
      (req, socket) => this.assignSocket(socket));
    return this;
  }

  address() {
    if (this.place) return this.place.address();
    return this.web ? this.web.address() : null;
  }

  // A socket of an upgrade becomes a client.
  assignSocket(socket) {
    const conn = sessionOf(socket);
    if (conn === null)
      throw new TypeError('the socket is not one of the gateway');
    const { maxConnections, overflow, timeout, streamThreshold } = this.options;
    const isFull = this.connections >= maxConnections;
    if (isFull && overflow !== 'evict_oldest') {
      refuse(socket, 503, FULL, RETRY_AFTER);
      return null;
    }
    const s = new WebSocketSocket(this, socket, { fragments: true,
      streamThreshold, idleTimeout: timeout });
    this.app = conn.app;
    this.backend = conn.backend;
    this.sockets.push(s);
    if (isFull) this.evict();
    this.emit('open', s);
    return s;
  }

  evict() {
    const old = this.sockets.filter((s) => s.readyState === 1);
    while (old.length > this.options.maxConnections)
      old.shift().close(TRY_AGAIN, FULL);
  }

  forget(s) {
    const at = this.sockets.indexOf(s);
    if (at !== -1) this.sockets.splice(at, 1);
  }

  fault(error) {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  close(code, reason) {
    this.leave();
    if (this.place) this.place.unlisten();
    const all = [...this.sockets];
    const gone = all.map((s) => new Promise((r) => s.once('close', r)));
    for (const s of all) s.close(code, reason);
    return Promise.all(gone)
      .then(() => this.place && this.place.stop(0));
  }

  // ---- one message in pieces to all ----

  _write(chunk, encoding, callback) {
    this.from(this, chunk, callback);
  }

  // What writes learns nothing of a refusal: the rest of it is dropped.
  from(owner, chunk, callback) {
    const last = chunk.length === 0;
    if (owner.deaf) {
      owner.deaf = !last;
      callback();
      return;
    }
    this.piece(owner, chunk, (error) => {
      owner.deaf = Boolean(error) && !last;
      if (error) this.fault(error);
      callback();
    });
  }

  // The end of the message, not of the server.
  end(chunk, encoding, callback) {
    const done = [chunk, encoding, callback]
      .find((x) => typeof x === 'function');
    if (chunk && typeof chunk !== 'function') this.write(chunk,
      typeof encoding === 'string' ? encoding : undefined);
    this.write(EMPTY, done);
    return this;
  }

  // An empty one is the end.
  piece(owner, chunk, callback, binary = true) {
    const { stream } = this;
    if (stream && stream.owner !== owner) {
      if (chunk.length === 0) callback();
      else callback(new Error('a stream to all is under way'));
      return;
    }
    if (chunk.length === 0) {
      this.stream = null;
      if (stream) stream.to.end(() => callback());
      else callback();
      return;
    }
    if (!stream) this.stream = { owner, to: this.toAll(binary) };
    this.stream.to.write(chunk, () => callback());
  }

  // Those of other backends too, if all clients of the app are ours.
  toAll(binary) {
    if (!this.isWhole) return new Several(this.sockets, binary);
    const to = this.backend.broadcastStream({ app: this.app, binary });
    to.on('error', (e) => this.fault(e));
    return to;
  }

  get isWhole() {
    return this.app !== null && isAlone(this.web);
  }

  // ---- whole messages, and frames, to all ----

  // (message): text; (head, message): { fin, opcode, rsv1, rsv2, rsv3 }.
  broadcast(head, message) {
    if (message === undefined) {
      this.group(typeof head === 'string' ? head : toBytes(head), TEXT);
      return;
    }
    const { fin = true, opcode = TEXT, mask, masking } = head;
    if (mask || masking)
      warn('websockets: a server does not mask what it sends');
    const rsv = (head.rsv1 ? 4 : 0) | (head.rsv2 ? 2 : 0) | (head.rsv3 ? 1 : 0);
    const isData = opcode === TEXT || opcode === BINARY;
    if (rsv !== 0 || (!isData && opcode !== CONT && opcode < CLOSE) ||
        opcode > PONG)
      this.raw((fin ? 0x80 : 0) | rsv << 4 | opcode, message);
    else if (opcode >= CLOSE)
      this.control(opcode, fin, toBytes(message));
    else if (isData && fin)
      this.group(toBytes(message), opcode);
    else
      this.part(opcode, fin, toBytes(message));
  }

  group(data, opcode) {
    const binary = opcode === BINARY;
    if (this.isWhole) {
      broadcast(this.backend, data, { app: this.app, binary });
      return;
    }
    for (const s of this.sockets)
      if (!binary || s.conn.request.binaryOk) s.sendAs(data, binary);
  }

  part(opcode, fin, data) {
    const under = this.stream !== null && this.stream.owner === BY_HEAD;
    if (opcode === CONT && !under)
      throw new Error('there is no message to go on with');
    if (opcode !== CONT && this.stream !== null)
      throw new Error('a stream to all is under way');
    const error = (e) => { if (e) this.fault(e); };
    if (data.length > 0)
      this.piece(BY_HEAD, data, error, opcode !== TEXT);
    else if (opcode !== CONT)
      this.stream = { owner: BY_HEAD, to: this.toAll(opcode !== TEXT) };
    if (fin) this.piece(BY_HEAD, EMPTY, error);
  }

  control(opcode, fin, data) {
    if (!fin || data.length > 125)
      throw new RangeError('a control frame is whole, of at most 125 bytes');
    for (const { conn } of this.sockets) {
      if (opcode === PING) conn.ping(data);
      else if (opcode === PONG) conn.pong(data);
      else if (data.length < 2) conn.close();
      else conn.close(data.readUInt16BE(0), data.toString('utf8', 2));
    }
  }

  raw(byte, message) {
    const data = toBytes(message);
    for (const s of this.sockets) s.conn.raw(byte, data);
  }
}

module.exports = WebSocketServer;
module.exports.WebSocketServer = WebSocketServer;
