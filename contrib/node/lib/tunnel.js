// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A client to whom the program speaks byte by byte, through a socket that has
// `tunnel` then.
const { TYPE, FLAG, FEATURE, ERROR, payload } = require('./codec');
const { OPEN } = require('./flow');

const EMPTY = Buffer.alloc(0);

class Tunnel {
  // flow: a session or an exchange that nothing was answered yet.
  constructor(flow, socket) {
    this.flow = flow;
    this.socket = socket;
    this.callback = null; // of a write that waits for credit
    this.ended = false; // by the client
    this.finished = false; // by us
    flow.tunnel = socket.tunnel = this;
    flow.answered = true;
    flow.readyState = OPEN;
    flow.put(TYPE.ACCEPT, 0, 1, payload.accept([]));
  }

  static isAllowed(flow) {
    return (flow.link.features & FEATURE.TUNNEL) !== 0 && !flow.gone &&
      !flow.answered && !flow.bodyComing;
  }

  // ---- to the client ----

  write(data, callback) {
    const { flow } = this;
    const max = flow.link.peerMaxFrame;
    if (flow.gone || this.finished) {
      callback();
      return;
    }
    for (let at = 0; at < data.length; at += max)
      flow.putData(TYPE.HTTP_BODY, FLAG.MORE, data.subarray(at, at + max));
    if (flow.settle()) callback();
    else this.callback = callback;
  }

  writable() {
    const { callback } = this;
    this.callback = null;
    if (callback) callback();
  }

  final(callback) {
    if (!this.flow.gone && !this.finished)
      this.flow.putData(TYPE.HTTP_BODY, 0, EMPTY);
    this.finished = true;
    callback();
  }

  broken() {
    const { flow } = this;
    // As close(2) has it: what has been written leaves.
    if (!flow.gone && !(this.ended && this.finished)) {
      flow.forget();
      flow.put(TYPE.CLOSE, 0, 0, null);
      this.finished = true;
    }
    this.writable();
  }

  // ---- from the client ----

  onBody(flags, buf, at, end) {
    const { flow, socket } = this;
    if (this.ended) return ERROR.BAD_STATE;
    const code = flow.received(end - at);
    if (code !== 0) return code;
    if (end > at) {
      if (socket.destroyed) flow.owe(end - at);
      else socket.feed(Buffer.from(buf.subarray(at, end)));
    }
    if (!(flags & FLAG.MORE)) {
      this.ended = true;
      socket.push(null);
    }
    return 0;
  }

  // Credit goes back as the program reads.
  wanted() {
    const { flow } = this;
    const done = flow.unread - flow.owed - this.socket.readableLength;
    if (done > 0) flow.owe(done);
  }

  // CLOSED: what has come can be read nevertheless.
  left() {
    const { socket } = this;
    if (!this.ended || !this.finished) {
      socket.destroy();
      return;
    }
    this.writable();
  }
}

module.exports = { Tunnel };
