// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Libraries on penstock/ws and penstock/http as they are published, behind the
// real gateway and a private one (contrib/dev/npm installs them).
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const Module = require('module');
const { test } = require('node:test');
const { Backend } = require('..');
const { attach } = require('../http');
const WebSocket = require('../ws');
const { BINARY, gateway, until, peer } = require('./support');

if (BINARY) process.env.PENSTOCK_BIN = BINARY;
const genuine = peer('ws');
const skip = !BINARY ? 'PENSTOCK does not name a gateway'
  : genuine && peer('engine.io') ? false : 'contrib/dev/npm was not run';

// As penstock/register does.
const resolve = Module._resolveFilename;
function withOurs(load) {
  Module._resolveFilename = (name, ...rest) => name === 'ws'
    ? require.resolve('../ws') : resolve.call(Module, name, ...rest);
  try {
    return load();
  } finally {
    Module._resolveFilename = resolve;
  }
}

// The port at which the server is reached.
async function behind(t, server, { own = false, pool = '' } = {}) {
  if (own) {
    const backend = new Backend({ signals: false });
    t.after(() => backend.close(0));
    attach(server, { backend });
    await backend.listen({ port: 0, host: '127.0.0.1' });
    return backend.address().port;
  }
  const g = await gateway(t, { server:
    'location ~ ^/[a-z] { websocket_pass b; backend_pass b; ' +
    'websocket_origin any; }', location: 'websocket_origin any;' });
  const backend = attach(server, { socket: g.sock, signals: false });
  t.after(() => backend.close(0));
  await once(server, 'listening');
  await g.ready();
  return g.port;
}

const wordsOf = (ws) => {
  const words = [];
  ws.on('message', (data, isBinary) =>
    words.push(isBinary ? data : data.toString()));
  return words;
};

test('express-ws', { skip }, async (t) => {
  const express = peer('express');
  const app = express();
  const server = http.createServer(app);
  const { getWss } = withOurs(() => peer('express-ws'))(app, server);
  app.use((req, res, next) => {
    req.mark = 'marked';
    next();
  });
  app.get('/', (req, res) => res.send('hello'));
  app.ws('/echo/:name', (ws, req) => {
    ws.send(`${req.params.name} ${req.mark} ${req.query.q}`);
    ws.on('message', (m) => {
      for (const c of getWss().clients) c.send(m);
    });
  });
  const port = await behind(t, server);
  assert.ok(getWss() instanceof WebSocket.Server);
  const ws = new genuine(`ws://127.0.0.1:${port}/echo/me?q=1`);
  const words = wordsOf(ws);
  await once(ws, 'open');
  ws.send(Buffer.from('x'));
  await until('two messages', () => words.length === 2);
  assert.deepStrictEqual(words, ['me marked 1', Buffer.from('x')]);
  const no = new genuine(`ws://127.0.0.1:${port}/nothing`);
  await once(no, 'close').catch(() => once(no, 'close'));
  const res = await fetch(`http://127.0.0.1:${port}/`);
  assert.strictEqual(await res.text(), 'hello');
  ws.close();
  await until('nobody', () => getWss().clients.size === 0);
});

for (const own of [false, true])
  test(`engine.io and socket.io, ${own ? 'private' : 'shared'} gateway`,
    { skip }, async (t) => {
      const { Server } = peer('socket.io');
      const { io } = peer('socket.io-client');
      const server = http.createServer();
      const sio = new Server(server, { wsEngine: WebSocket.Server,
        maxHttpBufferSize: 1e7, cors: { origin: '*' } });
      const addresses = new Set();
      sio.on('connection', (socket) => {
        addresses.add(socket.conn.remoteAddress);
        socket.on('echo', (x, done) => done(x));
        socket.on('room', (name, done) => {
          socket.join(name);
          done();
        });
        socket.on('say', (name, x) => sio.to(name).emit('said', x));
        socket.on('who', (done) => done(socket.conn.transport.name));
      });
      const port = await behind(t, server, { own });
      const connect = async (options) => {
        const s = io(`http://127.0.0.1:${port}`,
          { forceNew: true, reconnection: false, ...options });
        t.after(() => s.close());
        s.said = [];
        s.on('said', (x) => s.said.push(x));
        await new Promise((done, failed) => {
          s.on('connect', done);
          s.on('connect_error', failed);
        });
        return s;
      };
      const polling = await connect({ transports: ['polling'] });
      const ws = await connect({ transports: ['websocket'] });
      const both = await connect({});
      await until('an upgrade', async () =>
        await both.emitWithAck('who') === 'websocket');
      assert.strictEqual(await ws.emitWithAck('who'), 'websocket');
      assert.strictEqual(await polling.emitWithAck('who'), 'polling');
      const big = Buffer.alloc(600000, 'abc');
      for (const s of [polling, ws, both]) {
        assert.deepStrictEqual(await s.emitWithAck('echo', { a: [1, 'ä'] }),
          { a: [1, 'ä'] });
        assert.ok((await s.emitWithAck('echo', { big })).big.equals(big));
        await s.emitWithAck('room', 'r');
      }
      ws.emit('say', 'r', Buffer.from('b'));
      ws.emit('say', 'r', 'text');
      await until('what was said', () =>
        [polling, ws, both].every((s) => s.said.length === 2));
      assert.deepStrictEqual(both.said, [Buffer.from('b'), 'text']);
      assert.deepStrictEqual([...addresses], ['127.0.0.1']);
      const left = once(sio.sockets.sockets.get(ws.id), 'disconnect');
      ws.close();
      assert.match((await left)[0], /namespace|transport/);
      for (const s of [polling, both]) s.close();
    });

