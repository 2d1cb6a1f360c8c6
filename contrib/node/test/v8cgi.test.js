// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/v8cgi, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const { execFileSync } = require('child_process');
const { once } = require('events');
const { connect } = require('tls');
const { test } = require('node:test');
const { Server, Application } = require('../v8cgi');
const { BINARY, directory, gateway, until } = require('./support');
const { ALL, VERSIONS, ORIGIN, speak } = require('./drafts');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

// apps: [app, host, path] ...
async function start(t, apps, options = {}, how = {}) {
  const g = await gateway(t, { location: ALL, ...how });
  const server = new Server('127.0.0.1', 0, { socket: g.sock, signals: false,
    ...options });
  for (const args of apps) server.addApplication(...args);
  t.after(() => server.close(0));
  await server.run();
  await g.ready();
  return { g, server };
}

// An application that writes down what happens to it.
function recorder(more = {}) {
  const events = [];
  const app = { events };
  for (const name of ['onconnect', 'onmessage', 'ondisconnect'])
    app[name] = (...args) => {
      events.push([name, ...args]);
      if (more[name]) more[name](...args);
    };
  for (const name of Object.keys(more)) if (!app[name]) app[name] = more[name];
  return app;
}

test('0.5 0.8 0.9 0.10 0.13: a client of each version comes, talks and goes',
  { skip }, async (t) => {
    let server;
    const app = recorder({ onmessage: (id, data) => server.send(id, data) });
    const { g, server: s } = await start(t, [[app]]);
    server = s;
    for (const version of VERSIONS) {
      app.events.length = 0;
      const c = await speak(t, g.port, version);
      c.send('größe');
      assert.strictEqual(await c.message(), 'größe', `version ${version}`);
      if (version === 8 || version === 13) {
        c.send(Buffer.from([0, 255]));
        assert.deepStrictEqual(await c.message(), Buffer.from([0, 255]));
        c.close(4000, 'bye');
      } else {
        c.close();
      }
      await until('the end', () => app.events.at(-1)[0] === 'ondisconnect');
      const [[, id, headers, protocol]] = app.events;
      assert.strictEqual(typeof id, 'string');
      assert.match(id, /^\d+$/);
      assert.strictEqual(headers.host, 'localhost');
      assert.strictEqual(protocol, '');
      assert.ok(app.events.every((e) => e[1] === id), 'the id is stable');
      assert.strictEqual(app.events[1][2], 'größe');
      const end = app.events.at(-1);
      assert.strictEqual(typeof end[2], 'number');
      if (version === 13) assert.deepStrictEqual(end.slice(2), [4000, 'bye']);
    }
    server.send('12345', 'nobody');
    server.send('not a number', 'nobody');
    server.disconnect('12345');
  });

test('0.4: the first application that matches gets the client', { skip },
  async (t) => {
    const hello = (text) => ({ onconnect: (id) => server.send(id, text) });
    const a = recorder(hello('a'));
    const b = recorder(hello('b'));
    const c = recorder(hello('c'));
    const { g, server } = await start(t, [[a, 'one.example', '/ws/a'],
      [b, null, '/ws/a'], [c, 'two.example', '']]);
    for (const [host, path, want] of [['one.example', '/ws/a', 'a'],
      ['ONE.example:80', '/ws/a?x=1', 'a'], ['two.example', '/ws/a', 'b'],
      ['two.example', '/ws/else', 'c'], ['one.example', '/ws/b', null]]) {
      const client = await speak(t, g.port, 13, path, { Host: host });
      if (want) assert.strictEqual(await client.message(), want);
      else assert.strictEqual(client.status, 404);
    }
  });

test('A6, 0.11: acceptsOrigin selects among the applications', { skip },
  async (t) => {
    const seen = [];
    const picky = { acceptsOrigin(origin) {
      seen.push(origin);
      return origin === 'http://one.example';
    }, onconnect: (id) => server.send(id, 'one') };
    const other = { acceptsOrigin: (origin) => origin === ORIGIN,
      onconnect: (id) => server.send(id, 'other') };
    const { g, server } = await start(t, [[picky], [other]]);
    for (const version of VERSIONS) {
      const field = version === 8 ? 'Sec-WebSocket-Origin' : 'Origin';
      const one = await speak(t, g.port, version, '/ws',
        { [field]: 'http://one.example' });
      assert.strictEqual(await one.message(), 'one');
      const two = await speak(t, g.port, version);
      assert.strictEqual(await two.message(), 'other');
      const none = await speak(t, g.port, version, '/ws',
        { [field]: 'http://no.example' });
      assert.strictEqual(none.status, 403, 'no application is left');
    }
    assert.strictEqual(seen[0], 'http://one.example');
  });

