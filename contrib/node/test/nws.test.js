// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/nws, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const http = require('http');
const { once } = require('events');
const { test } = require('node:test');
const nws = require('../nws');
const { BINARY, directory, gateway, until, Client } = require('./support');
const { ALL, VERSIONS, ORIGIN, speak } = require('./drafts');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

// before(server) adds the listeners that must not miss anything.
async function start(t, options = {}, before = () => {}, how = {}) {
  const g = await gateway(t, { location: ALL, ...how });
  const server = nws.createServer({ socket: g.sock, signals: false, ...options });
  before(server);
  t.after(() => server.backend.close(0));
  server.listen(0);
  await once(server, 'listening');
  await g.ready();
  return { g, server };
}

// Writes down states and events of every connection.
function record(server) {
  const all = [];
  server.on('opening', (c) => {
    const events = [];
    all.push(events);
    c.on('stateChange', (now, before) => events.push(`${now},${before}`));
    for (const name of ['message', 'rejected', 'close', 'timeout'])
      c.on(name, (...args) => events.push([name, ...args].join(' ')));
  });
  return all;
}

test('A1, 1.1 1.2 1.14 1.20 1.25 1.26 1.27: states and events of each version',
  { skip }, async (t) => {
    let all;
    const { g, server } = await start(t, {}, (s) => { all = record(s); });
    const names = { 75: 'draft75', 76: 'draft76', 8: 'hybi-08', 13: 'rfc6455' };
    for (const version of VERSIONS) {
      all.length = 0;
      const [[c], client] = await Promise.all([once(server, 'connection'),
        speak(t, g.port, version, '/ws?x=1')]);
      assert.strictEqual(c.state, 4);
      assert.strictEqual(c.readyState, 1);
      assert.strictEqual(c.version, names[version]);
      assert.strictEqual(c.getVersion(), names[version]);
      assert.match(c.id, /^\d+$/);
      assert.deepStrictEqual([c.url, c.req.url, c.req.method, c.headers.host,
        c.req.socket.remoteAddress],
      ['/ws?x=1', '/ws?x=1', 'GET', 'localhost', '127.0.0.1']);
      assert.strictEqual(c.write('größe'), true);
      assert.strictEqual(c.send('again'), true);
      assert.strictEqual(await client.message(), 'größe');
      assert.strictEqual(await client.message(), 'again');
      client.send('hello');
      await once(c, 'message');
      const gone = once(server, 'close');
      client.close();
      assert.strictEqual((await gone)[0], c, 'A4: the server says whose');
      assert.deepStrictEqual(all[0],
        ['1,0', '3,1', '4,3', 'message hello', '5,4', 'close']);
      assert.strictEqual(c.write('late'), false);
      assert.strictEqual(c.readyState, 3);
    }
  });

test("A1: states 'closing' gives 5 and 6", { skip }, async (t) => {
  let all;
  const { g, server } = await start(t, { states: 'closing' },
    (s) => { all = record(s); });
  for (const ours of [true, false]) {
    all.length = 0;
    const [[c], client] = await Promise.all([once(server, 'connection'),
      speak(t, g.port, 13)]);
    if (ours) {
      c.close();
      assert.strictEqual(c.readyState, 2);
      assert.strictEqual(c.write('late'), false);
      assert.strictEqual((await client.message()).code, 1005);
    }
    client.send('', { opcode: 8 });
    await once(c, 'close');
    assert.deepStrictEqual(all[0], ['1,0', '3,1', '4,3', '5,4', '6,5', 'close']);
  }
});

test('1.24 autoAccept: false, handshake() when one likes', { skip },
  async (t) => {
    const opened = [];
    const { g, server } = await start(t, { autoAccept: false });
    server.on('connection', (c) => {
      assert.strictEqual(c.write('early'), false);
      c.on('stateChange', (now) => {
        if (now === 1) setTimeout(() => c.handshake(), 20);
        if (now === 4) c.write('hi');
      });
      opened.push(c);
    });
    for (const version of VERSIONS) {
      const client = await speak(t, g.port, version);
      assert.ok(client.accepted);
      assert.strictEqual(await client.message(), 'hi');
    }
    assert.strictEqual(opened.length, 4);
    assert.strictEqual(opened[0].handshake(), false, 'once');
    server.removeAllListeners('connection');
    // With a listener of `opening`, connection is what it always is.
    server.once('opening', (c) => setImmediate(() => c.handshake()));
    const late = once(server, 'connection');
    const client = await speak(t, g.port, 13);
    assert.strictEqual((await late)[0].state, 4);
    client.close();
  });

