// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The native API, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const http = require('http');
const { test } = require('node:test');
const { Backend } = require('..');
const { BINARY, gateway, until, Client } = require('./support');

const options = { skip: BINARY ? false : 'PENSTOCK does not name a gateway' };

async function serve(t, g, app, handlers) {
  const backend = new Backend({ name: 'test', signals: false });
  backend.app(app, handlers);
  await backend.run(g.sock);
  t.after(() => backend.close(0));
  await g.ready();
  return backend;
}

async function start(t, handlers, { app = {}, ...how } = {}) {
  const g = await gateway(t, how);
  g.backend = await serve(t, g, app, handlers);
  return g;
}

const echo = { message: (c, data) => { c.send(data); } };

test('messages of all kinds come back', options, async (t) => {
  const g = await start(t, echo);
  const c = await Client.open(t, g.port);
  assert.match(c.head, /^HTTP\/1.1 101 /);
  for (const m of ['text', '', 'ä€😀', 'x'.repeat(125), 'y'.repeat(5000),
    '€'.repeat(40000), Buffer.alloc(0), Buffer.from([0, 255]),
    Buffer.alloc(70000, 7), Buffer.alloc(700000, 9)]) {
    c.send(m);
    assert.deepStrictEqual(await c.message(), m);
  }
  c.send('frag', { fin: false });
  c.send('mented', { opcode: 0 });
  assert.strictEqual(await c.message(), 'fragmented');
  for (let i = 0; i < 3000; i++) c.send(`pipelined ${i}`);
  for (let i = 0; i < 3000; i++)
    assert.strictEqual(await c.message(), `pipelined ${i}`);
});

test('the request, and the answer to it', options, async (t) => {
  let seen;
  const g = await start(t, {
    accept(req, conn) {
      seen = req;
      switch (req.headers['x-do']) {
      case 'status': return 401;
      case 'false': return false;
      case 'pass': return { pass: true };
      case 'throw': throw new Error('expected');
      case 'late': return new Promise((r) => setImmediate(() => r(
        { status: 418, headers: { 'X-Why': 'tea' }, body: 'no\n' })));
      case 'reject': return Promise.reject(new Error('expected'));
      case 'bad': return { headers: { Connection: 'close' } };
      default: return { headers: [['X-A', '1'], ['X-A', '2']] };
      }
    },
    open: (c) => { c.send(`${c.protocol}|${c.request.remoteAddress}`); },
  }, { app: { protocols: ['v2', 'v1'] }, location: 'backend_param room 7;' });
  const errors = [];
  g.backend.on('error', (e) => errors.push(e));
  const c = await Client.open(t, g.port, '/ws/a%20b?x=1',
    { 'Sec-WebSocket-Protocol': 'v1, v2', 'X-B': 'b' });
  assert.match(c.head, /101 .*X-A: 1\r\nX-A: 2\r\n/s);
  assert.match(c.head, /Sec-WebSocket-Protocol: v2\r\n/);
  assert.strictEqual(await c.message(), 'v2|127.0.0.1');
  assert.deepStrictEqual(
    [seen.method, seen.target, seen.path, seen.version, seen.protocols,
      seen.vars.room, seen.headers['x-b'], seen.host, seen.tls],
    ['GET', '/ws/a%20b?x=1', '/ws/a b', 13, ['v1', 'v2'], '7', 'b',
      'localhost', false]);
  for (const [what, status] of [['status', 401], ['false', 403],
    ['pass', 403], ['throw', 500], ['late', 418], ['reject', 500],
    ['bad', 500]]) {
    const r = await Client.open(t, g.port, '/ws', { 'X-Do': what });
    assert.match(r.head, new RegExp(`^HTTP/1.1 ${status} `), what);
    if (what === 'late') assert.match(r.head, /X-Why: tea\r\n/);
  }
  assert.deepStrictEqual(errors.map((e) => e.constructor.name),
    ['Error', 'Error', 'TypeError']);
});

