// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/ws04, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const http = require('http');
const net = require('net');
const path = require('path');
const { once } = require('events');
const { Readable } = require('stream');
const { test } = require('node:test');
const ws04 = require('../ws04');
const { attach } = require('../http');
const { Backend } = require('..');
const { BINARY, gateway, until } = require('./support');
const { ALL, ORIGIN, speak } = require('./drafts');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const { Server, WebSocket } = ws04;
const VERSIONS = [76, 8, 13];

async function start(t, options = {}, how = {}) {
  const g = await gateway(t, { location: ALL, ...how });
  const server = new Server({ socket: g.sock, signals: false, ...options });
  t.after(() => server.backend.close(0));
  await once(server, 'listening');
  await g.ready();
  return { g, server };
}

async function pair(t, g, server, version = 13, target = '/ws', headers = {}) {
  const [[ws], client] = await Promise.all([once(server, 'connection'),
    speak(t, g.port, version, target, headers)]);
  return { ws, client };
}

test('2.14 2.16 2.17 2.18 2.19 2.20 2.32 2.33 2.36 A19 A20: each version',
  { skip }, async (t) => {
    const { g, server } = await start(t);
    for (const version of VERSIONS) {
      const urls = [];
      server.once('connection/ws?x=1', (ws) => urls.push(ws));
      server.once('connection', (ws) => {
        assert.strictEqual(ws.readyState, ws.OPEN);
        ws.on('message', (data, flags) => {
          ws.send(data, { binary: flags.binary });
        });
        ws.once('open', () => urls.push('open'));
      });
      const { ws, client } = await pair(t, g, server, version, '/ws?x=1');
      const hixie = version === 76;
      await until('open', () => urls.length === 2);
      assert.deepStrictEqual(urls, [ws, 'open']);
      assert.strictEqual(ws.protocolVersion, hixie ? 'hixie-76' : version);
      assert.strictEqual(ws.supports.binary, !hixie);
      assert.strictEqual(ws.url, undefined);
      assert.strictEqual(ws.upgradeReq.url, '/ws?x=1');
      assert.ok(ws.upgradeReq instanceof http.IncomingMessage);
      assert.ok(ws instanceof WebSocket);
      assert.deepStrictEqual(server.clients, [ws]);
      client.send('größe');
      assert.strictEqual(await client.message(), 'größe');
      if (!hixie) {
        client.send(Buffer.from([0, 255]));
        assert.deepStrictEqual(await client.message(), Buffer.from([0, 255]));
      }
      client.close(3001, 'done');
      const [code, reason] = await once(ws, 'close');
      assert.deepStrictEqual([code, reason], hixie ? [1005, ''] : [3001, 'done']);
      assert.strictEqual(ws.readyState, WebSocket.CLOSED);
      assert.deepStrictEqual(server.clients, []);
    }
    for (const version of [75, 7])
      assert.strictEqual((await speak(t, g.port, version)).status, 400,
        `A19: ${version} is not offered`);
    assert.deepStrictEqual([WebSocket.CONNECTING, WebSocket.OPEN,
      WebSocket.CLOSING, WebSocket.CLOSED], [0, 1, 2, 3]);
  });

test('A18, 2.16: bytesReceived are those of the wire', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { ws, client } = await pair(t, g, server);
  let seen = 0;
  ws.on('message', () => seen++);
  let want = 0;
  for (const n of [0, 5, 125, 126, 65535, 65536, 200000]) {
    client.send('x'.repeat(n));
    want += n + 6 + (n < 126 ? 0 : n < 65536 ? 2 : 8);
  }
  await until('all', () => seen === 7);
  assert.strictEqual(ws.bytesReceived, want);
  client.send('', { opcode: 9 });
  client.close(1000);
  await once(ws, 'close');
  assert.strictEqual(ws.bytesReceived, want + 6 + 8, 'control frames too');
  const old = await pair(t, g, server, 76);
  old.client.send('abc');
  await once(old.ws, 'message');
  assert.strictEqual(old.ws.bytesReceived, 5);
});

