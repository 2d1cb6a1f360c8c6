// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Slow clients and programs, sessions that another backend had, and
// compression, with penstock/ws behind the real gateway.
const assert = require('assert');
const { once } = require('events');
const { test } = require('node:test');
const { WebSocketServer, createWebSocketStream } = require('../ws');
const { BINARY, gateway, until, peer, Client } = require('./support');

if (BINARY) process.env.PENSTOCK_BIN = BINARY;
const genuine = peer('ws');
const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const MB = 1024 * 1024;

async function start(t, options) {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  t.after(() => wss.backend.close(0));
  await once(wss, 'listening');
  const open = async () => {
    const here = once(wss, 'connection');
    const c = await Client.open(t, wss.address().port, '/');
    return [c, (await here)[0]];
  };
  return { wss, open };
}

test('who does not read is waited for', { skip }, async (t) => {
  const { open } = await start(t);
  const [c, ws] = await open();
  const [other, ws2] = await open();
  c.socket.pause();
  const piece = Buffer.alloc(MB, 'x');
  let flushed = 0;
  let n = 0;
  while (ws.bufferedAmount < 8 * MB) {
    ws.send(piece, () => flushed++);
    n++;
    await new Promise(setImmediate);
  }
  assert.ok(ws._socket.writableNeedDrain);
  assert.strictEqual(ws._socket.writableLength, ws.bufferedAmount);
  assert.ok(flushed < n);
  // Nobody else waits.
  ws2.send('quick');
  assert.strictEqual(await other.message(), 'quick');
  let drained = 0;
  ws._socket.once('drain', () => drained++);
  c.socket.resume();
  for (let i = 0; i < n; i++) assert.strictEqual((await c.message()).length, MB);
  await until('the callbacks', () => flushed === n);
  assert.strictEqual(drained, 1);
  assert.strictEqual(ws.bufferedAmount, 0);
  ws.send('after', (e) => { flushed = e || 'after'; });
  assert.strictEqual(await c.message(), 'after');
  await until('its callback', () => flushed === 'after');
  // Callbacks of what will never leave come, too.
  c.socket.pause();
  const errors = [];
  while (ws.bufferedAmount < MB) {
    ws.send(piece, (e) => errors.push(e));
    await new Promise(setImmediate);
  }
  ws.terminate();
  await once(ws, 'close');
  assert.ok(errors.some((e) => e instanceof Error));
});

test('a stream holds who writes back, and who is read', { skip },
  async (t) => {
    const { open } = await start(t);
    const [c, ws] = await open();
    const stream = createWebSocketStream(ws);
    c.socket.pause();
    const piece = Buffer.alloc(MB, 'x');
    let n = 0;
    // Until the client's socket is full write() comes back again and again.
    for (;;) {
      n++;
      if (stream.write(piece)) continue;
      const drained = await Promise.race([once(stream, 'drain'),
        new Promise((r) => { setTimeout(r, 500, null); })]);
      if (drained === null) break;
    }
    assert.ok(stream.writableNeedDrain);
    const drained = once(stream, 'drain');
    c.socket.resume();
    for (let i = 0; i < n; i++)
      assert.strictEqual((await c.message()).length, MB);
    await drained;
    // Nobody reads the stream: the client feels it.
    let sent = 0;
    await until('a client that waits', () => {
      while (sent < 200 * MB && c.send(piece.subarray(0, 65536))) sent += 65536;
      sent += 65536;
      return c.socket.writableLength > 4 * MB;
    });
    assert.ok(ws.isPaused);
    let got = 0;
    for await (const d of stream) {
      got += d.length;
      if (got === sent) break;
    }
    await until('the end', () => c.ended);
  });

test('compression as the options say', { skip: skip ||
  (genuine ? false : 'contrib/dev/npm was not run') }, async (t) => {
  const text = 'a'.repeat(10000);
  for (const [perMessageDeflate, extension, small, large, asked] of [
    [undefined, '', 1, 1, 1], [false, '', 1, 1, 1],
    [true, 'permessage-deflate', 1, 0, 1],
    [{ threshold: 10 }, 'permessage-deflate', 0, 0, 1]]) {
    const { wss } = await start(t, { perMessageDeflate });
    const here = once(wss, 'connection');
    const c = new genuine(`ws://127.0.0.1:${wss.address().port}`);
    await once(c, 'open');
    t.after(() => c.terminate());
    const [ws] = await here;
    assert.strictEqual(ws.extensions, extension);
    assert.strictEqual(c.extensions, extension);
    const size = async (...args) => {
      const before = c._socket.bytesRead;
      const [[message]] = await Promise.all([once(c, 'message'),
        ws.send(...args)]);
      assert.strictEqual(String(message), args[0]);
      return Number(c._socket.bytesRead - before >= args[0].length);
    };
    assert.deepStrictEqual([await size(text.slice(0, 500)), await size(text),
      await size(text, { compress: false })], [small, large, asked]);
  }
});

test('a session that another backend had', { skip }, async (t) => {
  const g = await gateway(t);
  const serve = async (options) => {
    const wss = new WebSocketServer({ socket: g.sock, signals: false,
      ...options });
    t.after(() => wss.backend.close(0));
    await once(wss, 'listening');
    return wss;
  };
  const first = await serve({});
  await g.ready();
  const here = once(first, 'connection');
  const c = await Client.open(t, g.port, '/ws',
    { 'Sec-WebSocket-Protocol': 'a, b' });
  const [ws] = await here;
  await first.backend.close(100);
  assert.strictEqual(ws.readyState, ws.CLOSED);
  c.send('meanwhile');
  const second = await serve({
    verifyClient: (info, done) => setTimeout(done, 20, true),
    handleProtocols: () => 'b' });
  second.on('connection', (next, req) => {
    next.on('message', (m) => next.send(`${m} ${next.protocol} ${req.url}`));
  });
  assert.strictEqual(await c.message(), 'meanwhile a /ws');
  assert.strictEqual(second.clients.size, 1);
  c.send('now');
  assert.strictEqual(await c.message(), 'now a /ws');
});
