// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/websockets, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const http = require('http');
const { once } = require('events');
const { Duplex, Readable, Writable } = require('stream');
const { test } = require('node:test');
const WebSocketServer = require('../websockets');
const { attach } = require('../http');
const { Backend } = require('..');
const { BINARY, gateway, until } = require('./support');
const { ALL, VERSIONS, speak } = require('./drafts');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const BIG = 20000;

// Of its own, or with web: true on an http.Server.
async function start(t, options = {}, { web = false, ...how } = {}) {
  const g = await gateway(t, { location: ALL, ...how });
  const o = { url: 'ws://localhost:3000/ws', signals: false, ...options };
  let server;
  let backend;
  if (web) {
    server = new WebSocketServer(o);
    g.web = http.createServer((req, res) => res.end('plain'));
    backend = new Backend({ signals: false });
    attach(g.web, { backend });
    server.listen(g.web);
    await backend.run(g.sock);
  } else {
    server = new WebSocketServer({ socket: g.sock, ...o });
    ({ backend } = server);
    await once(server, 'listening');
  }
  t.after(() => backend.close(0));
  await g.ready();
  return { g, server };
}

async function pair(t, g, server, version = 13, target = '/ws') {
  const [[s], client] = await Promise.all([once(server, 'open'),
    speak(t, g.port, version, target)]);
  return { s, client };
}

async function all(t, g, server) {
  const pairs = [];
  for (const version of VERSIONS) pairs.push(await pair(t, g, server, version));
  return pairs;
}

function record(server) {
  const events = [];
  for (const name of ['open', 'message', 'pong', 'stream:start', 'stream:end',
    'stream:stop', 'close', 'error'])
    server.on(name, (...args) => events.push([name, ...args]));
  return events;
}

test('3.2 3.6 3.8 3.10 3.12 A13 A17: clients of each version', { skip },
  async (t) => {
    for (const web of [false, true]) {
      const { g, server } = await start(t, {}, { web });
      const events = record(server);
      assert.ok(server instanceof Writable);
      for (const version of VERSIONS) {
        events.length = 0;
        const { s, client } = await pair(t, g, server, version);
        assert.ok(s instanceof Duplex);
        assert.match(s.id, /^\d+$/);
        assert.deepStrictEqual(server.sockets, [s]);
        assert.strictEqual(server.connections, 1);
        const own = once(s, 'message');
        client.send('größe');
        assert.strictEqual((await own)[0], 'größe');
        s.send('back');
        assert.strictEqual(await client.message(), 'back');
        const binary = version === 8 || version === 13;
        if (binary) {
          client.send(Buffer.from([1, 255]));
          await once(s, 'message');
          s.send(Buffer.from([2]));
          assert.deepStrictEqual(await client.message(), Buffer.from([2]));
          client.close(4000, 'why');
        } else {
          client.close();
        }
        await once(server, 'close');
        const want = [['open', s], ['message', 'größe', s]];
        if (binary) want.push(['message', Buffer.from([1, 255]), s]);
        want.push(binary ? ['close', 4000, s, 'why'] : ['close', 1005, s, '']);
        assert.deepStrictEqual(events, want);
        assert.deepStrictEqual(server.sockets, []);
      }
      assert.ok((await fetch(`http://127.0.0.1:${g.port}/`)).status > 0);
    }
  });

test('A16, 3.2: the target must be that of the url, with its query', { skip },
  async (t) => {
    const { g, server } = await start(t, { url: 'ws://any:1/ws?room=1' });
    await pair(t, g, server, 13, '/ws?room=1');
    for (const target of ['/ws', '/ws?room=2', '/ws?room=1&x', '/ws/'])
      assert.strictEqual((await speak(t, g.port, 13, target)).status, 404);
    assert.deepStrictEqual(new WebSocketServer().path, '/');
    assert.deepStrictEqual([new WebSocketServer().options.timeout,
      new WebSocketServer().maxConnections], [600000, 10]);
  });