test('A27, 2.5: verifyClient in all forms', { skip }, async (t) => {
  const infos = [];
  const g = await gateway(t, { location: ALL });
  let verifyClient;
  const server = new Server({ socket: g.sock, signals: false,
    verifyClient: (info) => true });
  t.after(() => server.backend.close(0));
  await once(server, 'listening');
  await g.ready();
  for (const [f, want, more] of [
    [() => true, 101], [() => false, 401, /Unauthorized/],
    [(info) => { infos.push(info); return true; }, 101],
    [(info, cb) => cb(true), 101],
    [(info, cb) => setImmediate(cb, false), 401],
    [(info, cb) => cb(false, 402, 'pay', { 'X-Why': 'rent' }), 402,
      /X-Why: rent/],
    [() => Promise.resolve(false), 401],
  ]) {
    server.options.verifyClient = f;
    for (const version of VERSIONS) {
      const c = await speak(t, g.port, version);
      assert.strictEqual(c.status, want, `${f} ${version}`);
      if (more) assert.match(c.head, more);
    }
  }
  assert.deepStrictEqual(infos.map((i) => [i.origin, i.secure, i.req.url]),
    VERSIONS.map(() => [ORIGIN, false, '/ws']));
});

test('2.8: disableHixie; A7: subprotocols', { skip }, async (t) => {
  const { g, server } = await start(t, { disableHixie: true });
  assert.strictEqual((await speak(t, g.port, 76)).status, 401);
  const { ws } = await pair(t, g, server, 13, '/ws',
    { 'Sec-WebSocket-Protocol': 'a, b' });
  assert.strictEqual(ws.protocol, 'a', 'the first one');
  server.options.handleProtocols = (list, cb) => cb(list.length > 1, list[1]);
  const two = await pair(t, g, server, 8, '/ws',
    { 'Sec-WebSocket-Protocol': 'a, b' });
  assert.strictEqual(two.ws.protocol, 'b');
  assert.strictEqual((await speak(t, g.port, 13, '/ws',
    { 'Sec-WebSocket-Protocol': 'a' })).status, 401);
});

test('A28, 2.6: path, the query ignored', { skip }, async (t) => {
  const { g, server } = await start(t, { path: '/ws/mine' });
  await pair(t, g, server, 13, '/ws/mine?x=1');
  assert.strictEqual((await speak(t, g.port, 13, '/ws/mine/not')).status, 400);
  assert.strictEqual((await speak(t, g.port, 13, '/ws')).status, 400);
});

// Two servers and requests on one http.Server, which the gateway feeds.
async function shared(t) {
  const g = await gateway(t, { location: ALL });
  const web = http.createServer((req, res) => res.end('plain'));
  const backend = new Backend({ signals: false });
  attach(web, { backend });
  t.after(() => backend.close(0));
  await backend.run(g.sock);
  await g.ready();
  return { g, web };
}

test('A28, 2.4 2.6: servers that share an http.Server', { skip }, async (t) => {
  const { g, web } = await shared(t);
  const a = new Server({ server: web, path: '/ws/a' });
  const b = new Server({ server: web, path: '/ws/b' });
  assert.throws(() => new Server({ server: web, path: '/ws/a' }),
    /same http server path/);
  for (const version of VERSIONS) {
    for (const [server, target] of [[a, '/ws/a'], [b, '/ws/b?x']]) {
      const { ws, client } = await pair(t, g, server, version, target);
      ws.send(target);
      assert.strictEqual(await client.message(), target);
    }
    assert.strictEqual((await speak(t, g.port, version, '/ws/c')).status, 404,
      'nobody took it');
  }
  a.close();
  const again = new Server({ server: web, path: '/ws/a' });
  await pair(t, g, again, 13, '/ws/a');
  web.on('upgrade', (req, socket) => {
    if (req.url === '/ws/c')
      socket.end('HTTP/1.1 410 Gone\r\n\r\n');
  });
  assert.strictEqual((await speak(t, g.port, 13, '/ws/c')).status, 410,
    'it is left for other listeners');
  const page = await fetch(`http://127.0.0.1:${g.port}/`);
  assert.strictEqual(await page.text(), 'plain');
});

test('A26, 2.7 2.12 2.15: noServer, handleUpgrade, new WebSocket([...])',
  { skip }, async (t) => {
    const { g, web } = await shared(t);
    const server = new Server({ noServer: true });
    web.on('upgrade', (req, socket, head) => {
      if (req.url === '/ws/no') {
        socket.write('HTTP/1.1 401 Unauthorized\r\nX-Why: because\r\n' +
          'Content-Length: 4\r\n\r\nnot!');
        socket.end();
      } else if (req.url === '/ws/bare') {
        new WebSocket([req, socket, head]).send('bare');
      } else {
        server.handleUpgrade(req, socket, head, (ws) => ws.send('taken'));
      }
    });
    for (const version of VERSIONS) {
      for (const [target, text] of [['/ws', 'taken'], ['/ws/bare', 'bare']]) {
        const c = await speak(t, g.port, version, target);
        assert.strictEqual(await c.message(), text);
      }
      const no = await speak(t, g.port, version, '/ws/no');
      assert.strictEqual(no.status, 401);
      assert.match(no.head, /X-Why: because/);
    }
    assert.strictEqual(server.clients.length, 6 - 3);
    assert.throws(() => new WebSocket([{}, {}, null]), TypeError);
  });

