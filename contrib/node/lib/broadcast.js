// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// One message in pieces, to all clients of an app who are there when the first
// piece is written, at every gateway process.
const { Writable } = require('stream');
const { TYPE, FEATURE, payload } = require('./codec');

const START = 1, END = 2;
const IDS = 0xffffff; // no client has one of these
const HEAD = 20; // of START, before the ids of who is left out

class BroadcastStream extends Writable {
  // group: opcode, ownOnly, app (an index, or -1), except (ids).
  constructor(backend, group) {
    super();
    this.backend = backend;
    this.group = group;
    this.links = null; // since the beginning
    const { streams } = backend;
    do backend.lastStream = backend.lastStream % IDS + 1;
    while (streams.has(backend.lastStream));
    this.id = backend.lastStream;
    streams.set(this.id, this);
  }

  _write(chunk, encoding, callback) {
    this.go(chunk, 0);
    this.whenRoom(callback);
  }

  _final(callback) {
    this.go(null, END);
    callback();
  }

  // Given up: who is inside the message must get its end.
  _destroy(error, callback) {
    if (this.links !== null && !this.writableFinished) this.go(null, END);
    this.backend.streams.delete(this.id);
    callback(error);
  }

  go(data, flags) {
    if (this.links === null) {
      flags |= START;
      this.links = [...this.backend.links].filter((link) => this.joins(link));
    }
    for (const link of this.links) {
      if (link.dead) continue;
      this.put(link, data, flags);
      link.dirty();
    }
  }

  joins(link) {
    return link.ready && !link.dead &&
      (link.features & FEATURE.BSTREAM) !== 0 &&
      (this.group.app === -1 || Boolean(link.appIds[this.group.app]));
  }

  // In as many frames as the gateway's max_frame makes necessary.
  put(link, data, flags) {
    const { opcode, ownOnly, app, except } = this.group;
    const n = data === null ? 0 : data.length;
    let at = 0;
    do {
      const head = flags & START ? HEAD + except.length * 8 : 0;
      const part = data === null ? Buffer.alloc(0)
        : data.subarray(at, at + link.peerMaxFrame - head);
      const last = at + part.length >= n;
      link.out.frame(TYPE.BSTREAM, last ? flags : flags & ~END, 0, this.id, 0,
        head ? payload.broadcast(opcode, ownOnly ? 2 : 0,
          app === -1 ? 0 : link.appIds[app], except, part) : part);
      flags &= ~START;
      at += part.length;
    } while (at < n);
  }

  // Behind gateways that read slowly who writes waits.
  whenRoom(callback) {
    const slow = this.links.find((link) => !link.dead && link.slow);
    if (slow === undefined) {
      callback();
      return;
    }
    slow.flush();
    const again = () => {
      slow.socket.off('drain', again);
      slow.socket.off('close', again);
      this.whenRoom(callback);
    };
    slow.socket.on('drain', again);
    slow.socket.on('close', again);
  }

  // A gateway does not take it.
  refused(code, text) {
    const e = new Error(text || `the gateway refused the stream: ${code}`);
    e.code = code;
    this.destroy(e);
  }
}

module.exports = { BroadcastStream };
