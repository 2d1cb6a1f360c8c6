// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { Readable, Writable } = require('stream');
const { TYPE, TAG, FLAG, ERROR, payload, readTlvs,
  readNamed } = require('./codec');
const { Flow, OPEN, CLOSING, CLOSED } = require('./flow');
const { headerTlvs } = require('./conn');
const { Request, joined } = require('./request');

const EMPTY = Buffer.alloc(0);

// A request and its response, at the link.
class Exchange extends Flow {
  constructor(link, lo, hi, open, app, more) {
    super(link, lo, hi, open, app);
    this.readyState = OPEN;
    this.bodyComing = more;
    this.onRoom = null; // the response waits for credit
    this.informs = false; // who answers says 100 Continue itself
    this.req = new HttpRequest(this, new Request(open));
    this.res = new HttpResponse(this);
    if (!more) this.req.push(null);
  }

  begin() {
    const { headers } = this.req;
    this.app.call('http', this.req, this.res);
    if (!this.informs && this.bodyComing && !this.res.headersSent &&
        this.readyState === OPEN &&
        String(headers.expect).toLowerCase() === '100-continue')
      this.res.inform(100);
  }

  onBody(flags, buf, at, end) {
    if (!this.bodyComing) return ERROR.BAD_STATE;
    const n = end - at;
    const code = this.received(n);
    if (code !== 0) return code;
    this.bodyComing = (flags & FLAG.MORE) !== 0;
    this.req.give(buf.subarray(at, end));
    if (!this.bodyComing) this.req.push(null);
    return 0;
  }

  onTrailers(buf, at, end) {
    if (!this.bodyComing) return ERROR.BAD_STATE;
    this.bodyComing = false;
    for (const [tag, value] of readTlvs(buf, at, end))
      if (tag === TAG.HEADER)
        this.req.rawTrailers.push(...readNamed(value, true, 'latin1'));
    this.req.push(null);
    return 0;
  }

  writable() {
    if (this.tunnel !== null) {
      this.app.backend.guard(() => this.tunnel.writable());
      return;
    }
    const go = this.onRoom;
    this.onRoom = null;
    if (go) this.app.backend.guard(go);
  }

  write(data, last) {
    const max = this.link.peerMaxFrame;
    let at = 0;
    do {
      const take = Math.min(data.length - at, max);
      const more = !last || at + take < data.length;
      this.putData(TYPE.HTTP_BODY, more ? FLAG.MORE : 0,
        data.subarray(at, at + take));
      at += take;
    } while (at < data.length);
    if (last) this.readyState = CLOSING;
    return this.settle();
  }

  end(trailers) {
    if (trailers.length === 0) {
      this.write(EMPTY, true);
      return;
    }
    const data = Buffer.concat(trailers);
    if (this.waits) this.enqueue(TYPE.HTTP_TRAILERS, 0, 0, data, false);
    else this.link.fit(this, TYPE.HTTP_TRAILERS, 0, data);
    this.readyState = CLOSING;
  }

  abort() {
    if (this.readyState === CLOSED || this.gone) return;
    this.forget();
    this.put(TYPE.HTTP_RESET, 0, ERROR.INTERNAL, null);
    this.readyState = CLOSED;
  }

  detach() {
    return ERROR.BAD_STATE;
  }

  // complete: all of the response left.
  finish(complete) {
    this.leave();
    const { req, res } = this;
    this.onRoom = null;
    if (this.bodyComing) {
      const e = new Error('aborted');
      e.code = 'ECONNRESET';
      req.destroy(req.listenerCount('error') > 0 ? e : undefined);
    }
    res.left(complete);
  }
}

class HttpRequest extends Readable {
  constructor(exchange, request) {
    super({ highWaterMark: 65536 });
    this.exchange = exchange;
    this.request = request;
    this.rawTrailers = []; // all there at 'end'
  }

  get id() { return this.exchange.id; }
  get method() { return this.request.method; }
  get url() { return this.request.target; }
  get path() { return this.request.path; }
  get headers() { return this.request.headers; }
  get rawHeaders() { return this.request.rawHeaders; }
  get remoteAddress() { return this.request.remoteAddress; }
  get trailers() { return joined(this.rawTrailers); }

  // The gateway gets its credit back as the application reads.
  give(data) {
    if (data.length === 0) return;
    if (this.destroyed) {
      this.exchange.owe(data.length);
      return;
    }
    this.push(Buffer.from(data));
  }