test('A14, 3.4: maxConnections refuses, or evict_oldest closes the oldest',
  { skip }, async (t) => {
    const { g, server } = await start(t, { maxConnections: 2 });
    const first = await pair(t, g, server);
    await pair(t, g, server, 76);
    for (const version of VERSIONS) {
      const no = await speak(t, g.port, version);
      assert.strictEqual(no.status, 503);
      assert.match(no.head, /Retry-After: \d+/);
    }
    first.client.close(1000);
    await once(server, 'close');
    await pair(t, g, server, 75);
    const two = await start(t,
      { maxConnections: 2, overflow: 'evict_oldest' });
    const old = await pair(t, two.g, two.server);
    await pair(t, two.g, two.server, 8);
    await pair(t, two.g, two.server, 13);
    assert.deepStrictEqual(await old.client.message(),
      { code: 1013, reason: 'Maximum amount of connections reached.' });
    old.client.close(1013);
    await once(two.server, 'close');
    assert.strictEqual(two.server.connections, 2);
  });

test('A15, 3.3: an idle client is closed, pings do not count', { skip },
  async (t) => {
    const { g, server } = await start(t, { timeout: 300 });
    const { client } = await pair(t, g, server);
    const begin = Date.now();
    const end = await client.message();
    assert.strictEqual(end.code, 1001);
    assert.match(end.reason, /idle/);
    assert.ok(Date.now() - begin >= 250);
  });

test('A11, 3.9: pong is a pong that came, a string', { skip }, async (t) => {
  const { g, server } = await start(t);
  const events = record(server);
  const { s, client } = await pair(t, g, server);
  s.ping('Hey');
  assert.strictEqual((await client.frame()).data.toString(), 'Hey');
  client.send('Hey', { opcode: 10 });
  await once(server, 'pong');
  client.send('x', { opcode: 9 });
  assert.strictEqual((await client.frame()).opcode, 10);
  client.send('end');
  await once(server, 'message');
  assert.deepStrictEqual(events.filter(([name]) => name === 'pong'),
    [['pong', 'Hey', s]]);
});

test('A10, 3.13 3.14 3.15: streams of a client', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { s, client } = await pair(t, g, server);
  const events = record(server);
  const parts = [];
  s.on('data', (d) => parts.push(d));
  const names = () => events.map(([name]) => name);
  const reset = () => { events.length = parts.length = 0; };
  const STREAM = ['stream:start', 'stream:end', 'stream:stop'];
  for (const [data, options, want] of [
    ['x'.repeat(16383), {}, ['message']], ['x'.repeat(16384), {}, STREAM],
    [Buffer.alloc(16383), {}, ['message']], [Buffer.alloc(BIG), {}, STREAM],
  ]) {
    reset();
    client.send(data, options);
    await until('the message', () => events.length === want.length);
    assert.deepStrictEqual(names(), want);
    if (want !== STREAM) continue;
    await until('its end', () => parts.length && parts.at(-1).length === 0);
    assert.deepStrictEqual(Buffer.concat(parts), Buffer.from(data));
  }
  reset();
  client.send('frag', { fin: false });
  await until('a piece', () => parts.length === 1);
  assert.deepStrictEqual(names(), ['stream:start']);
  client.send('ments', { opcode: 0 });
  await until('its end', () => parts.length === 3);
  assert.deepStrictEqual(parts.map(String), ['frag', 'ments', '']);
  assert.deepStrictEqual(names(), STREAM);
  // The code took every binary message for one.
  server.options.binaryAsStream = true;
  reset();
  client.send(Buffer.from('b'));
  await until('its end', () => events.length === 3);
  assert.deepStrictEqual(names(), STREAM);
  // Nobody reads: what comes is dropped, and the client goes on.
  const two = await pair(t, g, server, 8);
  for (let i = 0; i < 20; i++) two.client.send('y'.repeat(BIG));
  two.client.send('small');
  await until('the message', () => events.some((e) => e[1] === 'small'));
  // Who reads slowly holds the client back.
  const three = await pair(t, g, server, 13);
  three.s.on('readable', () => {});
  let sent = 0;
  const more = () => {
    while (sent < 400) {
      sent++;
      if (!three.client.send('z'.repeat(BIG))) break;
    }
  };
  three.client.socket.on('drain', more);
  more();
  await new Promise((r) => setTimeout(r, 200));
  assert.ok(sent < 400, 'it is held back');
  three.s.removeAllListeners('readable');
  await new Promise(setImmediate);
  three.s.resume();
  await until('the rest', () => sent === 400);
});

