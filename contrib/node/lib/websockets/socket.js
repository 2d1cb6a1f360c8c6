// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A client, as `websockets` had it: a Duplex of fragments.
const { Duplex, Writable } = require('stream');
const { toBytes } = require('../conn');
const { OPEN } = require('../flow');
const { take } = require('../upgrade');

const EMPTY = Buffer.alloc(0);
const NORMAL = 1000, TRY_AGAIN = 1013;
// Causes of CLOSED that the client is to blame for: protocol, size, UTF-8.
const FAULTS = { 7: 'a frame breaks the protocol', 8: 'too big a frame',
  9: 'invalid encoding' };

// What is read are the pieces of one streamed message after the other, with an
// empty Buffer at the end of each; what is written is one fragment after the
// other, and an empty Buffer, or end(), is the end of the message.
// Events: message (data), pong (string), stream:start, stream:end, stream:stop,
// close (code, reason), error.
class WebSocketSocket extends Duplex {
  constructor(server, socket, answer) {
    super({ readableObjectMode: true, autoDestroy: false, emitClose: false });
    this.server = server;
    this.streaming = false; // a message that comes in pieces
    this.wanted = false; // and somebody reads it
    this.held = null; // the pieces that nobody has read yet
    this.room = null; // they were
    this.open = false; // a message that leaves in pieces
    this.queue = []; // what has to wait for its end
    this.queued = 0;
    this.lanes = new Map();
    this.blamed = false;
    this.conn = take(socket, answer, this.sink());
    this.conn.data = this;
  }

  get id() { return String(this.conn.id); }
  get readyState() { return this.conn.readyState; }
  get upgradeReq() { return this.conn.request; }

  tell(name, ...args) {
    this.emit(name, ...args);
    this.server.emit(name, ...args, this);
  }

  // ---- from the client ----

  sink() {
    return {
      fragment: (conn, piece, binary, first, last) =>
        this.take(piece, binary, first, last),
      // Before the gateway knows that pieces are wanted.
      message: (conn, data, binary) =>
        this.take(toBytes(data), binary, true, true),
      pong: (conn, data) => this.tell('pong', data.toString()),
      error: (conn, error) => this.fault(error),
      close: (conn, code, reason, cause) => {
        if (FAULTS[cause] && !this.blamed)
          this.fault(Object.assign(new Error(FAULTS[cause]), { code }));
        this.ended(code, reason);
      },
    };
  }

  take(piece, binary, first, last) {
    const { streamThreshold, binaryAsStream } = this.server.options;
    if (first) {
      this.streaming = !last || piece.length >= streamThreshold ||
        (binary && binaryAsStream);
      if (this.streaming) {
        this.tell('stream:start');
        this.wanted = this.readableFlowing !== null ||
          this.listenerCount('readable') > 0;
      }
    }
    if (!this.streaming) {
      this.tell('message', binary ? piece : piece.toString());
      return undefined;
    }
    let room = true;
    if (this.wanted && piece.length > 0) room = this.push(piece);
    if (last) {
      this.streaming = false;
      if (this.wanted) room = this.push(EMPTY);
      this.tell('stream:end');
      this.tell('stream:stop');
    }
    if (room) return undefined;
    if (this.held === null)
      this.held = new Promise((resolve) => { this.room = resolve; });
    return this.held;
  }

  _read() {
    const { room } = this;
    this.held = this.room = null;
    if (room) room();
  }

  fault(error) {
    this.blamed = true;
    if (this.listenerCount('error') > 0) this.emit('error', error);
    if (this.server.listenerCount('error') > 0)
      this.server.emit('error', error, this);
  }

  ended(code, reason) {
    const { lanes } = this;
    for (const lane of lanes.values()) lane.stop();
    lanes.clear();
    this.queue = [];
    this._read();
    this.server.forget(this);
    this.push(null);
    this.emit('close', code, reason);
    this.server.emit('close', code, this, reason);
  }

  // To the server: each message to all clients.  Once for each destination.
  pipe(dest, options) {
    if (this.lanes.has(dest)) return dest;
    if (dest !== this.server && !(dest instanceof this.server.constructor))
      return super.pipe(dest, options);
    const lane = new Lane(dest);
    this.lanes.set(dest, lane);
    super.pipe(lane, { end: false });
    return dest;
  }

  unpipe(dest) {
    for (const [to, lane] of this.lanes) {
      if (dest !== undefined && dest !== to) continue;
      this.lanes.delete(to);
      super.unpipe(lane);
      lane.stop();
    }
    return super.unpipe(dest);
  }

  // ---- to the client ----

  // A string as text, else binary.
  send(message, callback) {
    return this.sendAs(message, typeof message !== 'string', callback);
  }

  sendAs(message, binary, callback) {
    if (binary && !this.conn.request.binaryOk) return this.cannot(callback);
    if (this.open) {
      this.wait(message.length, () => this.sendAs(message, binary, callback));
      return false;
    }
    return this.conn.send(message, { binary }, callback);
  }

  cannot(callback) {
    const e = new Error('the client has no binary messages');
    this.fault(e);
    this.blamed = false;
    if (callback) process.nextTick(callback, e);
    return false;
  }

  wait(size, go) {
    this.queued += size;
    this.queue.push(go);
    if (this.queued > this.conn.backend.maxBuffered)
      this.conn.close(TRY_AGAIN, 'too much waits');
  }

  ping(data) {
    return this.conn.ping(data);
  }

  // A code, a reason, or both.
  close(code, reason) {
    if (typeof code === 'string' || Buffer.isBuffer(code)) {
      reason = code;
      code = undefined;
    }
    return this.conn.close(code === undefined ? NORMAL : code, reason);
  }

  terminate() {
    return this.conn.terminate();
  }

  _write(chunk, encoding, callback) {
    this.out(chunk, chunk.length === 0, true, () => callback());
  }

  _final(callback) {
    this.out(EMPTY, true, true, () => callback());
  }

  // The next piece of the message that leaves.
  out(chunk, last, binary, callback) {
    const { conn } = this;
    if (conn.readyState !== OPEN || (last && !this.open)) {
      callback();
      return;
    }
    if (binary && !conn.request.binaryOk) {
      this.cannot(callback);
      return;
    }
    this.open = !last;
    conn.fragment(chunk, { binary, last }, () => callback());
    if (!last) return;
    const { queue } = this;
    this.queue = [];
    this.queued = 0;
    for (const go of queue) go();
  }
}

// From one client to all: an end of its own for the server's stream.
class Lane extends Writable {
  constructor(server) {
    super({ autoDestroy: false });
    this.server = server;
    this.deaf = false;
  }

  _write(chunk, encoding, callback) {
    this.server.from(this, chunk, callback);
  }

  stop() {
    this.server.piece(this, EMPTY, () => {});
  }
}

module.exports = { WebSocketSocket };