test('2.10, 2.13: what is wrong', { skip }, async (t) => {
  assert.throws(() => new Server(), TypeError);
  assert.throws(() => new Server({}), TypeError);
  assert.ok(new Server({ noServer: true }));
  const g = await gateway(t);
  const server = new Server({ socket: path.join(g.dir, 'none', 'b.sock'),
    signals: false });
  const [e] = await once(server, 'error');
  assert.ok(e instanceof Error);
});

test('A25, 2.11: close() terminates, close(code) closes', { skip },
  async (t) => {
    for (const code of [undefined, 4001]) {
      const { g, server } = await start(t, { closeTimeout: 200 });
      const clients = [];
      for (const version of VERSIONS)
        clients.push((await pair(t, g, server, version)).client);
      const closed = once(server, 'close');
      server.close(code, code && 'so long');
      const last = clients[2];
      if (code === undefined) {
        await until('the end', () => clients.every((c) => c.ended));
      } else {
        assert.deepStrictEqual(await last.message(),
          { code, reason: 'so long' });
        // Nobody answers the Close: after closeTimeout they are terminated.
        await until('the end', () => clients.every((c) => c.ended));
      }
      await closed;
      assert.deepStrictEqual(server.clients, []);
    }
  });

test('2.21 2.23 2.24 2.28 2.34 2.35 A23 A24: control frames', { skip },
  async (t) => {
    const { g, server } = await start(t);
    for (const version of [8, 13]) {
      const { ws, client } = await pair(t, g, server, version);
      ws.ping('p', { mask: true, binary: true });
      assert.strictEqual((await client.frame()).data.toString(), 'p');
      client.send('p', { opcode: 10 });
      const [data, flags] = await once(ws, 'pong');
      assert.strictEqual(String(data), 'p');
      assert.strictEqual(typeof flags.binary, 'boolean');
      client.send('q', { opcode: 9 });
      assert.strictEqual(String((await once(ws, 'ping'))[0]), 'q');
      const pong = await client.frame();
      assert.deepStrictEqual([pong.opcode, pong.data.toString()], [10, 'q']);
      ws.pong('r');
      assert.strictEqual((await client.frame()).data.toString(), 'r');
      ws.close(3000, 'described');
      assert.strictEqual(ws.readyState, ws.CLOSING);
      assert.throws(() => ws.ping(), /not opened/);
      ws.ping('', {}, true);
      ws.pong('', {}, true);
      assert.throws(() => ws.pause(), /not opened/);
      assert.throws(() => ws.resume(), /not opened/);
      assert.throws(() => ws.send('late'), /not opened/);
      const [e] = await new Promise((r) => ws.send('late', (...a) => r(a)));
      assert.match(e.message, /not opened/);
      assert.deepStrictEqual(await client.message(),
        { code: 3000, reason: 'described' });
      client.close(3000);
      await once(ws, 'close');
      const other = await pair(t, g, server, version);
      other.ws.terminate();
      assert.strictEqual((await once(other.ws, 'close'))[0], 1006);
    }
    const { ws, client } = await pair(t, g, server, 76);
    ws.ping('x');
    ws.pong('x');
    ws.send('only this');
    assert.strictEqual(await client.message(), 'only this');
  });

test('A20, 2.x: binary to hixie is an error', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { ws, client } = await pair(t, g, server, 76);
  ws.send(Buffer.from('x')); // nobody listens: no crash
  const errors = [];
  ws.on('error', (e) => errors.push(e.message));
  ws.send(Buffer.from('x'), (e) => errors.push(e.message));
  ws.send('text');
  assert.strictEqual(await client.message(), 'text');
  assert.deepStrictEqual(errors,
    Array(2).fill('hixie websockets do not support binary'));
});

test('A21, 2.22 2.25: pause holds what is on its way', { skip }, async (t) => {
  const { g, server } = await start(t);
  for (const version of VERSIONS) {
    const { ws, client } = await pair(t, g, server, version);
    const got = [];
    ws.on('message', (data) => {
      got.push(data);
      if (got.length === 1) ws.pause();
    });
    for (let i = 0; i < 20; i++) client.send(String(i));
    await until('one', () => got.length === 1);
    await new Promise((r) => setTimeout(r, 30));
    assert.deepStrictEqual(got, ['0']);
    ws.resume();
    await until('all', () => got.length === 20);
    assert.deepStrictEqual(got, Array.from({ length: 20 }, (x, i) => String(i)));
  }
});

