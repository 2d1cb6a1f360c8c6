// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Programs that know nothing of Penstock, under penstock/register (env
// PENSTOCK: the gateway).
const assert = require('assert');
const { execFileSync, spawn } = require('child_process');
const { once } = require('events');
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const path = require('path');
const { pathToFileURL } = require('url');
const { test } = require('node:test');
const { BINARY, until, directory, gateway, peer } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const root = path.join(__dirname, '..');
const PRELOAD = ['-r', path.join(root, 'register.js')];
const [major, minor] = process.versions.node.split('.').map(Number);
const HAS_REGISTER = major > 20 || (major === 20 && minor >= 6) ||
  (major === 18 && minor >= 19);

const modules = path.join(root, '../../tests/e2e/node/node_modules');
const genuine = peer('ws');
const skipPeers = skip || (genuine && peer('socket.io') ? false
  : 'contrib/dev/npm was not run');

// A program beside the packages that it uses.
function installed(t, name) {
  const dir = directory(t);
  fs.symlinkSync(modules, path.join(dir, 'node_modules'));
  const file = path.join(dir, name);
  fs.copyFileSync(path.join(__dirname, 'programs', name), file);
  return file;
}

// Runs one of test/programs; `at` is the address that it prints.
async function run(t, name, { args = [], flags = PRELOAD, env = {},
  wait = 'callback' } = {}) {
  const child = spawn(process.execPath,
    [...flags, path.resolve(__dirname, 'programs', name), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PENSTOCK_BIN: BINARY, ...env } });
  t.after(() => child.kill('SIGKILL'));
  child.text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (d) => { child.text += d; });
  child.says = (word) => until(word, () => {
    const line = child.text.split('\n').find((l) => l.startsWith(word));
    if (line === undefined && child.exitCode !== null)
      throw new Error(`it ended: ${child.text}`);
    return line;
  });
  const line = await child.says(wait);
  if (wait === 'callback') child.at = JSON.parse(line.slice(wait.length));
  return child;
}

function get(options, use = http) {
  return new Promise((resolve, reject) => {
    use.get({ agent: false, host: '127.0.0.1', ...options }, async (res) => {
      let body = '';
      for await (const d of res) body += d;
      resolve({ status: res.statusCode, headers: res.headers, body });
    }).on('error', reject);
  });
}

test('an http.Server', { skip }, async (t) => {
  const p = await run(t, 'plain.js');
  await p.says('ERR_SERVER_ALREADY_LISTEN');
  assert.ok(p.text.startsWith('listening true\n'));
  assert.deepStrictEqual([p.at.address, p.at.family], ['127.0.0.1', 'IPv4']);
  const r = await get({ port: p.at.port, path: '/a?b' });
  assert.strictEqual(r.headers.server, 'penstock'); // it is a gateway's
  assert.deepStrictEqual([r.status, r.body, r.headers['x-address']],
    [200, 'GET /a?b\n', '127.0.0.1']);
  assert.strictEqual((await get({ port: p.at.port, path: '/count' })).body,
    '1\n');
  // After server.close() nothing is left that would keep it alive.
  assert.strictEqual((await get({ port: p.at.port, path: '/close' })).body,
    'bye\n');
  await p.says('closed');
  if (p.exitCode === null) await once(p, 'exit');
  assert.strictEqual(p.exitCode, 0);
});

test('errors of listen()', { skip }, async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address();
  const p = await run(t, 'plain.js', { wait: 'error',
    args: [JSON.stringify([port, '127.0.0.1'])] });
  assert.strictEqual(p.text, `error EADDRINUSE listen ${port}\n`);
});

test('the forms of listen()', { skip }, async (t) => {
  const sock = path.join(directory(t), 'front.sock');
  for (const where of [[], [0], [{ port: 0, host: '::1' }],
    [0, '127.0.0.1', 64], [sock], [{ path: sock }]]) {
    const p = await run(t, 'plain.js', { args: [JSON.stringify(where)] });
    const r = await get(typeof p.at === 'string' ? { socketPath: p.at }
      : { port: p.at.port, host: p.at.address === '::1' ? '::1'
        : '127.0.0.1' });
    assert.strictEqual(r.body, 'GET /\n', JSON.stringify(where));
    p.kill('SIGTERM');
    await once(p, 'exit');
    assert.strictEqual(p.signalCode, 'SIGTERM'); // as without us
    if (typeof p.at === 'string')
      await until('the end of the gateway', () => !fs.existsSync(p.at));
  }
});

test('a module', { skip: skip || (HAS_REGISTER ? false : 'no register') },
  async (t) => {
    for (const flags of [PRELOAD,
      ['--import', pathToFileURL(path.join(root, 'register.mjs')).href]]) {
      const p = await run(t, 'plain.mjs', { flags });
      assert.strictEqual((await get({ port: p.at.port })).body, 'GET /\n');
    }
  });

test('an https.Server', { skip }, async (t) => {
  const dir = directory(t);
  const [key, cert] = ['key', 'cert'].map((n) => path.join(dir, n));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert,
    '-days', '2', '-subj', '/CN=localhost', '-addext',
    'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  const p = await run(t, 'secure.js', { args: [key, cert] });
  const r = await get({ port: p.at.port, path: '/s', ca: fs.readFileSync(cert),
    servername: 'localhost' }, https);
  assert.strictEqual(r.body, 'true /s\n');
});

test('a cluster: two processes, one port', { skip }, async (t) => {
  const p = await run(t, 'cluster.js');
  const seen = new Set();
  await until('both', async () => {
    seen.add((await get({ port: p.at.port })).body);
    return seen.size === 2;
  });
});

