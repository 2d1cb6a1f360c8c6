// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The private gateway: the penstock program as a child of ours, in front of
// one Backend, where that was told to listen.  The port is bound here, so
// that errors and port 0 are those of net.Server, and inherited there.
const { spawn } = require('child_process');
const crypto = require('crypto');
const EventEmitter = require('events');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');

const PREFIX = 'penstock-node-';
const STDERR_KEPT = 4096;
const SHUT_MS = 5000; // from SIGTERM to SIGKILL
const FIRST_FD = 3;

// PENSTOCK_BIN, then PATH, then beside this package, then where make install
// puts it.
function findBinary() {
  const named = process.env.PENSTOCK_BIN;
  const tried = named ? [path.resolve(named)] : [
    ...(process.env.PATH || '').split(':').filter(Boolean)
      .map((dir) => path.join(dir, 'penstock')),
    path.join(__dirname, '../../../build/gateway/penstock'),
    path.join(__dirname, '../bin/penstock'),
    '/usr/local/sbin/penstock', '/usr/sbin/penstock',
    '/usr/local/penstock/sbin/penstock',
  ];
  for (const file of tried) {
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch { /* the next one */ }
  }
  throw Object.assign(new Error(named
    ? `PENSTOCK_BIN: ${named} is no program`
    : 'there is no penstock program in PATH, nor where it is installed: ' +
      'listening needs one (PENSTOCK_BIN names it)'),
  { code: 'ERR_PENSTOCK_BINARY' });
}

function directory() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), PREFIX)); // 0700
  if (Buffer.byteLength(dir) > 90) {
    fs.rmdirSync(dir);
    throw new RangeError(`${os.tmpdir()}: too long for a socket`);
  }
  return dir;
}

function openFiles() {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(
      fs.readFileSync('/proc/self/limits', 'utf8'));
    return line ? Number(line[1]) : 65536;
  } catch {
    return 1024;
  }
}

const quoted = (text) => `"${String(text).replace(/[\\"]/g, '\\$&')
  .replace(/\$/g, '${dollar}')}"`;

const ms = (n) => n > 0 ? `${Math.ceil(n)}ms` : '0';

// ---- TLS ----

const asList = (x) => x === undefined || x === null ? []
  : Array.isArray(x) ? x : [x];

// What tls.createServer takes, as files of PEM.
function tlsFiles(dir, tls) {
  const lines = [];
  for (const name of ['pfx', 'SNICallback', 'crl', 'pskCallback'])
    if (tls[name])
      throw Object.assign(
        new TypeError(`the gateway has the TLS here: not with ${name}`),
        { code: 'ERR_PENSTOCK_TLS' });
  const put = (name, data) => {
    const file = path.join(dir, name);
    fs.writeFileSync(file, data, { mode: 0o600 });
    return quoted(file);
  };
  const certs = asList(tls.cert);
  const keys = asList(tls.key);
  if (certs.length === 0 || certs.length !== keys.length)
    throw Object.assign(new TypeError('TLS needs a key for each cert'),
      { code: 'ERR_PENSTOCK_TLS' });
  certs.forEach((cert, i) => {
    const pem = keys[i].pem || keys[i];
    const passphrase = keys[i].passphrase || tls.passphrase;
    const key = crypto.createPrivateKey(
      passphrase ? { key: pem, passphrase } : pem);
    lines.push(`ssl_certificate ${put(`cert${i}.pem`, cert)};`,
      `ssl_certificate_key ${put(`key${i}.pem`,
        key.export({ type: 'pkcs8', format: 'pem' }))};`);
  });
  if (tls.requestCert) {
    const ca = asList(tls.ca).map((x) => x.toString()).join('\n');
    if (ca) lines.push(`ssl_client_certificate ${put('ca.pem', ca)};`);
    lines.push(`ssl_verify_client ${!ca ? 'optional_no_ca'
      : tls.rejectUnauthorized === false ? 'optional' : 'on'};`);
  }
  if (tls.ciphers) lines.push(`ssl_ciphers ${quoted(tls.ciphers)};`);
  const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
  const first = versions.indexOf(tls.minVersion || 'TLSv1.2');
  const last = versions.indexOf(tls.maxVersion || 'TLSv1.3');
  lines.push(`ssl_protocols ${versions.slice(first, last + 1).join(' ')};`);
  return lines;
}

// ---- the configuration ----

function deflateLine(deflate) {
  if (!deflate) return 'websocket_deflate off;';
  const o = deflate === true ? {} : deflate;
  const words = ['on'];
  // Of `ws`, too.
  const level = o.level || (o.zlibDeflateOptions || {}).level;
  if (level >= 1 && level <= 9) words.push(`level=${level}`);
  if (o.threshold !== undefined) words.push(`min=${o.threshold}`);
  if (o.window) words.push(`window=${o.window}`);
  if (o.takeover) words.push(`takeover=${o.takeover}`);
  return `websocket_deflate ${words.join(' ')};`;
}

