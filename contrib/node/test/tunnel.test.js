// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Programs that answer handshakes themselves (allow_tunnel), through the real
// gateway.  contrib/dev/npm installs the libraries.
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const net = require('net');
const { test } = require('node:test');
const { attach } = require('../http');
const { BINARY, gateway, until, peer } = require('./support');

const genuine = peer('ws');
const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const skipPeers = skip || (genuine ? false : 'contrib/dev/npm was not run');

async function start(t, server) {
  const g = await gateway(t, { extra: 'allow_tunnel on;',
    location: 'websocket_origin any;' });
  const backend = attach(server, { socket: g.sock, signals: false });
  t.after(() => backend.close(0));
  await once(server, 'listening');
  await g.ready();
  return g;
}

test('ws on both sides', { skip: skipPeers }, async (t) => {
  const server = http.createServer();
  const wss = new genuine.WebSocketServer({ server, perMessageDeflate: true });
  const big = Buffer.alloc(3000000, 'abcdefg');
  let closed = null;
  wss.on('connection', (ws, req) => {
    assert.strictEqual(req.socket.remoteAddress, '127.0.0.1');
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    ws.on('close', (code, reason) => { closed = [code, String(reason)]; });
  });
  const g = await start(t, server);
  for (const perMessageDeflate of [false, true]) {
    const ws = new genuine(`ws://127.0.0.1:${g.port}/ws`, ['p'],
      { perMessageDeflate });
    await once(ws, 'open');
    assert.strictEqual(ws.protocol, 'p');
    assert.strictEqual(ws.extensions,
      perMessageDeflate ? 'permessage-deflate' : '');
    ws.send('text');
    assert.strictEqual(String((await once(ws, 'message'))[0]), 'text');
    ws.send(big);
    assert.ok((await once(ws, 'message'))[0].equals(big));
    ws.close(4001, 'bye');
    assert.strictEqual((await once(ws, 'close'))[0], 4001);
    await until('its end', () => closed);
    assert.deepStrictEqual(closed, [4001, 'bye']);
    closed = null;
  }
});

test('faye-websocket', { skip: skipPeers }, async (t) => {
  const Faye = peer('faye-websocket');
  const server = http.createServer();
  server.on('upgrade', (req, socket, head) => {
    const ws = new Faye(req, socket, head);
    ws.on('message', (e) => ws.send(e.data));
  });
  const g = await start(t, server);
  const ws = new genuine(`ws://127.0.0.1:${g.port}/ws`);
  await once(ws, 'open');
  ws.send('text');
  assert.strictEqual(String((await once(ws, 'message'))[0]), 'text');
  ws.close();
  await once(ws, 'close');
});

// A client that reads nothing for a while, and one that is not read.
test('bytes both ways wait for who reads them', { skip }, async (t) => {
  const server = http.createServer();
  const n = 20000000;
  let socket = null;
  server.on('upgrade', (req, s) => {
    socket = s;
    s.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n' +
      'Connection: Upgrade\r\n\r\n');
  });
  const g = await start(t, server);
  for (const path of ['/ws', '/']) {
    const c = net.connect(g.port, '127.0.0.1');
    t.after(() => c.destroy());
    const websocket = path === '/ws';
    c.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n` +
      `Upgrade: ${websocket ? 'websocket' : 'x'}\r\n` +
      'Sec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n');
    let head = '';
    for await (const d of c.iterator({ destroyOnReturn: false })) {
      head += d;
      if (head.endsWith('\r\n\r\n')) break;
    }
    assert.match(head, /^HTTP\/1.1 101 /);
    // To a client that does not read.
    let sent = 0;
    const piece = Buffer.alloc(100000, 'x');
    while (sent < n && socket.write(piece)) sent += piece.length;
    sent += piece.length;
    assert.ok(sent < n && socket.writableNeedDrain);
    while (sent < n) {
      sent += piece.length;
      socket.write(piece);
    }
    assert.ok(socket.writableLength > n / 2);
    let got = 0;
    const drained = once(socket, 'drain');
    c.on('data', (d) => { got += d.length; });
    await drained;
    await until('all of it', () => got === sent);
    // From it, to a program that does not.
    for (let i = 0; i < 100; i++) c.write(piece);
    c.end();
    await until('a part of it', () => socket.readableLength > 0);
    let back = 0;
    socket.on('data', (d) => { back += d.length; });
    await once(socket, 'end');
    assert.strictEqual(back, 100 * piece.length);
    socket.end();
    await Promise.all([once(socket, 'close'), once(c, 'close')]);
    socket = null;
  }
});
