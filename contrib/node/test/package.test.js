// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What npm would publish: all entries, both ways, and a program that uses them
// from node_modules (env PENSTOCK: the gateway).
const assert = require('assert');
const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const http = require('http');
const path = require('path');
const { test } = require('node:test');
const { BINARY, until, directory } = require('./support');

const root = path.join(__dirname, '..');
const about = require('../package.json');
const NO_MODULE = ['./package.json', './register', './loader'];

function hasNpm() {
  try {
    execFileSync('npm', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

// A directory with the package in node_modules.
function installed(t) {
  const dir = directory(t);
  const env = { ...process.env, npm_config_cache: path.join(dir, 'cache'),
    npm_config_update_notifier: 'false' };
  const [{ filename, files }] = JSON.parse(execFileSync('npm',
    ['pack', '--json', '--pack-destination', dir, root],
    { env, stdio: ['ignore', 'pipe', 'ignore'] }));
  const into = path.join(dir, 'node_modules/penstock');
  fs.mkdirSync(into, { recursive: true });
  execFileSync('tar', ['xzf', path.join(dir, filename), '-C', into,
    '--strip-components=1']);
  return { dir, files: files.map((f) => f.path) };
}

test('the package', { skip: hasNpm() ? false : 'no npm' }, async (t) => {
  const { dir, files } = installed(t);
  assert.deepStrictEqual(Object.keys(about.dependencies || {}), []);
  for (const file of files)
    assert.match(file, /^(lib\/.*\.js|[^/]+\.(js|mjs|d\.ts|d\.mts)|package\.json|[A-Za-z]+\.md|LICENSE)$/);
  // Every file that an entry names is there.
  const named = (x) => typeof x === 'string' ? [x]
    : Object.values(x).flatMap(named);
  for (const file of named(about.exports))
    assert.ok(files.includes(file.slice(2)), file);
  const entries = Object.keys(about.exports)
    .filter((name) => !NO_MODULE.includes(name))
    .map((name) => `penstock${name.slice(1)}`);
  for (const name of ['penstock', 'penstock/ws', 'penstock/http',
    'penstock/v8cgi', 'penstock/nws', 'penstock/ws04',
    'penstock/websockets'])
    assert.ok(entries.includes(name), name);
  // import has the names that require has.
  fs.writeFileSync(path.join(dir, 'all.mjs'), `
    import { createRequire } from 'module';
    const require = createRequire(import.meta.url);
    for (const name of ${JSON.stringify(entries)}) {
      const a = require(name), b = await import(name);
      if (b.default !== a) throw new Error(name + ' has another default');
      for (const key of Object.keys(a))
        if (!(key in b) && !/^(CONNECTING|OPEN|CLOSING|CLOSED)$/.test(key))
          throw new Error(name + ' does not export ' + key);
    }
    console.log('good');`);
  assert.strictEqual(execFileSync(process.execPath, ['all.mjs'],
    { cwd: dir, encoding: 'utf8' }), 'good\n');
  if (BINARY) await echo(t, dir);
});

async function echo(t, dir) {
  fs.writeFileSync(path.join(dir, 'app.js'), `
    const server = require('http').createServer((q, r) => r.end('packed'));
    server.listen(0, () => console.log(server.address().port));`);
  const child = spawn(process.execPath, ['-r', 'penstock/register', 'app.js'],
    { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PENSTOCK_BIN: BINARY } });
  t.after(() => child.kill());
  let text = '';
  child.stdout.on('data', (d) => { text += d; });
  await until('a port', () => text.endsWith('\n'));
  const body = await new Promise((resolve, reject) => {
    http.get({ port: Number(text), agent: false }, (res) => {
      assert.strictEqual(res.headers.server, 'penstock');
      res.setEncoding('utf8').on('data', resolve);
    }).on('error', reject);
  });
  assert.strictEqual(body, 'packed');
}
