// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// backend.listen(): the private gateway (env PENSTOCK: its program).
const assert = require('assert');
const { execFileSync, spawn } = require('child_process');
const crypto = require('crypto');
const { once } = require('events');
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const path = require('path');
const { test } = require('node:test');
const { Backend } = require('..');
const { BINARY, until, directory, Client } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
if (BINARY) process.env.PENSTOCK_BIN = BINARY;

const handlers = {
  message(conn, data) { conn.send(data); },
  http(req, res) { res.end(`${req.method} ${req.url} ${req.request.tls}`); },
};

async function listening(t, ...args) {
  const backend = new Backend({ signals: false });
  t.after(() => backend.close(0));
  backend.app(handlers);
  await backend.listen(...args);
  return backend;
}

function get(options) {
  const { request } = options.ca || options.rejectUnauthorized === false
    ? https : http;
  return new Promise((resolve, reject) => {
    const req = request({ agent: false, ...options }, async (res) => {
      let body = '';
      for await (const d of res) body += d;
      resolve({ status: res.statusCode, body });
    });
    req.on('error', reject);
    req.end();
  });
}

// A program of its own, and the first line that it prints.
async function program(t, code, env = {}) {
  const child = spawn(process.execPath, ['-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'], cwd: path.join(__dirname, '..'),
    env: { ...process.env, ...env } });
  t.after(() => child.kill('SIGKILL'));
  child.stdout.setEncoding('utf8');
  let text = '';
  child.stdout.on('data', (d) => { text += d; });
  child.line = await until('a line', () => text.includes('\n') &&
    text.slice(0, text.indexOf('\n')));
  return child;
}

const PROGRAM = `const { Backend } = require('.');
  const b = new Backend();
  b.app({ message(c, d) { c.send(d); } });
  b.listen(0, '127.0.0.1').then(() => console.log(b.address().port, b.gateway.child.pid, b.gateway.dir));`;

test('port 0, sessions and requests', { skip }, async (t) => {
  let called = 0;
  const backend = await listening(t, 0, '127.0.0.1', () => called++);
  const at = backend.address();
  assert.strictEqual(called, 1);
  assert.strictEqual(backend.listening, true);
  assert.deepStrictEqual([at.address, at.family], ['127.0.0.1', 'IPv4']);
  assert.ok(at.port > 0);
  const r = await get({ port: at.port, path: '/a?b' });
  assert.deepStrictEqual(r, { status: 200, body: 'GET /a?b false' });
  const c = await Client.open(t, at.port, '/any');
  assert.match(c.head, /^HTTP\/1.1 101 /);
  c.send('hello');
  assert.strictEqual(await c.message(), 'hello');
  await assert.rejects(backend.listen(0),
    { code: 'ERR_SERVER_ALREADY_LISTEN' });
});

test('IPv6, and without a host', { skip }, async (t) => {
  let backend = await listening(t, { port: 0, host: '::1' });
  assert.strictEqual(backend.address().family, 'IPv6');
  assert.strictEqual((await get({ host: '::1',
    port: backend.address().port })).status, 200);
  backend = await listening(t);
  for (const host of ['127.0.0.1', '::1'])
    assert.strictEqual((await get({ host,
      port: backend.address().port })).status, 200);
});

test('a path, and its mode', { skip }, async (t) => {
  const at = path.join(directory(t), 'front.sock');
  const backend = await listening(t, { path: at, writableAll: true });
  assert.strictEqual(backend.address(), at);
  assert.strictEqual(fs.statSync(at).mode & 0o222, 0o222);
  assert.strictEqual((await get({ socketPath: at })).status, 200);
  const second = new Backend({ signals: false });
  second.app(handlers);
  await assert.rejects(second.listen(at),
    { code: 'EADDRINUSE', syscall: 'listen', address: at });
  await backend.close(0);
  assert.strictEqual(fs.existsSync(at), false);
});

test('errors are those of net.Server', { skip }, async (t) => {
  const before = process.env.TMPDIR;
  const dir = process.env.TMPDIR = directory(t);
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  const left = fs.readdirSync(dir);
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address();
  const backend = new Backend({ signals: false });
  backend.app(handlers);
  await assert.rejects(backend.listen(port, '127.0.0.1'), { code: 'EADDRINUSE',
    syscall: 'listen', address: '127.0.0.1', port });
  await assert.rejects(backend.listen(65536), { code: 'ERR_SOCKET_BAD_PORT' });
  await assert.rejects(backend.listen({ path: '/nowhere/x.sock' }),
    { syscall: 'listen' });
  assert.strictEqual(backend.address(), null);
  assert.deepStrictEqual(fs.readdirSync(dir), left);
  await backend.listen(0); // it may try again
  await backend.close(0);
});