test('PENSTOCK_SOCKET: behind the gateway that is there', { skip },
  async (t) => {
    const g = await gateway(t);
    const p = await run(t, 'plain.js', { env: { PENSTOCK_SOCKET: g.sock },
      args: ['[1234,"127.0.0.1"]'] });
    assert.strictEqual(p.at.port, 1234);
    await g.ready();
    assert.strictEqual((await get({ port: g.port, path: '/x' })).body,
      'GET /x\n');
    p.kill('SIGTERM');
    await once(p, 'exit');
    assert.strictEqual(p.signalCode, 'SIGTERM');
  });

// A client of the genuine `ws`, open, and what it hears.
async function connect(t, url, protocols, options) {
  const ws = new genuine(url, protocols, options);
  t.after(() => ws.terminate());
  ws.heard = [];
  ws.on('message', (data, isBinary) =>
    ws.heard.push(isBinary ? data : data.toString()));
  await once(ws, 'open');
  ws.hears = (n) => until(`${n} messages`, () => ws.heard.length >= n &&
    ws.heard);
  return ws;
}

async function echoes(t, url, options) {
  const ws = await connect(t, url, [], options);
  ws.send('text');
  ws.send(Buffer.from('binary'));
  assert.deepStrictEqual(await ws.hears(2), ['text', Buffer.from('binary')]);
  return ws;
}

for (const [name, skipped] of [['ws.js', skipPeers],
  ['ws.mjs', skipPeers || (HAS_REGISTER ? false : 'no register')]])
  test(`ws: ${name}`, { skip: skipped }, async (t) => {
    const p = await run(t, installed(t, name));
    const at = `127.0.0.1:${p.at.port}`;
    const r = await get({ port: p.at.port });
    assert.deepStrictEqual([r.body, r.headers.server],
      ['plain http works too\n', 'penstock']);
    await echoes(t, `ws://${at}/echo`);
    if (name === 'ws.mjs') {
      const packed = await echoes(t, `ws://${at}/packed`);
      assert.match(packed.extensions, /^permessage-deflate/);
    }
    // A server of its own, by `port`.
    const second = JSON.parse((await p.says('port')).slice(4));
    await echoes(t, `ws://127.0.0.1:${second.port}/`);
    assert.strictEqual(p.text.includes('genuine'), false);
  });

test('PENSTOCK_WS_SKIP: the genuine ws, through a tunnel', { skip: skipPeers },
  async (t) => {
    const p = await run(t, installed(t, 'ws.js'),
      { env: { PENSTOCK_WS_SKIP: '/ws\\.js$' } });
    await p.says('genuine');
    await echoes(t, `ws://127.0.0.1:${p.at.port}/echo`);
  });

test('express-ws', { skip: skipPeers }, async (t) => {
  const p = await run(t, installed(t, 'express-ws.js'));
  assert.strictEqual((await get({ port: p.at.port, path: '/hello/you' })).body,
    'hello you');
  await echoes(t, `ws://127.0.0.1:${p.at.port}/echo`);
});

test('socket.io: polling, websocket, an upgrade', { skip: skipPeers },
  async (t) => {
    const p = await run(t, installed(t, 'socketio.js'));
    const { io } = peer('socket.io-client');
    for (const transports of [['polling'], ['websocket'],
      ['polling', 'websocket']]) {
      const s = io(`http://127.0.0.1:${p.at.port}`,
        { forceNew: true, reconnection: false, transports });
      t.after(() => s.close());
      await new Promise((resolve, reject) => {
        s.on('connect', resolve);
        s.on('connect_error', reject);
      });
      assert.deepStrictEqual(await s.emitWithAck('echo', { a: [1, 'ä'] }),
        { a: [1, 'ä'] });
      await until('the last transport', async () =>
        await s.emitWithAck('transport') === transports.at(-1));
      s.close();
    }
  });

test('graphql-ws', { skip: skipPeers }, async (t) => {
  const p = await run(t, installed(t, 'graphql.js'));
  const ws = await connect(t, `ws://127.0.0.1:${p.at.port}/graphql`,
    'graphql-transport-ws');
  assert.strictEqual(ws.protocol, 'graphql-transport-ws');
  ws.send('{"type":"connection_init"}');
  await ws.hears(1);
  ws.send('{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}');
  const heard = (await ws.hears(3)).map((m) => JSON.parse(m));
  assert.deepStrictEqual(heard.map((m) => m.type),
    ['connection_ack', 'next', 'complete']);
  assert.deepStrictEqual(heard[1].payload, { data: { hello: 'world' } });
});

test("y-websocket's own server", { skip: skipPeers }, async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  await run(t, path.join(modules, 'y-websocket/bin/server.cjs'),
    { env: { HOST: '127.0.0.1', PORT: String(port) }, wait: 'running at' });
  const r = await get({ port });
  assert.deepStrictEqual([r.body, r.headers.server], ['okay', 'penstock']);
  const Y = peer('yjs');
  const { WebsocketProvider } = peer('y-websocket');
  const both = [0, 1].map(() => {
    const doc = new Y.Doc();
    const provider = new WebsocketProvider(`ws://127.0.0.1:${port}`, 'room',
      doc, { WebSocketPolyfill: genuine, disableBc: true });
    t.after(() => {
      provider.destroy();
      provider.awareness.destroy();
    });
    return doc.getText('t');
  });
  both[0].insert(0, 'hello');
  await until('its text', () => both[1].toString() === 'hello');
});
