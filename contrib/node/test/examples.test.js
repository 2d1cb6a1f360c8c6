// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The examples, each spawned by the real gateway (env PENSTOCK: its program),
// with clients of every version.
const assert = require('assert');
const { execFile } = require('child_process');
const fs = require('fs');
const path = require('path');
const { promisify } = require('util');
const { test } = require('node:test');
const { BINARY, gateway } = require('./support');
const { ALL, VERSIONS, speak } = require('./drafts');

const run = promisify(execFile);
const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

// Clients of all versions at the example.
async function start(t, name, { pool = '', path = '/ws', versions = VERSIONS,
  ...how } = {}) {
  const g = await gateway(t, { location: ALL, pool: `spawn ${process.execPath} ${
    require.resolve(`../examples/${name}`)}; ${pool}`, ...how });
  await g.ready();
  g.clients = [];
  for (const version of versions) {
    const c = await speak(t, g.port, version, path);
    assert.ok(c.accepted, `version ${version}: ${c.head}`);
    g.clients.push(c);
  }
  return g;
}

test('nws-echo-all', { skip }, async (t) => {
  const { clients, port } = await start(t, 'nws-echo-all.js');
  const names = ['draft75', 'draft76', 'hybi-08', 'rfc6455'];
  for (const [i, c] of clients.entries())
    assert.strictEqual(await c.message(), `you are ${names[i]}`);
  for (const [i, c] of clients.entries()) {
    c.send(`from ${i}`);
    for (const other of clients)
      assert.match(await other.message(), new RegExp(`^\\d+: from ${i}$`));
  }
  const page = await fetch(`http://127.0.0.1:${port}/page`);
  assert.strictEqual(await page.text(), 'Come with a WebSocket.\n');
});

test('websockets-broadcast', { skip }, async (t) => {
  const { clients } = await start(t, 'websockets-broadcast.js');
  const [,, , last] = clients;
  for (const [text, want] of [['hello', 'hello'],
    ['head', 'one frame of text'], ['parts', 'one of three']]) {
    for (const c of clients) {
      c.send(text);
      for (const other of clients)
        assert.strictEqual(await other.message(), want);
    }
  }
  last.send('parts');
  const frames = [];
  for (let i = 0; i < 4; i++) frames.push(await last.frame());
  assert.deepStrictEqual(frames.map((f) => [f.opcode, f.fin, String(f.data)]),
    [[1, false, 'one '], [0, false, 'of '], [0, false, 'three'], [0, true, '']]);
});

test('websockets-stream', { skip }, async (t) => {
  const { clients, port } = await start(t, 'websockets-stream.js');
  const text = fs.readFileSync(
    require.resolve('../examples/websockets-stream.js'));
  for (const c of clients) {
    c.send('go');
    for (const other of clients.slice(2)) // the first two have no binary
      assert.deepStrictEqual(await other.message(), text);
  }
  const page = await fetch(`http://127.0.0.1:${port}/page`);
  assert.strictEqual(await page.text(), 'a page\n');
});

test('websockets-pipe', { skip }, async (t) => {
  const { clients } = await start(t, 'websockets-pipe.js');
  const large = 'x'.repeat(20000);
  for (const c of clients) {
    // Those without fragments say it at once.
    if (c.version >= 75) {
      c.send(large);
    } else {
      c.send(large.slice(0, 10), { fin: false });
      c.send(large.slice(10), { opcode: 0 });
    }
    for (const other of clients.slice(2))
      assert.strictEqual(String(await other.message()), large);
  }
});

test('ws04-echo', { skip }, async (t) => {
  // ws 0.4 had no version 75.
  const { clients, port } = await start(t, 'ws04-echo.js',
    { versions: [76, 8, 13] });
  const text = fs.readFileSync(require.resolve('../examples/ws04-echo.js'),
    'utf8');
  for (const c of clients) {
    c.send('echo');
    assert.strictEqual(await c.message(), 'echo');
    c.send('file');
    c.send('behind it');
    assert.strictEqual(await c.message(), text);
    assert.strictEqual(await c.message(), 'behind it');
  }
  assert.strictEqual((await speak(t, port, 75)).status, 400);
});

test('v8cgi-echo-all', { skip }, async (t) => {
  const { clients } = await start(t, 'v8cgi-echo-all.js');
  // Each has spoken, so each is there.
  for (const [i, c] of clients.entries()) {
    c.send(`hello ${i}`);
    while (await c.message() !== `hello ${i}`);
  }
  for (const [i, c] of clients.entries()) {
    c.send(`to all from ${i}`);
    for (const other of clients) {
      let got = await other.message();
      while (/^hello/.test(got)) got = await other.message();
      assert.strictEqual(got, `to all from ${i}`);
    }
  }
});

// What others wrote, in their time or since: ws 0.4, websocket, faye-websocket
// and websocket-client, which are as old as the versions that they speak.
const PEERS = path.join(__dirname, '../../../tests/e2e/node');
const haveThem = fs.existsSync(path.join(PEERS, 'node_modules/websocket-client'));

test('ws04-echo and clients that others wrote', { skip: skip || (haveThem
  ? false : 'their npm packages are not installed') }, async (t) => {
  const g = await gateway(t, { location: ALL, pool: `spawn ${process.execPath} ${
    require.resolve('../examples/ws04-echo.js')};` });
  await g.ready();
  const { stdout } = await run(process.execPath, [
    path.join(PEERS, 'drafts.js'), `ws://127.0.0.1:${g.port}/ws`]);
  assert.strictEqual(stdout, '');
});
