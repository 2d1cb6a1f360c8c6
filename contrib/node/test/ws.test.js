// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/ws, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const { once } = require('events');
const { test } = require('node:test');
const WebSocket = require('../ws');
const { BINARY, gateway, until, Client } = require('./support');

const { WebSocketServer } = WebSocket;
const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

async function start(t, options = {}) {
  const g = await gateway(t);
  const wss = new WebSocketServer({ socket: g.sock, signals: false,
    ...options });
  t.after(() => wss.backend.close(0));
  await once(wss, 'listening');
  await g.ready();
  return { g, wss };
}

test('messages and events as those of ws', { skip }, async (t) => {
  const { g, wss } = await start(t);
  const ends = [];
  let flushed = 0;
  wss.on('connection', (ws, req) => {
    assert.ok(ws instanceof WebSocket);
    assert.strictEqual(ws.readyState, ws.OPEN);
    assert.strictEqual(ws.url, undefined);
    assert.strictEqual(req.socket.remoteAddress, '127.0.0.1');
    ws.on('message', (data, isBinary) => {
      assert.ok(Buffer.isBuffer(data));
      ws.send(data, { binary: isBinary }, (e) => {
        assert.ifError(e);
        flushed++;
      });
    });
    ws.addEventListener('message', (e) => {
      ws.send(`${req.url} ${typeof e.data}`);
    }, { once: true });
    ws.on('pong', (data) => ws.send(`pong ${data}`));
    ws.onclose = (e) => ends.push(`${e.code} ${e.reason} ${e.wasClean}`);
    ws.on('close', (code, reason) => {
      assert.ok(Buffer.isBuffer(reason));
      ends.push(`${code} ${reason}`);
    });
  });
  const c = await Client.open(t, g.port, '/ws?x=1');
  c.send('text');
  assert.strictEqual(await c.message(), 'text');
  assert.strictEqual(await c.message(), '/ws?x=1 string');
  c.send(Buffer.from('bin'));
  assert.deepStrictEqual(await c.message(), Buffer.from('bin'));
  await until('the callbacks', () => flushed === 2);
  assert.strictEqual(wss.clients.size, 1);
  for (const ws of wss.clients) ws.ping('x');
  assert.strictEqual((await c.frame()).opcode, 9);
  c.send('x', { opcode: 10 });
  assert.strictEqual(await c.message(), 'pong x');
  c.close(4000, 'why');
  await until('the end', () => ends.length === 2);
  assert.deepStrictEqual(ends, ['4000 why true', '4000 why']);
  assert.strictEqual(wss.clients.size, 0);
});

test('verifyClient, handleProtocols, headers, binaryType', { skip },
  async (t) => {
    const { g, wss } = await start(t, {
      verifyClient(info, done) {
        if (info.req.headers['x-no']) done(false, 402, 'pay', { 'X-Y': 'z' });
        else setImmediate(done, true);
      },
      handleProtocols: (set) => [...set][1],
    });
    wss.on('headers', (list) => list.push('Set-Cookie: a=b'));
    wss.on('connection', (ws) => {
      ws.binaryType = 'arraybuffer';
      ws.on('message', (data) => {
        ws.send(`${ws.protocol} ${data.constructor.name} ${data.byteLength}`);
        ws.once('pong', () => {
          ws.terminate();
          assert.strictEqual(ws.readyState, WebSocket.CLOSED);
          ws.send('late', (e) => { late = e; });
        });
      });
    });
    let late = null;
    const no = await Client.open(t, g.port, '/ws', { 'X-No': '1' });
    assert.match(no.head, /^HTTP\/1.1 402 .*X-Y: z\r\n/s);
    const c = await Client.open(t, g.port, '/ws',
      { 'Sec-WebSocket-Protocol': 'a, b' });
    assert.match(c.head, /Set-Cookie: a=b\r\n/);
    assert.match(c.head, /Sec-WebSocket-Protocol: b\r\n/);
    c.send(Buffer.from('123'));
    assert.strictEqual(await c.message(), 'b ArrayBuffer 3');
    c.send('', { opcode: 10 });
    await until('the end', () => c.ended && late);
  });

test('what is not built is refused', () => {
  for (const o of [{ port: 0 }, { noServer: true }, { server: {} }])
    assert.throws(() => new WebSocketServer(o), TypeError);
  assert.throws(() => new WebSocket('ws://localhost'), TypeError);
});

test('a refused message is an error for who listens only', () => {
  let handlers;
  new WebSocketServer({ backend: { app: (o, h) => { handlers = h; } } });
  const ws = new WebSocket({ request: {} });
  const conn = { data: ws };
  handlers.error(conn, new Error('1'));
  handlers.error({}, new Error('before its 101'));
  const seen = [];
  ws.onerror = (e) => seen.push(e.message);
  handlers.error(conn, new Error('2'));
  ws.on('error', (e) => seen.push(e));
  const three = new Error('3');
  handlers.error(conn, three);
  assert.deepStrictEqual(seen, ['2', '3', three]);
});
