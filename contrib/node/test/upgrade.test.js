// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Handshakes for an http.Server (penstock/http), behind the real gateway.
const assert = require('assert');
const { execFileSync } = require('child_process');
const { once } = require('events');
const fs = require('fs');
const http = require('http');
const https = require('https');
const path = require('path');
const { test } = require('node:test');
const { Backend } = require('..');
const { attach } = require('../http');
const { WebSocketServer, WebSocket } = require('../ws');
const { ALL, VERSIONS, ORIGIN, speak } = require('./drafts');
const { BINARY, gateway, until, directory, Client } = require('./support');

if (BINARY) process.env.PENSTOCK_BIN = BINARY;
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
  [undefined, false, {}, true, true]);
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
      req.on('end', () => {
        res.addTrailers({ 'X-T': `u${req.trailers['x-s']}` });
        res.end('ab');
      });
      req.resume();
      return;
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
    if (options.trailers) req.addTrailers(options.trailers);
    if (body && options.headers) {
      await once(req, 'continue');
      req.write(body);
    } else if (body) {
      req.write(body);
    }
    req.end();
    const [res] = await once(req, 'response');
    let text = '';
    for await (const d of res) text += d;
    return { told, text, trailers: res.trailers };
  };
  assert.strictEqual((await ask({ path: '/' })).text.length, 100001);
  assert.deepStrictEqual(await ask({ path: '/trailers', method: 'POST',
    trailers: { 'X-S': 'v' } }, 'body'),
  { told: 0, text: 'ab', trailers: { 'x-t': 'uv' } });
  assert.deepStrictEqual(await ask({ path: '/', method: 'POST',
    headers: { Expect: '100-continue' } }, 'body'),
  { told: 1, text: 'body', trailers: {} });
});

test('clients of every version', { skip }, async (t) => {
  const server = http.createServer();
  const infos = [];
  const wss = new WebSocketServer({ server, verifyClient(info) {
    infos.push(info.origin);
    return true;
  } });
  const errors = [];
  wss.on('connection', (ws) => {
    ws.on('error', (e) => errors.push(e.code));
    ws.on('message', (m, isBinary) => {
      if (String(m) === 'binary') ws.send(m, { binary: true });
      ws.send(`${m} ${isBinary}`);
    });
    ws.on('close', (code) => errors.push(code));
  });
  const g = await start(t, server, { location: ALL });
  for (const version of VERSIONS) {
    const c = await speak(t, g.port, version);
    c.send('text');
    assert.strictEqual(await c.message(), 'text false', version);
    c.send('binary');
    if (version < 75)
      assert.deepStrictEqual(await c.message(), Buffer.from('binary'));
    assert.strictEqual(await c.message(), 'binary false');
    c.close();
    await until('its end', () => wss.clients.size === 0);
  }
  assert.deepStrictEqual(infos, VERSIONS.map(() => ORIGIN));
  assert.deepStrictEqual(errors, [8, 1005, 8, 1005, 1000, 1000]);
});

test('what asks for something else', { skip }, async (t) => {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => wss.close());
  await once(wss, 'listening');
  const ask = async (headers) => {
    const req = http.get({ ...wss.address(), host: '127.0.0.1', headers,
      agent: false });
    const [res] = await once(req, 'response');
    let text = '';
    for await (const d of res) text += d;
    return [res.statusCode, text];
  };
  const foo = { Connection: 'Upgrade', Upgrade: 'foo' };
  assert.deepStrictEqual(await ask(foo), [400, 'Invalid Upgrade header']);
  wss.once('wsClientError', (e, socket, req) => {
    assert.ok(req instanceof http.IncomingMessage);
    socket.end(`HTTP/1.1 418 No\r\n\r\n${e.message}`);
  });
  assert.deepStrictEqual(await ask(foo), [418, 'Invalid Upgrade header']);
  assert.deepStrictEqual(await ask({}), [426, 'Upgrade Required']);
});

test('TLS, and certificates of clients', { skip }, async (t) => {
  const dir = directory(t);
  const [key, cert] = ['key', 'cert'].map((n) => path.join(dir, n));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
  { stdio: 'ignore' });
  const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert),
    ca: fs.readFileSync(cert) };
  const seen = [];
  const server = http.createServer((req, res) => {
    const s = req.socket;
    seen.push([s.encrypted, s.authorized, s.getPeerCertificate().subject?.CN]);
    res.end(s.getProtocol());
  });
  const backend = new Backend({ signals: false });
  t.after(() => backend.close(0));
  attach(server, { backend });
  await backend.listen({ port: 0, host: '127.0.0.1',
    tls: { ...tls, requestCert: true, rejectUnauthorized: false } });
  for (const own of [{}, tls]) {
    const req = https.get({ host: '127.0.0.1', port: backend.address().port,
      servername: 'localhost', agent: false, ca: tls.ca, ...own });
    const [res] = await once(req, 'response');
    assert.match(String((await once(res, 'data'))[0]), /^TLSv1.3$/);
  }
  assert.deepStrictEqual(seen, [[true, false, undefined],
    [true, true, 'localhost']]);
});