test('A7, 0.12: chooseProtocol, which may refuse', { skip }, async (t) => {
  let asked = 0;
  const app = recorder({ chooseProtocol(list) {
    asked++;
    return list.includes('chat') ? 'chat' : false;
  } });
  const { g } = await start(t, [[app]]);
  const without = await speak(t, g.port, 13);
  assert.ok(without.accepted, 'nothing was offered');
  assert.strictEqual(asked, 0);
  for (const version of VERSIONS) {
    const field = version === 75 ? 'WebSocket-Protocol'
      : 'Sec-WebSocket-Protocol';
    // The first versions offer one.
    const offer = version < 75 ? 'mail, chat' : 'chat';
    const c = await speak(t, g.port, version, '/ws', { [field]: offer });
    assert.match(c.head, /WebSocket-Protocol: chat\r\n/);
    await until('the client', () => app.events.at(-1)[3] === 'chat');
    const no = await speak(t, g.port, version, '/ws', { [field]: 'mail' });
    assert.strictEqual(no.status, 400, `version ${version}`);
  }
});

test('0.6, 0.10: disconnect sends a Close and calls ondisconnect', { skip },
  async (t) => {
    const app = recorder({ onmessage(id, data) {
      if (data === 'plain') server.disconnect(id);
      else server.disconnect(id, 4001, 'enough');
    } });
    const { g, server } = await start(t, [[app]]);
    for (const [text, code, message] of [['plain', 1000, ''],
      ['with', 4001, 'enough']]) {
      app.events.length = 0;
      const c = await speak(t, g.port, 13);
      c.send(text);
      c.send('after');
      assert.deepStrictEqual(await c.message(), { code, reason: message });
      c.close(code);
      await until('ondisconnect', () => app.events.length === 3);
      assert.deepStrictEqual(app.events.map((e) => e[0]),
        ['onconnect', 'onmessage', 'ondisconnect']);
      assert.deepStrictEqual(app.events[2].slice(2), [code, message]);
    }
    app.events.length = 0;
    const c = await speak(t, g.port, 13);
    await until('the client', () => app.events.length === 1);
    c.socket.resetAndDestroy();
    await until('ondisconnect', () => app.events.length === 2);
    assert.deepStrictEqual(app.events[1].slice(2),
      [1001, 'Connection was closed']);
  });

test('0.14: an application without methods; 0.x: onidle', { skip },
  async (t) => {
    let idle = 0;
    const { g } = await start(t, [[{ onidle: () => idle++ }, '', '/ws'],
      [new Application(), null, '/ws/base']], { idle: 20 });
    for (const path of ['/ws', '/ws/base']) {
      const c = await speak(t, g.port, 13, path,
        { 'Sec-WebSocket-Protocol': 'x' });
      assert.ok(c.accepted);
      c.send('x');
      c.close(1000);
      assert.strictEqual((await c.message()).code, 1000);
    }
    await until('onidle', () => idle > 1);
  });

test('0.15: a loop over all clients is one frame, unless something differs',
  { skip }, async (t) => {
    const ids = [];
    const app = { onconnect: (id) => { ids.push(id); },
      onmessage(id, data) {
        for (const x of ids) server.send(x, data);
        const changing = Buffer.from('1');
        for (const x of ids) {
          server.send(x, changing);
          changing[0]++;
        }
        for (const x of ids) server.send(x, 'twice');
        for (const x of ids) server.send(x, 'twice');
        server.send(ids[0], 'last');
      } };
    const { g, server } = await start(t, [[app]]);
    let groups = 0;
    const { msend } = server.backend;
    server.backend.msend = function count(list, data) {
      groups++;
      assert.strictEqual(list.length, 3);
      return msend.call(this, list, data);
    };
    const clients = [];
    for (const version of [13, 8, 13])
      clients.push(await speak(t, g.port, version));
    await until('all', () => ids.length === 3);
    clients[1].send('to all');
    for (const [i, c] of clients.entries()) {
      assert.strictEqual(await c.message(), 'to all');
      assert.deepStrictEqual(await c.message(), Buffer.from(String(i + 1)));
      assert.strictEqual(await c.message(), 'twice');
      assert.strictEqual(await c.message(), 'twice');
    }
    assert.strictEqual(await clients[0].message(), 'last');
    assert.strictEqual(groups, 3);
  });

