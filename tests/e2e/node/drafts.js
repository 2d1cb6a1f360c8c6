// SPDX-License-Identifier: BSD-2-Clause
// Clients that still speak the versions before RFC 6455.
// usage: drafts.js URL; exits 0 when all is as it should be, else says what
// is not.
'use strict';
const assert = require('assert');
const { EventEmitter, once } = require('events');
const url = process.argv[2];
const origin = url.replace(/^ws/, 'http').replace(/(:\/\/[^/]*).*/, '$1');
const TEXTS = ['hello', '', '\u00e4\u20ac\u{1f600}', 't'.repeat(70000)];
const BUFFERS = [Buffer.from([0, 255, 128]), Buffer.alloc(0), Buffer.alloc(70000, 7)];

// ---- ws 0.4 and websocket: version 8, and 13 as their time wrote it ----

async function ws04(version) {
  const WebSocket = require('ws-0.4');
  const ws = new WebSocket(url, { protocolVersion: version, origin });
  await once(ws, 'open');
  assert.strictEqual(ws.protocolVersion, version);
  for (const text of TEXTS) {
    ws.send(text, { mask: true });
    const [got, flags] = await once(ws, 'message');
    assert.ok(!flags.binary);
    assert.strictEqual(got, text);
  }
  for (const data of BUFFERS) {
    ws.send(data, { mask: true, binary: true });
    const [got, flags] = await once(ws, 'message');
    assert.ok(flags.binary && data.equals(got));
  }
  ws.ping('p', { mask: true });
  assert.strictEqual(String((await once(ws, 'pong'))[0]), 'p');
  ws.close(3001, 'done');
  assert.strictEqual((await once(ws, 'close'))[0], 3001);
}

async function theturtle(version) {
  const Client = require('websocket').client;
  const client = new Client({ webSocketVersion: version });
  client.connect(url, null, origin);
  client.on('connectFailed', (e) => { throw e; });
  const [c] = await once(client, 'connect');
  assert.strictEqual(c.webSocketVersion, version);
  for (const text of TEXTS) {
    c.sendUTF(text);
    const [m] = await once(c, 'message');
    assert.strictEqual(m.type, 'utf8');
    assert.strictEqual(m.utf8Data, text);
  }
  for (const data of BUFFERS) {
    c.sendBytes(data);
    const [m] = await once(c, 'message');
    assert.ok(m.type === 'binary' && data.equals(m.binaryData));
  }
  c.close(1000, 'done');
  assert.strictEqual((await once(c, 'close'))[0], 1000);
}

async function faye() {
  const { Client } = require('faye-websocket');
  const ws = new Client(url);
  await once(ws, 'open');
  for (const text of TEXTS) {
    ws.send(text);
    const [m] = await once(ws, 'message');
    assert.strictEqual(m.data, text);
  }
  ws.close(4000, 'done');
  assert.strictEqual((await once(ws, 'close'))[0].code, 4000);
}

// ---- websocket-client: hixie-76 ----

// What of the node of its days is gone: strings were hashed as bytes, and
// there was http.createClient().
function makeOldNode() {
  const crypto = require('crypto');
  const http = require('http');
  const net = require('net');
  const createHash = crypto.createHash;
  crypto.createHash = (name) => {
    const hash = createHash(name);
    const update = hash.update;
    hash.update = (data) => update.call(hash, data, 'binary');
    return hash;
  };
  http.createClient = (port, host) => {
    const client = new EventEmitter();
    client.end = () => {};
    client.request = (path, headers) => {
      const socket = net.connect(port, host);
      let head = '';
      const onData = (data) => {
        head += data.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0)
          return;
        socket.removeListener('data', onData);
        assert.ok(head.startsWith('HTTP/1.1 101 WebSocket Protocol Handshake\r\n'), head);
        client.emit('upgrade', {}, socket, Buffer.from(head.slice(end + 4), 'latin1'));
      };
      socket.on('data', onData);
      const lines = Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`);
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
      return { write: (data) => socket.write(data, 'binary'), end() {} };
    };
    return client;
  };
}

async function hixie76() {
  const { WebSocket } = require('websocket-client');
  const ws = new WebSocket(url, undefined, { origin });
  ws.on('wserror', (e) => {
    if (!/closed unexpectedly/.test(e.message))
      throw e;
  });
  await once(ws, 'open');
  for (const text of TEXTS) {
    ws.send(text);
    const [got] = await once(ws, 'message');
    assert.strictEqual(got, text);
  }
  ws.close();
  await once(ws, 'close');
}

(async () => {
  for (const version of [8, 13]) {
    await ws04(version);
    await theturtle(version);
  }
  await faye();
  makeOldNode();
  for (let i = 0; i < 10; i++)
    await hixie76();
})().catch((e) => {
  console.error(e.stack);
  process.exit(1);
});
