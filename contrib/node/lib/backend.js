// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const os = require('os');
const { TYPE, TAG, OPT, EVENT, u32, tlv, tlvOpt, tlvPattern, loOf, hiOf } =
  require('./codec');
const { Groups } = require('./groups');
const { optionTlvs } = require('./options');
const { openGateway } = require('./gateway');
const { Link } = require('./link');
const { Conn } = require('./conn');
const { OPEN } = require('./flow');

const KINDS = { exact: 0, prefix: 1, suffix: 2, regex: 3 };
const ORIGINS = { '*': 4, none: 5 };
const VERSIONS = { 13: 1, 8: 2, 7: 4, 76: 8, 75: 16 };
const LOG_INFO = 6, LOG_NONE = 255;
const { ECONNRESET } = os.constants.errno;
const HANDLERS = ['accept', 'open', 'resume', 'detach', 'message', 'fragment',
  'ping', 'pong', 'drain', 'error', 'close', 'left', 'http', 'httpDone',
  'state', 'closing', 'conn', 'clientError'];

// PENSTOCK_RESUME_OF: boot ids, in decimal or 0x hexadecimal, by commas.
function predecessors() {
  return (process.env.PENSTOCK_RESUME_OF || '').split(',')
    .filter((x) => /^\s*(0x[0-9a-f]+|\d+)\s*$/i.test(x)).slice(0, 16)
    .map((x) => {
      const b = Buffer.alloc(8);
      b.writeBigUInt64LE(BigInt.asUintN(64, BigInt(x.trim())));
      return tlv(TAG.RESUME_OF, b);
    });
}

class App {
  constructor(backend, options, handlers) {
    this.backend = backend;
    this.name = options.name || backend.name;
    this.handlers = handlers;
    this.text = options.text || 'string';
    this.manualAck = Boolean(options.manualAck);
    this.protocols = options.protocols || [];
    this.open = true; // for new clients
    this.wire = Boolean(options.wire);
    this.onMessage = typeof handlers.message === 'function';
    for (const name of Object.keys(handlers))
      if (!HANDLERS.includes(name) || typeof handlers[name] !== 'function')
        throw new TypeError(`${name} is not a handler`);
    this.tlvs = this.register(options);
  }

  register(o) {
    const list = [tlv(TAG.NAME, this.name)];
    const path = o.path instanceof RegExp ? o.path.source : o.path;
    const kind = o.path instanceof RegExp ? 'regex' : o.pathKind || 'prefix';
    if (!(kind in KINDS)) throw new TypeError(`${kind} is no kind of a path`);
    if (o.host) list.push(tlvPattern(TAG.HOST_PATTERN, 0, o.host));
    if (path) list.push(tlvPattern(TAG.PATH_PATTERN, KINDS[kind], path));
    for (const origin of o.origins || [])
      list.push(origin instanceof RegExp
        ? tlvPattern(TAG.ORIGIN_PATTERN, 3, origin.source)
        : tlvPattern(TAG.ORIGIN_PATTERN, ORIGINS[origin] || 0, origin));
    for (const p of this.protocols) list.push(tlv(TAG.SUBPROTOCOL, p));
    const h = this.handlers;
    this.mask = EVENT.OPENED | (h.ping ? EVENT.PING : 0) |
      (h.pong ? EVENT.PONG : 0) | (h.fragment ? EVENT.FRAGMENTS : 0) |
      (h.http ? EVENT.HTTP_DONE : 0) | (h.state ? EVENT.STATE : 0) |
      (h.closing ? EVENT.CLOSING : 0) | (h.conn ? EVENT.CONN : 0) |
      (h.clientError ? EVENT.CLIENT_ERROR : 0) | (this.wire ? EVENT.WIRE : 0);
    list.push(tlvOpt(OPT.EVENT_MASK, this.mask));
    list.push(...optionTlvs(o));
    if (o.versions) {
      let mask = 0;
      for (const v of o.versions) {
        if (!VERSIONS[v]) throw new TypeError(`${v} is no version`);
        mask |= VERSIONS[v];
      }
      list.push(tlvOpt(OPT.VERSIONS, mask));
    }
    if (o.maxClients) list.push(tlv(TAG.MAX_CLIENTS, u32(o.maxClients)));
    const all = Buffer.concat(list);
    if (all.length > 16384) throw new RangeError('the texts are too long');
    return all;
  }

  call(name, a, b, c, d, e) {
    const { handlers } = this;
    if (handlers[name] === undefined) return undefined;
    try {
      return handlers[name](a, b, c, d, e);
    } catch (error) {
      this.backend.fail(error);
      return undefined;
    }
  }

