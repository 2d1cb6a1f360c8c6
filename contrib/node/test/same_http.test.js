// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a program of node:http sees, and what its clients do: each scene runs
// with a server that listens itself and with one that listens by a gateway,
// and must note the same.
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const net = require('net');
const { test } = require('node:test');
const { take } = require('../lib/takeover');
const { BINARY, until } = require('./support');

if (BINARY) process.env.PENSTOCK_BIN = BINARY;
const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

// Those of the connection, and of who answers.
const LEFT_OUT = /^(date|server|connection|keep-alive|transfer-encoding)$/i;

class Scene {
  constructor(t, behind) {
    this.t = t;
    this.behind = behind;
    this.notes = [];
  }

  note(...words) { this.notes.push(words.map(plain)); }

  attempt(what) {
    try {
      return plain(what());
    } catch (e) {
      return plain(e);
    }
  }

  noted(name) { return this.notes.some(([first]) => first === name); }

  hear(emitter, who, ...names) {
    for (const name of names)
      emitter.on(name, (e) => this.note(`${who} ${name}`,
        e instanceof Error ? e.code : undefined));
  }

  async serve(handler, options = {}) {
    const server = http.createServer(options, handler);
    this.server = server;
    if (this.behind) take(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.port = server.address().port;
    this.t.after(() => {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
    });
    return server;
  }

  // The response, its body and what came before and behind it.
  async ask(options = {}, ...body) {
    const { wait, ...rest } = options;
    const req = http.request({ host: '127.0.0.1', port: this.port,
      agent: false, ...rest });
    const infos = [];
    req.on('information', (i) => infos.push([i.statusCode,
      fields(i.rawHeaders)]));
    req.on('error', () => {});
    if (wait) {
      req.flushHeaders();
      await once(req, 'continue');
    }
    for (const piece of body) req.write(piece);
    req.end();
    const [res] = await once(req, 'response');
    const parts = [];
    let error = null;
    try {
      for await (const d of res) parts.push(d);
    } catch (e) {
      error = e.code;
    }
    return { status: res.statusCode, infos,
      fields: fields(res.rawHeaders), trailers: res.rawTrailers, error, body: Buffer.concat(parts).toString('latin1') };
  }

  async raw(...pieces) {
    const socket = net.connect(this.port, '127.0.0.1');
    this.t.after(() => socket.destroy());
    let got = '';
    socket.on('data', (d) => { got += d.toString('latin1'); });
    socket.on('error', () => {});
    for (const p of pieces) socket.write(p);
    await once(socket, 'close');
    return got;
  }
}

function fields(raw) {
  const all = [];
  for (let i = 0; i < raw.length; i += 2)
    if (!LEFT_OUT.test(raw[i])) all.push(`${raw[i]}: ${raw[i + 1]}`);
  return all.sort();
}

function plain(x) {
  if (x instanceof Error) return `${x.name} ${x.code || ''} ${x.message}`;
  if (Buffer.isBuffer(x)) return `Buffer ${x.toString('latin1')}`;
  if (x instanceof http.ServerResponse) return 'ServerResponse';
  if (x instanceof net.Socket) return 'Socket';
  if (x && typeof x === 'object' && !Array.isArray(x) &&
      Object.getPrototypeOf(x) === null) return { ...x };
  if (Array.isArray(x)) return x.map(plain);
  return x;
}

const tick = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const SCENES = {
  async 'forms of writeHead'(s) {
    const forms = [
      (r) => r.writeHead(200),
      (r) => r.writeHead(201, { 'X-A': 'b', 'x-c': ['d', 'e'] }),
      (r) => r.writeHead(202, 'Taken', { 'X-A': 1 }),
      (r) => r.writeHead(200, ['X-A', 'b', 'X-A', 'c']),
      (r) => { r.setHeader('X-A', 'b'); r.writeHead(404, { 'x-a': 'c' }); },
      (r) => { r.statusCode = 418; },
      (r) => { r.statusCode = 299; r.statusMessage = 'Own'; },
      (r) => r.writeHead(204),
      (r) => r.writeHead(304, { ETag: '"a"' }),
      (r) => r.writeHead(200, { 'Content-Length': 4 }),
      (r) => r.writeHead(599),
      (r) => { r.appendHeader('X-A', 'b'); r.appendHeader('X-A', 'c'); },
      (r) => r.setHeader('Set-Cookie', ['a=1', 'b=2']),
      (r) => r.setHeader('X-Latin', 'caf\xe9'),
      (r) => r.setHeader('X-Empty', ''),
      (r) => r.writeHead(200, { Date: 'Thu, 01 Jan 1970 00:00:00 GMT' }),
      (r) => { r.sendDate = false; },
      (r) => { r.chunkedEncoding = true; },
      (r) => { r.useChunkedEncodingByDefault = false; },
      (r) => { r.shouldKeepAlive = false; },
      (r) => { r.setHeader('Connection', 'close'); },
      (r) => { r.removeHeader('Date'); r.removeHeader('Transfer-Encoding'); },
      (r) => r.writeHead(99),
      (r) => r.writeHead('200'),
      (r) => r.writeHead(200, { 'X A': 'b' }),
      (r) => r.writeHead(200, { 'X-A': 'b\r\n' }),
      (r) => { r.writeHead(200); r.setHeader('X-A', 'b'); },
      (r) => { r.writeHead(200); r.writeHead(200); },
    ];
    await s.serve((req, res) => {
      const form = forms[Number(req.url.slice(1))];
      s.note(s.attempt(() => { form(res); }), res.headersSent, res.statusCode);
      s.note(s.attempt(() => res.end('body')));
    });
    for (let i = 0; i < forms.length; i++)
      for (const method of ['GET', 'HEAD'])
        s.note(i, method, await s.ask({ path: `/${i}`, method })
          .catch((e) => e.code));
  },

  async 'what a request is'(s) {
    await s.serve((req, res) => {
      s.note(req.method, req.url, req.httpVersion, req.headers['x-a'],
        req.headers.cookie, req.headers['x-b'], req.headers.host.length > 5);
      s.note(req.headersDistinct['x-a'], req.complete, req.aborted,
        fields(req.rawHeaders).filter((f) => !/^host/i.test(f)));
      s.note(req.socket.remoteFamily, typeof req.socket.remotePort,
        req.socket.remoteAddress, req.socket === req.connection,
        req.socket.localAddress, req.socket.localPort === s.port,
        req.socket.server === s.server, req.socket.encrypted);
      req.resume().on('end', () => {
        s.note(req.complete, req.trailers, req.rawTrailers);
        res.end();
      });
    });
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND',
      'QUERY', 'M-SEARCH', 'PURGE', 'LINK', 'SOURCE'])
      s.note(method, await s.ask({ method, path: '/a%20b/../c//d?e=%f&g',
        headers: { 'X-A': ['1', '2'], Cookie: ['a=b', 'c=d'],
          'X-B': 'caf\xe9', 'x-cAsE': 'Kept' } }).catch((e) => e.code));
  },

  async 'bodies and trailers'(s) {
    await s.serve((req, res) => {
      const parts = [];
      req.on('data', (d) => parts.push(d));
      req.on('end', () => {
        s.note(Buffer.concat(parts).toString('latin1'), req.trailers,
          req.rawTrailers, req.headers['content-length'],
          req.headers['transfer-encoding']);
        res.writeHead(200, { Trailer: 'X-T' });
        res.write('some');
        res.addTrailers({ 'X-T': 'end' });
        res.end('more');
      });
    });
    s.note(await s.ask({ method: 'POST' }, 'a', 'b'));
    s.note(await s.ask({ method: 'POST', headers: { 'Content-Length': 2 } },
      'ab'));
    s.note(await s.ask({ method: 'PUT' }));
    s.note(await s.ask({ method: 'GET', headers: { 'Content-Length': 2 } },
      'ab'));
    const got = await s.raw('POST / HTTP/1.1\r\nHost: a\r\nConnection: close' +
      '\r\nTE: trailers\r\nTrailer: X-In\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\n0\r\nX-In: yes\r\nX-In: no\r\n\r\n');
    s.note(got.slice(got.indexOf('\r\n\r\n')));
  },

  async 'informational responses'(s) {
    await s.serve((req, res) => {
      s.note(s.attempt(() => res.writeProcessing()));
      s.note(s.attempt(() => res.writeEarlyHints({
        link: ['</a.css>; rel=preload', '</b.js>; rel=preload'],
        'x-trace': 'id' }, () => s.note('hinted'))));
      s.note(s.attempt(() => res.writeEarlyHints({ link: 'bad' })));
      s.note(s.attempt(() => res.writeEarlyHints({ link: [] })));
      res.end('end');
    });
    s.note(await s.ask());
  },

  async 'Expect'(s) {
    const server = await s.serve((req, res) => {
      req.resume().on('end', () => res.end('ok'));
    });
    const options = { method: 'POST', wait: true,
      headers: { Expect: '100-continue', 'Content-Length': 4 } };
    s.note(await s.ask(options, 'body'));
    server.on('checkContinue', (req, res) => {
      s.note('checkContinue', req.headers.expect);
      if (req.url === '/no') {
        res.writeHead(417);
        res.end('no');
        return;
      }
      res.writeContinue();
      req.resume().on('end', () => res.end('checked'));
    });
    s.note(await s.ask(options, 'body'));
    const req = http.request({ host: '127.0.0.1', port: s.port, agent: false,
      path: '/no', method: 'POST', headers: options.headers });
    req.on('error', () => {});
    req.flushHeaders();
    const [res] = await once(req, 'response');
    s.note(res.statusCode);
    req.destroy();
    s.note((await s.ask({ headers: { Expect: 'meow' } })).status);
    server.on('checkExpectation', (req2, res2) => {
      s.note('checkExpectation', req2.headers.expect);
      res2.end('fine');
    });
    s.note(await s.ask({ headers: { Expect: 'meow' } }));
  },

  async 'the order of events'(s) {
    await s.serve((req, res) => {
      s.hear(req, 'req', 'end', 'close', 'aborted', 'error');
      s.hear(res, 'res', 'prefinish', 'finish', 'close', 'error');
      s.note(req.destroyed, res.writableEnded, res.writableFinished,
        res.destroyed, res.closed, res.socket === req.socket);
      req.resume();
      res.end('x', () => s.note('callback'));
      s.note(res.writableEnded, res.headersSent, res.finished);
      res.on('close', () => s.note(res.writableFinished, res.destroyed,
        res.socket, res.errored));
    });
    await s.ask();
    await until('its close', () => s.noted('res close'));
    await s.ask({ method: 'POST' }, 'abc');
    await until('its close', () => s.notes.filter(([n]) =>
      n === 'req close').length === 2);
    s.notes.sort((a, b) => String(a[0]).localeCompare(String(b[0])));
  },

  async 'errors of writing'(s) {
    await s.serve((req, res) => {
      s.hear(res, 'res', 'finish', 'close');
      res.on('error', (e) => s.note('error', e));
      s.note(s.attempt(() => res.write(5)));
      s.note(s.attempt(() => res.write(null)));
      s.note(s.attempt(() => res.write(undefined)));
      res.end('x');
      s.note(s.attempt(() => res.write('y', (e) => s.note('cb', e))));
      s.note(s.attempt(() => res.end('z', (e) => s.note('end cb', e))));
      s.note(s.attempt(() => res.setHeader('a', 'b')));
      s.note(s.attempt(() => res.flushHeaders()));
      s.note(s.attempt(() => res.addTrailers({ a: 'b' })));
    });
    s.note(await s.ask());
    await until('its close', () => s.noted('res close'));
    s.notes = s.notes.map((n) => JSON.stringify(n)).sort();
  },

  async 'responses that break off'(s) {
    const ways = [(q, r) => r.destroy(), (q, r) => q.destroy(),
      (q, r) => r.socket.destroy(), (q, r) => r.destroy(new Error('mine')),
      (q, r) => q.socket.end(), (q, r) => q.socket.resetAndDestroy()];
    await s.serve((req, res) => {
      const [, when, i] = req.url.split('/');
      s.hear(req, `req ${when}${i}`, 'close', 'aborted', 'error');
      s.hear(res, `res ${when}${i}`, 'finish', 'close', 'error');
      if (when === 'begun') {
        res.writeHead(200, { 'Content-Length': 10 });
        res.write('12345');
      } else if (when === 'chunked') {
        res.write('12345');
      }
      setTimeout(() => s.note(s.attempt(() => { ways[i](req, res); })), 50);
    });
    for (const when of ['begun', 'chunked'])
      for (const i of ways.keys()) {
        const r = await s.ask({ path: `/${when}/${i}` })
          .catch((e) => e.code);
        s.note('client', when, i, r.status, r.body, r.error);
        await until('a close', () => s.noted(`res ${when}${i} close`));
        await tick(20);
      }
    s.notes = s.notes.map((n) => JSON.stringify(n)).sort();
  },

  async 'clients that leave'(s) {
    await s.serve((req, res) => {
      const what = req.url.slice(1);
      s.hear(req, `req ${what}`, 'close', 'aborted', 'error', 'end');
      s.hear(res, `res ${what}`, 'finish', 'close', 'error');
      s.hear(req.socket, `socket ${what}`, 'close');
      req.resume();
      if (what === 'begun') res.write('x');
      res.on('close', () => s.note('flags', what, req.aborted, req.destroyed,
        req.complete, req.errored && req.errored.code, res.destroyed,
        res.writableEnded, res.writableFinished));
      res.on('close', () => s.note('late', what, res.write('late')));
    });
    for (const what of ['before', 'begun', 'body']) {
      const req = http.request({ host: '127.0.0.1', port: s.port, agent: false,
        path: `/${what}`, method: what === 'body' ? 'POST' : 'GET',
        headers: what === 'body' ? { 'Content-Length': 10 } : {} });
      req.on('error', () => {});
      if (what === 'body') req.write('12345');
      else req.end();
      if (what === 'begun') (await once(req, 'response'))[0]
        .on('error', () => {});
      else await tick(100);
      req.destroy();
      await until('its end', () => s.noted(`res ${what} close`) &&
        s.noted(`req ${what} close`) && s.noted(`socket ${what} close`));
    }
    await tick(20);
    s.notes = s.notes.map((n) => JSON.stringify(n)).sort();
  },

  async 'timeouts'(s) {
    const server = await s.serve((req, res) => {
      if (req.url === '/res') res.setTimeout(50, () => {
        s.note('res timeout');
        res.end('res');
      });
      else if (req.url === '/req') req.setTimeout(50, () => {
        s.note('req timeout');
        res.end('req');
      });
      else if (req.url === '/socket') req.socket.setTimeout(50, () => {
        s.note('socket timeout');
        res.end('socket');
      });
    });
    for (const path of ['/res', '/req', '/socket'])
      s.note(await s.ask({ path }).then((r) => r.status < 500 && r.body,
        () => false));
    s.note(s.attempt(() => server.setTimeout(50) === server), server.timeout);
    server.on('timeout', (socket) => {
      s.note('server timeout', socket === socket._httpMessage.socket);
      socket._httpMessage.end('server');
    });
    s.note((await s.ask({ path: '/server' })).body);
    server.removeAllListeners('timeout');
    s.note(await s.ask({ path: '/none' }).then((r) => r.status >= 500,
      (e) => e.code === 'ECONNRESET'));
  },

  async 'upgrades'(s) {
    const server = await s.serve((req, res) => res.end(`as usual ${
      req.headers.upgrade} ${req.headers.connection}`));
    const headers = { Connection: 'Upgrade', Upgrade: 'echo' };
    s.note((await s.ask({ headers })).body);
    server.on('upgrade', (req, socket, head) => {
      s.note(req.headers.upgrade, req.headers.connection, head.length,
        req.url);
      if (req.url === '/no') {
        socket.end('HTTP/1.1 403 Forbidden\r\nX-A: b\r\nContent-Length: 2' +
          '\r\n\r\nno');
        return;
      }
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n' +
        'X-B: c\r\nConnection: Upgrade\r\n\r\nhello');
      socket.on('data', (d) => socket.write(d));
      socket.on('end', () => {
        s.note('end');
        socket.end('bye');
      });
      socket.on('close', (bad) => s.note('close', bad));
    });
    const r = await s.ask({ path: '/no', headers });
    s.note(r.status, r.fields, r.body);
    const req = http.request({ host: '127.0.0.1', port: s.port, agent: false,
      headers });
    req.end();
    const [res, socket, head] = await once(req, 'upgrade');
    s.note(res.statusCode, fields(res.rawHeaders));
    let got = head.toString();
    socket.on('data', (d) => { got += d; });
    socket.end('data');
    await once(socket, 'close');
    s.note(got);
    await until('the close', () => s.noted('close'));
  },

  async 'pipelining and keep-alive'(s) {
    const order = [];
    await s.serve((req, res) => {
      order.push(req.url);
      setTimeout(() => res.end(req.url), req.url === '/1' ? 60 : 0);
    });
    const one = (n, close) => `GET /${n} HTTP/1.1\r\nHost: a\r\n${
      close ? 'Connection: close\r\n' : ''}\r\n`;
    const got = await s.raw(one(1), one(2), one(3, true));
    s.note(order, got.split(/HTTP\/1.1 200 OK/).length,
      got.match(/\r\n\/\d|\/\d$|\/\d(?=HTTP)/g));
    s.note((await s.raw('GET /4 HTTP/1.0\r\n\r\n')).slice(-2));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const a = await s.ask({ agent, path: '/5' });
    const b = await s.ask({ agent, path: '/6' });
    s.note(a.body, b.body);
    agent.destroy();
  },

  async 'bodies that are large'(s) {
    const size = 8 << 20;
    await s.serve((req, res) => {
      let n = 0;
      let full = 0;
      req.on('data', (d) => { n += d.length; });
      req.on('end', () => {
        s.note(n);
        const piece = Buffer.alloc(65536, 'x');
        let left = size / piece.length;
        const go = () => {
          while (left > 0) {
            left--;
            if (!res.write(piece)) {
              full++;
              res.once('drain', go);
              return;
            }
          }
          s.note(full > 0);
          res.end();
        };
        go();
      });
    });
    const r = await s.ask({ method: 'POST' }, Buffer.alloc(size, 'y'));
    s.note(r.body.length, r.error);
  },

  async 'cork, flushHeaders and highWaterMark'(s) {
    await s.serve((req, res) => {
      s.note(res.writableHighWaterMark, res.writableLength,
        req.readableHighWaterMark, res.writableObjectMode,
        res.writableCorked, res.writableNeedDrain);
      res.cork();
      s.note(res.write('a'), res.writableCorked);
      res.write('b');
      res.uncork();
      res.flushHeaders();
      s.note(res.headersSent, res.getHeaderNames(), res.hasHeader('X'));
      res.end('c');
    }, { highWaterMark: 1024 });
    s.note(await s.ask());
    s.server.removeAllListeners('request');
    s.server.on('request', (req, res) => {
      res.flushHeaders();
      s.later = res;
    });
    const req = http.get({ host: '127.0.0.1', port: s.port, agent: false });
    const [res] = await once(req, 'response');
    s.note(res.statusCode);
    s.later.end('later');
    s.note(await once(res, 'data'));
  },

  async 'members of a socket'(s) {
    await s.serve((req, res) => {
      const { socket } = req;
      s.note(['setTimeout', 'setNoDelay', 'setKeepAlive', 'ref', 'unref',
        'address', 'destroySoon', 'resetAndDestroy', 'cork', 'pause',
        'setEncoding'].map((n) =>
        [n, typeof socket[n] === typeof net.Socket.prototype[n]]));
      s.note(socket.setTimeout(0) === socket, socket.setNoDelay() === socket,
        socket.setKeepAlive(true) === socket, socket.ref() === socket);
      s.note(socket.timeout, socket.destroyed, socket.connecting,
        socket.pending, socket.readyState, socket.allowHalfOpen,
        socket.bytesWritten, socket.bytesRead > 0, socket.bufferSize,
        socket.localFamily, socket.autoSelectFamilyAttemptedAddresses,
        socket._httpMessage === res, socket.parser !== null);
      s.note(Object.keys(socket.address()).sort());
      res.end();
      res.on('finish', () => s.note('finish', socket.bytesWritten > 0));
    });
    await s.ask();
  },

  async 'errors of clients'(s) {
    const server = await s.serve((req, res) => {
      s.hear(req, 'req', 'aborted', 'error', 'close');
      req.resume();
      req.on('end', () => res.end());
    });
    s.note((await s.raw('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n' +
      '\r\n')).slice(0, 12));
    s.note((await s.raw('GET / HTTP/1.1\r\n\r\n')).slice(0, 12));
    s.note((await s.raw('BAD\r\n\r\n')).slice(0, 12));
    s.note((await s.raw('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ' +
      'chunked\r\n\r\nzz\r\n')).slice(0, 12));
    s.note(server.listening);
  },

  async 'the end of a server'(s) {
    const server = await s.serve((req, res) => {
      if (req.url === '/slow') {
        res.write('a');
        setTimeout(() => res.end('b'), 100);
      } else if (req.url === '/never') {
        res.write('a');
      } else {
        res.end();
      }
    });
    s.hear(server, 'server', 'close');
    const never = s.ask({ path: '/never' });
    const slow = s.ask({ path: '/slow' });
    const n = await until('both', () => new Promise((done) =>
      server.getConnections((e, count) => done(count === 2 && count))));
    s.note(n, server.listening, s.attempt(() => server.listen(0)));
    await tick(50);
    server.close((e) => s.note('callback', e));
    s.note(server.listening, server.address());
    s.note((await slow).body);
    await tick(20);
    s.note('still');
    server.closeAllConnections();
    const { error } = await never;
    await until('the close', () => s.noted('callback'));
    s.note(error);
    server.close((e) => s.note('again', e));
    await until('it', () => s.noted('again'));
    server.listen(0, '127.0.0.1', () => s.note('listens'));
    await once(server, 'listening');
    s.port = server.address().port;
    s.note((await s.ask()).status);
  },

  async 'options of a server'(s) {
    const handler = (req, res) => {
      s.note(req.joined, req.headers['x-a'], req instanceof http.IncomingMessage);
      res.end(String(res.own));
    };
    class Req extends http.IncomingMessage {
      get joined() { return this.headers['x-j']; }
    }
    class Res extends http.ServerResponse {
      get own() { return 'own'; }
    }
    await s.serve(handler, { IncomingMessage: Req, ServerResponse: Res,
      joinDuplicateHeaders: true, uniqueHeaders: ['x-a'],
      noDelay: true, keepAlive: true, insecureHTTPParser: false });
    s.note(await s.ask({ headers: { 'X-J': ['a', 'b'], Age: ['1', '2'] } }));
  },

  async 'listeners of the server'(s) {
    const server = await s.serve((req, res) => res.end());
    server.on('connection', (socket) => {
      s.note('connection', socket.remoteAddress);
      socket.on('close', (bad) => s.note('socket close', bad));
    });
    server.on('request', (req) => s.note('request', req.url));
    await s.ask({ headers: { Connection: 'close' } });
    await until('its close', () => s.noted('socket close'));
  },

  async 'streams into a response'(s) {
    const { pipeline, Readable } = require('stream');
    await s.serve((req, res) => {
      if (req.url === '/echo') pipeline(req, res, (e) => s.note('done', e));
      else if (req.url === '/bad')
        pipeline(Readable.from((async function* gen() {
          yield 'some';
          await tick(50);
          throw new Error('source');
        })()), res, (e) => s.note('bad', e));
      else pipeline(Readable.from(['a', 'b']), res,
        (e) => s.note('piped', e));
    });
    s.note((await s.ask({ method: 'POST', path: '/echo' }, 'x', 'y')).body);
    s.note((await s.ask()).body);
    const r = await s.ask({ path: '/bad' });
    s.note(r.body, r.error);
    await until('all', () => s.noted('done') && s.noted('bad') &&
      s.noted('piped'));
    s.notes = s.notes.map((n) => JSON.stringify(n)).sort();
  },

  async 'what comes at once'(s) {
    await s.serve((req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write('data: 1\n\n');
      let n = 1;
      const timer = setInterval(() => res.write(`data: ${++n}\n\n`), 20);
      res.on('close', () => {
        clearInterval(timer);
        s.note('closed', req.destroyed);
      });
    });
    const req = http.get({ host: '127.0.0.1', port: s.port, agent: false });
    const [res] = await once(req, 'response');
    let got = '';
    res.on('data', (d) => { got += d; });
    res.on('error', () => {});
    await until('three', () => got.includes('data: 3'));
    s.note(res.headers['content-type'], got.slice(0, 27));
    req.destroy();
    await until('its end', () => s.noted('closed'));
  },
};

for (const [name, scene] of Object.entries(SCENES))
  test(name, { skip, timeout: 60000 }, async (t) => {
    const notes = [];
    for (const behind of [false, true]) {
      const s = new Scene(t, behind);
      await scene(s);
      notes.push(s.notes);
    }
    assert.deepStrictEqual(notes[1], notes[0]);
  });