test('3.15: a client is a Writable of fragments', { skip }, async (t) => {
  const { g, server } = await start(t);
  const { s, client } = await pair(t, g, server);
  s.write('one');
  s.send('whole');
  s.write('two');
  s.write(Buffer.alloc(0));
  const frames = [];
  for (let i = 0; i < 4; i++) frames.push(await client.frame());
  assert.deepStrictEqual(frames.map((f) => [f.opcode, f.fin, String(f.data)]),
    [[2, false, 'one'], [0, false, 'two'], [0, true, ''], [1, true, 'whole']]);
  Readable.from([Buffer.from('a'), Buffer.from('b')]).pipe(s);
  assert.deepStrictEqual(await client.message(), Buffer.from('ab'));
  const old = await pair(t, g, server, 76);
  const error = once(server, 'error');
  old.s.write('binary');
  assert.match((await error)[0].message, /binary/);
  s.close('a reason');
  assert.deepStrictEqual(await client.message(),
    { code: 1000, reason: 'a reason' });
  const two = await pair(t, g, server);
  two.s.close(4002);
  assert.deepStrictEqual(await two.client.message(), { code: 4002, reason: '' });
  old.s.terminate();
  await until('the end', () => old.client.ended);
});

// The frames of one message to all: opcode 2, then 0, then an empty one with FIN.
async function expectStream(client, text) {
  const frames = [];
  do frames.push(await client.frame());
  while (!frames.at(-1).fin);
  assert.strictEqual(frames[0].opcode, 2);
  assert.ok(frames.length > 1);
  assert.ok(frames.slice(1).every((f) => f.opcode === 0));
  assert.strictEqual(frames.at(-1).data.length, 0);
  assert.strictEqual(Buffer.concat(frames.map((f) => f.data)).toString(), text);
}

test('A9, 3.1 3.5: write() is one message to all who are there', { skip },
  async (t) => {
    for (const web of [false, true]) {
      const { g, server } = await start(t, {}, { web, workers: web ? 1 : 2 });
      const clients = (await all(t, g, server)).map((p) => p.client);
      const [one, two, three, four] = clients;
      server.write(Buffer.from('first '));
      for (const c of [three, four]) {
        const f = await c.frame();
        assert.deepStrictEqual([f.opcode, f.fin, String(f.data)],
          [2, false, 'first ']);
      }
      const late = await pair(t, g, server);
      late.s.send('hello, late one');
      server.broadcast('behind it');
      three.close(1000);
      server.write('second');
      server.write(Buffer.alloc(0));
      let f = await four.frame();
      assert.deepStrictEqual([f.opcode, f.fin, String(f.data)],
        [0, false, 'second']);
      f = await four.frame();
      assert.deepStrictEqual([f.opcode, f.fin, f.data.length], [0, true, 0]);
      // Later ones, and those without binary messages, get what else there is.
      assert.strictEqual(await late.client.message(), 'hello, late one');
      for (const c of [one, two, four, late.client])
        assert.strictEqual(await c.message(), 'behind it');
      // A pipe ends the message, not the server.
      for (const text of ['abc', 'def']) {
        Readable.from([...text].map((x) => Buffer.from(x))).pipe(server);
        await expectStream(four, text);
        await expectStream(late.client, text);
      }
    }
  });

