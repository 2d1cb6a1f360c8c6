// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a backend asks its gateways, and the answers: counts of group sends,
// presence, statistics.  Every link answers for itself.
const { TYPE, ERROR, FEATURE, cidOf, loOf, hiOf, payload } = require('./codec');

const WAITING_MAX = 65535;
const WHAT = { link: 0, process: 1, instance: 2 };

function lost() {
  return Object.assign(new Error('the link was lost'),
    { code: 'ERR_PENSTOCK_LINK' });
}

// The questions of one link that have no answer yet.
class Asking {
  constructor() {
    this.tokens = new Map(); // number: function(error, answer)
    this.last = 0;
    this.stats = new Map(); // what and cid: functions, the oldest first
  }

  // A number from 1, for aux.
  token(callback) {
    if (this.tokens.size >= WAITING_MAX)
      throw Object.assign(new Error('too many questions have no answer'),
        { code: 'ENOBUFS' });
    do this.last = this.last % WAITING_MAX + 1;
    while (this.tokens.has(this.last));
    this.tokens.set(this.last, callback);
    return this.last;
  }

  answer(token, value) {
    const callback = this.tokens.get(token);
    if (!callback) return;
    this.tokens.delete(token);
    callback(null, value);
  }

  ask(key, callback) {
    const list = this.stats.get(key);
    if (list) list.push(callback);
    else this.stats.set(key, [callback]);
  }

  told(key, error, value) {
    const list = this.stats.get(key);
    if (!list) return;
    if (list.length === 1) this.stats.delete(key);
    list.shift()(error, value);
  }

  lose() {
    const all = [...this.tokens.values(), ...[...this.stats.values()].flat()];
    this.tokens.clear();
    this.stats.clear();
    for (const callback of all) callback(lost(), null);
  }
}

// DELIVERED of all links, added up.  What a lost link would have said is
// missing, and `lost` counts those.
class Report {
  constructor() {
    this.counts = { matched: 0, queued: 0, skipped: 0, dropped: 0, lost: 0 };
    this.waiting = 1;
    this.promise = new Promise((resolve) => { this.resolve = resolve; });
  }

  token(link) {
    this.waiting++;
    return link.asking.token((error, counts) => {
      if (error) this.counts.lost++;
      else for (const name in counts) this.counts[name] += counts[name];
      this.done();
    });
  }

  done() {
    if (--this.waiting === 0) this.resolve(this.counts);
  }
}

function onDelivered(link, token, buf, at) {
  link.asking.answer(token, {
    matched: buf.readUInt32LE(at), queued: buf.readUInt32LE(at + 4),
    skipped: buf.readUInt32LE(at + 8), dropped: buf.readUInt32LE(at + 12),
  });
  return 0;
}

function onPresence(link, token, buf, at, end) {
  const ids = [];
  for (let i = at + 4; i + 8 <= end; i += 8)
    ids.push(cidOf(buf.readUInt32LE(i), buf.readUInt32LE(i + 4)));
  link.asking.answer(token, { count: buf.readUInt32LE(at), ids });
  return 0;
}

const keyOf = (what, lo, hi) => `${what} ${cidOf(lo, hi)}`;

function onStats(link, what, lo, hi, buf, at, end) {
  try {
    link.asking.told(keyOf(what, lo, hi), null,
      JSON.parse(buf.toString('utf8', at, end)));
  } catch (e) {
    if (!(e instanceof SyntaxError)) throw e;
    return ERROR.PROTOCOL;
  }
  return 0;
}

// An ERROR that answers a question for statistics.
function onStatsError(link, lo, hi, code, text) {
  const error = Object.assign(new Error(text), { code });
  for (const key of link.asking.stats.keys())
    if (key.endsWith(` ${cidOf(lo, hi)}`)) {
      link.asking.told(key, error, null);
      return;
    }
}

function readyLinks(backend) {
  return [...backend.links].filter((link) => link.registered && !link.dead);
}

// How many members a channel has, and with list who (as many as fit), at all
// gateway processes.
async function presence(backend, channel, list) {
  const all = await Promise.all(readyLinks(backend)
    .filter((link) => link.features & FEATURE.CHANNELS)
    .map((link) => new Promise((resolve, reject) => {
      const token = link.asking.token(
        (e, answer) => e ? reject(e) : resolve(answer));
      link.out.frame(TYPE.PRESENCE_REQ, list ? 1 : 0, token, 0, 0,
        payload.channels([channel]));
      link.dirty();
    })));
  return { count: all.reduce((n, a) => n + a.count, 0),
    ids: all.flatMap((a) => a.ids) };
}

function askStats(link, what, id) {
  return new Promise((resolve, reject) => {
    link.asking.ask(`${what} ${id}`, (e, json) => e ? reject(e) : resolve(json));
    link.out.frame(TYPE.STATS_REQ, 0, what, loOf(id), hiOf(id), null);
    link.dirty();
  });
}

// 'link', 'process': an answer of each link.  'instance': one.  A client: its.
async function stats(backend, what) {
  if (typeof what === 'object' || typeof what === 'number') {
    const conn = typeof what === 'object' ? what : backend.find(what);
    if (conn === null || conn.gone)
      throw Object.assign(new Error('there is no such client'),
        { code: ERROR.NO_SUCH_CLIENT });
    return askStats(conn.link, 3, conn.id);
  }
  if (!(what in WHAT))
    throw new TypeError('link, process, instance or a client');
  const links = readyLinks(backend);
  if (what !== 'instance')
    return Promise.all(links.map((link) => askStats(link, WHAT[what], 0)));
  if (links.length === 0) throw lost();
  return askStats(links[0], WHAT.instance, 0);
}

module.exports = { Asking, Report, onDelivered, onPresence, onStats,
  onStatsError, presence, stats };
