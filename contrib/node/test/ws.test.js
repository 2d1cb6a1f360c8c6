// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/ws, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const { once } = require('events');
const { test } = require('node:test');
const WebSocket = require('../ws');
const { BINARY, gateway, until, Client } = require('./support');

const { WebSocketServer } = WebSocket;
if (BINARY) process.env.PENSTOCK_BIN = BINARY;
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
          assert.strictEqual(ws.readyState, WebSocket.CLOSING);
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

test('one of port, server and noServer', () => {
  for (const o of [undefined, {}, { port: null }, { port: 0, server: {} },
    { port: 0, noServer: true }, { server: {}, noServer: true }])
    assert.throws(() => new WebSocketServer(o), { name: 'TypeError', message:
      'One and only one of the "port", "server", or "noServer" options must ' +
      'be specified' });
  const wss = new WebSocketServer({ noServer: true });
  assert.throws(() => wss.address(), /"noServer" mode/);
});

test('a port, and a private gateway at it', { skip }, async (t) => {
  const seen = [];
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/a',
    maxPayload: 10 }, () => seen.push('listening'));
  t.after(() => wss.backend.close(0));
  await once(wss, 'listening');
  assert.deepStrictEqual(seen, ['listening']);
  const { port, address } = wss.address();
  assert.strictEqual(address, '127.0.0.1');
  wss.on('connection', (ws) => {
    ws.on('error', (e) => seen.push(e.code));
    ws.on('close', (code) => seen.push(code));
    ws.on('message', (data) => ws.send(String(data)));
  });
  assert.match((await Client.open(t, port, '/b')).head, /^HTTP\/1.1 400 /);
  const c = await Client.open(t, port, '/a?b=c');
  c.send('0123456789');
  assert.strictEqual(await c.message(), '0123456789');
  c.send('0123456789a');
  assert.deepStrictEqual((await c.message()).code, 1009);
  await until('the end', () => seen.length === 3);
  assert.deepStrictEqual(seen.slice(1),
    ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 1006]);
  await new Promise((resolve) => wss.close(resolve));
  await new Promise((resolve) => wss.close((e) => {
    assert.match(e.message, /not running/);
    resolve();
  }));
});
