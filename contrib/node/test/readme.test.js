// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The programs that README.md shows (env PENSTOCK: the gateway).
const assert = require('assert');
const { spawn } = require('child_process');
const fs = require('fs');
const http = require('http');
const path = require('path');
const { test } = require('node:test');
const { BINARY, gateway, Client } = require('./support');

const skip = BINARY ? false : 'PENSTOCK does not name a gateway';
const root = path.join(__dirname, '..');
const shown = [...fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  .matchAll(/```js\n(.*?)```/gs)].map((m) => m[1]);

const AsyncFunction = (async () => {}).constructor;

// The one that has these words, with what stands around it in the text.
async function run(t, g, words, before = '', after = '') {
  const all = shown.filter((s) => s.includes(words));
  assert.strictEqual(all.length, 1, words);
  // Anything that is not a path of ours would need a directory of the system.
  const code = all[0].replace(/'\/run\/\w+\.sock'/, JSON.stringify(g.sock));
  const child = spawn(process.execPath,
    ['-e', `(async () => { ${before}\n${code}\n${after} })();`],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PENSTOCK_BIN: BINARY, PENSTOCK_SOCKET: g.sock } });
  t.after(() => child.kill('SIGKILL'));
  await g.ready();
}

const ask = (port, body) => new Promise((resolve, reject) => {
  const req = http.request({ port, method: 'POST', agent: false }, (res) => {
    res.setEncoding('utf8').on('data', resolve);
  });
  req.on('error', reject);
  req.end(body);
});

test('what is shown is JavaScript', () => {
  assert.ok(shown.length >= 7);
  for (const code of shown) assert.ok(new AsyncFunction(code));
  assert.ok(shown[0].split('\n').length <= 16);
});

for (const [name, words] of [['the echo', 'accept(request) {'],
  ['ws', 'new WebSocketServer({ port']])
  test(name, { skip }, async (t) => {
    const g = await gateway(t);
    await run(t, g, words);
    const c = await Client.open(t, g.port);
    c.send('text');
    assert.strictEqual(await c.message(), 'text');
    c.send(Buffer.from('binary'));
    assert.deepStrictEqual(await c.message(), Buffer.from('binary'));
  });

test('requests', { skip }, async (t) => {
  const g = await gateway(t);
  await run(t, g, 'request.pipe(response)', "const { Backend } = " +
    "require('penstock'); const backend = new Backend();", 'backend.run();');
  assert.strictEqual(await ask(g.port, 'body'), 'body');
});

test('an http.Server', { skip }, async (t) => {
  const g = await gateway(t);
  await run(t, g, 'attach(http.createServer(app)', "const http = " +
    "require('http'); const app = (req, res) => req.pipe(res);");
  assert.strictEqual(await ask(g.port, 'body'), 'body');
});

test('many clients', { skip }, async (t) => {
  const g = await gateway(t);
  const code = shown.filter((s) => /^backend\.broadcast|matched, queued/m
    .test(s)).join('\n');
  assert.match(code, /msend[^]*presence/);
  await run(t, g, 'accept(request) {', '', `
    backend.apps[0].handlers.open = async (conn) => {
      const otherId = conn.id;
      conn.subscribe('room:7');
      ${code}
      if (queued === 1 && ids[0] === conn.id) conn.send('done');
    };`);
  const c = await Client.open(t, g.port);
  const heard = [];
  while (heard.at(-1) !== 'done') {
    const m = await c.message();
    if (!m.opcode) heard.push(String(m));
  }
  assert.deepStrictEqual(heard.slice(0, 3), ['to who is in it', 'two', 'two']);
});