  decide(conn) {
    let answer;
    if (this.handlers.accept) {
      try {
        answer = this.handlers.accept(conn.request, conn);
      } catch (e) {
        conn.reject({ status: 500 });
        this.backend.fail(e);
        return;
      }
      if (answer && typeof answer.then === 'function') {
        answer.then((a) => this.answer(conn, a)).catch((e) => {
          conn.reject({ status: 500 });
          this.backend.fail(e);
        });
        return;
      }
    }
    try {
      this.answer(conn, answer);
    } catch (e) {
      conn.reject({ status: 500 });
      this.backend.fail(e);
    }
  }

  answer(conn, answer) {
    if (conn.gone || conn.answered || (answer && answer.later)) return;
    if (typeof answer === 'number') conn.reject({ status: answer });
    else if (answer === false) conn.reject({ status: 403 });
    else if (answer && (answer.status || answer.pass)) conn.reject(answer);
    else
      conn.accept({ protocol: this.protocols.find(
        (p) => conn.request.protocols.includes(p)), ...answer });
  }

  resume(conn) {
    const info = conn.request.resume ||
      { firstSeq: 1, nextOutSeq: 1, unacked: 0, foreign: false,
        truncated: false, dead: false };
    conn.answered = conn.resumed = true;
    conn.readyState = OPEN;
    conn.protocol = conn.request.protocols[0] || '';
    conn.seqIn = conn.seqDone = (info.firstSeq - 1) >>> 0;
    conn.seqOut = (info.nextOutSeq - 1) >>> 0;
    if (this.handlers.resume)
      this.call('resume', conn, conn.request.state, info);
    else
      this.call('open', conn);
  }
}

const FOREVER = 2 ** 31 - 1;

// Of the process: one backend gets what the environment names.
let environmentTaken = false;

function isAttached() {
  return !environmentTaken &&
    Boolean(process.env.PENSTOCK_SOCKET || inherited() > 0);
}

function inherited() {
  const fds = Number(process.env.LISTEN_FDS) || 0;
  const pid = process.env.LISTEN_PID;
  return fds > 0 && fds <= 64 && (!pid || Number(pid) === process.pid)
    ? fds : 0;
}

// Events: error (with a listener; else thrown), listening, close, link (ready
// or lost: the number of links that are ready), gateway (the private one ended;
// without a listener an error).
class Backend extends Groups {
  constructor(options = {}) {
    super();
    if (typeof options === 'string') options = { name: options };
    this.name = options.name || 'backend';
    this.options = options;
    this.maxBuffered = options.maxBuffered || 64 * 1024 * 1024;
    this.bootId = crypto.randomBytes(8).readBigUInt64LE() || 1n;
    this.resumeOf = predecessors();
    this.apps = [];
    this.debug = 0;
    this.isShut = false;
    this.links = new Set();
    this.streams = new Map();
    this.lastStream = 0;
    this.servers = [];
    this.gateway = null;
    this.opening = null; // listen() under way
    this.asked = null; // where listen() was told to
    this.isRef = true;
    this.stopping = null;
    this.onEmpty = null;
    this.signals = [];
  }

  app(options, handlers) {
    if (handlers === undefined) {
      handlers = options;
      options = {};
    }
    if (this.servers.length || this.links.size)
      throw new Error('apps are added before run()');
    if (this.apps.length === 64) throw new Error('64 apps at most');
    const app = new App(this, options, handlers);
    if (this.apps.some((a) => a.name === app.name))
      throw new Error(`there is an app ${app.name} already`);
    this.apps.push(app);
    return app;
  }

  // A path, { path }, { fd }, or where the environment says: LISTEN_FDS, then
  // PENSTOCK_SOCKET, then descriptor 3.
  async run(where = this.options) {
    if (typeof where === 'string') where = { path: where };
    if (this.options.signals !== false && !this.signals.length)
      this.catchSignals();
    const path = where.path || where.socket;
    if (path) await this.servePath(path);
    else if (where.fd !== undefined) await this.serve({ fd: where.fd });
    else if (isAttached()) await this.attach();
    else await this.serve({ fd: 3 });
    this.emit('listening');
    return this;
  }

  // The sockets of LISTEN_FDS, else the path PENSTOCK_SOCKET.
  async attach() {
    environmentTaken = true;
    const n = inherited();
    for (let i = 0; i < n; i++) await this.serve({ fd: 3 + i });
    if (n === 0) await this.servePath(process.env.PENSTOCK_SOCKET);
  }

