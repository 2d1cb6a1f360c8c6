// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Feeds an http.Server that listens nowhere with requests of the gateway: each
// is a connection of its own, so Node's parser makes what the handlers get.
const { Duplex } = require('stream');
const { Backend } = require('./lib/backend');

const HEAD_MAX = 262144;
const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding',
  'upgrade', 'proxy-connection']);

// The request is shown as HTTP/1.0, so that the end of the response is the end
// of the connection, and its body needs no reading.
function headOf(request) {
  const raw = request.rawHeaders;
  const has = (name) => request.headers[name] !== undefined;
  let head = `${request.method} ${request.url} HTTP/1.0\r\n`;
  for (let i = 0; i < raw.length; i += 2)
    if (!HOP.has(raw[i].toLowerCase())) head += `${raw[i]}: ${raw[i + 1]}\r\n`;
  const chunked = !has('content-length') && request.exchange.bodyComing;
  if (chunked) head += 'Transfer-Encoding: chunked\r\n';
  return { chunked, head: Buffer.from(`${head}\r\n`, 'latin1') };
}

class Connection extends Duplex {
  constructor(server, request, response) {
    super();
    this.server = server;
    this.request = request;
    this.response = response;
    this.head = Buffer.alloc(0); // of the response, as far as it has come
    const r = request.request;
    this.remoteAddress = r.remoteAddress;
    this.remotePort = r.remotePort;
    this.remoteFamily = r.remoteAddress.includes(':') ? 'IPv6' : 'IPv4';
    this.localAddress = r.localAddress;
    this.localPort = r.localPort;
    if (r.tls) this.encrypted = true;
    const { head, chunked } = headOf(request);
    this.push(head);
    request.on('data', (data) => {
      if (chunked) this.push(`${data.length.toString(16)}\r\n`);
      let room = this.push(data);
      if (chunked) room = this.push('\r\n');
      if (!room) request.pause();
    });
    request.on('end', () => { if (chunked) this.push('0\r\n\r\n'); });
    request.on('error', () => this.destroy());
    response.on('close', () => this.destroy());
  }

  _read() {
    this.request.resume();
  }

  _write(chunk, encoding, callback) {
    if (this.head === null) {
      this.response.write(chunk, callback);
      return;
    }
    this.head = Buffer.concat([this.head, chunk]);
    let rest;
    try {
      rest = this.takeHeads();
    } catch (e) {
      callback(e);
      return;
    }
    if (rest === null || rest.length === 0) callback();
    else this.response.write(rest, callback);
  }

  // What follows the head of the response, or null.
  takeHeads() {
    for (;;) {
      const end = this.head.indexOf('\r\n\r\n');
      if (end === -1) {
        if (this.head.length > HEAD_MAX) throw new Error('a head too large');
        return null;
      }
      const [line, ...fields] = this.head.toString('latin1', 0, end)
        .split('\r\n');
      const rest = this.head.subarray(end + 4);
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1]);
      const headers = fields.map((f) => {
        const at = f.indexOf(':');
        return [f.slice(0, at), f.slice(at + 1).trim()];
      }).filter(([name]) => !HOP.has(name.toLowerCase()));
      if (status >= 200) {
        this.response.writeHead(status, headers);
        this.response.flushHeaders();
        this.head = null;
        return rest;
      }
      if (status !== 100 && status !== 102 && status !== 103)
        throw new Error(`no response to send: ${line}`);
      this.response.inform(status, headers);
      this.head = rest;
    }
  }

  _final(callback) {
    if (this.head === null) this.response.end();
    else this.response.destroy(); // no response: the client gets 502
    this.push(null);
    callback();
  }

  _destroy(error, callback) {
    if (!this.response.writableEnded) this.response.destroy();
    callback(null);
  }

  setTimeout() { return this; } // the gateway has timeouts
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }
}

// options: `backend` (not running yet), or `socket` as that of penstock/ws;
// and those of an app.  Returns the backend.
function attach(server, options = {}) {
  const { backend = new Backend({ name: options.name || 'http',
    signals: options.signals }), socket, handlers, ...app } = options;
  backend.app(app, { ...handlers, http(request, response) {
    server.emit('connection', new Connection(server, request, response));
  } });
  if (!options.backend)
    backend.run(socket).then(() => server.emit('listening'),
      (e) => server.emit('error', e));
  return backend;
}

module.exports = { attach };
