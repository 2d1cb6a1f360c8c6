// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a WebSocket and an HTTP request have in common: a place at a link, and
// credit in both directions.
const { TYPE, ERROR, cidOf, payload } = require('./codec');

const CONNECTING = 0, OPEN = 1, CLOSING = 2, CLOSED = 3;

class Flow {
  constructor(link, lo, hi, open, app) {
    this.link = link;
    this.lo = lo;
    this.hi = hi;
    this.app = app;
    this.readyState = CONNECTING;
    this.gone = false;
    this.credit = open.windowOut;
    this.unacked = 0;
    this.windowIn = open.windowIn;
    this.unread = 0;
    this.owed = 0;
    this.owing = 0; // 1: the link acknowledges soon, 2: this turn
    this.seqDone = 0;
    this.queue = null; // frames that wait for credit
    this.queueAt = 0;
    this.bufferedAmount = 0;
    this.blocked = false;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.tunnel = null;
  }

  get id() {
    return cidOf(this.lo, this.hi);
  }

  put(type, flags, aux, data) {
    this.link.out.frame(type, flags, aux, this.lo, this.hi, data);
    this.link.dirty();
  }

  get waits() {
    return this.queue !== null;
  }

  hasCredit() {
    return this.credit > 0 && this.link.credit > 0;
  }

  spend(n) {
    this.credit -= n;
    this.link.credit -= n;
    this.unacked += n;
    this.bytesSent += n;
  }

  block() {
    this.blocked = true;
    this.link.blocked.add(this);
  }

  // A data frame, now or behind what waits.
  putData(type, flags, data, aux = 0) {
    if (this.queue === null && this.hasCredit()) {
      this.put(type, flags, aux, data);
      this.spend(data.length);
      return;
    }
    // What waits must not change with the caller's Buffer.
    this.enqueue(type, flags, aux, Buffer.from(data), true);
    this.bufferedAmount += data.length;
  }

  enqueue(type, flags, aux, data, spends) {
    if (this.queue === null) this.queue = [];
    this.queue.push({ type, flags, aux, data, spends, sent: null });
    this.block();
  }

  // True: there is room for more.
  settle() {
    if (this.queue === null && this.hasCredit()) return true;
    this.block();
    return false;
  }

  release() {
    const { queue } = this;
    while (queue !== null && this.queueAt < queue.length) {
      const f = queue[this.queueAt];
      if (f.spends && !this.hasCredit()) break;
      queue[this.queueAt++] = null;
      this.put(f.type, f.flags, f.aux, f.data);
      if (f.spends) {
        this.spend(f.data.length);
        this.bufferedAmount -= f.data.length;
        if (f.sent) process.nextTick(f.sent);
      }
    }
    if (queue !== null && this.queueAt === queue.length) {
      this.queue = null;
      this.queueAt = 0;
    } else if (this.queueAt > 1024) {
      this.queue = queue.slice(this.queueAt);
      this.queueAt = 0;
    }
  }

  forget() {
    this.queue = null;
    this.queueAt = 0;
    this.bufferedAmount = 0;
    this.blocked = false;
    this.link.blocked.delete(this);
  }

  // Credit came back.
  credited() {
    if (!this.blocked || !this.hasCredit()) return;
    this.release();
    if (this.queue !== null || !this.hasCredit()) return;
    this.blocked = false;
    this.link.blocked.delete(this);
    this.writable();
  }

  // 0, or why these bytes should not have come.
  received(n) {
    if (this.unread >= this.windowIn) return ERROR.FLOW_CONTROL;
    this.unread += n;
    this.link.unread += n;
    this.bytesReceived += n;
    return 0;
  }

  owe(n) {
    if (this.gone) return;
    this.owed += n;
    this.link.owe(this, n);
  }

  // The gateway shall end it.
  giveUp(code, type, wsCode) {
    this.put(TYPE.ERROR, 0, code, payload.error(type, 1, wsCode, ''));
  }

  // Its slot becomes free; what it owed either way is settled.
  leave() {
    const { link } = this;
    this.readyState = CLOSED;
    this.gone = true;
    this.forget();
    const dry = link.credit <= 0;
    link.credit += this.unacked;
    link.unread -= this.unread;
    link.drop(this, dry);
  }
}

module.exports = { Flow, CONNECTING, OPEN, CLOSING, CLOSED };
