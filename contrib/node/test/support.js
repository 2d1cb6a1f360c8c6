// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The real gateway in a directory of its own, and a WebSocket client.
const { spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const Module = require('module');
const net = require('net');
const os = require('os');
const path = require('path');
const { once } = require('events');

const BINARY = process.env.PENSTOCK;

async function until(what, test, ms = 20000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await test();
    if (got) return got;
    if (Date.now() > end) throw new Error(`no sign of ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function directory(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pnode-'));
  fs.mkdirSync(path.join(dir, 'logs'));
  fs.chmodSync(dir, 0o755);
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// pool and location are directives of the pool and of /ws.
async function gateway(t, { dir = directory(t), pool = '', location = '',
  http = '', server = '', extra = '', workers = 1 } = {}) {
  const port = await freePort();
  const sock = path.join(dir, 'b.sock');
  const user = process.getuid() === 0 ? 'user root;' : '';
  fs.writeFileSync(path.join(dir, 'p.conf'), `${user}
worker_processes ${workers};
daemon off;
pid ${dir}/p.pid;
error_log ${dir}/logs/error.log info;
events { }
http {
  access_log off;
  client_max_body_size 0;
  backend b { ${pool.replaceAll('@DIR@', dir) ||
    `server unix:${sock};`} ${extra} }
  ${http}
  server {
    listen 127.0.0.1:${port};
    location /ws { websocket_pass b; backend_pass b; ${location} }
    location / { backend_pass b; }
    ${server}
  }
}
`);
  const child = spawn(BINARY, ['-p', dir, '-c', path.join(dir, 'p.conf')],
    { stdio: ['ignore', 'inherit', 'inherit'] });
  let ended = null;
  child.on('exit', (code, signal) => { ended = `${code} ${signal}`; });
  const log = () => {
    try {
      return fs.readFileSync(path.join(dir, 'logs/error.log'), 'utf8');
    } catch {
      return '';
    }
  };
  const ready = (times = workers) => until('a ready backend', () => {
    if (ended !== null) throw new Error(`the gateway ended: ${ended} ${log()}`);
    return log().split('backend is ready').length > times;
  });
  t.after(async () => {
    if (ended !== null) return;
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
    await once(child, 'exit');
    clearTimeout(hard);
  });
  return { port, sock, dir, child, log, ready };
}

// The frames of RFC 6455, as a client writes and reads them.
class Client {
  constructor(port) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('error', () => {});
    this.in = Buffer.alloc(0);
    this.wake = () => {};
    this.ended = false;
    this.socket.on('data', (d) => {
      this.in = Buffer.concat([this.in, d]);
      this.wake();
    });
    this.socket.on('close', () => {
      this.ended = true;
      this.wake();
    });
  }

  static async open(t, port, target = '/ws', headers = {}) {
    const c = new Client(port);
    t.after(() => c.socket.destroy());
    const key = crypto.randomBytes(16).toString('base64');
    const fields = { Host: 'localhost', Upgrade: 'websocket',
      Connection: 'Upgrade', 'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': key, ...headers };
    c.socket.write(`GET ${target} HTTP/1.1\r\n` + Object.entries(fields)
      .map(([n, v]) => `${n}: ${v}\r\n`).join('') + '\r\n');
    c.head = await c.readHead();
    return c;
  }

  get status() {
    return Number(this.head.slice(9, 12));
  }

  get accepted() {
    return this.status === 101;
  }

  async more() {
    if (this.ended) throw new Error('the connection is closed');
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('silence')), 20000);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async readHead() {
    for (;;) {
      const at = this.in.indexOf('\r\n\r\n');
      if (at !== -1) {
        const head = this.in.toString('latin1', 0, at + 2);
        this.in = this.in.subarray(at + 4);
        return head;
      }
      await this.more();
    }
  }

  send(data, { opcode = typeof data === 'string' ? 1 : 2, fin = true } = {}) {
    const body = Buffer.from(data);
    const n = body.length;
    let head;
    if (n < 126) {
      head = Buffer.from([0, 0x80 | n]);
    } else if (n < 65536) {
      head = Buffer.from([0, 0xfe, n >> 8, n & 255]);
    } else {
      head = Buffer.alloc(10);
      head[1] = 0xff;
      head.writeBigUInt64BE(BigInt(n), 2);
    }
    head[0] = (fin ? 0x80 : 0) | opcode;
    const mask = crypto.randomBytes(4);
    for (let i = 0; i < n; i++) body[i] ^= mask[i & 3];
    return this.socket.write(Buffer.concat([head, mask, body]));
  }

  // { opcode, fin, data }
  async frame() {
    for (;;) {
      const b = this.in;
      let at = 2;
      let n = b.length > 1 ? b[1] & 127 : 0;
      if (n === 126) at = 4;
      else if (n === 127) at = 10;
      if (b.length >= at) {
        if (at === 4) n = b.readUInt16BE(2);
        if (at === 10) n = Number(b.readBigUInt64BE(2));
        if (b.length >= at + n) {
          this.in = b.subarray(at + n);
          return { opcode: b[0] & 15, fin: (b[0] & 128) !== 0,
            data: b.subarray(at, at + n) };
        }
      }
      await this.more();
    }
  }

  // A whole message: a string or a Buffer; of a Close { code, reason }.
  async message() {
    const parts = [];
    let kind = 0;
    for (;;) {
      const f = await this.frame();
      if (f.opcode === 8)
        return { code: f.data.length ? f.data.readUInt16BE(0) : 1005,
          reason: f.data.toString('utf8', 2) };
      if (f.opcode > 8) return f;
      if (f.opcode) kind = f.opcode;
      parts.push(f.data);
      if (f.fin) {
        const all = Buffer.concat(parts);
        return kind === 1 ? all.toString() : all;
      }
    }
  }

  close(code = 1000, reason = '') {
    const b = Buffer.alloc(2);
    b.writeUInt16BE(code);
    this.send(Buffer.concat([b, Buffer.from(reason)]), { opcode: 8 });
  }
}

// npm packages that contrib/dev/npm installs, or null.
function peer(name) {
  try {
    return Module.createRequire(
      path.join(__dirname, '../../../tests/e2e/node/package.json'))(name);
  } catch (e) {
    if (e.code !== 'MODULE_NOT_FOUND') throw e;
    return null;
  }
}

module.exports = { BINARY, until, gateway, directory, Client, peer };
