// SPDX-License-Identifier: BSD-2-Clause
// What `ws` makes of the gateway.  usage: clients.js URL; exits 0 when all is
// as it should be, else says what is not.
'use strict';
const assert = require('assert');
const { once } = require('events');
const WebSocket = require('ws');
const url = process.argv[2];

async function open(options) {
  const ws = new WebSocket(url, options);
  await once(ws, 'open');
  return ws;
}

async function echo(ws, data, options) {
  ws.send(data, options || {});
  const [got, binary] = await once(ws, 'message');
  assert.strictEqual(binary, Buffer.isBuffer(data));
  assert.ok(Buffer.from(data).equals(got));
}

async function sizes() {
  const ws = await open();
  assert.strictEqual(ws.extensions, '');
  for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    await echo(ws, Buffer.alloc(n, 'b'));
    await echo(ws, 't'.repeat(n));
  }
  await echo(ws, '\u00e4\u20ac\u{1f600}');
  ws.close();
  await once(ws, 'close');
}

async function fragments() {
  const ws = await open({ perMessageDeflate: false });
  for (let i = 0; i < 100; i++)
    ws.send(`${i},`, { fin: i === 99 });
  const [got] = await once(ws, 'message');
  assert.strictEqual(String(got), [...Array(100).keys()].map((i) => `${i},`).join(''));
  ws.close();
}

async function pings() {
  const ws = await open();
  for (let i = 0; i < 100; i++) {
    ws.ping(`p${i}`);
    const [data] = await once(ws, 'pong');
    assert.strictEqual(String(data), `p${i}`);
  }
  ws.close();
}

async function codes() {
  for (const [code, reason] of [[1000, 'done'], [1001, ''], [3000, 'r'], [4999, '\u00e4']]) {
    const ws = await open();
    ws.close(code, reason);
    const [got] = await once(ws, 'close');
    assert.strictEqual(got, code);
  }
  const ws = await open();
  ws.close();
  assert.strictEqual((await once(ws, 'close'))[0], 1005);
}

async function one(k, messages) {
  const ws = await open({ perMessageDeflate: k % 2 === 0 });
  let next = 0;
  ws.on('message', (data) => {
    assert.strictEqual(String(data), `${k}:${next}`);
    if (++next === messages)
      ws.close(1000);
  });
  for (let i = 0; i < messages; i++)
    ws.send(`${k}:${i}`);
  const [code] = await once(ws, 'close');
  assert.strictEqual(code, 1000);
  assert.strictEqual(next, messages);
}

async function many(connections, messages) {
  const all = [];
  for (let k = 0; k < connections; k++)
    all.push(one(k, messages));
  await Promise.all(all);
}

(async () => {
  for (const part of [sizes, fragments, pings, codes])
    await part();
  await many(1000, 100);
})().catch((e) => {
  console.error(e.stack);
  process.exit(1);
});