test('A22, 2.26: send and its callback', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { ws, client } = await pair(t, g, server);
  const big = Buffer.alloc(4 * 1024 * 1024);
  client.socket.pause();
  let done = false;
  let queued = false;
  ws.send(big, { binary: true }, (e) => { done = e || true; });
  ws._whenQueued = true; // as the option sendCallback has it
  ws.send(big, (e) => { queued = e || true; });
  await until('the link', () => queued === true);
  await new Promise((r) => setTimeout(r, 50));
  assert.strictEqual(done, false, 'the kernel has not taken it');
  client.socket.resume();
  assert.strictEqual((await client.message()).length, big.length);
  await client.message();
  await until('the callback', () => done === true);
  assert.strictEqual(new Server({ noServer: true, sendCallback: 'queued' })
    .options.sendCallback, 'queued');
  ws.send(new Uint8Array([1, 2]));
  assert.deepStrictEqual(await client.message(), Buffer.from([1, 2]));
  ws.send(7);
  assert.strictEqual(await client.message(), '7');
  ws.send('text as binary', { binary: true });
  assert.deepStrictEqual(await client.message(), Buffer.from('text as binary'));
});

test('A8, 2.27: stream', { skip }, async (t) => {
  const { g, server } = await start(t);
  for (const version of VERSIONS) {
    const { ws, client } = await pair(t, g, server, version);
    let n = 0;
    const ticks = [];
    ws.stream((error, send) => {
      assert.ifError(error);
      ticks.push(n);
      send(`piece ${n} `, ++n === 3);
    });
    let flushed = false;
    ws.send('behind it', () => { flushed = true; });
    assert.strictEqual(n, 0, 'not within the call');
    assert.strictEqual(await client.message(), 'piece 0 piece 1 piece 2 ');
    assert.strictEqual(await client.message(), 'behind it');
    assert.deepStrictEqual(ticks, [0, 1, 2]);
    await until('the callback', () => flushed);
    // Readables.
    ws.send(Readable.from(['a', 'b', 'c']));
    ws.send('next');
    assert.strictEqual(await client.message(), 'abc');
    assert.strictEqual(await client.message(), 'next');
    // What throws ends it, with an error and a Close.
    const seen = [];
    ws.stream((error, send) => {
      if (error) {
        seen.push(error.message);
        return;
      }
      send('x');
      throw new Error('mine');
    });
    const late = new Promise((r) => ws.send('never', r));
    assert.match((await late).message, /not opened/);
    assert.deepStrictEqual(seen, ['mine']);
    if (version === 13) {
      assert.strictEqual((await client.message()).code, 1011);
      client.close(1011);
    }
  }
  // The client leaves.
  const { ws, client } = await pair(t, g, server);
  const ended = new Promise((resolve) => {
    ws.stream((error, send) => {
      if (error) resolve(error);
      else if (ws.sent === undefined) { ws.sent = true; send('begin'); }
    });
  });
  await client.frame();
  client.socket.destroy();
  assert.match((await ended).message, /not opened/);
});

test('A8: a stream waits for its client', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { ws, client } = await pair(t, g, server);
  client.socket.pause();
  const piece = Buffer.alloc(65536, 1);
  let n = 0;
  ws.stream({ binary: true }, (error, send) => send(piece, ++n === 500));
  let before = -1;
  await until('a stop', async () => {
    const same = n === before && n > 0;
    before = n;
    await new Promise((r) => setTimeout(r, 50));
    return same && n === before;
  });
  assert.ok(n < 500, 'it was held back');
  assert.ok(ws.bufferedAmount <= 2 * 65536);
  client.socket.resume();
  assert.strictEqual((await client.message()).length, 500 * 65536);
});

