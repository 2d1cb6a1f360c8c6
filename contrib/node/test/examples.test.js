// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The examples, each spawned by the real gateway (env PENSTOCK: its program),
// with clients of every version.
const assert = require('assert');
const { test } = require('node:test');
const { BINARY, gateway } = require('./support');
const { ALL, VERSIONS, speak } = require('./drafts');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

// Clients of all versions at the example.
async function start(t, name, { pool = '', path = '/ws', ...how } = {}) {
  const g = await gateway(t, { location: ALL, pool: `spawn ${process.execPath} ${
    require.resolve(`../examples/${name}`)}; ${pool}`, ...how });
  await g.ready();
  g.clients = [];
  for (const version of VERSIONS) {
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