// address: what `listen` is given, or null to accept nobody: then a socket that
// nobody knows shows whether the rest is good.
function configuration(dir, address, o) {
  const user = process.getuid() === 0 ? 'user root;' : '';
  const listen = address !== null ? address
    : `${quoted(`unix:${path.join(dir, 'none.sock')}`)}${o.tls ? ' ssl' : ''}`;
  const server = `server {
    listen ${listen};
    ${o.tlsLines.join('\n    ')}
    location / { websocket_pass b; backend_pass b; }
    ${o.server || ''}
  }`;
  return `${user}
worker_processes ${o.workers || 1};
daemon off;
pid ${quoted(path.join(dir, 'pid'))};
error_log stderr ${o.logLevel || 'crit'};
events { worker_connections ${Math.max(16,
    Math.min(65536, openFiles() - 64))}; }
http {
  access_log off;
  server_tokens off;
  client_max_body_size 0;
  underscores_in_headers on;
  ignore_invalid_headers off;
  keepalive_timeout ${ms(o.keepAliveTimeout === undefined ? 5000
    : o.keepAliveTimeout)};
  keepalive_requests 1000000000;
  backend_read_timeout 24h;
  websocket_origin ${o.origin || 'any'};
  websocket_versions 13 8 7 76 75;
  websocket_max_message ${o.maxMessage || '100m'};
  websocket_idle_timeout 0;
  websocket_ping off;
  websocket_send_buffer 16m;
  ${deflateLine(o.deflate)}
  ${o.http || ''}
  backend b {
    server unix:${path.join(dir, 'b.sock')};
    on_backend_loss close 1012;
    link_keepalive 30s timeout=1h;
    accept_timeout 24h;
    allow_raw on;
    allow_tunnel on;
    conn_events on;
    debug on;
  }
  ${server}
}
`;
}

// ---- the child ----

// Events: exit (error or null).
class Gateway extends EventEmitter {
  constructor(options) {
    super();
    this.options = options;
    this.binary = findBinary();
    this.dir = directory();
    this.socket = path.join(this.dir, 'b.sock');
    this.file = path.join(this.dir, 'penstock.conf');
    this.at = null;
    this.child = null;
    this.ending = false;
    this.accepts = false;
    this.stderr = '';
    this.onExit = () => {
      if (this.child) this.child.kill('SIGTERM');
      else this.remove();
    };
    process.once('exit', this.onExit);
    try {
      this.options.tlsLines = options.tls ? tlsFiles(this.dir, options.tls)
        : [];
    } catch (e) {
      this.remove();
      throw e;
    }
  }

  write(address) {
    // It may be reading what we wrote before.
    const next = `${this.file}.next`;
    fs.writeFileSync(next, configuration(this.dir, address, this.options),
      { mode: 0o600 });
    fs.renameSync(next, this.file);
  }

