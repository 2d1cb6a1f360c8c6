// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of node-websocket-server.
const EventEmitter = require('events');
const http = require('http');
const { Place, broadcast, messageOf, VERSION_NAMES } = require('./lib/facade');

const UNKNOWN = 0, OPENING = 1, WAITING = 2, HANDSHAKING = 3, CONNECTED = 4,
  CLOSED = 5;
const STATES = { UNKNOWN, OPENING, WAITING, HANDSHAKING, CONNECTED, CLOSED };
const READY = [0, 0, 0, 0, 1, 3];
const VERSIONS = { draft75: [75], draft76: [76], auto: null };
const POLICY = 1008;
const CAUSE_IDLE = 5, CAUSE_REJECTED = 13, CAUSE_ACCEPT_TIMEOUT = 14;

const asList = (x) => x === null || x === undefined ? []
  : Array.isArray(x) ? x : [x];

// Events: stateChange (state, previous), message (string), close, rejected,
// timeout, error.
class Connection extends EventEmitter {
  constructor(server, conn) {
    super();
    this.server = server;
    this.conn = conn;
    this.state = UNKNOWN;
    this.closing = false;
    this.req = messageOf(conn.request);
    this.version = VERSION_NAMES[conn.request.version];
  }

  get id() { return String(this.conn.id); }
  get headers() { return this.req.headers; }
  get url() { return this.req.url; }
  get method() { return this.req.method; }
  get remoteAddress() { return this.conn.request.remoteAddress; }
  get readyState() {
    return this.closing && this.state === CONNECTED ? 2 : READY[this.state];
  }

  getVersion() { return this.version; }

  // As the listeners are to know it: with states 'closing' the document's 5
  // (closed) is 6, and 5 is closing.
  step(state) {
    if (state === this.state) return;
    const previous = this.state;
    this.state = state;
    const { isClosing } = this.server;
    if (isClosing && state === CLOSED) {
      if (!this.closing) this.tell(5, previous);
      this.tell(6, 5);
    } else {
      this.tell(state, previous);
    }
  }

  tell(state, previous) {
    this.server.log(`<${this.id}> state ${previous} -> ${state}`);
    this.emit('stateChange', state, previous);
    this.server.emit('stateChange', this, state, previous);
  }

  write(data) {
    if (this.state !== CONNECTED || this.closing) return false;
    this.conn.send(String(data));
    return true;
  }

  send(data) { return this.write(data); }

  // To all but this one.
  broadcast(data) {
    this.server.broadcast(data, { except: this });
  }

  close() {
    if (this.state < CONNECTED) {
      this.reject('closed');
      return;
    }
    if (this.state !== CONNECTED || this.closing) return;
    this.conn.close();
    this.begin();
  }

  begin() {
    this.closing = true;
    if (this.server.isClosing) this.tell(5, CONNECTED);
  }

  // With autoAccept: false: the client gets its 101.
  handshake() {
    if (this.state !== OPENING) return false;
    const { protocols } = this.server;
    const offered = this.conn.request.protocols;
    this.conn.accept({ protocol: protocols.length === 0 ? offered[0]
      : protocols.find((p) => offered.includes(p)) });
    this.step(HANDSHAKING);
    return true;
  }

  reject(reason = '', status = 403) {
    if (this.state === CLOSED || this.wasRejected) return;
    const { debug } = this.server;
    this.server.log(`<${this.id}> rejected: ${reason}`);
    if (this.state < HANDSHAKING)
      this.conn.reject({ status, reason: String(reason),
        body: debug && reason ? `${reason}\n` : this.server.plain(status) });
    else
      this.conn.close(POLICY, debug ? cut(reason) : '');
    this.wasRejected = true;
    process.nextTick(() => this.end(true));
  }

  end(rejected) {
    if (this.state === CLOSED) return;
    if (rejected) {
      this.emit('rejected');
      this.server.emit('rejected', this);
    }
    const wasOpen = this.server.connections.delete(this);
    this.step(CLOSED);
    this.emit('close');
    if (wasOpen || rejected) {
      this.server.emit('disconnect', this);
      this.server.emit('close', this);
    }
    this.server.looksEmpty();
  }
}

// A reason fits into a close frame.
function cut(reason) {
  let text = String(reason);
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
}

// Of the connections that are open.
class Manager {
  constructor(server) { this.server = server; }
  get length() { return this.server.connections.size; }
  forEach(f) { for (const c of [...this.server.connections]) f(c); }
  map(f) { return [...this.server.connections].map((c) => f(c)); }
  filter(f) { return [...this.server.connections].filter((c) => f(c)); }
  find(id, f) {
    const found = this.filter((c) => c.id === String(id))[0];
    if (found && f) f(found);
    return found;
  }
}

