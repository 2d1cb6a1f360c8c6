// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a Backend sends to clients by their number, or to many at once.
const EventEmitter = require('events');
const { TYPE, TAG, FLAG, FEATURE, tlv, loOf, hiOf, payload } =
  require('./codec');
const { toBytes, channelOf, closeReason } = require('./conn');
const { BroadcastStream } = require('./broadcast');
const { Report, presence, stats } = require('./asking');

const OWN_CLIENTS = 2; // of BROADCAST's opts
const KEY_MAX = 255;
const CLAIMS_MAX = 65536;

const processOf = (id) => hiOf(id) >>> 12 & 0x1ff;

function idOf(x) {
  return typeof x === 'number' ? x : Number(typeof x === 'object' ? x.id : x);
}

class Groups extends EventEmitter {
  constructor() {
    super();
    this.claims = new Set();
  }

  group(data, options) {
    const binary = options.binary === undefined
      ? typeof data !== 'string' : options.binary;
    return { data: toBytes(data), opcode: binary ? 2 : 1,
      except: options.except ? [idOf(options.except)] : [] };
  }

  indexOf(app) {
    if (!app) return -1;
    const at = this.apps.findIndex((a) => a === app || a.name === app);
    if (at === -1) throw new Error('there is no such app');
    return at;
  }

  // To all clients (of the app), at every gateway process.  False: a gateway
  // is slow to read.
  broadcast(data, options = {}) {
    const g = this.group(data, options);
    const at = this.indexOf(options.app);
    const own = options.ownOnly || options.scope === 'backend';
    return this.each(options, g.data.length, 20, (link, put) => {
      const id = at === -1 ? 0 : link.appIds[at];
      if (at !== -1 && !id) return;
      put(TYPE.BROADCAST, 0, payload.broadcast(
        g.opcode, own ? OWN_CLIENTS : 0, id, g.except, g.data));
    });
  }

  // A Writable: its pieces are one message (binary, unless that is false) to all
  // clients (of the app) who are there when the first is written.
  broadcastStream(options = {}) {
    const g = this.group('', { binary: true, ...options });
    const app = this.indexOf(options.app);
    return new BroadcastStream(this, { opcode: g.opcode, except: g.except, app,
      ownOnly: options.ownOnly });
  }

  // To all who are in the channel, of every backend of the pool.
  publish(channel, data, options = {}) {
    const g = this.group(data, options);
    channelOf(channel);
    const body = payload.publish(g.opcode, channel, g.data);
    return this.each(options, body.length, 0, (link, put) => {
      if (link.features & FEATURE.CHANNELS)
        put(TYPE.PUBLISH, g.except[0] || 0, body);
    });
  }

  // To these, conns or ids.
  msend(list, data, options = {}) {
    const g = this.group(data, options);
    const all = Array.from(list, idOf);
    return this.each(options, g.data.length, 16, (link, put) => {
      const these = all.filter((id) => this.leadsTo(link, id));
      const max = Math.floor((link.peerMaxFrame - 8 - g.data.length) / 8);
      for (let i = 0; i < these.length; i += max)
        put(TYPE.MSEND, 0,
          payload.msend(g.opcode, these.slice(i, i + max), g.data));
    });
  }

  // On each link put(type, cid, payload).  With `report` a promise of what the
  // gateways did; else whether to go on.
  each({ compress, report, scope }, n, around, send) {
    if (scope !== undefined && scope !== 'app' && scope !== 'backend')
      throw new TypeError("scope is 'app' or 'backend'");
    const sum = report ? new Report() : null;
    const flags = (compress === false ? FLAG.NOCOMPRESS : 0) |
      (sum ? FLAG.NOTIFY : 0);
    let go = true;
    for (const link of this.links) {
      if (!link.room(n, around)) continue;
      send(link, (type, id, body) => link.out.frame(type, flags,
        sum ? sum.token(link) : 0, loOf(id), hiOf(id), body));
      link.dirty();
      if (link.slow) go = false;
    }
    if (sum === null) return go;
    sum.done();
    return sum.promise;
  }