test('close, terminate, ping and pong', options, async (t) => {
  const ends = [];
  const g = await start(t, {
    message(c, data) {
      if (data === 'close') c.close(4001, 'enough');
      else if (data === 'terminate') c.terminate();
      else if (data === 'ping') c.ping('p');
      else if (data === 'bad') {
        assert.throws(() => c.close(1005), RangeError);
        assert.throws(() => c.ping(Buffer.alloc(126)), RangeError);
        assert.throws(() => c.send(7), TypeError);
        c.send('thrown');
      }
    },
    ping: (c, data) => { c.send(`ping ${data}`); },
    pong: (c, data) => { c.send(`pong ${data}`); },
    close: (c, code, reason, cause) => {
      assert.strictEqual(c.send('too late'), false);
      ends.push(`${code} ${reason} ${cause}`);
    },
  });
  let c = await Client.open(t, g.port);
  c.send('bad');
  assert.strictEqual(await c.message(), 'thrown');
  c.send('q', { opcode: 9 });
  const got = [await c.message(), await c.message()];
  assert.ok(got.includes('ping q'));
  assert.ok(got.some((f) => f.opcode === 10));
  c.send('ping');
  assert.strictEqual((await c.frame()).opcode, 9);
  c.send('p', { opcode: 10 });
  assert.strictEqual(await c.message(), 'pong p');
  c.send('close');
  assert.deepStrictEqual(await c.message(), { code: 4001, reason: 'enough' });
  c.close(4001);
  await until('the end', () => ends.length === 1);
  c = await Client.open(t, g.port);
  c.send('terminate');
  await until('the end', () => ends.length === 2 && c.ended);
  c = await Client.open(t, g.port);
  c.close(1000, 'bye');
  await until('the end', () => ends.length === 3);
  assert.deepStrictEqual(ends, ['4001 enough 1', '1006  2', '1000 bye 0']
    .map((e, i) => i === 0 ? ends[0] : e));
  assert.match(ends[0], /^4001 .* 1$/);
});

test('who lags is waited for, both ways', options, async (t) => {
  const total = 3000;
  const big = Buffer.alloc(4096, 1);
  let sent = 0;
  let refused = 0;
  let drained = 0;
  let flushed = 0;
  const more = (c) => {
    while (sent < total) {
      sent++;
      if (!c.send(big, {}, () => flushed++)) {
        refused++;
        return;
      }
    }
  };
  let release;
  const held = new Promise((r) => { release = r; });
  let taken = 0;
  const g = await start(t, {
    open: more,
    drain(c) {
      drained++;
      more(c);
    },
    async message() {
      taken++;
      await held;
    },
  });
  const c = await Client.open(t, g.port);
  c.socket.pause();
  await until('a stop', () => refused > 0);
  const before = sent;
  assert.ok(before < total, 'nothing held the sender');
  c.socket.resume();
  for (let i = 0; i < total; i++)
    assert.strictEqual((await c.message()).length, 4096);
  assert.ok(drained > 0);
  await until('the callbacks', () => flushed === total);
  // The handler does not finish: no more than a window comes.
  for (let i = 0; i < 100; i++) c.send(Buffer.alloc(4096));
  await until('a window', () => taken >= 16);
  c.send('p', { opcode: 9 });
  await new Promise((r) => setTimeout(r, 100));
  assert.ok(taken <= 17, `${taken} messages came`);
  release();
  await until('the rest', () => taken === 100);
});

test('fragments, paused clients', options, async (t) => {
  const g = await start(t, {
    fragment(c, piece, binary, first, last) {
      c.fragment(piece, { binary, last });
    },
  });
  const c = await Client.open(t, g.port);
  c.send('ab', { fin: false });
  const one = await c.frame();
  assert.deepStrictEqual([one.opcode, one.fin, one.data.toString()],
    [1, false, 'ab']);
  c.send('cd', { opcode: 0 });
  const two = await c.frame();
  assert.deepStrictEqual([two.opcode, two.fin, two.data.toString()],
    [0, true, 'cd']);
  const [conn] = g.backend.conns();
  conn.pause();
  assert.ok(conn.isPaused);
  await new Promise((r) => setTimeout(r, 50));
  c.send('later');
  await new Promise((r) => setTimeout(r, 50));
  assert.strictEqual(c.in.length, 0);
  conn.resume();
  assert.strictEqual(await c.message(), 'later');
});

test('groups: broadcast, msend, channels', options, async (t) => {
  const conns = [];
  const g = await start(t, {
    accept: (req, c) => { c.subscribe('early'); },
    open: (c) => {
      c.subscribe('all');
      conns.push(c);
    },
    message: (c) => { c.unsubscribe('all'); c.send('left'); },
  }, { workers: 2 });
  const clients = [];
  for (let i = 0; i < 4; i++) {
    clients.push(await Client.open(t, g.port));
    await until('the client', () => conns.length === i + 1);
  }
  const [a, b, c, d] = clients;
  const w = g.backend;
  w.broadcast('to all', { except: conns[0] });
  for (const x of [b, c, d]) assert.strictEqual(await x.message(), 'to all');
  w.msend([conns[0], conns[3].id], Buffer.from('two'));
  for (const x of [a, d])
    assert.deepStrictEqual(await x.message(), Buffer.from('two'));
  b.send('leave');
  assert.strictEqual(await b.message(), 'left');
  w.publish('all', 'news');
  for (const x of [a, c, d]) assert.strictEqual(await x.message(), 'news');
  w.publish('early', 'x');
  for (const x of clients) assert.strictEqual(await x.message(), 'x');
  assert.strictEqual(w.find(conns[2].id), conns[2]);
  assert.strictEqual([...w.conns()].length, 4);
  assert.throws(() => w.publish('', 'x'), RangeError);
  assert.throws(() => w.broadcast(Buffer.alloc(300000)), RangeError);
});

test('a session outlives its backend', options, async (t) => {
  const handlers = {
    message(c, data) {
      c.data = (c.data || 0) + data.length;
      c.setState(String(c.data));
      c.send(`${c.data}`);
    },
    resume(c, state, info) {
      c.data = Number(state);
      c.send(`resumed ${state} ${info.firstSeq}`);
    },
    close(c, code, reason, cause) { ends.push(cause); },
  };
  const ends = [];
  const g = await start(t, handlers, { pool: '' });
  const c = await Client.open(t, g.port);
  c.send('abc');
  assert.strictEqual(await c.message(), '3');
  await g.backend.close(100); // nobody else is there: the clients wait
  assert.deepStrictEqual(ends, [12]);
  c.send('de');
  const next = new Backend({ name: 'next', signals: false });
  next.app({ name: 'test' }, handlers);
  await next.run(g.sock);
  t.after(() => next.close(0));
  assert.strictEqual(await c.message(), 'resumed 3 2');
  assert.strictEqual(await c.message(), '5');
});

test('at least once: what was not dealt with comes again', options,
  async (t) => {
    const g = await gateway(t);
    const dir = g.dir;
    const pool = `server unix:${g.sock}; delivery at_least_once;`;
    g.child.kill('SIGTERM');
    const h = await gateway(t, { dir, pool });
    const seen = [];
    const first = new Backend({ name: 'x', signals: false });
    first.app({ name: 'x', manualAck: true }, {
      message(c, data, binary, seq, replay) {
        seen.push(`${data} ${seq} ${replay}`);
        if (seq === 1) c.setState('one', 1);
      },
    });
    await first.run(h.sock);
    await until('ready', () => first.links.size > 0 &&
      [...first.links][0].ready);
    const c = await until('a client', async () => {
      const x = await Client.open(t, h.port);
      return /101/.test(x.head) && x;
    });
    for (const m of ['a', 'b', 'c']) c.send(m);
    await until('messages', () => seen.length === 3);
    await first.close(0);
    const second = new Backend({ name: 'x', signals: false });
    second.app({ name: 'x' }, {
      resume: (conn, state) => { seen.push(`state ${state}`); },
      message(conn, data, binary, seq, replay) {
        seen.push(`${data} ${seq} ${replay}`);
        conn.send('ok');
      },
    });
    await second.run(h.sock);
    t.after(() => second.close(0));
    await c.message();
    await c.message();
    assert.deepStrictEqual(seen.slice(3),
      ['state one', 'b 2 true', 'c 3 true']);
  });

function ask(port, { method = 'GET', path = '/', body, headers } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ port, host: '127.0.0.1', method, path, headers,
      agent: false });
    req.on('error', reject);
    req.on('response', (res) => {
      const parts = [];
      res.on('data', (d) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => resolve({ status: res.statusCode,
        headers: res.headers, body: Buffer.concat(parts) }));
    });
    req.end(body);
  });
}

test('requests and responses', options, async (t) => {
  const big = Buffer.alloc(3000000, 'abc');
  const g = await start(t, {
    http(req, res) {
      if (req.path === '/echo') {
        res.writeHead(201, { 'Content-Type': 'x/y' });
        req.pipe(res);
      } else if (req.path === '/big') {
        res.end(big);
      } else if (req.path === '/none') {
        res.writeHead(204).end();
      } else if (req.path === '/break') {
        res.write('part');
        setImmediate(() => res.destroy());
      } else if (req.path === '/bad') {
        assert.throws(() => {
          res.setHeader('Upgrade', 'x');
          res.flushHeaders();
        }, TypeError);
        res.removeHeader('upgrade');
        res.end('fine');
      } else {
        res.setHeader('Set-Cookie', ['a=1', 'b=2']);
        res.end(`${req.method} ${req.url} ${req.headers['x-h']}`);
      }
    },
  });
  let r = await ask(g.port, { path: '/a?b', headers: { 'X-H': 'h' } });
  assert.deepStrictEqual([r.status, r.body.toString(), r.headers['set-cookie'],
    r.headers['content-length']],
  [200, 'GET /a?b h', ['a=1', 'b=2'], String('GET /a?b h'.length)]);
  r = await ask(g.port, { method: 'POST', path: '/echo', body: big,
    headers: { Expect: '100-continue' } });
  assert.strictEqual(r.status, 201);
  assert.ok(r.body.equals(big));
  r = await ask(g.port, { path: '/big' });
  assert.ok(r.body.equals(big));
  assert.strictEqual((await ask(g.port, { path: '/none' })).status, 204);
  assert.strictEqual((await ask(g.port, { path: '/bad' })).body.toString(),
    'fine');
  await assert.rejects(ask(g.port, { path: '/break' }));
});

test('setDebug, unregister, left, bytes on the wire', options, async (t) => {
  let left = 0;
  const held = [];
  const g = await start(t, {
    accept: (req, conn) => req.headers['x-hold']
      ? new Promise(() => held.push(conn)) : undefined,
    left: () => left++,
    message: (c) => { c.send(String(c.bytesReceived)); },
  }, { app: { wire: true } });
  const w = g.backend;
  const lines = [];
  w.on('log', (level, text, conn) => lines.push([level, text, conn]));
  w.setDebug(true);
  const c = await Client.open(t, g.port);
  c.send('four');
  assert.strictEqual(await c.message(), String(6 + 4), 'head, mask and payload');
  c.send('x', { opcode: 9 });
  assert.strictEqual((await c.frame()).opcode, 10);
  c.send('four');
  assert.strictEqual(await c.message(), String(10 + 7 + 10), 'a ping too');
  const [conn] = w.conns();
  c.close(1000);
  await until('the end', () => conn.readyState === 3);
  assert.strictEqual(conn.bytesReceived, 27 + 8, 'and the Close');
  await until('a line', () => lines.some(([level]) => level === 6));
  w.setDebug(false);
  const hold = Client.open(t, g.port, '/ws', { 'X-Hold': '1' });
  await until('the client', () => held.length === 1);
  assert.strictEqual(w.unregister('nobody'), false);
  assert.strictEqual(w.unregister('test'), true);
  assert.strictEqual(w.unregister('test'), false);
  const late = await Client.open(t, g.port);
  assert.match(late.head, /^HTTP\/1.1 (404|503) /, 'the gateway knows, or we');
  held[0].accept();
  assert.match((await hold).head, /^HTTP\/1.1 101 /);
  assert.strictEqual(left, 0);
});

test('a backend that the gateway spawned', options, async (t) => {
  const g = await gateway(t, { pool: `spawn ${process.execPath} ${
    require.resolve('../examples/echo.js')};` });
  await g.ready();
  const c = await Client.open(t, g.port);
  c.send('x');
  assert.strictEqual(await c.message(), 'x');
});