test('1.27: who leaves before its handshake is closed', { skip },
  async (t) => {
    let all;
    const { g, server } = await start(t, { autoAccept: false },
      (s) => { all = record(s); });
    const opening = once(server, 'opening');
    const client = new Client(g.port);
    client.socket.write('GET /ws HTTP/1.1\r\nHost: a\r\n' +
      'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    const [c] = await opening;
    client.socket.destroy();
    await once(c, 'close');
    assert.deepStrictEqual(all[0], ['1,0', '5,1', 'close']);
    assert.strictEqual(c.handshake(), false);
  });

test('A2, 1.23 1.28: reject before the handshake, and after it', { skip },
  async (t) => {
    for (const debug of [false, true]) {
      let all;
      const { g, server } = await start(t, { debug: false },
        (s) => { all = record(s); });
      server.options.debug = debug;
      server.log = () => {};
      const order = [];
      server.on('rejected', (c) => order.push(['rejected', c.id]));
      server.on('close', (c) => order.push(['close', c.id]));
      server.once('opening', (c) => {
        c.reject('not you');
        assert.ok(!all[0].includes('rejected'), 'not within the call');
      });
      const before = await speak(t, g.port, 13);
      assert.strictEqual(before.status, 403);
      await until('the end', () => order.length === 2);
      assert.deepStrictEqual(order.map((x) => x[0]), ['rejected', 'close']);
      assert.deepStrictEqual(all[0], ['1,0', 'rejected', '5,1', 'close']);
      const length = Number(/content-length: (\d+)/i.exec(before.head)[1]);
      while (before.in.length < length) await before.more();
      assert.strictEqual(/not you/.test(before.in.toString()), debug);
      assert.match(g.log(), /not you/, 'the error log has the reason');

      server.once('connection', (c) => c.reject('go away'));
      const after = await speak(t, g.port, 13);
      assert.deepStrictEqual(await after.message(),
        { code: 1008, reason: debug ? 'go away' : '' });
      after.close(1008);
      await until('the end', () => all[1].length === 6);
      assert.deepStrictEqual(all[1],
        ['1,0', '3,1', '4,3', 'rejected', '5,4', 'close']);
    }
  });

test('A5, 1.5 1.6 1.7: version, origin and subprotocol are strict', { skip },
  async (t) => {
    for (const [options, cases] of [
      [{ version: 'draft75' }, [[75, {}, 101], [76, {}, 400], [13, {}, 400]]],
      [{ version: 'draft76' }, [[75, {}, 400], [76, {}, 101], [8, {}, 400]]],
      [{ origin: 'http://example.org' }, [...VERSIONS.map((v) => [v, {}, 101]),
        [13, { Origin: 'http://no.org' }, 403],
        [8, { 'Sec-WebSocket-Origin': 'http://no.org' }, 403],
        [76, { Origin: 'http://no.org' }, 403]]],
      [{ origin: ['none', /^http:\/\/a\d$/] }, [[13, {}, 403],
        [13, { Origin: 'http://a7' }, 101]]],
      [{ subprotocol: ['b', 'a'] }, [[13, {}, 400],
        [13, { 'Sec-WebSocket-Protocol': 'c' }, 400],
        [13, { 'Sec-WebSocket-Protocol': 'a, b' }, 101, 'b'],
        [76, { 'Sec-WebSocket-Protocol': 'a' }, 101, 'a'],
        [75, { 'WebSocket-Protocol': 'a' }, 101, 'a']]],
    ]) {
      const { g, server } = await start(t, options);
      let rejected = 0;
      server.on('rejected', () => rejected++);
      let want = 0;
      for (const [version, headers, status, protocol] of cases) {
        const c = await speak(t, g.port, version, '/ws', headers);
        const why = JSON.stringify([options, version, headers]);
        assert.strictEqual(c.status, status, why);
        if (status === 400) want++;
        if (protocol)
          assert.match(c.head, new RegExp(`Protocol: ${protocol}\r\n`), why);
      }
      await until('rejected', () => rejected >= want);
    }
    assert.throws(() => nws.createServer({ version: 'draft74' }), /version/);
  });

test('A33, 1.10 1.11 1.x: send, broadcast and manager', { skip },
  async (t) => {
    const { g, server } = await start(t, {}, undefined, { workers: 2 });
    const clients = [];
    const conns = [];
    server.on('connection', (c) => conns.push(c));
    for (const version of VERSIONS) {
      clients.push(await speak(t, g.port, version));
      await until('connection', () => conns.length === clients.length);
    }
    server.broadcast('to all');
    for (const c of clients) assert.strictEqual(await c.message(), 'to all');
    conns[1].broadcast('to others');
    server.send(conns[1].id, 'to one');
    server.send('77', 'to nobody');
    for (const [i, c] of clients.entries())
      assert.strictEqual(await c.message(), i === 1 ? 'to one' : 'to others');
    const large = 'x'.repeat(300000);
    server.broadcast(large);
    for (const c of clients) assert.strictEqual(await c.message(), large);
    const { manager } = server;
    assert.strictEqual(manager.length, 4);
    assert.strictEqual(manager.find(conns[2].id), conns[2]);
    assert.deepStrictEqual(manager.map((c) => c.id).sort(),
      conns.map((c) => c.id).sort());
    assert.strictEqual(manager.filter((c) => c.version === 'draft75').length, 1);
    let n = 0;
    manager.forEach(() => n++);
    assert.strictEqual(n, 4);
  });

test('1.8 1.15: requests, also of an http.Server of yours', { skip },
  async (t) => {
    const ask = (port) => new Promise((resolve, reject) => {
      http.get({ port, host: '127.0.0.1', path: '/page?x' }, (res) => {
        res.setEncoding('utf8');
        res.on('data', (text) => resolve(`${res.statusCode} ${text}`));
      }).on('error', reject);
    });
    const { g, server } = await start(t);
    assert.strictEqual(await ask(g.port), '404 404 Not Found\n');
    server.on('request', (req, res) => {
      assert.ok(req instanceof http.IncomingMessage);
      res.end(`page ${req.url}`);
    });
    assert.strictEqual(await ask(g.port), '200 page /page?x');
    const yours = http.createServer((req, res) => res.end('yours'));
    const two = await start(t, { server: yours });
    assert.strictEqual(await ask(two.g.port), '200 yours');
  });

test('1.12, A4: close() keeps the clients, and says close without one',
  { skip }, async (t) => {
    const { g, server } = await start(t);
    const [[c], client] = await Promise.all([once(server, 'connection'),
      speak(t, g.port, 76)]);
    const closed = [];
    server.on('close', (...args) => closed.push(args));
    const called = new Promise((resolve) => server.close(resolve));
    await until('no more', async () => !(await speak(t, g.port, 13)).accepted);
    client.send('still here');
    assert.strictEqual((await once(c, 'message'))[0], 'still here');
    c.write('yes');
    assert.strictEqual(await client.message(), 'yes');
    assert.deepStrictEqual(closed, []);
    client.close();
    await called;
    await until('close', () => closed.length === 2);
    assert.deepStrictEqual(closed, [[c], []]);
  });

test('A4, 1.17: shutdown, 0 when the gateway goes in good order', { skip },
  async (t) => {
    for (const [signal, want] of [['SIGTERM', true], ['SIGKILL', false]]) {
      const { g, server } = await start(t);
      const down = once(server, 'shutdown');
      if (want) {
        g.child.kill(signal);
      } else {
        // The worker has to go, and the master to make no other one.
        g.child.kill('SIGSTOP');
        process.kill(await worker(g), signal);
      }
      const [errno] = await down;
      g.child.kill('SIGCONT');
      assert.strictEqual(errno === 0, want, signal);
      if (!want) g.child.kill('SIGTERM');
    }
  });

async function worker(g) {
  const fs = require('fs');
  const { pid } = g.child;
  return until('a worker', () => Number(fs.readFileSync(
    `/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]));
}

test('A15, 1.x: a timeout closes', { skip }, async (t) => {
  let all;
  const { g } = await start(t, { timeout: 100 }, (s) => { all = record(s); });
  const c = await speak(t, g.port, 13);
  assert.strictEqual((await c.message()).code, 1001);
  c.close(1001);
  await until('the end', () => all[0].length === 6);
  assert.deepStrictEqual(all[0].slice(3), ['timeout', '5,4', 'close']);
});

test('A31, A3, 1.16: stream, and handshakes that the gateway refused', { skip },
  async (t) => {
    const events = [];
    const dir = directory(t);
    const { g } = await start(t, {}, (s) => {
      s.on('stream', (event) => events.push(event));
      s.on('rejected', (event) => events.push(event));
    }, { dir, pool: `server unix:${dir}/b.sock; conn_events on;`,
      location: 'websocket_versions 13; websocket_origin any;' });
    events.length = 0;
    await speak(t, g.port, 13);
    assert.strictEqual((await speak(t, g.port, 76)).status, 426);
    await until('the events', () => events.length === 3);
    assert.deepStrictEqual([events[0].remoteAddress, events[0].secure,
      typeof events[0].remotePort, events[0].localPort, events[0].listener],
    ['127.0.0.1', false, 'number', g.port, 0]);
    assert.deepStrictEqual([events[2].url, events[2].remoteAddress],
      ['/ws', '127.0.0.1']);
  });

test('1.9 1.13 1.17: listen(port, host), a gateway of its own', { skip },
  async (t) => {
    process.env.PENSTOCK_BIN = BINARY;
    const server = nws.createServer({ signals: false });
    t.after(() => server.backend.close(0));
    let streams = 0;
    server.on('stream', () => streams++);
    let called = 0;
    server.listen(0, '127.0.0.1', () => called++);
    await once(server, 'listening');
    assert.strictEqual(called, 1);
    const { port } = server.address();
    server.on('connection', (c) => c.write(`hello ${c.version}`));
    const clients = [];
    for (const version of VERSIONS) {
      const c = await speak(t, port, version, '/any');
      assert.match(await c.message(), /^hello (draft|hybi|rfc)/);
      clients.push(c);
    }
    await until('the connections', () => streams >= 4);
    server.once('opening', (c) => c.reject('a secret'));
    const no = await speak(t, port, 13);
    assert.strictEqual(no.status, 403);
    await until('its body', () => no.in.length > 0);
    assert.strictEqual(no.in.toString(), 'Forbidden\n', 'A2: without debug');
    const second = nws.createServer({ signals: false });
    t.after(() => second.backend.close(0));
    second.listen(port, '127.0.0.1');
    const [e] = await once(second, 'error');
    assert.strictEqual(e.code, 'EADDRINUSE');
    const closed = new Promise((resolve) => server.close(resolve));
    for (const c of clients) c.close();
    await closed;
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });

test('A33: broadcast reaches the clients of other backends, or not', { skip },
  async (t) => {
    const dir = directory(t);
    const g = await gateway(t, { dir, location: ALL,
      pool: `server unix:${dir}/b0.sock; server unix:${dir}/b1.sock;` });
    const conns = [];
    const servers = [0, 1].map((n) => {
      const server = nws.createServer({ socket: `${dir}/b${n}.sock`,
        signals: false });
      server.on('connection', (c) => conns.push([n, c]));
      t.after(() => server.backend.close(0));
      return server.listen();
    });
    await until('both', () => g.log().split('backend is ready').length > 2);
    const clients = [];
    while (new Set(conns.map(([n]) => n)).size < 2) {
      clients.push(await speak(t, g.port, VERSIONS[clients.length % 4]));
      await until('the client', () => conns.length === clients.length);
    }
    servers[0].broadcast('to all');
    for (const c of clients) assert.strictEqual(await c.message(), 'to all');
    servers[0].broadcast('to mine', { scope: 'backend' });
    conns[0][1].broadcast('not to me');
    servers[1].send(conns[0][1].id, 'to one');
    for (const [i, c] of clients.entries()) {
      if (conns[i][0] === 0)
        assert.strictEqual(await c.message(), 'to mine');
      assert.strictEqual(await c.message(), i === 0 ? 'to one' : 'not to me');
    }
  });