test('no program is a clear error', { skip }, async (t) => {
  const backend = new Backend({ signals: false });
  backend.app(handlers);
  process.env.PENSTOCK_BIN = '/nowhere/penstock';
  t.after(() => { process.env.PENSTOCK_BIN = BINARY; });
  await assert.rejects(backend.listen(0), { code: 'ERR_PENSTOCK_BINARY',
    message: /PENSTOCK_BIN: \/nowhere\/penstock/ });
});

test('TLS', { skip }, async (t) => {
  const dir = directory(t);
  const name = (n) => path.join(dir, n);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:prime256v1', '-passout', 'pass:secret', '-keyout',
    name('key'), '-out', name('cert'), '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  const cert = fs.readFileSync(name('cert'));
  const backend = await listening(t, { port: 0, host: '127.0.0.1',
    tls: { cert, key: fs.readFileSync(name('key')), passphrase: 'secret' } });
  const r = await get({ ca: cert, servername: 'localhost',
    port: backend.address().port });
  assert.deepStrictEqual(r, { status: 200, body: 'GET / true' });
  const other = new Backend({ signals: false });
  other.app(handlers);
  await assert.rejects(other.listen({ port: 0, tls: { pfx: 'x' } }),
    { code: 'ERR_PENSTOCK_TLS' });
  // What only the gateway can see is an error of listen(), too.
  const { privateKey: key } = crypto.generateKeyPairSync('ec',
    { namedCurve: 'prime256v1',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
  await assert.rejects(other.listen({ port: 0, tls: { cert, key } }),
    { code: 'ERR_PENSTOCK_GATEWAY', message: /key/ });
  await assert.rejects(other.listen({ port: 0, gateway: { server: 'x;' } }),
    { code: 'ERR_PENSTOCK_GATEWAY', message: /unknown directive "x"/ });
});

test('close() refuses new clients and waits for the others', { skip },
  async (t) => {
    const backend = await listening(t, 0, '127.0.0.1');
    const { port } = backend.address();
    const { dir, child } = backend.gateway;
    const c = await Client.open(t, port, '/');
    let closed = false;
    const end = backend.close(2 ** 40).then(() => { closed = true; });
    await until('a refusal', () => new Promise((resolve) => {
      const s = net.connect(port, '127.0.0.1');
      s.on('error', () => resolve(true));
      s.on('connect', () => { s.destroy(); resolve(false); });
    }));
    c.send('still here');
    assert.strictEqual(await c.message(), 'still here');
    assert.strictEqual(closed, false);
    c.close();
    await end;
    assert.notStrictEqual(child.exitCode, null);
    assert.strictEqual(fs.existsSync(dir), false);
    await (await listening(t, port, '127.0.0.1')).close(0); // it is free
  });

test('it ends with its parent', { skip }, async (t) => {
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    const p = await program(t, PROGRAM);
    const [port, pid, dir] = p.line.split(' ');
    assert.strictEqual(fs.statSync(dir).mode & 0o777, 0o700);
    const c = await Client.open(t, Number(port), '/');
    c.send('x');
    assert.strictEqual(await c.message(), 'x');
    p.kill(signal);
    await once(p, 'exit');
    await until('the end of the gateway', () => {
      try {
        process.kill(Number(pid), 0);
        return false;
      } catch {
        return true;
      }
    });
    assert.strictEqual(fs.existsSync(dir), false);
  }
});

test('a gateway that ends is an error', { skip }, async (t) => {
  const backend = await listening(t, 0);
  backend.gateway.child.kill('SIGTERM');
  const [e] = await once(backend, 'error');
  assert.strictEqual(e.code, 'ERR_PENSTOCK_GATEWAY');
});

test('unref()', { skip }, async (t) => {
  const p = await program(t, `${PROGRAM}
    b.on('listening', () => b.unref());`);
  if (p.exitCode === null) await once(p, 'exit');
  assert.strictEqual(p.exitCode, 0);
});

test('PENSTOCK_SOCKET is where the first one goes', { skip }, async (t) => {
  const sock = path.join(directory(t), 'b.sock');
  const p = await program(t, `${PROGRAM.replace(/b\.listen.*/, '')}
    b.listen(1234, '127.0.0.1').then(() => {
      console.log(JSON.stringify(b.address()), b.gateway);
      b.close(0);
    });`, { PENSTOCK_SOCKET: sock });
  assert.strictEqual(p.line,
    '{"address":"127.0.0.1","family":"IPv4","port":1234} null');
});