// Events: listening, connection (c), request (req, res), stream (summary),
// close (c, or nothing when the listener closed), disconnect (c), rejected (c),
// opening (c, before its handshake), stateChange (c, state, previous), shutdown
// (errno), clientError, error.
class Server extends EventEmitter {
  // Of the original: debug, version, origin, subprotocol.  Besides: autoAccept,
  // states ('closing'), timeout (ms), server (an http.Server that gets the
  // requests); socket, backend, name, signals as those of penstock/ws.
  constructor(options = {}) {
    super();
    this.options = { debug: false, version: 'auto', origin: '*',
      subprotocol: null, autoAccept: true, states: null, ...options };
    const o = this.options;
    if (!Object.hasOwn(VERSIONS, o.version))
      throw new TypeError('Invalid version: it is draft75, draft76 or auto');
    this.versions = VERSIONS[o.version];
    this.protocols = asList(o.subprotocol);
    this.isClosing = o.states === 'closing';
    this.connections = new Set();
    this.manager = new Manager(this);
    this.onClosed = null;
    this.place = new Place('nws', o);
    this.backend = this.place.backend;
    this.server = o.server || http.createServer();
    if (!o.server)
      this.server.on('request', (req, res) => {
        if (!this.emit('request', req, res)) notFound(res);
      });
    this.server.on('clientError', (e, socket) => {
      if (!this.emit('clientError', e, socket)) socket.destroy();
    });
    this.backend.on('shutdown', (errno) => this.emit('shutdown', errno));
    if (o.backend) this.register();
  }

  get debug() { return Boolean(this.options.debug); }

  log(text) {
    if (this.debug) process.stderr.write(`[nws] ${text}\n`);
  }

  // A gateway of our own shows reasons, as it does not know our debug.
  plain(status) {
    return this.backend.gateway ? `${http.STATUS_CODES[status]}\n` : undefined;
  }

  register() {
    const origins = asList(this.options.origin);
    this.app = this.place.attach(this.server, {
      name: this.options.name || 'nws', idleTimeout: this.options.timeout,
      origins: origins.includes('*') ? [] : origins,
    }, {
      accept: (request, conn) => this.opening(conn),
      open: (conn) => this.opened(conn),
      message: (conn, data) => {
        const c = conn.data;
        if (c.state === CONNECTED && !c.closing && !c.wasRejected)
          c.emit('message', data);
      },
      error: (conn, error) => {
        const c = conn.data;
        if (c && c.listenerCount('error') > 0) c.emit('error', error);
      },
      left: (conn) => conn.data.end(false),
      ...this.watching(),
      close: (conn, code, reason, cause) => {
        const c = conn.data;
        if (cause === CAUSE_IDLE) c.emit('timeout');
        c.end(cause === CAUSE_REJECTED || cause === CAUSE_ACCEPT_TIMEOUT);
      },
    });
  }

  // What is before there is a client, for who listened for it before listen().
  watching() {
    const more = {};
    if (this.listenerCount('stream') > 0)
      more.conn = (event) => this.emit('stream', event);
    if (this.listenerCount('rejected') > 0)
      more.clientError = (event) =>
        this.emit('rejected', { ...event, url: event.target });
    return more;
  }

  opening(conn) {
    const c = conn.data = new Connection(this, conn);
    const { versions, protocols } = this;
    const early = !this.options.autoAccept &&
      this.listenerCount('opening') === 0;
    this.emit('opening', c);
    if (early) this.emit('connection', c);
    c.isKnown = early;
    c.step(OPENING);
    if (versions && !versions.includes(conn.request.version))
      c.reject('Invalid version.', 400);
    else if (protocols.length > 0 &&
        !protocols.some((p) => conn.request.protocols.includes(p)))
      c.reject('Invalid subprotocol.', 400);
    else if (this.options.autoAccept && !c.wasRejected) c.handshake();
    return { later: true };
  }

  // Also of a client that another backend had.
  opened(conn) {
    const c = conn.data || (conn.data = new Connection(this, conn));
    if (c.wasRejected) return;
    this.connections.add(c);
    c.step(CONNECTED);
    if (!c.isKnown) this.emit('connection', c);
  }

  // ---- http.Server ----

  // port, host, callback; options, callback; inside a gateway no more than the
  // callback matters.
  listen(...args) {
    const callback = args.find((x) => typeof x === 'function');
    if (callback) this.once('listening', callback);
    const [first, host] = args;
    const where = first !== null && typeof first === 'object' ? first
      : { port: typeof first === 'function' ? 0 : first,
        host: typeof host === 'string' ? host : undefined };
    if (this.place.own) this.register();
    if (this.debug) this.backend.setDebug(true);
    this.place.run(where).then(() => this.emit('listening'),
      (e) => this.emit('error', e));
    return this;
  }

  address() {
    return this.place.address();
  }

  // No new clients; those that are there stay.
  close(callback) {
    if (callback) this.once('closed', callback);
    if (this.onClosed) return this;
    this.onClosed = () => {
      this.onClosed = () => {};
      this.place.stop(0).then(() => {
        this.emit('closed');
        this.emit('close');
      });
    };
    this.place.unlisten();
    this.looksEmpty();
    return this;
  }

  looksEmpty() {
    if (this.onClosed && this.connections.size === 0)
      setImmediate(() => this.onClosed());
  }

  // ---- clients ----

  // Who is not connected gets nothing.
  send(id, message) {
    const conn = this.place.find(id);
    if (conn) conn.data.write(message);
    else this.place.toStranger(id, String(message));
  }

  // To all, of every process and backend; options: except (a connection), scope
  // 'backend' (those of this process).
  broadcast(message, { except, scope } = {}) {
    broadcast(this.backend, String(message), { app: this.app,
      except: except && except.conn, ownOnly: scope === 'backend' });
  }
}

function notFound(res) {
  res.writeHead(404, { 'Content-Type': 'text/plain' });
  res.end('404 Not Found\n');
}

function createServer(options) {
  return new Server(options);
}

module.exports = { Server, Connection, createServer, STATES };
