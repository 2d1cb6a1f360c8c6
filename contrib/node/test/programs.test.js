// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A program on libraries that it knows, with ws and under penstock/register:
// its clients can not tell (env PENSTOCK: the gateway; contrib/dev/npm installs
// the libraries).
const assert = require('assert');
const { spawn } = require('child_process');
const { once } = require('events');
const path = require('path');
const { test } = require('node:test');
const { BINARY, until, peer } = require('./support');

const genuine = peer('ws');
const skip = !BINARY ? 'PENSTOCK does not name a gateway'
  : genuine && peer('engine.io') ? false : 'contrib/dev/npm was not run';
const modules = path.join(__dirname, '../../../tests/e2e/node/node_modules');

async function run(t, flags) {
  const child = spawn(process.execPath,
    [...flags, path.join(__dirname, 'programs/libraries.js')],
    { stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PENSTOCK_BIN: BINARY, NODE_PATH: modules } });
  t.after(() => child.kill('SIGKILL'));
  child.text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (d) => { child.text += d; });
  child.complaints = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (d) => { child.complaints += d; });
  await until('ports', () => {
    if (child.exitCode !== null)
      throw new Error(`it ended: ${child.complaints}`);
    return child.text.includes('\n');
  });
  child.ports = JSON.parse(/^ports (.*)$/m.exec(child.text)[1]);
  return child;
}

async function talk(t, { express, io, graphql, y, faye }) {
  const notes = [];
  const res = await fetch(`http://127.0.0.1:${express}/`);
  notes.push(res.status, res.headers.get('etag'), await res.text());
  for (const [port, at] of [[express, '/echo'], [faye, '/']]) {
    const ws = new genuine(`ws://127.0.0.1:${port}${at}`);
    await once(ws, 'open');
    ws.send('echo');
    const [data] = await once(ws, 'message');
    ws.close(1000);
    notes.push(String(data), (await once(ws, 'close'))[0]);
  }
  const { io: connect } = peer('socket.io-client');
  const said = [];
  const sockets = [['polling'], ['websocket'], ['polling', 'websocket']].map(
    (transports) => connect(`http://127.0.0.1:${io}`,
      { transports, forceNew: true, reconnection: false }));
  for (const s of sockets) {
    t.after(() => s.close());
    s.on('said', (...x) => said.push(x));
  }
  await until('connections', () => sockets.every((s) => s.connected));
  for (const s of sockets) s.emit('say', Buffer.from('binary'));
  await until('what was said', () => said.length === 9);
  notes.push(said);
  await until('an upgrade', () =>
    sockets[2].io.engine.transport.name === 'websocket');
  for (const s of sockets) s.close();
  const client = peer('graphql-ws').createClient(
    { url: `ws://127.0.0.1:${graphql}/graphql`, webSocketImpl: genuine });
  notes.push(await new Promise((done, failed) => {
    client.subscribe({ query: '{ hello }' },
      { next: (x) => done(JSON.stringify(x)), error: failed, complete() {} });
  }));
  await client.dispose();
  const Y = peer('yjs');
  const { WebsocketProvider } = peer('y-websocket');
  const [a, b] = [0, 1].map(() => {
    const p = new WebsocketProvider(`ws://127.0.0.1:${y}`, 'room', new Y.Doc(),
      { WebSocketPolyfill: genuine, disableBc: true });
    t.after(() => {
      p.destroy();
      p.awareness.destroy();
    });
    return p;
  });
  await until('both', () => a.synced && b.synced);
  a.doc.getText('t').insert(0, 'text');
  await until('its text', () => b.doc.getText('t').toString() === 'text');
  return notes;
}

test('a program on five libraries', { skip }, async (t) => {
  const all = [];
  for (const flags of [[], ['-r', path.join(__dirname, '../register.js')]]) {
    const p = await run(t, flags);
    all.push(await talk(t, p.ports));
    p.kill('SIGUSR2');
    await until('their ends', () => /io closed/.test(p.text) &&
      /graphql closed/.test(p.text));
    p.kill('SIGTERM');
    if (p.exitCode === null && p.signalCode === null) await once(p, 'exit');
    all.push([p.exitCode, p.signalCode, p.complaints]);
  }
  assert.deepStrictEqual(all.slice(2), all.slice(0, 2));
});
