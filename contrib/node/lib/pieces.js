// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { Writable } = require('stream');

const EMPTY = Buffer.alloc(0);

// One message to one client, in pieces that leave as they are written.  Ends
// with the stream; destroyed before, with the client, as a message cannot be
// broken off.
class FragmentStream extends Writable {
  constructor(conn, { binary = false } = {}) {
    super({ decodeStrings: false, highWaterMark: 65536 });
    this.conn = conn;
    this.binary = binary;
    this.begun = false;
  }

  piece(data, last, callback) {
    const { conn } = this;
    let room;
    try {
      room = conn.fragment(data, { binary: this.binary, last });
    } catch (e) {
      callback(e);
      return;
    }
    this.begun = !last;
    if (room || conn.readyState === 2) callback();
    else if (conn.readyState !== 1)
      callback(Object.assign(new Error('the client is closed'),
        { code: 'ERR_PENSTOCK_CLOSED' }));
    else conn.whenRoom(callback);
  }

  _write(chunk, encoding, callback) {
    this.piece(typeof chunk === 'string' ? Buffer.from(chunk, encoding)
      : chunk, false, callback);
  }

  _final(callback) {
    this.piece(EMPTY, true, callback);
  }

  _destroy(error, callback) {
    if (this.begun) this.conn.terminate();
    callback(error);
  }
}

module.exports = { FragmentStream };
