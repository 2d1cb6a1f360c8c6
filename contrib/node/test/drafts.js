// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Clients of every version that the gateway speaks, with one face.
const crypto = require('crypto');
const { Client } = require('./support');

// Directives of a location that lets them all in.
const ALL = 'websocket_versions 13 8 7 76 75; websocket_origin any;';
const VERSIONS = [75, 76, 8, 13];
const ORIGIN = 'http://example.org';

// A number that only its key's digits, divided by its spaces, give.
function key76() {
  const spaces = 1 + crypto.randomInt(12);
  const number = crypto.randomInt(Math.floor(0xffffffff / spaces));
  const chars = [...String(number * spaces)];
  for (let i = 0; i < 5; i++)
    chars.splice(crypto.randomInt(chars.length + 1), 0,
      String.fromCharCode(0x3a + crypto.randomInt(64)));
  for (let i = 0; i < spaces; i++)
    chars.splice(1 + crypto.randomInt(chars.length - 1), 0, ' ');
  return { number, key: chars.join('') };
}

// 00 text ff.  A message is a string; the end is { code: 1005, reason: '' }.
class OldClient extends Client {
  static async open(t, port, target, headers, version) {
    const c = new OldClient(port);
    c.version = version;
    t.after(() => c.socket.destroy());
    const fields = { Host: 'localhost', Upgrade: 'WebSocket',
      Connection: 'Upgrade', Origin: ORIGIN, ...headers };
    const one = key76();
    const two = key76();
    const body = crypto.randomBytes(8);
    if (version === 76) {
      fields['Sec-WebSocket-Key1'] = one.key;
      fields['Sec-WebSocket-Key2'] = two.key;
    }
    c.socket.write(`GET ${target} HTTP/1.1\r\n${Object.entries(fields)
      .map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
    if (version === 76) c.socket.write(body);
    c.head = await c.readHead();
    if (version === 76 && c.accepted) {
      while (c.in.length < 16) await c.more();
      const numbers = Buffer.alloc(8);
      numbers.writeUInt32BE(one.number, 0);
      numbers.writeUInt32BE(two.number, 4);
      const want = crypto.createHash('md5').update(numbers).update(body)
        .digest();
      if (!want.equals(c.in.subarray(0, 16))) throw new Error('a bad answer');
      c.in = c.in.subarray(16);
    }
    return c;
  }

  send(text) {
    this.socket.write(Buffer.concat(
      [Buffer.from([0]), Buffer.from(text), Buffer.from([255])]));
  }

  async message() {
    for (;;) {
      const end = this.in.indexOf(255);
      if (end !== -1) {
        const text = this.in.toString('utf8', 1, end);
        const first = this.in[0];
        if (first === 255) {
          this.in = this.in.subarray(2);
          return { code: 1005, reason: '' };
        }
        if (first !== 0) throw new Error(`a frame of type ${first}`);
        this.in = this.in.subarray(end + 1);
        return text;
      }
      if (this.ended) return { code: 1005, reason: '' };
      await this.more();
    }
  }

  close() {
    if (this.version === 76) this.socket.write(Buffer.from([255, 0]));
    else this.socket.end();
  }
}

// c.accepted tells whether the handshake was, c.status why not.
async function speak(t, port, version, target = '/ws', headers = {}) {
  if (version === 75 || version === 76)
    return OldClient.open(t, port, target, headers, version);
  const c = await Client.open(t, port, target, {
    'Sec-WebSocket-Version': version,
    [version === 13 ? 'Origin' : 'Sec-WebSocket-Origin']: ORIGIN, ...headers });
  c.version = version;
  return c;
}

module.exports = { ALL, VERSIONS, ORIGIN, speak };