test('2.29 2.30 2.31: listeners as in browsers; faults of the client',
  { skip }, async (t) => {
    const { g, server } = await start(t, {},
      { location: `${ALL} websocket_max_message 1000;` });
    const { ws, client } = await pair(t, g, server);
    const events = [];
    ws.onmessage = () => events.push('replaced');
    ws.onmessage = (e) => events.push(`${e.type} ${e.data}`);
    ws.on('message', () => events.push('stays'));
    ws.addEventListener('message', (e) =>
      events.push(`${e.data} ${e.target === ws}`));
    ws.onclose = (e) => events.push(`close ${e.code} ${e.wasClean}`);
    ws.onerror = (e) => events.push(e.type);
    assert.strictEqual(typeof ws.onmessage, 'function');
    assert.strictEqual(ws.onopen, undefined);
    client.send('m');
    await until('events', () => events.length === 3);
    assert.deepStrictEqual(events.sort(), ['m true', 'message m', 'stays']);
    client.send('x'.repeat(2000));
    assert.strictEqual((await client.message()).code, 1009);
    await until('the end', () => events.length >= 5);
    assert.deepStrictEqual(events.slice(3, 5), ['error', 'close 1009 false']);
    for (const [bytes, code] of [[[0x83, 0x80, 0, 0, 0, 0], 1002],
      [[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007]]) {
      const bad = await pair(t, g, server);
      const error = once(bad.ws, 'error');
      bad.client.socket.write(Buffer.from(bytes));
      assert.strictEqual((await bad.client.message()).code, code);
      assert.ok((await error)[0] instanceof Error);
    }
  });

test('a port of its own: 2.1 2.2 2.3 2.9', { skip }, async (t) => {
  process.env.PENSTOCK_BIN = BINARY;
  let called = 0;
  const server = new Server({ port: 0, clientTracking: false, signals: false },
    () => called++);
  t.after(() => server.backend.close(0));
  await once(server, 'listening');
  assert.strictEqual(called, 1);
  const { port, address } = server.address();
  assert.strictEqual(address, '127.0.0.1');
  server.on('connection', (ws) => ws.send('hello'));
  for (const version of VERSIONS)
    assert.strictEqual(await (await speak(t, port, version, '/any')).message(),
      'hello');
  assert.deepStrictEqual(server.clients, []);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.strictEqual(await page.text(), 'Not implemented');
  const second = new Server({ port, signals: false });
  const [e] = await once(second, 'error');
  assert.strictEqual(e.code, 'EADDRINUSE');
  server.close();
  await once(server, 'close');
  await until('no listener', () => fetch(`http://127.0.0.1:${port}/`)
    .then(() => false, () => true));
});

test('2.15: new WebSocket(address) is the client that there is', (t) => {
  const before = globalThis.WebSocket;
  globalThis.WebSocket = class { constructor(...args) { this.args = args; } };
  t.after(() => { globalThis.WebSocket = before; });
  const c = new WebSocket('ws://localhost:1/', { protocol: 'x' });
  assert.ok(!(c instanceof WebSocket));
  if (c.args) assert.deepStrictEqual(c.args, ['ws://localhost:1/', 'x']);
  else c.on('error', () => {}); // the npm package ws is installed here
});

test('A26: a socket that no gateway has', () => {
  const server = new Server({ noServer: true });
  try {
    server.handleUpgrade({ method: 'GET', url: '/', headers: {} },
      new net.Socket(), Buffer.alloc(0), () => {});
    assert.ok(server._peer, 'the npm package ws is installed here');
  } catch (e) {
    assert.strictEqual(e.code, 'ERR_NOT_BRIDGED');
  }
});

test('2.x: messages that come with the handshake', { skip }, async (t) => {
  const { g, server } = await start(t);
  const got = [];
  server.on('connection', (ws) => ws.on('message', (data) => got.push(data)));
  const socket = net.connect(g.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(Buffer.concat([Buffer.from('GET /ws HTTP/1.1\r\nHost: a\r\n' +
    'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'),
  Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])]));
  await until('the message', () => got.length === 1);
  assert.deepStrictEqual(got, ['hi']);
});

// The package whose API this is, as a client.
let Genuine = null;
try {
  Genuine = require(path.join(__dirname,
    '../../../tests/e2e/node/node_modules/ws-0.4'));
} catch { /* not installed */ }

test('its own client of those days', { skip: skip || (Genuine ? false
  : 'npm package ws 0.4 is not installed') }, async (t) => {
  const { g, server } = await start(t);
  server.on('connection', (ws) => {
    ws.on('message', (data, flags) => {
      ws.send(data, { binary: flags.binary, mask: false });
    });
  });
  for (const protocolVersion of [8, 13]) {
    const c = new Genuine(`ws://127.0.0.1:${g.port}/ws`,
      { protocolVersion, origin: ORIGIN });
    await once(c, 'open');
    c.send('text', { mask: true });
    assert.strictEqual((await once(c, 'message'))[0], 'text');
    c.send(Buffer.from([1, 2, 3]), { mask: true, binary: true });
    const [data, flags] = await once(c, 'message');
    assert.ok(flags.binary && Buffer.from([1, 2, 3]).equals(data));
    c.stream({ mask: true }, (error, send) => send('x', true));
    assert.strictEqual(String((await once(c, 'message'))[0]), 'x');
    c.close(3001, 'done');
    await once(c, 'close');
  }
});