  // As net.Server.listen(), by a gateway of our own; or, where PENSTOCK_SOCKET
  // or LISTEN_FDS is set, behind the gateway that did.  An object may have
  // besides: tls (options of tls.createServer), gateway (of openGateway).
  async listen(...args) {
    return this.open(args);
  }

  // The same; what net.Server.listen() throws is thrown.
  open(args) {
    const callback = args.find((x) => typeof x === 'function');
    if (this.asked !== null)
      throw Object.assign(new Error('listen() was called already'),
        { code: 'ERR_SERVER_ALREADY_LISTEN' });
    const asked = args.filter((x) => typeof x !== 'function');
    const { tls, gateway } = asked[0] && typeof asked[0] === 'object'
      ? asked[0] : {};
    let ready;
    if (isAttached()) {
      ready = this.attach();
    } else {
      const opened = openGateway(this, asked, { ...gateway, tls });
      ({ ready } = opened);
      this.gateway = opened.gateway;
    }
    this.asked = asked;
    if (callback) this.once('listening', callback);
    if (this.options.signals !== false && !this.signals.length)
      this.catchSignals();
    this.opening = this.opened(ready, callback);
    const done = () => { this.opening = null; };
    this.opening.then(done, done);
    return this.opening;
  }

  async opened(ready, callback) {
    try {
      await ready;
    } catch (e) {
      this.asked = this.gateway = null;
      if (callback) this.off('listening', callback);
      for (const s of this.servers.splice(0)) s.close();
      throw e;
    }
    if (this.gateway !== null)
      this.gateway.on('exit', (e) => {
        if (e && !this.stopping && !this.emit('gateway', e)) this.fail(e);
      });
    this.emit('listening');
    return this;
  }

  // As net.Server.address().  Behind a gateway that is not ours: what was
  // asked for.
  address() {
    if (this.asked === null) return null;
    if (this.gateway !== null) return this.gateway.at;
    const [first, second] = this.asked;
    const o = first !== null && typeof first === 'object' ? first
      : Number.isInteger(Number(first)) && first !== ''
        ? { port: first, host: typeof second === 'string' ? second : undefined }
        : { path: first };
    if (o.path !== undefined) return o.path;
    const address = o.host || '::';
    return { address, family: address.includes(':') ? 'IPv6' : 'IPv4',
      port: Number(o.port) || 0 };
  }

  get listening() {
    return (this.asked !== null || this.servers.length > 0) && !this.stopping;
  }

  // Whether it keeps the process alive.
  ref() {
    this.isRef = true;
    for (const s of this.servers) s.ref();
    for (const link of this.links) link.socket.ref();
    return this;
  }

  unref() {
    this.isRef = false;
    for (const s of this.servers) s.unref();
    for (const link of this.links) link.hold();
    return this;
  }

  catchSignals() {
    const stop = () => this.close(this.options.grace);
    for (const name of ['SIGTERM', 'SIGINT']) {
      process.on(name, stop);
      this.signals.push([name, stop]);
    }
  }

  serve(options) {
    return new Promise((resolve, reject) => {
      const server = net.createServer((socket) => this.adopt(socket));
      server.once('error', reject);
      server.listen(options, () => {
        server.off('error', reject);
        server.on('error', (e) => this.fail(e));
        this.servers.push(server);
        if (!this.isRef) server.unref();
        resolve(server);
      });
    });
  }

  // Mode 0660.  What is left of an earlier run is replaced, a socket on which
  // somebody answers, or anything else, is not.
  async servePath(path) {
    if (Buffer.byteLength(path) > 107) throw new RangeError(`${path}: too long`);
    let stat = null;
    try {
      stat = fs.lstatSync(path);
    } catch (e) {
      if (e.code !== 'ENOENT') throw e;
    }
    if (stat !== null) {
      const error = (code) => Object.assign(
        new Error(`${path}: ${code}`), { code });
      if (!stat.isSocket()) throw error('EEXIST');
      if (!await isDead(path)) throw error('EADDRINUSE');
      fs.unlinkSync(path);
    }
    // Nobody may connect between bind and chmod; a thread has no umask.
    let before = null;
    try {
      before = process.umask(0o117);
    } catch { /* chmod below */ }
    let listening;
    try {
      listening = this.serve({ path, exclusive: true });
    } finally {
      if (before !== null) process.umask(before);
    }
    await listening;
    fs.chmodSync(path, 0o660);
  }

  // A connected socket of a gateway.
  adopt(socket) {
    if (this.stopping) {
      socket.destroy();
      return;
    }
    this.links.add(new Link(this, socket));
  }

  linked(link) {
    if (!this.isRef) link.hold();
    this.tellLinks();
  }

