// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Handshakes for an http.Server (penstock/http), behind the real gateway.
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const { test } = require('node:test');
const { attach } = require('../http');
const { WebSocketServer, WebSocket } = require('../ws');
const { BINARY, gateway, until, Client } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

async function start(t, server, options) {
  const g = await gateway(t, options);
  const backend = attach(server, { socket: g.sock, signals: false });
  t.after(() => backend.close(0));
  await once(server, 'listening');
  await g.ready();
  return g;
}

const ANSWERS = {
  '/write': (socket) => socket.end('HTTP/1.1 401 Unauthorized\r\n' +
    'X-A: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'),
  '/pieces': (socket) => {
    for (const c of 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n' +
      'X-A: c\r\n\r\n2\r\nno\r\n0\r\n\r\n')
      socket.write(c);
  },
  '/then-destroy': (socket) => {
    socket.write('HTTP/1.1 402 Payment Required\r\nX-A: d\r\n\r\n');
    socket.destroy();
  },
  '/to-the-end': (socket) => socket.end('HTTP/1.0 500 Oh\r\n\r\nno'),
  '/destroy': (socket) => socket.destroy(),
  '/nonsense': (socket) => socket.end('nonsense\r\n\r\n'),
  '/101': (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n' +
    'Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
};

test('what is written refuses', { skip }, async (t) => {
  const server = http.createServer();
  const closed = [];
  server.on('upgrade', (req, socket) => {
    socket.on('close', () => closed.push(req.url));
    ANSWERS[req.url](socket);
  });
  const g = await start(t, server, { server:
    'location ~ ^/[a-z1] { websocket_pass b; }' });
  const ask = async (path, body) => {
    const c = await Client.open(t, g.port, path);
    if (body) await until(`the body of ${path}`, () => c.in.length > 0);
    return [c.head, c.in.toString()];
  };
  const rows = [['/write', 401, 'b', 'no'], ['/pieces', 403, 'c', 'no'],
    ['/then-destroy', 402, 'd', ''], ['/to-the-end', 500, null, 'no'],
    ['/destroy', 400, null, null], ['/nonsense', 400, null, null],
    ['/101', 501, null, null]];
  for (const [path, status, field, body] of rows) {
    const [head, text] = await ask(path, body);
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), path);
    if (field) assert.match(head, new RegExp(`X-A: ${field}\r\n`), path);
    if (body) assert.strictEqual(text, body, path);
  }
  assert.match(g.log(), /penstock\/register, or an alias/);
  await until('their ends', () => closed.length === rows.length);
});

test('without a listener it is a request', { skip }, async (t) => {
  const g = await start(t, http.createServer((req, res) => {
    res.writeHead(404, { 'X-Url': req.url });
    res.end(req.headers.upgrade);
  }));
  const c = await Client.open(t, g.port, '/ws/x');
  assert.match(c.head, /^HTTP\/1.1 404 .*X-Url: \/ws\/x\r\n/s);
  await until('its body', () => c.in.toString() === 'websocket');
});

test('what an upgrade looks like', { skip }, async (t) => {
  const server = http.createServer();
  const wss = new WebSocketServer({ noServer: true });
  let seen = null;
  server.on('upgrade', (req, socket, head) => {
    seen = { req, socket, head };
    assert.throws(() => {
      wss.handleUpgrade(req, socket, head, (ws) => { seen.ws = ws; });
      wss.handleUpgrade(req, socket, head, () => {});
    }, /more than once/);
  });
  const g = await start(t, server, { location: 'websocket_origin any;' });
  const c = await Client.open(t, g.port, '/ws?x=y',
    { 'Sec-WebSocket-Protocol': 'a, b', Cookie: 'c=d', Origin: 'http://e' });
  await until('the client', () => seen && seen.ws);
  const { req, socket, ws, head } = seen;
  assert.ok(req instanceof http.IncomingMessage);
  assert.ok(ws instanceof WebSocket);
  assert.strictEqual(head.length, 0);
  assert.deepStrictEqual(
    [req.method, req.url, req.httpVersion, req.headers.cookie,
      req.headers.origin, req.headers.upgrade, req.headers.connection,
      req.headers['sec-websocket-version'],
      req.headers['sec-websocket-protocol']],
    ['GET', '/ws?x=y', '1.1', 'c=d', 'http://e', 'websocket', 'Upgrade',
      '13', 'a, b']);
  assert.match(req.headers['sec-websocket-key'], /^.{22}==$/);
  assert.strictEqual(ws._socket, socket);
  assert.strictEqual(req.socket, socket);
  assert.strictEqual(socket.server, server);
  assert.deepStrictEqual([socket.remoteAddress, socket.remoteFamily,
    socket.remotePort, socket.localAddress, socket.localPort],
  ['127.0.0.1', 'IPv4', c.socket.localPort, '127.0.0.1', g.port]);
  assert.deepStrictEqual([socket.encrypted, socket.authorized,
    socket.getPeerCertificate(), socket.writable, socket.readable],
  [false, false, {}, true, true]);
  assert.strictEqual(socket.setNoDelay().setKeepAlive().ref().unref()
    .setTimeout(0), socket);
  assert.ok(socket.bytesWritten > 0 && socket.bytesRead > 0);
  // What is written besides the session goes nowhere.
  socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  ws.send('hello');
  assert.strictEqual(await c.message(), 'hello');
  const idle = once(socket, 'timeout');
  socket.setTimeout(20);
  await idle;
  const gone = once(ws, 'close');
  const down = once(socket, 'close');
  socket.destroy();
  assert.strictEqual((await gone)[0], 1006);
  await down;
  await until('the end', () => c.ended);
});

test('requests and upgrades of HTTP/1.1', { skip }, async (t) => {
  const server = http.createServer((req, res) => {
    assert.strictEqual(req.httpVersion, '1.1');
    if (req.url === '/trailers') {
      res.writeHead(200, { 'Transfer-Encoding': 'chunked', Trailer: 'X-T' });
      res.addTrailers({ 'X-T': 'u' });
    }
    res.write('a'.repeat(100000));
    setImmediate(() => res.end('b'));
  });
  server.on('checkContinue', (req, res) => {
    res.writeContinue();
    req.pipe(res);
  });
  const g = await start(t, server);
  const ask = async (options, body) => {
    const req = http.request({ port: g.port, host: '127.0.0.1', agent: false,
      ...options });
    let told = 0;
    req.on('continue', () => told++);
    if (options.headers) req.flushHeaders();
    if (body) {
      await once(req, 'continue');
      req.write(body);
    }
    req.end();
    const [res] = await once(req, 'response');
    let text = '';
    for await (const d of res) text += d;
    return { told, text };
  };
  for (const path of ['/', '/trailers'])
    assert.strictEqual((await ask({ path })).text.length, 100001);
  assert.deepStrictEqual(await ask({ path: '/', method: 'POST',
    headers: { Expect: '100-continue' } }, 'body'),
  { told: 1, text: 'body' });
});