  // fd: the listening socket, from which nobody is taken before accept(); or
  // -1 for a path.
  start(address, fd) {
    this.address = address;
    this.write(fd === -1 ? address : null);
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe'];
    const env = { ...process.env, PENSTOCK_LIFELINE: String(FIRST_FD),
      PENSTOCK_PRIVATE: this.dir };
    for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'PENSTOCK_SOCKET'])
      delete env[name];
    delete env.PENSTOCK_INHERIT;
    if (fd !== -1) {
      env.PENSTOCK_INHERIT = String(FIRST_FD + 1);
      stdio.push(fd);
    }
    // A session of its own: ^C is for us, and we end it.
    const child = spawn(this.binary, ['-p', this.dir, '-c', this.file,
      '-e', 'stderr'], { stdio, env, detached: true });
    this.child = child;
    child.unref();
    child.stdio[FIRST_FD].unref();
    child.stdio[FIRST_FD].on('error', () => {});
    child.stderr.unref();
    child.stderr.setEncoding('utf8');
    child.stderr.on('error', () => {});
    child.stderr.on('data', (text) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT);
      process.stderr.write(text);
    });
    child.on('error', (e) => this.ended(e));
    child.on('close', (code, signal) => this.ended(this.ending ? null
      : Object.assign(new Error(`the gateway ended (${signal || code})${
        this.stderr ? `: ${this.stderr.trim()}` : ''}`),
      { code: 'ERR_PENSTOCK_GATEWAY' })));
  }

  // With other options, for who comes from now on.
  change(options) {
    Object.assign(this.options, options);
    if (this.child === null || this.ending || !this.accepts) return;
    this.accept();
  }

  accept() {
    this.accepts = true;
    this.write(this.address);
    if (this.child) this.child.kill('SIGHUP');
  }

  ended(error) {
    if (this.child === null) return;
    this.child = null;
    this.remove();
    this.emit('exit', error);
  }

  // No new connections; those that are there stay.
  shut() {
    if (this.child === null || this.ending) return;
    this.ending = true;
    this.write(null);
    this.child.kill('SIGHUP');
  }

  // Resolves when it is gone.
  end() {
    this.ending = true;
    if (this.child === null) {
      this.remove();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const hard = setTimeout(() => {
        if (this.child) this.child.kill('SIGKILL');
      }, SHUT_MS);
      this.once('exit', () => {
        clearTimeout(hard);
        resolve();
      });
      this.child.ref();
      this.child.kill('SIGTERM');
    });
  }

  // What a child that runs does itself.
  remove() {
    process.off('exit', this.onExit);
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

// ---- where to listen ----

const isPipe = (at) => typeof at === 'string';

// The words of `listen` for what net.Server.address() said.
function listenWords(at, { backlog, tls }) {
  const words = [isPipe(at) ? quoted(`unix:${at}`)
    : at.family === 'IPv6' || at.family === 6 ? `[${at.address}]:${at.port}`
      : `${at.address}:${at.port}`];
  if (!isPipe(at) && at.address.includes(':'))
    words.push(`ipv6only=${at.address === '::' ? 'off' : 'on'}`);
  if (backlog > 0) words.push(`backlog=${backlog}`);
  if (tls) words.push('ssl');
  return words.join(' ');
}

// The backlog that listen() was given, in any of its forms.
function backlogOf(args) {
  const [first] = args;
  if (first !== null && typeof first === 'object')
    return Number(first.backlog) || 511;
  const numbers = args.slice(1).filter((x) => typeof x === 'number');
  return numbers[0] || 511;
}

// The port is ours: start the gateway with it, before anybody is accepted here.
// Returns where it is, and the mode of a path.
function handOver(gateway, server) {
  const at = server.address();
  const handle = server._handle;
  if (isPipe(at)) {
    if (at.startsWith('\0'))
      throw new TypeError('the gateway has no abstract sockets');
    const mode = fs.statSync(at).mode & 0o777;
    server.close();
    gateway.start(listenWords(at, gateway.options), -1);
    return { at, mode };
  }
  if (!handle || !(handle.fd >= 0))
    throw Object.assign(new Error('the port belongs to the primary of the ' +
      'cluster: set cluster.schedulingPolicy = cluster.SCHED_NONE there'),
    { code: 'ERR_PENSTOCK_CLUSTER' });
  gateway.start(listenWords(at, gateway.options), handle.fd);
  // Before the next accept, but after all who hear 'listening'.
  process.nextTick(() => {
    if (Object.hasOwn(handle, 'close')) {
      // Of a cluster's worker: the primary counts us in until the end.
      Object.getPrototypeOf(handle).close.call(handle);
      gateway.once('exit', () => handle.close());
    } else {
      server.close();
    }
  });
  return { at, mode: 0 };
}

// Throws what net.Server.listen() throws; else a promise.
function bind(gateway, args) {
  const server = net.createServer((socket) => socket.destroy());
  const bound = new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      try {
        resolve(handOver(gateway, server));
      } catch (e) {
        server.close();
        reject(e);
      }
    });
  });
  server.listen(...args);
  gateway.at = server.address(); // null while a name is looked up
  return bound;
}

function linked(gateway, backend) {
  const workers = gateway.options.workers || 1;
  return new Promise((resolve, reject) => {
    const onLink = (n) => {
      if (n < workers) return;
      backend.off('link', onLink);
      gateway.off('exit', onExit);
      resolve();
    };
    const onExit = (e) => {
      backend.off('link', onLink);
      reject(e || new Error('the gateway was ended'));
    };
    backend.on('link', onLink);
    gateway.once('exit', onExit);
  });
}

// args: of net.Server.listen(); options: tls (as tls.createServer has them),
// deflate, maxMessage, origin, workers, keepAliveTimeout, logLevel; http,
// server (lines of configuration).  Throws, or { gateway, ready }, a promise;
// gateway.at is what address() says.
function openGateway(backend, args, options) {
  const gateway = new Gateway({ ...options, backlog: backlogOf(args) });
  const served = backend.serve({ path: gateway.socket, exclusive: true });
  served.catch(() => {});
  try {
    const bound = bind(gateway, args);
    return { gateway, ready: finish(gateway, backend, served, bound) };
  } catch (e) {
    gateway.end();
    throw e;
  }
}

async function finish(gateway, backend, served, bound) {
  try {
    const [{ at, mode }] = await Promise.all([bound, served]);
    await linked(gateway, backend);
    if (mode) fs.chmodSync(at, mode);
    gateway.accept();
    gateway.at = at;
  } catch (e) {
    await gateway.end();
    throw e;
  }
}

module.exports = { openGateway, findBinary };