test('0.3, A30: setDebug prints what happens', { skip }, async (t) => {
  const { g, server } = await start(t, [[{}]]);
  const lines = [];
  server.log = (text) => { if (server.debug) lines.push(text); };
  (await speak(t, g.port, 13)).close(1000);
  server.setDebug(true);
  (await speak(t, g.port, 13)).close(1000);
  await until('a line', () => lines.some((l) => /disconnected: 1000/.test(l)));
  server.setDebug(false);
  assert.strictEqual(server.debug, false);
});

test('0.1, 0.2, 0.7: a gateway of its own, with TLS too', { skip },
  async (t) => {
    process.env.PENSTOCK_BIN = BINARY;
    const dir = directory(t);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes',
      '-keyout', `${dir}/key.pem`, '-out', `${dir}/cert.pem`, '-days', '1',
      '-subj', '/CN=localhost'], { stdio: 'ignore' });
    for (const tls of [false, true]) {
      const server = new Server('127.0.0.1', 0, { nodelay: false, signals: false,
        ...(tls && { certificate: `${dir}/cert.pem`,
          privateKey: `${dir}/key.pem` }) });
      t.after(() => server.close(0));
      server.addApplication({ onconnect: (id) => server.send(id, 'hello') });
      await server.run();
      const { port } = server.address();
      if (tls) {
        const socket = connect({ port, host: '127.0.0.1',
          rejectUnauthorized: false });
        await once(socket, 'secureConnect');
        socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n' +
          'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
        let got = '';
        socket.on('data', (d) => { got += d.toString('latin1'); });
        await until('the message', () => got.endsWith('hello'));
        socket.destroy();
      } else {
        for (const version of VERSIONS)
          assert.strictEqual(
            await (await speak(t, port, version, '/x')).message(), 'hello');
      }
      await server.close(0);
    }
  });

test('A32, 0.5 0.6: clients of another backend of the pool', { skip },
  async (t) => {
    const dir = directory(t);
    const g = await gateway(t, { dir, location: ALL,
      pool: `server unix:${dir}/b0.sock; server unix:${dir}/b1.sock;` });
    const ids = [];
    const gone = [];
    const servers = [0, 1].map((n) => {
      const server = new Server('127.0.0.1', 0,
        { socket: `${dir}/b${n}.sock`, signals: false });
      server.addApplication({ onconnect: (id) => ids.push([n, id]),
        ondisconnect: (id, code) => gone.push([n, id, code]) });
      t.after(() => server.close(0));
      return server;
    });
    await Promise.all(servers.map((s) => s.run()));
    await until('both', () => g.log().split('backend is ready').length > 2);
    const clients = [];
    while (new Set(ids.map(([n]) => n)).size < 2) {
      clients.push(await speak(t, g.port, 13));
      await until('the client', () => ids.length === clients.length);
    }
    for (const [i, [n, id]] of ids.entries()) {
      servers[1 - n].send(id, 'from the other');
      servers[1 - n].send(id, Buffer.from('and binary'));
      assert.strictEqual(await clients[i].message(), 'from the other');
      assert.deepStrictEqual(await clients[i].message(),
        Buffer.from('and binary'));
    }
    const [n, id] = ids[0];
    servers[1 - n].disconnect(id, 4005, 'go');
    assert.deepStrictEqual(await clients[0].message(),
      { code: 4005, reason: 'go' });
    clients[0].close(4005);
    await until('the end', () => gone.length === 1);
    assert.deepStrictEqual(gone[0].slice(0, 2), [n, id]);
  });

test('0.1: what is wrong is thrown', () => {
  const server = new Server();
  assert.deepStrictEqual([server.ip, server.port, server.options.nodelay],
    ['127.0.0.1', 80, true]);
  assert.throws(() => server.addApplication(null), TypeError);
});
