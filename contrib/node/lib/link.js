// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A connection of one gateway process.
const { TYPE, TAG, ERROR, FLAG, FEATURE, Reader, Writer, Malformed,
  u32, tlv, payload, readHello, readOpen, readClosed,
  readError } = require('./codec');
const { Asking, onDelivered, onPresence, onStats, onStatsError } =
  require('./asking');
const { Conn } = require('./conn');
const { clientError, connection } = require('./events');
const { Exchange } = require('./http');
const { Request } = require('./request');
const { CLOSED } = require('./flow');

const MAX_FRAME = 262144;
const WINDOW = 65536; // credit of the gateway for each client
const LINK_WINDOW = 16 * 1024 * 1024;
const ACK_MS = 100; // credit is returned at the latest
const EARLY = 65536; // output that does not wait for the turn's end
const SLOW = 1024 * 1024; // output of a link: group sends say false
const MAX_OUT = 64 * 1024 * 1024; // and are refused
const FEATURES = FEATURE.RESUME | FEATURE.STATE | FEATURE.MOVE | FEATURE.ALO |
  FEATURE.FRAGMENTS | FEATURE.HTTP | FEATURE.CHANNELS | FEATURE.WIRECOUNT |
  FEATURE.RAW | FEATURE.TUNNEL | FEATURE.BSTREAM | FEATURE.CLAIM |
  FEATURE.CROSS;
const GOAWAY = ['drain', 'handover', 'fatal'];
const ROLE_GATEWAY = 1, ROLE_BACKEND = 2;
const WANTS_RESUME = 1, HEALTH_CHECK = 2;
const CAUSE_LINK_LOST = 11, CAUSE_SHUTDOWN = 12, CAUSE_MOVED = 16;