test('A9, 3.16: pipe relays, one stream at a time', { skip }, async (t) => {
  for (const web of [false, true]) {
    const { g, server } = await start(t, {}, { web });
    server.on('stream:start', (s) => s.pipe(server));
    const errors = [];
    server.on('error', (e) => errors.push(e.message));
    const [a, b] = [await pair(t, g, server), await pair(t, g, server, 8)];
    for (const from of [a, b, a]) {
      from.client.send('one ', { fin: false });
      from.client.send('two', { opcode: 0 });
      await expectStream(a.client, 'one two');
      await expectStream(b.client, 'one two');
      from.client.send('x'.repeat(BIG));
      await expectStream(a.client, 'x'.repeat(BIG));
      await expectStream(b.client, 'x'.repeat(BIG));
    }
    // A second one at the same time is refused, whole.
    a.client.send('mine ', { fin: false });
    assert.strictEqual(String((await b.client.frame()).data), 'mine ');
    assert.strictEqual(String((await a.client.frame()).data), 'mine ');
    b.client.send('no ', { fin: false });
    await until('the error', () => errors.length === 1);
    server.write('nor this');
    server.write(Buffer.alloc(0));
    await until('the error', () => errors.length === 2);
    b.client.send('way', { opcode: 0 });
    b.client.send('done');
    await once(server, 'message');
    // It goes before its end: the others get one.
    a.client.socket.destroy();
    const end = await b.client.frame();
    assert.deepStrictEqual([end.opcode, end.fin], [0, true]);
    server.write('free again');
    server.end();
    await expectStream(b.client, 'free again');
    assert.deepStrictEqual(errors,
      Array(2).fill('a stream to all is under way'));
  }
});

test('A12, 3.7: broadcast with a head, and without', { skip }, async (t) => {
  for (const web of [false, true]) {
    const { g, server } = await start(t, {}, { web, pool: '' });
    const errors = [];
    server.on('error', (e) => errors.push(e.message));
    const clients = (await all(t, g, server)).map((p) => p.client);
    const hybi = clients.slice(2);
    const each = async (list, want) => {
      for (const c of list) assert.deepStrictEqual(await c.message(), want);
    };
    server.broadcast('plain');
    await each(clients, 'plain');
    server.broadcast(Buffer.from('as text'));
    await each(clients, 'as text');
    server.broadcast({ fin: true, opcode: 1 }, 'text');
    await each(clients, 'text');
    server.broadcast({ fin: true, opcode: 2, mask: true }, Buffer.from('bin'));
    await each(hybi, Buffer.from('bin'));
    server.broadcast({ fin: false, opcode: 1 }, 'in ');
    server.broadcast({ fin: false, opcode: 0 }, 'three ');
    server.broadcast({ fin: true, opcode: 0 }, 'parts');
    await each(clients, 'in three parts');
    server.broadcast('large '.repeat(60000));
    await each(clients, 'large '.repeat(60000));
    assert.throws(() => server.broadcast({ fin: true, opcode: 0 }, 'x'),
      /no message/);
    server.broadcast({ fin: true, opcode: 9 }, 'ping');
    server.broadcast({ fin: true, opcode: 10 }, 'pong');
    for (const c of hybi) {
      const ping = await c.frame();
      const pong = await c.frame();
      assert.deepStrictEqual([ping.opcode, String(ping.data), pong.opcode,
        String(pong.data)], [9, 'ping', 10, 'pong']);
    }
    assert.throws(() => server.broadcast({ fin: true, opcode: 9 },
      Buffer.alloc(126)), RangeError);
    assert.throws(() => server.broadcast({ fin: true, opcode: 3 }, 'x'),
      { code: 'ERR_NO_RAW' });
    server.broadcast({ fin: true, opcode: 8 },
      Buffer.from([0x0f, 0xa1, 0x78]));
    await each(hybi, { code: 4001, reason: 'x' });
    assert.deepStrictEqual(errors, []);
  }
});

