// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Counts, presence, statistics, claims, and the events that are asked for
// (env PENSTOCK: the gateway).
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const { test } = require('node:test');
const { Backend } = require('..');
const { BINARY, until, gateway, Client } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

async function backendAt(t, g, options, handlers, name = 'app', sock = g.sock) {
  const backend = new Backend({ name, signals: false });
  t.after(() => backend.close(0));
  backend.app(options, handlers);
  await backend.run(sock);
  return backend;
}

const ask = (port, path) => new Promise((resolve, reject) => {
  http.get({ port, path, host: '127.0.0.1', agent: false }, async (res) => {
    let body = '';
    for await (const d of res) body += d;
    resolve(body);
  }).on('error', reject);
});

test('reports of group sends, over two workers', { skip }, async (t) => {
  const g = await gateway(t, { workers: 2 });
  const ids = [];
  const b = await backendAt(t, g, {}, {
    accept: (r) => ({ channels: r.target.endsWith('in') ? ['room'] : [] }),
    open(conn) { ids.push(conn.id); },
  });
  await g.ready();
  const all = [];
  for (let i = 0; i < 8; i++)
    all.push(await Client.open(t, g.port, i < 5 ? '/ws?in' : '/ws?out'));
  await until('all', () => ids.length === 8);
  assert.deepStrictEqual(await b.broadcast('all', { report: true }),
    { matched: 8, queued: 8, skipped: 0, dropped: 0, lost: 0 });
  assert.strictEqual((await b.publish('room', Buffer.from('in'),
    { report: true, compress: false })).queued, 5);
  assert.strictEqual((await b.publish('empty', 'x', { report: true })).matched,
    0);
  assert.strictEqual((await b.msend([ids[0], ids[7], 12345], 'two',
    { report: true })).queued, 2);
  const [one] = b.conns();
  assert.strictEqual((await b.broadcast('but one', { report: true,
    except: one, scope: 'backend' })).matched, 7);
  assert.strictEqual(b.broadcast('as before'), true);
  assert.throws(() => b.broadcast('x', { scope: 'moon' }), TypeError);
  assert.strictEqual(await all[0].message(), 'all');
  assert.deepStrictEqual(await all[0].message(), Buffer.from('in'));
  let p = await b.presence('room');
  assert.deepStrictEqual(p, { count: 5, ids: [] });
  p = await b.presence('room', { list: true });
  assert.strictEqual(p.count, 5);
  assert.ok(p.ids.length === 5 && p.ids.every((id) => ids.includes(id)));
  assert.strictEqual(b.subscribe(ids[7], 'late'), true);
  assert.strictEqual((await b.presence('late')).count, 1);
  b.unsubscribe(ids[7], 'late');
  assert.strictEqual((await b.presence('late')).count, 0);
});

test('statistics', { skip }, async (t) => {
  const g = await gateway(t, { workers: 2 });
  const b = await backendAt(t, g, {}, { message(c, d) { c.send(d); } });
  await g.ready();
  const c = await Client.open(t, g.port);
  c.send('four');
  await c.message();
  const links = await b.stats();
  assert.strictEqual(links.length, 2);
  assert.strictEqual(links.reduce((n, s) => n + s.sessions, 0), 1);
  assert.strictEqual((await b.stats('process')).length, 2);
  const [conn] = b.conns();
  const mine = await b.stats(conn);
  assert.strictEqual(mine.id, conn.id);
  assert.deepStrictEqual(await b.stats(conn.id), mine);
  assert.strictEqual(typeof (await b.stats('instance')), 'object');
  await assert.rejects(b.stats('moon'), TypeError);
  await assert.rejects(b.stats(99), { code: 5 });
});

test('claims', { skip }, async (t) => {
  const g = await gateway(t, {
    pool: 'server unix:@DIR@/b.sock; server unix:@DIR@/c.sock; ' +
      'claim $arg_sid;' });
  const two = [];
  for (const name of ['b', 'c'])
    two.push(await backendAt(t, g, {}, { http(req, res) { res.end(name); } },
      'app', `${g.dir}/${name}.sock`));
  two[0].claim('early');
  await g.ready(2);
  two[1].claim(Buffer.from('late'));
  assert.throws(() => two[0].claim(''), RangeError);
  for (let i = 0; i < 4; i++) {
    assert.strictEqual(await ask(g.port, '/?sid=early'), 'b');
    await until('the claim', async () =>
      await ask(g.port, '/?sid=late') === 'c');
  }
  two[1].claim('early');
  await until('the other claim', async () =>
    await ask(g.port, '/?sid=early') === 'c');
  two[1].unclaim('early');
  const seen = new Set();
  await until('nobody', async () =>
    seen.add(await ask(g.port, '/?sid=early')).size === 2);
});

test('states, closing, refusals, and what CLOSED said', { skip },
  async (t) => {
    const g = await gateway(t);
    const said = [];
    const b = await backendAt(t, g, { versions: [13] }, {
      accept: (r) => r.target === '/ws/no' ? 401 : undefined,
      state(conn, state, before) { said.push(`${before}>${state}`); },
      closing(conn, code, reason) { said.push(`closing ${code} ${reason}`); },
      close(conn) {
        said.push(conn.closed.messagesIn, conn.closed.clean);
      },
      clientError(e) { said.push(e); },
      message() {},
    });
    await g.ready();
    const c = await Client.open(t, g.port);
    c.send('1');
    c.close(4000, 'enough');
    await until('the end', () => said.includes(true));
    assert.deepStrictEqual(said.splice(0), ['0>1', '1>3', '3>4',
      'closing 4000 enough', '4>5', 1, true]);
    await Client.open(t, g.port, '/ws/no');
    await until('the end', () => said.includes('1>5'));
    said.length = 0;
    const bad = await Client.open(t, g.port, '/ws/x', {
      'Sec-WebSocket-Version': 99 });
    assert.match(bad.head, /^HTTP\/1.1 4/);
    const e = await until('a refusal', () => said[0]);
    assert.strictEqual(e.target, '/ws/x');
    assert.strictEqual(e.remoteAddress, '127.0.0.1');
    assert.strictEqual(typeof e.text, 'string');
    assert.ok(b.listening);
  });

test('a message as a stream, and options of a client', { skip }, async (t) => {
  const g = await gateway(t);
  const b = await backendAt(t, g, {}, {
    async message(conn, text) {
      const s = conn.fragmentStream();
      for (let i = 0; i < 64; i++)
        if (!s.write(text.repeat(8192))) await once(s, 'drain');
      s.end('!');
      await once(s, 'finish');
      conn.send('next');
    },
  });
  await g.ready();
  const c = await Client.open(t, g.port);
  c.send('é');
  const whole = await c.message();
  assert.strictEqual(whole.length, 64 * 8192 + 1);
  assert.ok(whole.startsWith('éé') && whole.endsWith('é!'));
  assert.strictEqual(await c.message(), 'next');
  const [conn] = b.conns();
  assert.throws(() => conn.setOptions({ idleTimeout: -1 }), RangeError);
  assert.throws(() => conn.setOptions({ onLoss: 'x' }), TypeError);
  assert.strictEqual(conn.setOptions({ onLoss: 'hold', idleTimeout: 50 }),
    true);
  assert.strictEqual((await c.message()).code, 1001);
});

test('clients by their number', { skip }, async (t) => {
  const g = await gateway(t, {
    pool: 'server unix:@DIR@/b.sock; server unix:@DIR@/c.sock; round_robin;' });
  const two = [];
  for (const name of ['b', 'c'])
    two.push(await backendAt(t, g, {}, { message() {} }, 'app',
      `${g.dir}/${name}.sock`));
  await g.ready(2);
  const clients = [await Client.open(t, g.port), await Client.open(t, g.port)];
  await until('one each', () => two.every((b) => [...b.conns()].length === 1));
  const [[own], [other]] = two.map((b) => [...b.conns()]);
  assert.strictEqual(two[0].send(own.id, 'own'), true);
  assert.strictEqual(two[0].send(String(own.id), Buffer.from('text'),
    { binary: false }), true);
  assert.strictEqual(two[0].send(511 * 2 ** 44, 'nobody'), false);
  const crosses = [...two[0].links].every((l) => l.features & 1 << 13);
  if (crosses) {
    assert.strictEqual(two[0].send(other.id, 'other'), true);
    two[0].disconnect(other.id, 4001, 'bye');
  } else {
    assert.strictEqual(two[0].send(other.id, 'other'), false);
    two[1].send(other, 'other');
    two[1].disconnect(other, 4001, 'bye');
  }
  const got = await Promise.all(clients.map(async (c) => [await c.message(),
    await c.message(), c]));
  got.sort((a, b) => a[0] < b[0] ? -1 : 1);
  assert.deepStrictEqual(got.map((x) => x.slice(0, 2)),
    [['other', { code: 4001, reason: 'bye' }], ['own', 'text']]);
  two[crosses ? 1 : 0].terminate(own.id);
  await until('the end', () => got[1][2].ended);
});