  tellLinks() {
    let n = 0;
    for (const link of this.links) if (link.registered) n++;
    this.emit('link', n);
  }

  lost(link) {
    this.links.delete(link);
    this.tellLinks();
    if (link.ready) this.looksShut(link.orderly ? 0 : ECONNRESET);
    this.looksEmpty();
  }

  // Every gateway process has gone, or said that it goes.
  looksShut(errno = 0) {
    if (this.isShut || this.stopping) return;
    for (const link of this.links) if (!link.orderly) return;
    this.isShut = true;
    process.nextTick(() => this.emit('shutdown', errno));
  }

  // What the gateway does with our clients, as `log` events; without a listener
  // they go to stderr.  A level of syslog's, true: 6, false: none.
  setDebug(level) {
    this.debug = level === true ? LOG_INFO : Number(level) || 0;
    for (const link of this.links) link.setLog(this.debug || LOG_NONE);
  }

  told(level, text, conn) {
    if (this.listenerCount('log') > 0) this.emit('log', level, text, conn);
    else if (this.debug) process.stderr.write(`${this.name}: ${text}\n`);
  }

  // An error of the application's.  Without a listener it is thrown as any
  // other, but not through us: what we were at is finished first.
  fail(error) {
    if (this.listenerCount('error') > 0)
      process.nextTick(() => this.emit('error', error));
    else
      process.nextTick(() => { throw error; });
  }

  guard(callback, ...args) {
    try {
      callback(...args);
    } catch (e) {
      this.fail(e);
    }
  }

  // ---- clients ----

  * conns(app) {
    for (const link of this.links)
      for (const f of link.flows)
        if (f instanceof Conn && f.readyState === OPEN && !f.gone &&
            (!app || f.app === app || f.app.name === app))
          yield f;
  }

  find(id) {
    for (const link of this.links) {
      const f = link.at(loOf(id), hiOf(id));
      if (f instanceof Conn) return f;
    }
    return null;
  }

  // A line into the gateway's error log; levels as in syslog.
  log(text, level = 4) {
    for (const link of this.links) {
      if (!link.ready || link.dead || link.slow) continue;
      link.out.frame(TYPE.LOG, 0, level, 0, 0,
        Buffer.from(String(text).slice(0, 1000)));
      link.dirty();
      return;
    }
    process.stderr.write(`${this.name}: ${text}\n`);
  }

  // ---- the end ----

  // 'drain': clients stay until they leave or the time is over; 'handover':
  // other backends get them.  No new ones come.
  goaway(mode = 'drain', graceMs = 0) {
    if (mode !== 'drain' && mode !== 'handover')
      throw new TypeError('drain or handover');
    for (const link of this.links)
      link.goaway(mode === 'handover' ? 1 : 0, graceMs);
  }

  // The app gets no more clients; those it has stay.
  unregister(app) {
    const a = this.apps.find((x) => x === app || x.name === app);
    if (!a || !a.open) return false;
    a.open = false;
    for (const link of this.links) link.unregister(a);
    return true;
  }

  // No new clients; the others go to other backends, or have that long.
  close(graceMs = 1000) {
    if (this.stopping) return this.stopping;
    if (this.opening) {
      const close = () => this.close(graceMs);
      return this.opening.then(close, close);
    }
    graceMs = Math.min(graceMs, FOREVER);
    for (const [name, stop] of this.signals) process.off(name, stop);
    this.signals = [];
    const paths = this.servers.map((s) => new Promise((r) => s.close(r)));
    this.stopping = new Promise((resolve) => {
      const timer = setTimeout(() => this.onEmpty(), graceMs);
      this.onEmpty = () => {
        this.onEmpty = null;
        clearTimeout(timer);
        // Nobody else could take them.
        if (this.gateway !== null)
          for (const conn of this.conns()) conn.close(1001);
        for (const link of [...this.links]) link.bye();
        if (this.gateway !== null) paths.push(this.gateway.end());
        Promise.all(paths).then(() => {
          resolve();
          this.emit('close');
        });
      };
    });
    if (this.gateway !== null) this.gateway.shut();
    this.goaway('handover', graceMs);
    this.looksEmpty();
    return this.stopping;
  }

  looksEmpty() {
    if (this.onEmpty === null) return;
    for (const link of this.links) if (link.flows.size > 0) return;
    const done = this.onEmpty;
    setImmediate(() => { if (this.onEmpty === done) done(); });
  }
}

function isDead(path) {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (e) => resolve(e.code === 'ECONNREFUSED'));
  });
}

module.exports = { Backend };
