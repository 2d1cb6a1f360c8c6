// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/ws where there is no gateway: what the npm package `ws`, which
// contrib/dev/npm installs, does then.
const assert = require('assert');
const { execFileSync } = require('child_process');
const { once } = require('events');
const fs = require('fs');
const http = require('http');
const path = require('path');
const { test } = require('node:test');
const { directory, peer } = require('./support');

const genuine = peer('ws');
const skip = genuine ? false : 'contrib/dev/npm was not run';
const PACKAGE = path.join(__dirname, '..');
const modules = path.join(__dirname, '../../../tests/e2e/node/node_modules');

// A program in a directory of its own; with `ws`, if it is to find that.
function run(t, code, withWs, name = 'app.js') {
  const dir = directory(t);
  fs.mkdirSync(path.join(dir, 'node_modules'));
  fs.symlinkSync(PACKAGE, path.join(dir, 'node_modules/penstock'));
  if (withWs)
    fs.symlinkSync(path.join(modules, 'ws'), path.join(dir, 'node_modules/ws'));
  const file = path.join(dir, name);
  fs.writeFileSync(file, code);
  return execFileSync(process.execPath, ['--preserve-symlinks', file],
    { encoding: 'utf8', cwd: dir, timeout: 15000 });
}

const SERVER = `
  const http = require('http');
  const WebSocket = require('penstock/ws');
  const server = http.createServer();
  const wss = new WebSocket.WebSocketServer({ server, path: '/p' });
  wss.on('headers', (lines) => lines.push('X-A: b'));
  wss.on('connection', (ws, req) => {
    console.log(wss.clients.size, req.url, ws instanceof WebSocket);
    ws.on('message', (m) => ws.send('echo ' + m));
    ws.on('close', () => server.close());
  });
  process.on('uncaughtException', (e) => {
    console.log(e.code);
    server.close();
  });
  server.listen(0, '127.0.0.1', () => {`;

test('connections of Node go to ws', { skip }, (t) => {
  const out = run(t, `${SERVER}
    const c = new WebSocket('ws://127.0.0.1:' + server.address().port + '/p');
    console.log(c instanceof WebSocket);
    c.on('upgrade', (res) => console.log(res.headers['x-a']));
    c.on('open', () => c.send('x'));
    c.on('message', (m) => { console.log(String(m)); c.close(); });
  });`, true);
  assert.deepStrictEqual(out.trim().split('\n').sort(),
    ['1 /p true', 'b', 'echo x', 'true']);
});

test('or are an error where there is none', (t) => {
  const out = run(t, `${SERVER}
    try {
      if (typeof globalThis.WebSocket === 'function')
        throw { code: 'ERR_NO_CLIENT' };
      new WebSocket('ws://127.0.0.1:1');
    } catch (e) {
      console.log(e.code);
    }
    const req = http.get({ port: server.address().port, path: '/p', headers: {
      Connection: 'Upgrade', Upgrade: 'websocket',
      'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2RlZg==' } });
    req.on('response', (res) => { console.log(res.statusCode); res.resume(); });
  });`, false);
  assert.deepStrictEqual(out.trim().split('\n').sort(),
    ['501', 'ERR_NOT_BRIDGED', 'ERR_NO_CLIENT']);
});

test('import', (t) => {
  const out = run(t, `
    import WebSocket, { WebSocketServer, createWebSocketStream, Server,
      WebSocket as Same } from 'penstock/ws';
    import { attach } from 'penstock/http';
    console.log(typeof WebSocketServer, typeof createWebSocketStream,
      Server === WebSocketServer, Same === WebSocket, WebSocket.OPEN,
      WebSocket.Server === Server, typeof attach);`, false, 'app.mjs');
  assert.strictEqual(out, 'function function true true 1 true function\n');
});

test('the declarations, and a program that uses all of them', {
  skip: peer('typescript') ? false : 'contrib/dev/npm was not run' }, (t) => {
  const dir = directory(t);
  fs.mkdirSync(path.join(dir, 'node_modules/@types'), { recursive: true });
  fs.symlinkSync(PACKAGE, path.join(dir, 'node_modules/penstock'));
  fs.symlinkSync(path.join(modules, '@types/node'),
    path.join(dir, 'node_modules/@types/node'));
  fs.symlinkSync(path.join(modules, 'undici-types'),
    path.join(dir, 'node_modules/undici-types'));
  const from = path.join(__dirname, 'types');
  for (const name of fs.readdirSync(from))
    fs.copyFileSync(path.join(from, name), path.join(dir, name));
  const tsc = path.join(modules, 'typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '--noEmit', '--strict', '--target',
      'es2022', '--module', 'node16', '--moduleResolution', 'node16',
      '--esModuleInterop', '--preserveSymlinks',
      ...fs.readdirSync(dir).filter((n) => /\.[cm]?ts$/.test(n))],
    { cwd: dir, encoding: 'utf8' });
  } catch (e) {
    assert.fail(e.stdout);
  }
});
