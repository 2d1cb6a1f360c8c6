// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Feeds an http.Server with what the gateway has: each request and each session
// is a connection of its own, so Node's parser makes what the program gets.
const { AnswerReader } = require('./answer');
const { VirtualSocket, HOP } = require('./socket');
const { Tunnel } = require('./tunnel');
const { upgradeHandlers } = require('./upgrade');

// The connection is used once, and says so: nothing waits for a next request.
// But one that asks for another protocol (allow_tunnel) may become that.  A
// client of HTTP/2 is shown as one of HTTP/1.1.
function headOf(request) {
  const { rawHeaders, headers, method, url, exchange } = request;
  const has = (name) => headers[name] !== undefined;
  const version = request.request.httpVersion < 11 || !has('host') ? '1.0'
    : '1.1';
  let head = `${method} ${url} HTTP/${version}\r\n`;
  const upgrades = has('upgrade') && has('connection');
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (upgrades || !HOP.has(rawHeaders[i].toLowerCase()))
      head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  const chunked = !has('content-length') && exchange.bodyComing;
  if (chunked) head += 'Transfer-Encoding: chunked\r\n';
  if (!upgrades) head += 'Connection: close\r\n';
  return { chunked, head: Buffer.from(`${head}\r\n`, 'latin1') };
}

const passes = ([name]) => !HOP.has(name.toLowerCase());

class RequestSocket extends VirtualSocket {
  constructor(server, request, response) {
    super(server, request.request);
    this.request = request;
    this.response = response;
    this.full = null; // the callback of a write that waits for room
    this.reader = new AnswerReader(request.method, {
      info: (status, headers) => this.inform(status, headers.filter(passes)),
      head: (status, headers) => {
        response.writeHead(status, headers.filter(passes));
        response.flushHeaders();
      },
      data: (bytes) => { this.room = response.write(bytes); },
      end: (trailers) => {
        response.addTrailers(trailers.filter(passes));
        response.end();
      },
      switched: (first, rest) => this.switched(first, rest),
    });
    this.room = true;
    this.begin();
  }

  begin() {
    const { request, response } = this;
    const { head, chunked } = headOf(request);
    request.exchange.informs = true; // the server answers Expect
    this.feed(head);
    request.on('data', (data) => {
      if (chunked) this.feed(Buffer.from(`${data.length.toString(16)}\r\n`));
      let room = this.feed(data);
      if (chunked) room = this.feed(Buffer.from('\r\n'));
      if (!room) request.pause();
    });
    request.on('end', () => {
      if (!chunked || this.tunnel !== null) return;
      let last = '0\r\n';
      const raw = request.rawTrailers;
      for (let i = 0; i < raw.length; i += 2)
        last += `${raw[i]}: ${raw[i + 1]}\r\n`;
      this.feed(Buffer.from(`${last}\r\n`, 'latin1'));
    });
    request.on('error', () => this.destroy());
    response.on('drain', () => this.emptied());
    response.on('close', () => {
      if (this.tunnel === null) this.destroy();
      else this.tunnel.left();
    });
  }

  inform(status, headers) {
    if (status === 100 || status === 102 || status === 103)
      this.response.inform(status, headers);
  }

  emptied() {
    const callback = this.full;
    this.full = null;
    this.room = true;
    if (callback) callback();
  }

  // An upgrade to a protocol that is not ours.
  switched(head, rest) {
    const { exchange } = this.request;
    if (!Tunnel.isAllowed(exchange))
      throw new Error('101 to what asked for no upgrade');
    const tunnel = new Tunnel(exchange, this);
    for (const b of [head, rest])
      if (b.length > 0) tunnel.write(b, () => {});
  }

  wanted() {
    this.request.resume();
  }

  written(chunk, callback) {
    this.bytesTaken += chunk.length;
    try {
      this.reader.push(chunk);
    } catch (e) {
      callback(e);
      return;
    }
    if (this.room || this.response.destroyed) callback();
    else this.full = callback;
  }

  // Without a whole response the client gets 502, or sees it break off.
  finished(callback) {
    if (!this.reader.finish()) this.response.destroy();
    this.push(null);
    callback();
  }

  broken() {
    if (!this.reader.done) this.response.destroy();
    this.emptied();
  }
}

// Handlers of an app, for Backend's app().
function feed(server) {
  return { ...upgradeHandlers(server), http(request, response) {
    new RequestSocket(server, request, response).arrive();
  } };
}

module.exports = { feed };
