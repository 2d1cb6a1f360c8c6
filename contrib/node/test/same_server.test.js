// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A WebSocketServer, of `ws` and of penstock/ws: see scene.js.
const EventEmitter = require('events');
const { once } = EventEmitter;
const http = require('http');
const net = require('net');
const { Duplex } = require('stream');
const { until, Client } = require('./support');
const { play, tick } = require('./scene');

const HANDSHAKE = { Connection: 'Upgrade', Upgrade: 'websocket',
  'Sec-WebSocket-Version': 13,
  'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2RlZg==' };

const RULES = new Set(['UNEXPECTED_RSV_1', 'UNEXPECTED_RSV_2_3',
  'INVALID_OPCODE', 'EXPECTED_MASK', 'EXPECTED_FIN', 'INVALID_CLOSE_CODE',
  'INVALID_CONTROL_PAYLOAD_LENGTH'].map((name) => `WS_ERR_${name}`));

const bytesOf = (headers, method = 'GET', target = '/') =>
  `${method} ${target} HTTP/1.1\r\nHost: h\r\n` +
  Object.entries(headers).map(([n, v]) => `${n}: ${v}\r\n`).join('') + '\r\n';

// A frame from a client, with a mask of zeros.
const frame = (head, data) =>
  Buffer.concat([Buffer.from([head, 0x80 | data.length, 0, 0, 0, 0]), data]);

async function raw(s, bytes, options = {}) {
  const socket = net.connect({ port: s.port, host: '127.0.0.1', ...options });
  s.t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

// Status, body and some fields of what a handshake is answered with.
async function answer(s, headers, method = 'GET') {
  const req = http.request({ port: s.port, host: '127.0.0.1', method, headers,
    agent: false });
  req.end();
  const [res] = await once(req, 'response');
  let body = '';
  for await (const d of res) body += d;
  return [res.statusCode, body, res.headers['content-type'],
    res.headers['content-length']];
}

play({
  async 'options that do not go together'(s) {
    const { WebSocketServer } = s.lib;
    const server = http.createServer();
    for (const options of [undefined, {}, { port: null }, { server: null },
      { noServer: false }, { port: 0, noServer: true, server },
      { port: 0, noServer: true }, { port: 0, server },
      { noServer: true, server }])
      s.note(s.attempt(() => { new WebSocketServer(options); }));
    for (const perMessageDeflate of [undefined, true, false,
      { threshold: 10 }]) {
      const wss = new WebSocketServer({ noServer: true, perMessageDeflate });
      s.note(wss.options.perMessageDeflate);
      wss.close();
    }
    const wss = new WebSocketServer({ noServer: true, path: '/foo' });
    for (const url of ['/foo', '/foo?a', '/foo/', '/', '/foo#a'])
      s.note(wss.shouldHandle({ url }));
    s.note(s.attempt(() => wss.address()), wss instanceof EventEmitter);
  },

  async 'a port that is taken'(s) {
    await s.serve();
    const other = new s.lib.WebSocketServer({ port: s.port,
      host: '127.0.0.1' });
    const [e] = await once(other, 'error');
    s.note(e.code, e.syscall, e.port === s.port);
    other.on('error', (x) => s.note(x));
    other.close((x) => s.note('closed', x));
    await until('it', () => s.notes.length > 1);
  },

  async 'where it listens'(s) {
    const wss = new s.lib.WebSocketServer({ port: 0 },
      function ready() { s.note('ready', this === wss._server); });
    wss.on('listening', () => s.note('listening'));
    s.t.after(() => wss.close());
    await once(wss, 'listening');
    await tick(5);
    const at = wss.address();
    s.note(at.address, at.family, at.port > 0,
      wss._server instanceof http.Server);
    await new Promise((done) => { wss.close(done); });
    s.note(wss.address(), wss._state, wss._server);
  },

  async 'closing it more than once'(s) {
    const wss = await s.serve();
    let n = 0;
    wss.on('close', () => { n++; });
    for (let i = 0; i < 3; i++) wss.close();
    s.note(wss._state);
    await once(wss, 'close');
    await tick(20);
    s.note(n, wss._state);
    s.note(await new Promise((done) => { wss.close(done); }));
    await tick(5);
    s.note(n);
    const none = new s.lib.WebSocketServer({ noServer: true });
    none.close((e) => s.note('no server', e));
    none.close((e) => s.note('again', e));
    await once(none, 'close');
    await tick(5);
  },

  async 'its own http.Server closes first'(s) {
    const wss = await s.serve();
    wss._server.on('close', () => s.note('http'));
    wss.on('close', () => s.note('ws'));
    const [c] = await s.pair();
    wss.close(() => s.note('callback'));
    wss.close();
    await tick(20);
    s.note('client');
    c.close();
    await once(wss, 'close');
    await tick(5);
  },

  async 'listeners at a server of another'(s) {
    const server = http.createServer();
    const count = () => ['listening', 'error', 'upgrade', 'close', 'request']
      .map((name) => server.listenerCount(name));
    const before = count();
    const wss = new s.lib.WebSocketServer({ server });
    wss.on('error', (e) => s.note('error', e));
    wss.on('listening', () => s.note('listening'));
    s.note(count().map((n, i) => n - before[i]));
    server.emit('error', new Error('of http'));
    server.emit('listening');
    await new Promise((done) => { wss.close(done); });
    s.note(count().map((n, i) => n - before[i]), server.listening);
  },

  async 'who is there'(s) {
    const wss = await s.serve();
    s.note(wss.clients.size);
    const [a, x] = await s.pair();
    s.note(wss.clients.size, wss.clients.has(x));
    const [b, y] = await s.pair();
    s.note([...wss.clients].length);
    x.on('close', () => s.note('x', wss.clients.size, wss.clients.has(x)));
    a.terminate();
    await once(x, 'close');
    y.on('close', () => s.note('y', wss.clients.size));
    b.close();
    await once(y, 'close');
    await tick(5);
  },

  async 'what is refused with words'(s) {
    const server = http.createServer();
    const wss = new s.lib.WebSocketServer({ noServer: true, path: '/' });
    let change = () => {};
    server.on('upgrade', (req, socket, head) => {
      change(req);
      wss.handleUpgrade(req, socket, head, () => s.note('taken'));
    });
    await s.feed(server);
    const changes = [
      (req) => { req.method = 'POST'; },
      (req) => { delete req.headers.upgrade; },
      (req) => { req.headers.upgrade = 'foo'; },
      (req) => { delete req.headers['sec-websocket-key']; },
      (req) => { req.headers['sec-websocket-key'] = 'P5l8BJcZwRc='; },
      (req) => { delete req.headers['sec-websocket-version']; },
      (req) => { req.headers['sec-websocket-version'] = '12'; },
      (req) => { req.headers['sec-websocket-version'] = 'x'; },
      (req) => { req.headers['sec-websocket-protocol'] = 'foo;bar'; },
      (req) => { req.headers['sec-websocket-protocol'] = ''; },
      (req) => { req.headers['sec-websocket-protocol'] = 'a,,b'; },
      (req) => { req.headers['sec-websocket-protocol'] = ',a'; },
      (req) => { req.headers['sec-websocket-protocol'] = 'a b'; },
      (req) => { req.headers['sec-websocket-protocol'] = 'a, a'; },
      (req) => { req.url = '/not'; },
    ];
    for (change of changes) {
      const got = await answer(s, HANDSHAKE);
      s.note(...got);
    }
    wss.on('wsClientError', (e, socket, req) => {
      s.note(e, req.url, socket.writable);
      socket.end('HTTP/1.1 400 Bad Request\r\nX-A: b\r\n\r\n');
    });
    for (change of changes) s.note((await answer(s, HANDSHAKE))[0]);
    change = () => { wss.close(); };
    s.note(...await answer(s, HANDSHAKE));
    server.closeAllConnections?.();
  },

  async 'data with the handshake'(s) {
    const wss = await s.serve();
    wss.on('connection', (ws) => {
      ws.on('message', (data, isBinary) => s.note(data, isBinary));
    });
    await raw(s, Buffer.concat([Buffer.from(bytesOf(HANDSHAKE)),
      frame(0x81, Buffer.from('Hello')), frame(0x82, Buffer.from('two'))]));
    await until('both', () => s.notes.length === 2);
  },

  async 'a client that leaves before it is taken'(s) {
    let done = null;
    const wss = await s.serve({ verifyClient: (info, cb) => {
      const { socket } = info.req;
      s.note(socket.readable, socket.writable);
      socket.on('end', () => {
        s.note('end', socket.readable);
        done = cb;
      });
    } });
    wss.on('connection', () => s.note('connection'));
    const socket = await raw(s, bytesOf(HANDSHAKE));
    await until('it', () => s.notes.length === 1);
    socket.destroy();
    await until('its end', () => done !== null);
    done(true);
    await tick(20);
    s.note(wss.clients.size);
  },

  async 'the versions that it speaks'(s) {
    const wss = await s.serve();
    for (const version of [8, 13]) {
      const here = once(wss, 'connection');
      const socket = await raw(s,
        bytesOf({ ...HANDSHAKE, 'Sec-WebSocket-Version': version }));
      const [ws, req] = await here;
      s.note(req.headers['sec-websocket-version'], ws.protocol);
      socket.destroy();
    }
  },

  async 'the order of events'(s) {
    const wss = await s.serve({ WebSocket: class extends s.lib.WebSocket {
      constructor(...args) {
        super(...args);
        s.note(args[0], args[1], args[2] === wss.options, this.readyState);
        this.on('open', () => s.note('open', this.readyState));
      }
    } });
    wss.on('headers', () => s.note('headers', wss.clients.size));
    wss.on('connection', (ws) => {
      s.note('connection', ws.readyState, wss.clients.size);
      ws.on('message', (d) => s.note('message', d));
      ws.on('close', () => s.note('close', wss.clients.size));
    });
    const [c] = await s.pair();
    c.send('a');
    c.close();
    await until('its end', () => s.notes.some(([x]) => x === 'close'));
  },

  async 'what a client does wrong'(s) {
    const wss = await s.serve({ maxPayload: 300 });
    const bad = [
      ['RSV1', [0xc1, 0x80, 0, 0, 0, 0]], ['RSV2', [0xa1, 0x80, 0, 0, 0, 0]],
      ['RSV3', [0x91, 0x80, 0, 0, 0, 0]], ['opcode', [0x83, 0x80, 0, 0, 0, 0]],
      ['control', [0x8b, 0x80, 0, 0, 0, 0]], ['no mask', [0x81, 0]],
      ['CONT', [0x80, 0x80, 0, 0, 0, 0]],
      ['text in text', [0x01, 0x80, 0, 0, 0, 0, 0x01, 0x80, 0, 0, 0, 0]],
      ['ping in pieces', [0x09, 0x80, 0, 0, 0, 0]],
      ['long ping', [0x89, 0xfe, 0, 126, 0, 0, 0, 0]],
      ['close of 1', [0x88, 0x81, 0, 0, 0, 0, 1]],
      ['close 1005', [0x88, 0x82, 0, 0, 0, 0, 3, 0xed]],
      ['close in bad UTF-8', [0x88, 0x83, 0, 0, 0, 0, 3, 0xe8, 0xff]],
      ['bad UTF-8', [0x81, 0x81, 0, 0, 0, 0, 0xff]],
      ['too big', [0x82, 0xfe, 1, 45, ...Buffer.alloc(4 + 301)]],
    ];
    for (const [why, bytes] of bad) {
      const here = once(wss, 'connection');
      const c = await Client.open(s.t, s.port, '/');
      const [ws] = await here;
      // Which rule it broke only `ws` says.
      ws.on('error', (e) => s.note(why, e.name, RULES.has(e.code)
        ? 'WS_ERR_PROTOCOL' : e.code, ws.readyState));
      const gone = new Promise((done) => {
        ws.on('close', (...args) => done(args));
      });
      c.socket.write(Buffer.from(bytes));
      const { code } = await c.message();
      s.note(code, await gone, ws.readyState);
    }
  },

  async 'any Duplex'(s) {
    const server = http.createServer();
    const wss = new s.lib.WebSocketServer({ noServer: true });
    server.on('upgrade', (req, socket, head) => {
      const inner = new Duplex({
        read() {},
        write(chunk, encoding, done) { socket.write(chunk, done); },
        final(done) { socket.end(done); },
      });
      socket.on('data', (d) => inner.push(d));
      socket.on('end', () => inner.push(null));
      wss.handleUpgrade(req, inner, head, (ws) => {
        s.note(ws.readyState);
        ws.send('hello');
        ws.close();
      });
    });
    await s.feed(server);
    const c = await Client.open(s.t, s.port, '/');
    s.note(c.accepted, await c.message(), (await c.message()).code);
  },
});
