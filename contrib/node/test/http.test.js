// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// penstock/http, behind the real gateway (env PENSTOCK: its program).
const assert = require('assert');
const { once } = require('events');
const http = require('http');
const { test } = require('node:test');
const { attach } = require('../http');
const { BINARY, gateway, until } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';

function ask(port, options, body = []) {
  return new Promise((resolve, reject) => {
    const req = http.request({ port, host: '127.0.0.1', agent: false,
      ...options });
    req.on('error', reject);
    req.on('response', async (res) => {
      const parts = [];
      try {
        for await (const d of res) parts.push(d);
        resolve({ status: res.statusCode, headers: res.headers,
          body: Buffer.concat(parts) });
      } catch (e) {
        reject(e);
      }
    });
    for (const b of body) req.write(b);
    req.end();
  });
}

test('an http.Server that does not listen', { skip }, async (t) => {
  const big = Buffer.alloc(3000000, 'abc');
  let left = 0;
  const server = http.createServer((req, res) => {
    if (req.url === '/echo') {
      req.pipe(res);
    } else if (req.url === '/long') {
      res.write('begin');
      res.on('close', () => left++);
    } else if (req.url === '/destroy') {
      req.socket.destroy();
    } else {
      res.writeHead(203, { 'Set-Cookie': ['a=1', 'b=2'] });
      res.end(`${req.method} ${req.url} ${req.headers['x-h']} ${
        req.socket.remoteAddress}`);
    }
  });
  const g = await gateway(t);
  const backend = attach(server, { socket: g.sock, signals: false });
  t.after(() => backend.close(0));
  await once(server, 'listening');
  await g.ready();
  let r = await ask(g.port, { path: '/a?b=c', headers: { 'X-H': 'h' } });
  assert.deepStrictEqual(
    [r.status, r.body.toString(), r.headers['set-cookie']],
    [203, 'GET /a?b=c h 127.0.0.1', ['a=1', 'b=2']]);
  r = await ask(g.port, { path: '/', method: 'HEAD' });
  assert.deepStrictEqual([r.status, r.body.length], [203, 0]);
  for (const headers of [{}, { 'Content-Length': big.length }]) {
    r = await ask(g.port, { path: '/echo', method: 'POST', headers },
      [big.subarray(0, 1000), big.subarray(1000)]);
    assert.strictEqual(r.status, 200);
    assert.ok(r.body.equals(big));
  }
  assert.strictEqual((await ask(g.port, { path: '/destroy' })).status, 502);
  const req = http.get({ port: g.port, host: '127.0.0.1', path: '/long',
    agent: false });
  const [res] = await once(req, 'response');
  await once(res, 'data');
  req.on('error', () => {});
  res.on('error', () => {});
  req.destroy();
  await until('the end of the response', () => left === 1);
});