test('engine.io alone', { skip }, async (t) => {
  const { Server } = peer('engine.io');
  const server = http.createServer();
  const eio = new Server({ wsEngine: WebSocket.Server });
  eio.attach(server);
  t.after(() => eio.close());
  eio.on('initial_headers', (headers) => { headers['Set-Cookie'] = 'sid=1'; });
  let drained = 0;
  eio.on('connection', (socket) => {
    socket.on('drain', () => drained++);
    socket.on('message', (m) => socket.send(m));
  });
  const port = await behind(t, server);
  const ws = new genuine(
    `ws://127.0.0.1:${port}/engine.io/?EIO=4&transport=websocket`);
  const words = wordsOf(ws);
  const [res] = await once(ws, 'upgrade');
  assert.match(String(res.headers['set-cookie']), /^sid=/);
  await until('open', () => words.length === 1);
  assert.match(words[0], /^0\{"sid"/);
  ws.send('4text');
  ws.send(Buffer.from('binary'));
  await until('echoes', () => words.length === 3 && drained > 0);
  assert.deepStrictEqual(words.slice(1), ['4text', Buffer.from('binary')]);
  // A transport that is none is refused by a response of its own.
  const no = new genuine(
    `ws://127.0.0.1:${port}/engine.io/?EIO=4&transport=nonsense`);
  const [error] = await once(no, 'error');
  assert.match(error.message, /400/);
  const [[code]] = await Promise.all([once(ws, 'close'), eio.close()]);
  assert.strictEqual(code, 1005);
});

test('graphql-ws', { skip }, async (t) => {
  const { buildSchema } = peer('graphql');
  const { useServer } = peer('graphql-ws/lib/use/ws');
  const { createClient } = peer('graphql-ws');
  const server = http.createServer();
  const wss = new WebSocket.WebSocketServer({ server, path: '/graphql' });
  const disposable = useServer({
    schema: buildSchema('type Query { hello: String } ' +
      'type Subscription { count: Int }'),
    roots: {
      query: { hello: () => 'world' },
      subscription: { async * count() {
        for (let i = 0; i < 3; i++) yield { count: i };
      } },
    },
  }, wss, 50);
  const port = await behind(t, server);
  let pongs = 0;
  class Counting extends genuine {
    constructor(...args) {
      super(...args);
      this.on('ping', () => pongs++);
    }
  }
  const client = createClient({ url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: Counting, lazy: false });
  const ask = (query) => new Promise((done, failed) => {
    const got = [];
    client.subscribe({ query }, { next: (x) => got.push(x.data),
      error: failed, complete: () => done(got) });
  });
  assert.deepStrictEqual(await ask('{ hello }').then((x) => ({ ...x[0] })),
    { hello: 'world' });
  assert.deepStrictEqual(
    (await ask('subscription { count }')).map((x) => x.count), [0, 1, 2]);
  await until('pings that are answered', () => pongs > 2);
  assert.strictEqual(wss.clients.size, 1);
  const [ws] = wss.clients;
  assert.strictEqual(ws.protocol, 'graphql-transport-ws');
  const closed = new Promise((done) => client.on('closed', done));
  const down = disposable.dispose();
  assert.strictEqual((await closed).code, 1001);
  client.dispose();
  await down;
});

test('y-websocket', { skip }, async (t) => {
  const Y = peer('yjs');
  const { setupWSConnection, docs } = peer('y-websocket/bin/utils');
  const { WebsocketProvider } = peer('y-websocket');
  const server = http.createServer();
  const wss = new WebSocket.Server({ noServer: true });
  wss.on('connection', setupWSConnection);
  server.on('upgrade', (req, socket, head) => {
    wss.handleUpgrade(req, socket, head, (ws) => {
      wss.emit('connection', ws, req);
    });
  });
  const port = await behind(t, server);
  const open = () => {
    const doc = new Y.Doc();
    const p = new WebsocketProvider(`ws://127.0.0.1:${port}`, 'room', doc,
      { WebSocketPolyfill: genuine, disableBc: true });
    t.after(() => p.destroy());
    return { doc, p };
  };
  const a = open();
  const b = open();
  await until('both', () => a.p.synced && b.p.synced);
  a.doc.getText('t').insert(0, 'hello');
  await until('its text', () => b.doc.getText('t').toString() === 'hello');
  b.doc.getText('t').insert(5, ' world');
  await until('its text', () =>
    a.doc.getText('t').toString() === 'hello world');
  b.p.awareness.setLocalState({ name: 'b' });
  await until('its state', () =>
    [...a.p.awareness.getStates().values()].some((s) => s.name === 'b'));
  assert.strictEqual(docs.size, 1);
  a.p.destroy();
  b.p.destroy();
  for (const x of [a.p, b.p, ...docs.values()]) x.awareness.destroy();
  await until('nobody', () => wss.clients.size === 0);
});