test('A12: bits of a head that need allow_raw', { skip }, async (t) => {
  const dir = require('./support').directory(t);
  const { g, server } = await start(t, {}, { dir,
    pool: `server unix:${dir}/b.sock; allow_raw on;` });
  const { s, client } = await pair(t, g, server);
  assert.throws(() => server.broadcast({ fin: true, opcode: 3 }, 'x'),
    RangeError);
  assert.throws(() => server.broadcast({ fin: true, opcode: 1, rsv2: true },
    'x'), RangeError);
  const { conn } = s;
  conn.raw(0x01, 'two ');
  assert.throws(() => conn.send('within'), /under way/);
  conn.raw(0x80, 'frames');
  assert.strictEqual(await client.message(), 'two frames');
  let flushed = false;
  conn.send('after', () => { flushed = true; });
  assert.strictEqual(await client.message(), 'after');
  await until('the callback', () => flushed);
});

test('3.11: error, when a client breaks a rule', { skip }, async (t) => {
  const { g, server } = await start(t, {},
    { location: `${ALL} websocket_max_message 1000;` });
  const quiet = await pair(t, g, server);
  quiet.client.send('x'.repeat(2000));
  assert.strictEqual((await quiet.client.message()).code, 1009);
  // Nobody listens for its error: once() would.
  await until('the end', () => server.connections === 0);
  const events = record(server);
  for (const [bytes, code] of [[[0x83, 0x80, 0, 0, 0, 0], 1002],
    [[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007]]) {
    events.length = 0;
    const client = await speak(t, g.port, 13);
    await until('the client', () => events.length === 1);
    const [[, s]] = events;
    client.socket.write(Buffer.from(bytes));
    assert.strictEqual((await client.message()).code, code);
    await until('the end', () => events.some(
      (e) => e[0] === 'close' && e[2] === s));
    const mine = events.filter((e) => e.includes(s)).map((e) => e[0]);
    assert.deepStrictEqual(mine, ['open', 'error', 'close']);
  }
});

test('assignSocket, and servers that share an http.Server', { skip },
  async (t) => {
    const { g, server } = await start(t, {}, { web: true });
    const other = new WebSocketServer({ url: 'ws://x/ws/other' });
    other.listen(g.web);
    g.web.on('upgrade', (req, socket) => {
      if (req.url === '/ws/third') other.assignSocket(socket);
    });
    const a = await pair(t, g, server);
    const b = await pair(t, g, other, 13, '/ws/other');
    const c = await pair(t, g, other, 13, '/ws/third');
    server.broadcast('to one server');
    other.broadcast('to another');
    assert.strictEqual(await a.client.message(), 'to one server');
    for (const x of [b, c])
      assert.strictEqual(await x.client.message(), 'to another');
    other.write('stream');
    other.end();
    for (const x of [b, c]) await expectStream(x.client, 'stream');
    server.broadcast('only this');
    assert.strictEqual(await a.client.message(), 'only this');
    assert.throws(() => server.assignSocket({}), TypeError);
    assert.throws(() => server.listen(80), TypeError);
  });

test('A16: listen: true, at the host and the port of the url', { skip },
  async (t) => {
    process.env.PENSTOCK_BIN = BINARY;
    const server = new WebSocketServer({ url: 'ws://127.0.0.1:0/mine',
      listen: true, signals: false });
    t.after(() => server.backend.close(0));
    await once(server, 'listening');
    const { port } = server.address();
    server.on('open', (s) => s.send('hello'));
    const clients = [];
    for (const version of VERSIONS) {
      const c = await speak(t, port, version, '/mine');
      assert.strictEqual(await c.message(), 'hello');
      clients.push(c);
    }
    const done = server.close(1001, 'so long');
    for (const c of clients) {
      const { code } = await c.message();
      assert.strictEqual(code, c.version < 75 ? 1001 : 1005);
      c.close(1001);
    }
    await done;
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });
