// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Sessions for an http.Server: each is a connection that asks for an upgrade.
// Who handles 'upgrade' takes the session behind it (take), or writes a
// response, which refuses it.
const crypto = require('crypto');
const { AnswerReader } = require('./answer');
const { isField } = require('./conn');
const { VirtualSocket } = require('./socket');
const { Tunnel } = require('./tunnel');

const BODY_MAX = 65536; // of a refusal
// A name that all copies of this package in a process share.
const SESSION = Symbol.for('penstock.session');
const OLD_KEY = /^sec-websocket-key[12]$/i;
const LEFT_OUT = /^(connection|upgrade|content-length|transfer-encoding)$/i;

// The handshake as programs know it.  What a version of WebSocket does not
// have, or the gateway changed, is made up.
function headOf(request) {
  const { rawHeaders, headers } = request;
  const lines = [`GET ${request.target} HTTP/1.1`, 'Upgrade: websocket',
    'Connection: Upgrade'];
  const must = (name, value) => {
    if (headers[name.toLowerCase()] === undefined && value)
      lines.push(`${name}: ${value}`);
  };
  must('Host', request.localAddress);
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (!LEFT_OUT.test(rawHeaders[i]) && !OLD_KEY.test(rawHeaders[i]))
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  must('Sec-WebSocket-Key', crypto.randomBytes(16).toString('base64'));
  must('Sec-WebSocket-Version', '13');
  must('Sec-WebSocket-Protocol', request.protocols.join(', '));
  must('Origin', request.origin);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

class UpgradeSocket extends VirtualSocket {
  constructor(server, conn) {
    super(server, conn.request);
    this[SESSION] = conn;
    this.taken = false;
    this.paused = false;
    this.refusal = null;
    conn.socket = this;
    this.reader = new AnswerReader('GET', {
      info() {}, // there is nobody to tell
      head: (status, headers) => {
        this.refusal = { status, headers, parts: [], size: 0 };
      },
      data: (bytes) => this.keep(bytes),
      end: () => this.refuse(),
      switched: (head, rest) => this.switched(head, rest),
    });
    this.feed(headOf(conn.request));
  }

  wanted() {}

  // Once the session is taken there is nothing that may be written besides.
  written(chunk, callback) {
    if (this.taken) {
      callback();
      return;
    }
    this.bytesTaken += chunk.length;
    try {
      this.reader.push(chunk);
    } catch (e) {
      callback(e);
      return;
    }
    callback();
  }

  finished(callback) {
    if (this.taken) this[SESSION].terminate();
    else if (this.reader.finish()) this.refuse();
    callback();
  }

  broken() {
    if (this.taken) this[SESSION].terminate();
    else this.refuse();
  }

  // ---- it says no ----

  keep(bytes) {
    const { refusal } = this;
    refusal.size += bytes.length;
    if (refusal.size <= BODY_MAX) refusal.parts.push(Buffer.from(bytes));
  }

  refuse(refusal = this.refusal || { status: 400, headers: [], parts: [] }) {
    const conn = this[SESSION];
    if (conn.gone || conn.refused) return;
    const { status, headers, parts } = refusal;
    if (conn.answered) { // a session that came open
      conn.close(status >= 500 ? 1011 : 1008);
      return;
    }
    conn.reject({ status: status < 300 ? 400 : status, body:
      Buffer.concat(parts), headers: headers.filter(mayRefuseWith) });
  }

  // It answered the handshake itself.
  switched(head, rest) {
    const conn = this[SESSION];
    if (Tunnel.isAllowed(conn)) {
      const tunnel = new Tunnel(conn, this);
      for (const b of [head, rest])
        if (b.length > 0) tunnel.write(b, () => {});
      return;
    }
    conn.backend.log('a program answered a WebSocket handshake by itself. ' +
      'It can do so with allow_tunnel only, and need not: let its ' +
      "require('ws') be penstock/ws (node -r penstock/register, or an alias)");
    this.refuse({ status: 501, headers: [], parts: [] });
    this.destroy();
  }

  // ---- it says yes ----

  take(head) {
    this.taken = true;
    this.bytesTaken = head;
    this.resume(); // nothing comes, but its end should be seen
  }

  left() {
    if (this.destroyed) return;
    if (this.tunnel !== null) {
      this.tunnel.left();
      return;
    }
    this.taken = true; // and gone
    this.push(null);
    this.read(0); // so that 'end' comes, before 'close'
    setImmediate(() => this.destroy());
  }

  get bytesRead() {
    return this.bytesFed + (this.taken ? this[SESSION].bytesReceived : 0);
  }

  get bytesWritten() {
    return this.bytesTaken + (this.taken ? this[SESSION].bytesSent : 0);
  }

  get writableLength() {
    return this.taken ? this[SESSION].bufferedAmount : super.writableLength;
  }

  get writableNeedDrain() {
    return this.taken ? this[SESSION].blocked : super.writableNeedDrain;
  }

  pause() {
    if (this.taken) this[SESSION].pause();
    return super.pause();
  }

  resume() {
    if (this.taken && this[SESSION].isPaused) this[SESSION].resume();
    return super.resume();
  }
}

// What the gateway takes of a program's fields: the handshake is its own.
function mayRefuseWith([name, value]) {
  return !/^(connection|keep-alive|upgrade|transfer-encoding)$/i.test(name) &&
    !/^sec-websocket-/i.test(name) && isField(name, value);
}

function mayBeIn101([name, value]) {
  return mayRefuseWith([name, value]) && !/^content-length$/i.test(name);
}

// The session of a socket that 'upgrade' gave, or null.
function sessionOf(socket) {
  return (socket && socket[SESSION]) || null;
}

// Accepts it.  sink: methods message, ping, pong, drain, error, close and
// fragment, detach, as the handlers of an app; head: bytes of the 101, for
// bytesWritten.
function take(socket, answer, sink, head = 0) {
  const conn = sessionOf(socket);
  if (!conn.answered) conn.accept(answer);
  conn.sink = sink;
  socket.take(head);
  if (conn.untaken) conn.untaken();
  return conn;
}

// Handlers of an app that gives its sessions to the http.Server.
function upgradeHandlers(server) {
  const begin = (conn) => {
    conn.sink = null;
    conn.onGone = () => conn.socket.left();
    new UpgradeSocket(server, conn).arrive();
  };
  const tell = (name) => (conn, a, b, c) => {
    if (conn.sink && conn.sink[name]) conn.sink[name](conn, a, b, c);
  };
  // What comes before the session is taken again waits.
  const late = (conn, ...args) => {
    if (!conn.taking)
      conn.taking = new Promise((resolve) => { conn.untaken = resolve; });
    return conn.taking.then(() => conn.sink && conn.sink.message(...args));
  };
  return {
    accept(request, conn) {
      begin(conn);
      return { later: true };
    },
    resume: begin,
    message(conn, data, isBinary, seq, replay) {
      return conn.sink ? conn.sink.message(conn, data, isBinary, seq, replay)
        : late(conn, conn, data, isBinary, seq, replay);
    },
    ping: tell('ping'), pong: tell('pong'), error: tell('error'),
    detach: tell('detach'),
    drain(conn) {
      if (conn.sink && conn.sink.drain) conn.sink.drain(conn);
      conn.socket.emit('drain');
    },
    close: tell('close'),
  };
}

module.exports = { upgradeHandlers, sessionOf, take, mayBeIn101 };