  read(n) {
    const data = super.read(n);
    this._read();
    return data;
  }

  // What is not kept here has been read.
  _read() {
    const { exchange } = this;
    if (exchange.tunnel !== null) return;
    const done = exchange.unread - exchange.owed - this.readableLength;
    if (done > 0) exchange.owe(done);
  }

  _destroy(error, callback) {
    const { exchange } = this;
    if (exchange.unread > exchange.owed && exchange.tunnel === null)
      exchange.owe(exchange.unread - exchange.owed);
    callback(error);
  }
}

class HttpResponse extends Writable {
  constructor(exchange) {
    super({ highWaterMark: 65536 });
    this.exchange = exchange;
    this.headersSent = false;
    this.statusCode = 200;
    this.fields = new Map();
    this.begun = null;
    this.trailers = [];
    this.on('error', () => {}); // the client left; 'close' tells it
  }

  setHeader(name, value) {
    if (this.headersSent) throw new Error('the head has been sent');
    this.fields.set(String(name).toLowerCase(), [String(name), value]);
    return this;
  }

  getHeader(name) {
    const f = this.fields.get(String(name).toLowerCase());
    return f && f[1];
  }

  hasHeader(name) {
    return this.fields.has(String(name).toLowerCase());
  }

  removeHeader(name) {
    this.fields.delete(String(name).toLowerCase());
  }

  // Before the response: 100, 102 or 103.
  inform(status, headers) {
    const { exchange } = this;
    if (this.headersSent || exchange.readyState !== OPEN) return false;
    if (status !== 100 && status !== 102 && status !== 103)
      throw new RangeError('100, 102 or 103');
    exchange.link.fit(exchange, TYPE.HTTP_INFO, 0,
      payload.httpRes(status, headerTlvs(headers, false)));
    return true;
  }

  // The head leaves with the first piece of the body, or flushHeaders().
  writeHead(status, headers) {
    if (this.headersSent) throw new Error('the head has been sent');
    this.statusCode = status;
    if (Array.isArray(headers))
      this.begun = headers;
    else if (headers)
      for (const [n, v] of Object.entries(headers)) this.setHeader(n, v);
    return this;
  }

  flushHeaders() {
    this.head(true);
  }

  // Behind the body, of a response whose length was not said.
  addTrailers(headers) {
    this.trailers.push(...headerTlvs(headers, false));
  }

  head(more) {
    const { exchange } = this;
    if (this.headersSent || exchange.readyState !== OPEN) return;
    const status = this.statusCode;
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError('a response has a status from 200 to 599');
    const tlvs = headerTlvs([...this.fields.values()], false)
      .concat(headerTlvs(this.begun, false));
    exchange.link.fit(exchange, TYPE.HTTP_RES, more ? FLAG.MORE : 0,
      payload.httpRes(status, tlvs));
    this.headersSent = true;
    if (!more) exchange.readyState = CLOSING;
  }

  end(chunk, encoding, callback) {
    // All of it is known: its length is, too.
    if (!this.headersSent && chunk !== undefined && chunk !== null &&
        typeof chunk !== 'function' && this.writableLength === 0 &&
        !this.begun && !this.hasHeader('content-length') &&
        this.trailers.length === 0 && this.statusCode !== 204 &&
        this.statusCode !== 304)
      this.setHeader('Content-Length', typeof chunk === 'string'
        ? Buffer.byteLength(chunk, typeof encoding === 'string'
          ? encoding : undefined) : chunk.length);
    return super.end(chunk, encoding, callback);
  }

  _write(chunk, encoding, callback) {
    const { exchange } = this;
    try {
      this.head(true);
    } catch (e) {
      callback(e);
      return;
    }
    if (exchange.readyState !== OPEN) callback(new Error('the client left'));
    else if (chunk.length === 0 || exchange.write(chunk, false)) callback();
    else exchange.onRoom = callback;
  }

  _final(callback) {
    const { exchange } = this;
    try {
      if (this.trailers.length > 0) this.head(true);
      if (!this.headersSent) this.head(false);
      else if (exchange.readyState === OPEN) exchange.end(this.trailers);
    } catch (e) {
      callback(e);
      return;
    }
    callback();
  }

  _destroy(error, callback) {
    if (!this.writableFinished) this.exchange.abort();
    callback(error);
  }

  left(complete) {
    this.complete = complete;
    if (!this.destroyed) this.destroy();
  }
}

module.exports = { Exchange };
