// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A loop that sends the same thing to one client after the other becomes one
// frame on each link.
const { OPEN } = require('./flow');

const SMALL = 8192;

class Coalescer {
  constructor(backend) {
    this.backend = backend;
    this.conns = new Set();
    this.given = null; // what the caller has, and may change
    this.data = null;
    this.flush = this.flush.bind(this);
  }

  // As conn.send().
  send(conn, data) {
    if (conn.readyState !== OPEN) return false;
    // What waits already must not be overtaken.
    if (data.length > SMALL || !conn.hasCredit() || conn.busy) {
      this.flush();
      return conn.send(data);
    }
    if (!this.isSame(data) || this.conns.has(conn)) {
      this.flush();
      this.given = data;
      this.data = typeof data === 'string' ? data : Buffer.from(data);
      process.nextTick(this.flush);
    }
    this.conns.add(conn);
    return true;
  }

  isSame(data) {
    return this.conns.size > 0 && this.given === data &&
      (typeof data === 'string' || this.data.equals(data));
  }

  flush() {
    const { conns, data } = this;
    if (conns.size === 0) return;
    this.conns = new Set();
    this.given = this.data = null;
    const list = [...conns].filter((c) => c.readyState === OPEN);
    if (list.length === 1) list[0].send(data);
    else if (list.length > 1) this.backend.msend(list, data);
  }
}

module.exports = { Coalescer };