class Link {
  constructor(backend, socket) {
    this.backend = backend;
    this.socket = socket;
    this.out = new Writer();
    this.features = 0;
    this.ready = false;
    this.registered = false;
    this.dead = false;
    this.orderly = false; // the gateway said that it goes
    this.process = -1;
    this.peerMaxFrame = 16384;
    this.credit = 0;
    this.unread = 0;
    this.owed = 0;
    this.owing = new Set();
    this.urgent = new Set();
    this.ackTimer = null;
    this.blocked = new Set();
    this.leaving = new Set();
    this.asking = new Asking();
    this.slots = [];
    this.flows = new Set();
    this.registering = []; // apps whose REGISTERED comes
    this.appIds = []; // as backend.apps
    this.immediate = null;
    this.reader = new Reader(this.onFrame.bind(this), MAX_FRAME);
    this.turn = () => this.endTurn();
    socket.on('data', (chunk) => this.onChunk(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.lose(CAUSE_LINK_LOST));
    this.hello();
  }

  hello() {
    const { backend } = this;
    const pid = u32(process.pid);
    this.out.frame(TYPE.HELLO, 0, 0, 0, 0, payload.hello({
      role: ROLE_BACKEND, flags: WANTS_RESUME, maxFrame: MAX_FRAME,
      window: WINDOW, linkWindow: LINK_WINDOW, features: FEATURES,
      epoch: backend.bootId,
      tlvs: [tlv(TAG.NAME, backend.name), tlv(TAG.AGENT, 'penstock-node'),
        tlv(TAG.PID, pid), ...backend.resumeOf],
    }));
    this.flush();
  }

  // ---- output ----

  dirty() {
    if (this.immediate === null && !this.dead)
      this.immediate = setImmediate(this.turn);
    if (this.out.pending >= EARLY) this.flush();
  }

  // A frame that must not be larger than the gateway takes.
  fit(flow, type, flags, data) {
    if (data.length > this.peerMaxFrame)
      throw new RangeError(`${data.length} bytes do not fit into a frame`);
    flow.put(type, flags, 0, data);
  }

  flush() {
    const { socket, out } = this;
    if (this.dead || out.pending === 0) return;
    const list = out.take();
    if (list.length > 1) socket.cork();
    for (const b of list) socket.write(b);
    if (list.length > 1) socket.uncork();
    if (socket.writableLength === 0) out.rewind();
  }

  endTurn() {
    this.immediate = null;
    if (this.dead) return;
    if (this.leaving.size > 0) this.letGo();
    this.putAcks(false);
    this.flush();
  }

  get pending() {
    return this.out.pending + this.socket.writableLength;
  }

  // ---- credit that goes back ----

  owe(flow, n) {
    this.owed += n;
    if (flow.owed >= flow.windowIn / 2) {
      if (flow.owing === 1) this.owing.delete(flow);
      if (flow.owing !== 2) this.urgent.add(flow);
      flow.owing = 2;
      this.dirty();
      return;
    }
    if (flow.owing === 0) {
      flow.owing = 1;
      this.owing.add(flow);
    }
    if (this.owed >= LINK_WINDOW / 2) this.dirty();
    else if (this.ackTimer === null)
      this.ackTimer = setTimeout(() => {
        this.ackTimer = null;
        this.putAcks(true);
        this.dirty();
      }, ACK_MS);
  }

  putAcks(late) {
    if (this.urgent.size > 0) this.putEntries([...this.urgent]);
    if (this.owing.size > 0 && (late || this.owed >= LINK_WINDOW / 2))
      this.putEntries([...this.owing]);
  }

  putEntries(flows) {
    const max = this.peerMaxFrame / 16;
    for (let i = 0; i < flows.length; i += max) {
      const part = flows.slice(i, i + max);
      this.out.acks(part);
      for (const f of part) {
        f.unread -= f.owed;
        this.unread -= f.owed;
        this.settled(f);
      }
    }
  }

  settled(flow) {
    this.owed -= flow.owed;
    flow.owed = 0;
    flow.owing = 0;
    this.owing.delete(flow);
    this.urgent.delete(flow);
  }

  ackEnd(conn) {
    if (!(this.features & FEATURE.ALO) || !conn.answered ||
        conn.waiting !== null)
      return;
    this.out.acks([{ lo: conn.lo, hi: conn.hi, owed: 0,
      seqDone: (conn.seqIn + 1) >>> 0 }]);
    this.dirty();
  }

  // ---- input ----

  onChunk(chunk) {
    if (this.dead) return;
    let code;
    try {
      code = this.reader.push(chunk);
    } catch (e) {
      if (!(e instanceof Malformed || e instanceof RangeError)) throw e;
      code = ERROR.PROTOCOL;
    }
    if (code > 0) this.refuse(code, this.reader.badType);
  }

  refuse(code, type) {
    this.out.frame(TYPE.ERROR, 0, code, 0, 0, payload.error(type, 2, 0, ''));
    this.flush();
    this.backend.log(`the link is given up: error ${code}, frame type ${type}`);
    this.lose(CAUSE_LINK_LOST);
  }

  at(lo, hi) {
    const f = this.slots[lo & 0xffffff];
    return f !== undefined && f.lo === lo && f.hi === hi ? f : null;
  }

  onFrame(type, flags, aux, lo, hi, buf, at, end) {
    switch (type) {
    case TYPE.TEXT:
    case TYPE.BINARY:
    case TYPE.CONT: {
      const c = this.at(lo, hi);
      if (c === null) return 0;
      if (!(c instanceof Conn)) return this.broken(c, ERROR.BAD_STATE, type);
      if (!c.answered) return ERROR.BAD_STATE;
      if (c.wire) c.bytesReceived += (aux << 16) >> 16;
      const code = c.onData(type, flags, buf, at, end);
      return code === 0 ? 0 : this.broken(c, code, type);
    }
    case TYPE.ACK: return this.onAck(buf, at, end);
    case TYPE.HELLO: return this.onHello(aux, buf, at, end);
    case TYPE.REGISTERED: return this.onRegistered(aux, buf, at, end);
    case TYPE.KEEPALIVE:
      if (!(flags & 1)) {
        this.out.frame(TYPE.KEEPALIVE, 1, 0, 0, 0, buf.subarray(at, end));
        this.dirty();
      }
      return 0;
    case TYPE.ERROR: return this.onError(aux, lo, hi, buf, at, end);
    case TYPE.BYE:
      this.orderly = true;
      this.lose(CAUSE_LINK_LOST);
      return -1;
    case TYPE.OPEN:
    case TYPE.RESUME:
    case TYPE.HTTP_REQ: return this.onOpen(type, flags, lo, hi, buf, at, end);
    case TYPE.GOAWAY: {
      const goaway = [GOAWAY[aux] || 'fatal', buf.readUInt32LE(at),
        buf.toString('utf8', at + 4, end)];
      this.orderly = true;
      process.nextTick(() => this.backend.emit('goaway', ...goaway));
      this.backend.looksShut();
      return 0;
    }
    case TYPE.LOG:
      this.backend.told(aux, buf.toString('utf8', at, end),
        lo | hi ? this.at(lo, hi) : null);
      return 0;
    case TYPE.STATS_REQ: return ERROR.UNSUPPORTED;
    case TYPE.STATS: return onStats(this, aux, lo, hi, buf, at, end);
    case TYPE.DELIVERED: return onDelivered(this, aux, buf, at);
    case TYPE.PRESENCE: return onPresence(this, aux, buf, at, end);
    case TYPE.CONN:
      this.tellApps('conn', connection(aux, buf, at, end));
      return 0;
    case TYPE.CLIENT_ERROR:
      this.tellApps('clientError', clientError(aux, buf, at, end));
      return 0;
    case TYPE.DETACH: case TYPE.OPENED: case TYPE.CLOSE: case TYPE.CLOSED:
    case TYPE.STATE:
    case TYPE.PING: case TYPE.PONG: case TYPE.HTTP_BODY: case TYPE.HTTP_RESET:
    case TYPE.HTTP_TRAILERS: case TYPE.HTTP_DONE:
      return this.onClientFrame(type, flags, aux, lo, hi, buf, at, end);
    default: return 0; // nothing that we have to answer
    }
  }

  onHello(aux, buf, at, end) {
    const { backend } = this;
    const h = readHello(aux, buf, at, end);
    if (h.versionMin > 1 || h.versionMax < 1) return ERROR.HANDSHAKE;
    if (h.role !== ROLE_GATEWAY) return ERROR.HANDSHAKE;
    if (h.maxFrame < 16384 || h.window === 0 || h.linkWindow === 0)
      return ERROR.PROTOCOL;
    if (h.flags & HEALTH_CHECK) {
      this.flush();
      this.socket.end();
      this.lose(CAUSE_SHUTDOWN, false);
      return -1;
    }
    this.process = h.process;
    this.peerMaxFrame = h.maxFrame;
    this.credit = h.linkWindow;
    this.features = this.reader.features = h.features & FEATURES;
    this.ready = true;
    const apps = this.registering = backend.apps.filter((app) => app.open);
    for (const app of apps)
      this.out.frame(TYPE.REGISTER, 0, backend.apps.indexOf(app) + 1, 0, 0,
        app.tlvs);
    if (backend.debug) this.setLog(backend.debug);
    backend.claimAll(this);
    backend.isShut = false;
    const closed = backend.apps.length > 0 && apps.length === 0;
    if (!backend.stopping && !closed)
      this.out.frame(TYPE.READY, 0, 0, 0, 0, null);
    this.dirty();
    return 0;
  }

  onRegistered(appId, buf, at, end) {
    const app = this.registering.shift();
    if (!app) return ERROR.PROTOCOL;
    this.appIds[this.backend.apps.indexOf(app)] = appId;
    if (appId !== 0 && !app.open) this.unregister(app);
    if (appId === 0)
      this.backend.fail(new Error(`the gateway refused the app ${app.name}: ` +
        buf.toString('utf8', at, end)));
    if (this.registering.length === 0) {
      this.registered = true;
      this.backend.linked(this);
    }
    return 0;
  }

  unregister(app) {
    const id = this.appIds[this.backend.apps.indexOf(app)];
    if (this.dead || !id) return;
    this.out.frame(TYPE.UNREGISTER, 0, id, 0, 0, null);
    this.dirty();
  }

  setLog(level) {
    if (!this.ready || this.dead) return;
    this.out.frame(TYPE.SETLOG, 0, level, 0, 0, null);
    this.dirty();
  }

  onError(code, lo, hi, buf, at, end) {
    const e = readError(buf, at, end);
    const c = lo | hi ? this.at(lo, hi) : null;
    if (e.type === TYPE.STATS_REQ) onStatsError(this, lo, hi, code, e.text);
    else if (c instanceof Conn) c.tell(code, e.text);
    else if (hi === 0 && this.backend.streams.has(lo))
      this.backend.streams.get(lo).refused(code, e.text);
    if (e.severity === 2) {
      this.backend.log(`the gateway gave the link up: ${e.text}`);
      this.lose(CAUSE_LINK_LOST);
      return -1;
    }
    return 0;
  }

  onAck(buf, at, end) {
    if ((end - at) % 16 !== 0) return ERROR.PROTOCOL;
    const view = new DataView(buf.buffer, buf.byteOffset + at, end - at);
    const dry = this.credit <= 0;
    for (let i = 0; i < view.byteLength; i += 16) {
      const c = this.at(view.getUint32(i, true), view.getUint32(i + 4, true));
      if (c === null) continue; // it races with its CLOSED
      const bytes = view.getUint32(i + 8, true);
      if (bytes > c.unacked) return ERROR.PROTOCOL;
      c.unacked -= bytes;
      c.credit += bytes;
      this.credit += bytes;
      if (c.flushed) c.onAck(view.getUint32(i + 12, true));
      if (c.blocked) c.credited();
    }
    if (dry) this.credited();
    return 0;
  }

  // Each gets one chance; who stays blocked goes to the end.
  credited() {
    if (this.credit <= 0 || this.blocked.size === 0) return;
    for (const c of [...this.blocked]) {
      if (this.credit <= 0) return;
      if (!c.blocked) continue;
      this.blocked.delete(c);
      this.blocked.add(c);
      c.credited();
    }
  }

  appOf(open) {
    const { apps } = this.backend;
    const i = open.appId ? this.appIds.indexOf(open.appId) : -1;
    if (i !== -1) return apps[i];
    const name = open.tlvs.find(([tag]) => tag === TAG.APP);
    if (name) {
      const app = apps.find((a) => a.name === name[1].toString());
      if (app) return app;
    }
    return apps.length === 1 ? apps[0] : null;
  }

  onOpen(type, flags, lo, hi, buf, at, end) {
    if (!this.ready || this.slots[lo & 0xffffff] !== undefined)
      return ERROR.BAD_STATE;
    const open = readOpen(buf, at, end);
    const app = this.appOf(open);
    const { stopping } = this.backend;
    if (type === TYPE.HTTP_REQ) {
      const status = !app || !app.handlers.http ? 404
        : stopping || !app.open ? 503 : 0;
      if (status) {
        this.out.frame(TYPE.HTTP_RES, 0, 0, lo, hi,
          payload.httpRes(status, []));
        this.dirty();
        return 0;
      }
      const x = new Exchange(this, lo, hi, open, app, (flags & FLAG.MORE) !== 0);
      this.add(x);
      x.begin();
      return 0;
    }
    if (!app || ((stopping || !app.open) && type === TYPE.OPEN)) {
      if (type === TYPE.OPEN)
        this.out.frame(TYPE.REJECT, 0, 0, lo, hi,
          payload.reject(app ? 503 : 404, 0, []));
      else
        this.out.frame(TYPE.ERROR, 0, ERROR.NO_SUCH_CLIENT, lo, hi,
          payload.error(type, 1, 1012, 'no such app'));
      this.dirty();
      return 0;
    }
    const c = new Conn(this, lo, hi, open, app, new Request(open));
    this.add(c);
    if (type === TYPE.RESUME) app.resume(c);
    else app.decide(c);
    return 0;
  }

  add(flow) {
    this.slots[flow.lo & 0xffffff] = flow;
    this.flows.add(flow);
    if (!this.backend.isRef && this.flows.size === 1) this.hold();
  }

  // Of a backend with unref(): only clients keep the process alive.
  hold() {
    if (this.flows.size > 0) this.socket.ref();
    else this.socket.unref();
  }

  drop(flow, dry) {
    this.slots[flow.lo & 0xffffff] = undefined;
    this.flows.delete(flow);
    this.leaving.delete(flow);
    this.settled(flow);
    if (!this.dead) {
      if (!this.backend.isRef && this.flows.size === 0) this.hold();
      if (dry) this.credited();
      this.backend.looksEmpty();
    }
  }

  broken(flow, code, type) {
    if (code === ERROR.PROTOCOL) return code;
    if (flow.readyState !== CLOSED) {
      flow.giveUp(code, type, flow instanceof Conn ? 1011 : 0);
      if (flow instanceof Conn) flow.terminate();
      else flow.abort();
    }
    return 0;
  }

  onClientFrame(type, flags, aux, lo, hi, buf, at, end) {
    const c = this.at(lo, hi);
    if (c === null) return 0; // it has left
    const code = c instanceof Conn
      ? this.onConnFrame(c, type, flags, aux, buf, at, end)
      : this.onHttpFrame(c, type, flags, buf, at, end);
    return code > 0 ? this.broken(c, code, type) : code;
  }

  onConnFrame(c, type, flags, aux, buf, at, end) {
    const { app } = c;
    if (type === TYPE.CLOSED) {
      const closed = readClosed(buf, at, end);
      this.ackEnd(c);
      c.closed = endOf(closed);
      if (c.wire) c.bytesReceived = Number(closed.bytesIn);
      c.finish(aux, closed.reason, closed.cause, closed);
      return 0;
    }
    if (type === TYPE.STATE) {
      app.call('state', c, aux >> 8, aux & 255);
      return 0;
    }
    if (!c.answered) return ERROR.BAD_STATE;
    switch (type) {
    case TYPE.OPENED:
      if (c.readyState !== CLOSED) app.call('open', c);
      return 0;
    case TYPE.PING:
    case TYPE.PONG:
      if (end - at > 125) return ERROR.WS_PROTOCOL;
      if (c.readyState !== CLOSED)
        app.call(type === TYPE.PING ? 'ping' : 'pong', c,
          Buffer.from(buf.subarray(at, end)));
      return 0;
    case TYPE.HTTP_BODY:
      return c.tunnel === null ? ERROR.BAD_STATE
        : c.tunnel.onBody(flags, buf, at, end);
    case TYPE.DETACH: return c.detach();
    case TYPE.CLOSE: // CLOSED follows
      if (c.readyState !== CLOSED)
        app.call('closing', c, aux, buf.toString('utf8', at, end));
      return 0;
    default: return ERROR.BAD_STATE;
    }
  }

  onHttpFrame(x, type, flags, buf, at, end) {
    switch (type) {
    case TYPE.HTTP_BODY:
      return (x.tunnel || x).onBody(flags, buf, at, end);
    case TYPE.CLOSED:
      if (x.tunnel === null) return ERROR.BAD_STATE;
      x.finish(true);
      return 0;
    case TYPE.HTTP_TRAILERS: return x.onTrailers(buf, at, end);
    case TYPE.HTTP_RESET: x.finish(false); return 0;
    case TYPE.HTTP_DONE: {
      const complete = buf[at + 8] !== 0;
      x.res.bytesSent = Number(buf.readBigUInt64LE(at));
      x.finish(complete);
      x.app.call('httpDone', x.res, x.res.bytesSent, complete);
      return 0;
    }
    default: return ERROR.BAD_STATE;
    }
  }

  // ---- its end ----

  letGo() {
    for (const c of [...this.leaving]) {
      this.leaving.delete(c);
      if (c.gone || c.busy) continue;
      if (c.owing !== 0) this.putEntries([c]); // its last ACK stands before
      this.out.frame(TYPE.DETACHED, 0, 0, c.lo, c.hi, null);
      c.finish(1012, '', CAUSE_MOVED);
    }
  }

  // What is about no client: to the apps that asked for it.
  tellApps(name, event) {
    for (const app of this.backend.apps)
      if (app.handlers[name]) app.call(name, event);
  }

  // Of all its clients.
  endAll() {
    for (const f of [...this.flows])
      if (f instanceof Conn) f.terminate();
      else f.abort();
  }

  goaway(mode, graceMs) {
    if (!this.ready || this.dead) return;
    this.out.frame(TYPE.GOAWAY, 0,
      mode === 1 && !(this.features & FEATURE.MOVE) ? 0 : mode, 0, 0,
      payload.goaway(graceMs, ''));
    this.dirty();
  }

  bye() {
    if (this.dead) return;
    if (this.ready) this.out.frame(TYPE.BYE, 0, 0, 0, 0, null);
    this.flush();
    this.socket.end();
    this.lose(CAUSE_SHUTDOWN, false);
  }

  lose(why, destroy = true) {
    if (this.dead) return;
    this.dead = true;
    this.registered = false;
    this.asking.lose();
    clearImmediate(this.immediate);
    clearTimeout(this.ackTimer);
    if (destroy) this.socket.destroySoon();
    const code = why === CAUSE_SHUTDOWN ? 1001 : 1006;
    for (const f of [...this.flows]) {
      if (f.gone) continue;
      if (f instanceof Conn) f.finish(code, '', why);
      else f.finish(false);
    }
    this.backend.lost(this);
  }

  // Group sends spend no credit: their bound is what waits to be written.
  room(n, around) {
    if (!this.ready || this.dead) return false;
    if (n + around > this.peerMaxFrame)
      throw new RangeError('a group message must fit into a frame');
    if (this.pending + n > MAX_OUT) {
      const e = new Error('a gateway does not read');
      e.code = 'ENOBUFS';
      throw e;
    }
    return true;
  }

  get slow() {
    return this.pending > SLOW;
  }
}

// For the application.
function endOf(closed) {
  const { cause, flags, errno, lost, messagesIn, messagesOut } = closed;
  return { cause, clean: (flags & 1) !== 0, byBackend: (flags & 2) !== 0, errno,
    lost, bytesIn: Number(closed.bytesIn), bytesOut: Number(closed.bytesOut),
    messagesIn, messagesOut };
}

module.exports = { Link };