  // ---- any client of the pool, by its number ----

  // Ours, or (where the gateway allows it) another backend's at the same
  // gateway process.
  leadsTo(link, id) {
    return link.at(loOf(id), hiOf(id)) !== null ||
      (Boolean(link.features & FEATURE.CROSS) && link.process === processOf(id));
  }

  // Another backend's client is given a whole message or nothing.
  toStranger(id, type, flags, aux, data) {
    if (!Number.isSafeInteger(id) || id <= 0) return false;
    for (const link of this.links) {
      if (!link.ready || !this.leadsTo(link, id) || !link.room(data.length, 0))
        continue;
      link.out.frame(type, flags, aux, loOf(id), hiOf(id), data);
      link.dirty();
      return !link.slow;
    }
    return false;
  }

  // Whom nobody knows gets nothing.
  send(to, data, options = {}) {
    const id = idOf(to);
    const conn = this.find(id);
    if (conn !== null) return conn.send(data, options);
    const g = this.group(data, options);
    return this.toStranger(id, g.opcode === 2 ? TYPE.BINARY : TYPE.TEXT,
      options.compress === false ? FLAG.NOCOMPRESS : 0, 0, g.data);
  }

  disconnect(to, code = 0, reason = '') {
    const id = idOf(to);
    const conn = this.find(id);
    if (conn !== null) return conn.close(code, reason);
    return this.toStranger(id, TYPE.CLOSE, 0, code, closeReason(code, reason));
  }

  terminate(to) {
    const id = idOf(to);
    const conn = this.find(id);
    if (conn !== null) return conn.terminate();
    return this.toStranger(id, TYPE.TERMINATE, 0, 0, Buffer.alloc(0));
  }

  subscribe(to, ...names) {
    const id = idOf(to);
    const conn = this.find(id);
    if (conn !== null) return conn.subscribe(...names);
    if (names.length === 0) return true;
    return this.toStranger(id, TYPE.SUBSCRIBE, 0, 0,
      payload.channels(names.map(channelOf)));
  }

  unsubscribe(to, ...names) {
    const id = idOf(to);
    const conn = this.find(id);
    if (conn !== null) return conn.unsubscribe(...names);
    return this.toStranger(id, TYPE.UNSUBSCRIBE, 0, 0,
      payload.channels(names.map(channelOf)));
  }

  // ---- questions and claims ----

  // { count, ids }: the members of a channel, and with `list` who they are.
  presence(channel, { list = false } = {}) {
    return presence(this, channelOf(channel), list);
  }

  stats(what = 'link') {
    return stats(this, what);
  }

  // Requests whose `claim KEY` is this come here, at every gateway process,
  // until it is given up or another claims it.
  claim(key) {
    const bytes = keyOf(key);
    const name = bytes.toString('latin1');
    if (this.claims.size === CLAIMS_MAX && !this.claims.has(name))
      throw new RangeError(`${CLAIMS_MAX} claims at most`);
    this.claims.add(name);
    this.tellClaim(TYPE.CLAIM, bytes);
  }

  unclaim(key) {
    const bytes = keyOf(key);
    if (this.claims.delete(bytes.toString('latin1')))
      this.tellClaim(TYPE.UNCLAIM, bytes);
  }

  tellClaim(type, key) {
    for (const link of this.links) {
      if (!link.ready || !(link.features & FEATURE.CLAIM)) continue;
      link.out.frame(type, 0, 0, 0, 0, tlv(TAG.KEY, key));
      link.dirty();
    }
  }

  // A link that is new hears of all.
  claimAll(link) {
    if (!(link.features & FEATURE.CLAIM)) return;
    for (const name of this.claims)
      link.out.frame(TYPE.CLAIM, 0, 0, 0, 0,
        tlv(TAG.KEY, Buffer.from(name, 'latin1')));
  }
}

function keyOf(key) {
  const bytes = toBytes(key);
  if (bytes.length < 1 || bytes.length > KEY_MAX)
    throw new RangeError('a key has 1 to 255 bytes');
  return bytes;
}

module.exports = { Groups };
