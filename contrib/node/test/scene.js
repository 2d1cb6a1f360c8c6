// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a program sees of `ws` and of penstock/ws, side by side: each scene is
// played with both, and must note the same.  contrib/dev/npm installs `ws`.
const assert = require('assert');
const { once } = require('events');
const path = require('path');
const { test } = require('node:test');
const ours = require('../ws');
const { attach } = require('../http');
const { Backend } = require('..');
const { BINARY, peer } = require('./support');

if (BINARY) process.env.PENSTOCK_BIN = BINARY;
const genuine = peer('ws');
// Where penstock/ws finds it, for connections that no gateway has.
if (genuine) process.chdir(path.join(__dirname, '../../../tests/e2e/node'));
const skip = !BINARY ? 'PENSTOCK does not name a gateway'
  : genuine ? false : 'contrib/dev/npm was not run';

const tick = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// A server of the one or the other, and clients of `ws`.
class Scene {
  constructor(t, lib) {
    this.t = t;
    this.lib = lib;
    this.notes = [];
  }

  note(...words) { this.notes.push(words.map(plain)); }

  attempt(what) {
    try {
      return plain(what());
    } catch (e) {
      return `${e.name} ${e.code || ''} ${e.message}`;
    }
  }

  async serve(options = {}) {
    const o = options.noServer || options.server ? options
      : { port: 0, host: '127.0.0.1', ...options };
    this.wss = new this.lib.WebSocketServer(o);
    if (this.lib === ours && this.wss.backend)
      this.t.after(() => this.wss.backend.close(0));
    else if (o.port === 0)
      this.t.after(() => this.wss.close());
    if (o.port === 0) {
      await once(this.wss, 'listening');
      this.port = this.wss.address().port;
    }
    return this.wss;
  }

  async feed(server) {
    if (this.lib === ours) {
      const backend = new Backend({ signals: false });
      this.t.after(() => backend.close(0));
      attach(server, { backend });
      await backend.listen({ port: 0, host: '127.0.0.1' });
      this.port = backend.address().port;
    } else {
      server.listen(0, '127.0.0.1');
      this.t.after(() => server.close());
      await once(server, 'listening');
      this.port = server.address().port;
    }
  }

  // [the client's end, the server's]
  async pair(path = '/', ...rest) {
    const here = once(this.wss, 'connection');
    const ws = new genuine(`ws://127.0.0.1:${this.port}${path}`, ...rest);
    this.t.after(() => ws.terminate());
    ws.on('error', () => {});
    ws.got = [];
    ws.on('message', (data, isBinary) =>
      ws.got.push(isBinary ? data : data.toString()));
    await once(ws, 'open');
    const [peerEnd, req] = await here;
    return [ws, peerEnd, req];
  }

  // The status and what else a refused handshake brings.
  async refused(path = '/', ...rest) {
    const ws = new genuine(`ws://127.0.0.1:${this.port}${path}`, ...rest);
    ws.on('error', () => {});
    const [, res] = await once(ws, 'unexpected-response');
    let body = '';
    for await (const d of res) body += d;
    return { status: res.statusCode, body, headers: res.headers };
  }
}

function plain(x) {
  if (x instanceof Error) return `${x.name} ${x.code || ''} ${x.message}`;
  if (Buffer.isBuffer(x)) return `Buffer ${x.toString('latin1')}`;
  if (x instanceof ArrayBuffer)
    return `ArrayBuffer ${Buffer.from(x).toString('latin1')}`;
  if (Array.isArray(x)) return x.map(plain);
  return x;
}

// { name: async function of a Scene }
function play(scenes) {
  for (const [name, scene] of Object.entries(scenes))
    test(name, { skip }, async (t) => {
      const notes = [];
      for (const lib of [genuine, ours]) {
        const s = new Scene(t, lib);
        await scene(s);
        notes.push(s.notes);
      }
      assert.deepStrictEqual(notes[1], notes[0]);
    });
}

module.exports = { play, tick, plain, genuine };
