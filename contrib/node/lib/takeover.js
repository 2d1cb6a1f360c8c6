// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// http.Server and https.Server whose listen() is a gateway's: see
// penstock/register.
const http = require('http');
const https = require('https');
const { attach } = require('../http');
const { Backend } = require('./backend');
const { wishes } = require('./wishes');

const BACKEND = Symbol('penstock.backend');
const GATEWAY = Symbol('penstock.gateway'); // options of a private one
const FOREVER = 2 ** 31 - 1;
const HAND_OVER_MS = 10000;

function error(code, text) {
  return Object.assign(new Error(text), { code });
}

// What https.createServer() was told is in properties of the server.
function tlsOf(server) {
  if (!(server instanceof https.Server)) return undefined;
  const tls = {};
  for (const name of ['key', 'cert', 'ca', 'pfx', 'passphrase', 'ciphers',
    'minVersion', 'maxVersion', 'requestCert', 'rejectUnauthorized', 'crl'])
    if (server[name] !== undefined) tls[name] = server[name];
  return tls;
}

// (port, host, backlog, callback), (path, ...), ({...}, callback), (callback):
// one object.
function optionsOf(args) {
  const [first, second, third] = args;
  if (first !== null && typeof first === 'object') return { ...first };
  if (typeof first === 'string' && Number.isNaN(Number(first)))
    return { path: first, backlog: second };
  const o = { port: first === undefined || first === null ||
    typeof first === 'function' ? 0 : first };
  if (typeof second === 'string') {
    o.host = second;
    o.backlog = third;
  } else if (typeof second === 'number') {
    o.backlog = second;
  }
  return o;
}

// A handle or a server of its own: it has a descriptor.
function unwrap(o) {
  const handle = o._handle || o.handle || o;
  if (o.port === undefined && o.path === undefined && handle.fd >= 0)
    return { fd: handle.fd, backlog: o.backlog };
  return o;
}

function listen(...args) {
  if (this[BACKEND])
    throw error('ERR_SERVER_ALREADY_LISTEN',
      'Listen method has been called more than once without closing.');
  const callback = args[args.length - 1];
  const { signal, ...options } = unwrap(optionsOf(args));
  const backend = new Backend({ name: 'app', signals: false });
  attach(this, { backend, name: 'app' });
  const opened = backend.open([{ ...options, tls: tlsOf(this),
    gateway: { keepAliveTimeout: this.keepAliveTimeout,
      deflate: wishes.deflate, ...this[GATEWAY] } }]);
  if (!this[GATEWAY]) compressWhenWished(backend);
  this[BACKEND] = backend;
  if (typeof callback === 'function') this.once('listening', callback);
  if (signal) abortWith(this, signal);
  backend.on('gateway', (e) => this.emit('error', e));
  opened.then(() => {
    if (backend.gateway === null) handOver(backend);
    if (this[BACKEND] === backend && !backend.leaving) this.emit('listening');
  }, (e) => {
    if (this[BACKEND] === backend) this[BACKEND] = null;
    if (typeof callback === 'function') this.off('listening', callback);
    this.emit('error', e);
  });
  return this;
}

// A WebSocketServer that shares our server may come later than listen().
function compressWhenWished(backend) {
  const wished = () => {
    if (backend.gateway) backend.gateway.change({ deflate: wishes.deflate });
  };
  wishes.once('deflate', wished);
  backend.once('close', () => wishes.off('deflate', wished));
}

// Behind a gateway that is not ours SIGTERM lets others have the clients; then
// the program ends as it would have without us.
function handOver(backend) {
  process.once('SIGTERM', () => {
    backend.close(HAND_OVER_MS).then(() => {
      if (process.listenerCount('SIGTERM') === 0)
        process.kill(process.pid, 'SIGTERM');
    });
  });
}

function abortWith(server, signal) {
  const close = () => server.close();
  if (signal.aborted) process.nextTick(close);
  else signal.addEventListener('abort', close, { once: true });
}

// Takes nobody any more; 'close' when all who are there have left.
function close(callback) {
  const backend = this[BACKEND];
  if (!backend || backend.leaving) {
    if (typeof callback === 'function')
      this.once('close', () => callback(
        error('ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
    if (!backend) process.nextTick(() => this.emit('close'));
    return this;
  }
  if (typeof callback === 'function') this.once('close', callback);
  backend.leaving = true;
  backend.close(FOREVER).then(() => {
    if (this[BACKEND] === backend) this[BACKEND] = null;
    this.emit('close');
  });
  return this;
}

function inherits(prototype, name, taken) {
  const before = prototype[name];
  Object.defineProperty(prototype, name, { configurable: true, writable: true,
    value(...args) {
      return this[BACKEND] ? taken.call(this, this[BACKEND], ...args)
        : before.apply(this, args);
    } });
}

const listening = { configurable: true,
  get() {
    const backend = this[BACKEND];
    return Boolean(backend ? backend.listening && !backend.leaving
      : this._handle);
  } };

// Of all servers, or of one.
function take(prototype) {
  Object.defineProperty(prototype, 'listen',
    { configurable: true, writable: true, value: listen });
  Object.defineProperty(prototype, 'close',
    { configurable: true, writable: true, value: close });
  Object.defineProperty(prototype, 'listening', listening);
  inherits(prototype, 'address', (backend) =>
    backend.leaving ? null : backend.address());
  inherits(prototype, 'getConnections', function (backend, callback) {
    let n = 0;
    for (const link of backend.links) n += link.flows.size;
    process.nextTick(callback, null, n);
    return this;
  });
  inherits(prototype, 'closeAllConnections', (backend) => {
    for (const link of backend.links) link.endAll();
  });
  inherits(prototype, 'closeIdleConnections', () => {}); // the gateway's
  for (const name of ['ref', 'unref'])
    inherits(prototype, name, function (backend) {
      backend[name]();
      return this;
    });
  if (Symbol.asyncDispose)
    inherits(prototype, Symbol.asyncDispose, function () {
      return new Promise((resolve) => { this.close(() => resolve()); });
    });
}

let done = false;

function takeOver() {
  if (done) return;
  done = true;
  take(http.Server.prototype);
  take(https.Server.prototype);
}

module.exports = { takeOver, take, BACKEND, GATEWAY };
