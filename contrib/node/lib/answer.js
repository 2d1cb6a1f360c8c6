// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Reads what a program writes to a client of HTTP/1: informational responses,
// one response, and what follows a 101.  Does no I/O (RFC 9112).

const HEAD_MAX = 262144;
const LINE_MAX = 16384; // of a chunk's size, and of a trailer
const EMPTY = Buffer.alloc(0);
const STATUS = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/;

// Names and values in order, as [name, value] pairs.
function fieldsOf(lines) {
  return lines.map((line) => {
    const at = line.indexOf(':');
    if (at < 1) throw new Error('a field without a name');
    return [line.slice(0, at), line.slice(at + 1).trim()];
  });
}

function find(fields, name) {
  const field = fields.find(([n]) => n.toLowerCase() === name);
  return field && field[1];
}

// on: info(status, fields), head(status, fields), data(bytes), end(trailers),
// and switched(head, rest) for a 101 with what is behind it, after which
// everything goes to data().
class AnswerReader {
  constructor(method, on) {
    this.method = method;
    this.on = on;
    this.kept = EMPTY;
    this.left = 0; // of a body, or of a chunk
    this.trailers = [];
    this.step = this.head;
  }

  get begun() {
    return this.step !== this.head;
  }

  get done() {
    return this.step === this.over;
  }

  push(chunk) {
    let data = this.kept.length ? Buffer.concat([this.kept, chunk]) : chunk;
    this.kept = EMPTY;
    while (data !== null && data.length > 0) {
      const rest = this.step(data);
      if (rest === null) this.kept = data;
      data = rest;
    }
  }

  // The end of the connection: true when the response is whole.
  finish() {
    if (this.step === this.untilEnd) this.complete();
    return this.done;
  }

  // Each step returns what it left over, or null: it needs more than this.

  head(data) {
    const end = data.indexOf('\r\n\r\n');
    if (end === -1) {
      if (data.length > HEAD_MAX) throw new Error('a head too large');
      return null;
    }
    const [line, ...lines] = data.toString('latin1', 0, end).split('\r\n');
    const rest = data.subarray(end + 4);
    const m = STATUS.exec(line);
    if (m === null) throw new Error(`this is no response: ${line}`);
    const status = Number(m[1]);
    const fields = fieldsOf(lines);
    if (status === 101) {
      this.step = this.raw;
      this.on.switched(data.subarray(0, end + 4), rest);
      return EMPTY;
    }
    if (status < 200) {
      this.on.info(status, fields);
      return rest;
    }
    this.begin(status, fields);
    return rest;
  }

  begin(status, fields) {
    const coding = find(fields, 'transfer-encoding');
    const length = find(fields, 'content-length');
    this.on.head(status, fields);
    if (this.method === 'HEAD' || status === 204 || status === 304) {
      this.complete();
    } else if (coding !== undefined && /(^|[ ,])chunked$/i.test(coding)) {
      this.step = this.size;
    } else if (length !== undefined) {
      this.left = Number(length);
      if (!/^\d+$/.test(length)) throw new Error('a bad Content-Length');
      if (this.left === 0) this.complete();
      else this.step = this.counted;
    } else {
      this.step = this.untilEnd;
    }
  }

  complete() {
    this.step = this.over;
    this.on.end(this.trailers);
  }

  take(data) {
    const n = Math.min(data.length, this.left);
    this.left -= n;
    this.on.data(n === data.length ? data : data.subarray(0, n));
    return data.subarray(n);
  }

  counted(data) {
    const rest = this.take(data);
    if (this.left === 0) this.complete();
    return rest;
  }

  line(data) {
    const end = data.indexOf('\r\n');
    if (end === -1 && data.length > LINE_MAX)
      throw new Error('a line too long');
    return end;
  }

  size(data) {
    const end = this.line(data);
    if (end === -1) return null;
    const m = /^([0-9a-f]{1,12})\s*(;|$)/i.exec(data.latin1Slice(0, end));
    if (m === null) throw new Error('a bad chunk');
    this.left = parseInt(m[1], 16);
    this.step = this.left === 0 ? this.trailer : this.chunk;
    return data.subarray(end + 2);
  }

  chunk(data) {
    const rest = this.take(data);
    if (this.left === 0) this.step = this.chunkEnd;
    return rest;
  }

  chunkEnd(data) {
    if (data.length < 2) return null;
    if (data[0] !== 13 || data[1] !== 10) throw new Error('a bad chunk');
    this.step = this.size;
    return data.subarray(2);
  }

  trailer(data) {
    const end = this.line(data);
    if (end === -1) return null;
    if (end === 0) this.complete();
    else this.trailers.push(...fieldsOf([data.latin1Slice(0, end)]));
    return data.subarray(end + 2);
  }

  untilEnd(data) {
    this.on.data(data);
    return EMPTY;
  }

  raw(data) {
    this.on.data(data);
    return EMPTY;
  }

  // Behind a response: nobody reads it.
  over() {
    return EMPTY;
  }
}

module.exports = { AnswerReader };
