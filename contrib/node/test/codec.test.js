// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The codec against tests/golden/sluice.txt, which all implementations share.
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { test } = require('node:test');
const codec = require('../lib/codec');
const { TYPE, TAG, ERROR, Reader, Writer, payload, tlv, tlvHeader, tlvOpt,
  tlvPattern, u16, u32, readTlvs } = codec;
const { Request } = require('../lib/request');

const C = 0x0000300001000005;
const LO = codec.loOf(C), HI = codec.hiOf(C);
const NONE = Buffer.alloc(0);

const golden = new Map(fs.readFileSync(
  path.join(__dirname, '../../../tests/golden/sluice.txt'), 'utf8')
  .split('\n\n').map((record) => {
    const name = /^name: (.*)$/m.exec(record);
    const hex = [...record.matchAll(/^hex: ([0-9a-f]+)$/mg)].map((m) => m[1]);
    return name && [name[1], Buffer.from(hex.join(''), 'hex')];
  }).filter(Boolean));

// What a backend sends: type, flags, aux, cid, payload.
const MORE = 1;
const written = {
  accept: [TYPE.ACCEPT, 0, 0, C, payload.accept([tlv(TAG.SUBPROTOCOL, 'chat')])],
  'accept-tunnel': [TYPE.ACCEPT, 0, 1, C, payload.accept([
    tlvOpt(5, 0x11), tlv(TAG.STATE, Buffer.from([0, 255])),
    tlv(TAG.CHANNEL, 'room:7')])],
  reject: [TYPE.REJECT, 0, 0, C, payload.reject(401, 0, [
    tlvHeader('WWW-Authenticate', 'Bearer'), tlv(TAG.BODY, 'token, please'),
    tlv(TAG.REASON, 'no token')])],
  'reject-pass': [TYPE.REJECT, MORE, 0, C, payload.reject(0, 1, [])],
  close: [TYPE.CLOSE, 0, 1000, C, Buffer.from('bye')],
  terminate: [TYPE.TERMINATE, 0, 0, C, null],
  'set-state': [TYPE.SET_STATE, 1, 0, C,
    payload.setState(43, Buffer.from('blob'))],
  'set-opts': [TYPE.SET_OPTS, 0, 0, C, Buffer.concat([
    tlvOpt(1, Buffer.from([1])), tlvOpt(2, 60000)])],
  detach: [TYPE.DETACH, 0, 0, C, null],
  detached: [TYPE.DETACHED, 0, 0, C, null],
  'text-from-backend': [TYPE.TEXT, 4, 0, C, Buffer.from('hi')],
  'binary-first-fragment': [TYPE.BINARY, MORE, 0, C, Buffer.from([0, 1, 2])],
  'cont-last-fragment': [TYPE.CONT, 0, 0, C, Buffer.from([3])],
  pong: [TYPE.PONG, 0, 0, C, NONE],
  pause: [TYPE.PAUSE, 0, 0, C, null],
  unpause: [TYPE.UNPAUSE, 0, 0, C, null],
  subscribe: [TYPE.SUBSCRIBE, 0, 0, C, payload.channels(['room:7', 'all'])],
  'unsubscribe-all': [TYPE.UNSUBSCRIBE, 0, 0, C, payload.channels([])],
  publish: [TYPE.PUBLISH, 4, 9, C,
    payload.publish(1, 'room:7', Buffer.from('x'))],
  broadcast: [TYPE.BROADCAST, 0, 0, 0,
    payload.broadcast(1, 1, 1, [C], Buffer.from('yo'))],
  'broadcast-own': [TYPE.BROADCAST, 4, 7, 0,
    payload.broadcast(2, 2, 3, [], Buffer.from([0]))],
  msend: [TYPE.MSEND, 4, 8, 0, payload.msend(2, [C, C + 1], Buffer.from('z'))],
  'http-body': [TYPE.HTTP_BODY, MORE, 0, C, Buffer.from('body')],
  'http-res': [TYPE.HTTP_RES, MORE, 0, C,
    payload.httpRes(200, [tlvHeader('Content-Type', 'text/plain')])],
  'http-info': [TYPE.HTTP_INFO, 0, 0, C,
    payload.httpRes(103, [tlvHeader('Link', '<a>')])],
  'http-reset': [TYPE.HTTP_RESET, 0, 13, C, Buffer.from('late')],
  ready: [TYPE.READY, 0, 0, 0, null],
  'keepalive-reply': [TYPE.KEEPALIVE, 1, 0, 0,
    Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])],
  goaway: [TYPE.GOAWAY, 0, 1, 0, payload.goaway(30000, 'deploy')],
  bye: [TYPE.BYE, 0, 0, 0, null],
  error: [TYPE.ERROR, 0, 6, C, payload.error(0x20, 1, 1011, 'no credit')],
  log: [TYPE.LOG, 0, 4, 0, Buffer.from('slow')],
  register: [TYPE.REGISTER, 0, 4, 0, Buffer.concat([
    tlv(TAG.NAME, 'chat'), tlvPattern(TAG.HOST_PATTERN, 4, ''),
    tlvPattern(TAG.PATH_PATTERN, 1, '/chat/'),
    tlvPattern(TAG.ORIGIN_PATTERN, 3, '^https:'),
    tlv(TAG.SUBPROTOCOL, 'chat'), tlvOpt(5, 0x100),
    tlv(TAG.MAX_CLIENTS, u32(1000))])],
};

// Frames of the gateway, and what is read of them.
const read = {
  hello(f) {
    const h = codec.readHello(f.aux, f.buf, 0, f.buf.length);
    assert.deepStrictEqual([h.role, h.process, h.maxFrame, h.window,
      h.linkWindow, h.keepaliveMs, h.features, h.epoch],
    [1, 3, 262144, 262144, 67108864, 10000, 0x11f, 0x1122334455667788n]);
    assert.deepStrictEqual(h.tlvs.map(([t, v]) => [t, v.toString()]),
      [[TAG.NAME, 'gw-3'], [TAG.AGENT, 'penstock/0.1']]);
    const out = payload.hello({ ...h, tlvs: h.tlvs.map(([t, v]) => tlv(t, v)) });
    assert.ok(out.equals(f.buf));
  },
  open(f) {
    const o = codec.readOpen(f.buf, 0, f.buf.length);
    const r = new Request(o);
    assert.deepStrictEqual([r.version, r.httpVersion, r.binaryOk, r.tls,
      o.appId, o.windowOut, o.windowIn, o.time, r.maxMessage, r.remotePort,
      r.localPort, r.method, r.target, r.remoteAddress, r.captures.room,
      r.protocols, r.headers.host],
    [13, 11, true, false, 1, 262144, 65536, 1760000000000000, 1048576, 51234,
      8080, 'GET', '/chat/7?x=1', '203.0.113.9', '7', ['chat'], 'ex.com']);
  },
  resume(f) {
    const r = new Request(codec.readOpen(f.buf, 0, f.buf.length));
    assert.deepStrictEqual([r.alreadyOpen, r.vars.tenant, r.requestId],
      [true, 'a', '000102030405060708090a0b0c0d0e0f']);
    assert.deepStrictEqual(r.resume, { firstSeq: 41, nextOutSeq: 78,
      unacked: 3, foreign: true, truncated: false, dead: false });
  },
  'http-req'(f) {
    const r = new Request(codec.readOpen(f.buf, 0, f.buf.length));
    assert.deepStrictEqual([f.flags, r.version, r.method, r.target],
      [1, 0, 'POST', '/']);
  },
  closed(f) {
    const c = codec.readClosed(f.buf, 0, f.buf.length);
    assert.strictEqual(f.aux, 1000);
    assert.deepStrictEqual(c, { cause: 0, flags: 1, errno: 0, lost: 0,
      bytesIn: 41n, bytesOut: 33n, messagesIn: 2, messagesOut: 2,
      reason: 'bye' });
  },
  'closed-lost'(f) {
    const c = codec.readClosed(f.buf, 0, f.buf.length);
    assert.deepStrictEqual(c, { cause: 4, flags: 2, errno: 104, lost: 70000,
      bytesIn: 2n ** 64n - 1n, bytesOut: 2n ** 40n,
      messagesIn: 2 ** 32 - 1, messagesOut: 3, reason: '' });
  },
  error(f) {
    assert.deepStrictEqual(codec.readError(f.buf, 0, f.buf.length),
      { type: 0x20, severity: 1, wsCode: 1011, text: 'no credit' });
  },
};

// Nobody here writes or reads these; their frames are only taken apart.
const OTHERS = new Set(['stats-req', 'stats', 'setlog', 'nop', 'state', 'raw',
  'bstream-start', 'bstream-end', 'presence-req', 'presence', 'delivered',
  'http-trailers', 'http-done', 'conn', 'client-error', 'registered',
  'registered-refused', 'unregister', 'claim', 'unclaim', 'opened', 'ping',
  'text-from-client', 'text-replayed', 'resume-end', 'keepalive', 'ack',
  'ack-two']);

function frameOf(bytes) {
  return { type: bytes[4], flags: bytes[5], aux: bytes.readUInt16LE(6),
    cid: codec.cidOf(bytes.readUInt32LE(8), bytes.readUInt32LE(12)),
    buf: bytes.subarray(16) };
}

function write(type, flags, aux, cid, data) {
  const w = new Writer();
  w.frame(type, flags, aux, codec.loOf(cid), codec.hiOf(cid), data);
  return Buffer.concat(w.take());
}

test('every vector is known here', () => {
  assert.ok(golden.size > 50);
  for (const name of golden.keys())
    assert.ok(name in written || name in read || OTHERS.has(name), name);
  for (const name of [...Object.keys(written), ...Object.keys(read)])
    assert.ok(golden.has(name), name);
});

for (const [name, fields] of Object.entries(written))
  test(`writes ${name}`, () => {
    assert.strictEqual(write(...fields).toString('hex'),
      golden.get(name).toString('hex'));
  });

for (const [name, look] of Object.entries(read))
  test(`reads ${name}`, () => { look(frameOf(golden.get(name))); });

test('writes acks and short strings', () => {
  const w = new Writer();
  w.acks([{ lo: LO, hi: HI, owed: 139264, seqDone: 9 },
    { lo: LO + 1, hi: HI, owed: 0, seqDone: 4294967295 }]);
  assert.ok(Buffer.concat(w.take()).equals(golden.get('ack-two')));
  assert.strictEqual(w.text(TYPE.TEXT, 4, LO, HI, 'hi'), 2);
  assert.ok(Buffer.concat(w.take()).equals(golden.get('text-from-backend')));
  for (const s of ['', 'ä', 'abcä€😀', 'x'.repeat(33), '\ud800', '€'.repeat(4096)]) {
    const n = w.text(TYPE.TEXT, 0, LO, HI, s);
    const got = Buffer.concat(w.take());
    assert.strictEqual(n, Buffer.byteLength(s));
    assert.ok(got.equals(write(TYPE.TEXT, 0, 0, C, Buffer.from(s))), s);
  }
});

test('lists of tags are read and written the same', () => {
  for (const name of ['accept', 'register', 'set-opts', 'resume']) {
    const f = frameOf(golden.get(name));
    const at = { accept: 8, resume: 32 }[name] || 0;
    const out = Buffer.concat(readTlvs(f.buf, at, f.buf.length)
      .map(([t, v]) => tlv(t, v)));
    assert.ok(out.equals(f.buf.subarray(at)), name);
  }
  assert.throws(() => readTlvs(Buffer.from([1, 5, 0, 0, 1]), 0, 5),
    codec.Malformed);
  assert.throws(() => readTlvs(Buffer.from([1, 5, 0]), 0, 3), codec.Malformed);
});

function reader(seen) {
  const r = new Reader((type, flags, aux, lo, hi, buf, at, end) => {
    seen.push(`${type} ${flags} ${aux} ${codec.cidOf(lo, hi)} ${
      buf.toString('hex', at, end)}`);
    return 0;
  }, 262144);
  r.features = 0xffff;
  return r;
}

test('a link may be cut anywhere', () => {
  const names = ['hello', 'open', 'text-from-client', 'ack-two', 'ping',
    'closed', 'registered-refused', 'http-done'];
  const all = Buffer.concat([...names.map((n) => golden.get(n)),
    write(0x81, 0, 0, 0, Buffer.from('skipped')), golden.get('keepalive')]);
  const whole = [];
  assert.strictEqual(reader(whole).push(all), 0);
  assert.strictEqual(whole.length, names.length + 1);
  for (let i = 1; i < all.length; i++) {
    const seen = [];
    const r = reader(seen);
    assert.strictEqual(r.push(all.subarray(0, i)), 0);
    assert.strictEqual(r.push(all.subarray(i)), 0);
    assert.deepStrictEqual(seen, whole);
  }
  const seen = [];
  const r = reader(seen);
  for (let i = 0; i < all.length; i++)
    assert.strictEqual(r.push(all.subarray(i, i + 1)), 0);
  assert.deepStrictEqual(seen, whole);
});

test('what breaks a rule is refused', () => {
  const hello = golden.get('hello');
  const cases = [
    ['no HELLO first', [golden.get('ready')], ERROR.PROTOCOL],
    ['a second HELLO', [hello, hello], ERROR.PROTOCOL],
    ['type 0', [hello, write(0, 0, 0, 0, null)], ERROR.PROTOCOL],
    ['an unknown type', [hello, write(0x7f, 0, 0, 0, null)],
      ERROR.UNKNOWN_TYPE],
    ['what a backend sends', [hello, golden.get('ready')], ERROR.PROTOCOL],
    ['a cid for the link', [hello, write(TYPE.ACK, 0, 0, C, NONE)],
      ERROR.PROTOCOL],
    ['no cid', [hello, write(TYPE.TEXT, 0, 0, 0, null)], ERROR.PROTOCOL],
    ['a cid above 52 bits', [hello, write(TYPE.TEXT, 0, 0, 2 ** 53, null)],
      ERROR.PROTOCOL],
    ['a cut fixed part', [hello, write(TYPE.OPEN, 0, 0, C, Buffer.alloc(31))],
      ERROR.PROTOCOL],
    ['too long', [hello, write(TYPE.TEXT, 0, 0, C, Buffer.alloc(262145))],
      ERROR.FRAME_TOO_BIG],
  ];
  for (const [why, frames, code] of cases)
    assert.strictEqual(reader([]).push(Buffer.concat(frames)), code, why);
  const r = reader([]);
  r.features = 0;
  assert.strictEqual(
    r.push(Buffer.concat([hello, golden.get('http-req')])), ERROR.UNSUPPORTED);
  assert.strictEqual(r.badType, TYPE.HTTP_REQ);
});

test('blocks are used again when they have left', () => {
  const w = new Writer();
  for (let i = 0; i < 100; i++)
    w.frame(TYPE.TEXT, 0, 0, LO, HI, Buffer.alloc(2000, i));
  assert.strictEqual(w.pending, 100 * 2016);
  const got = Buffer.concat(w.take());
  assert.strictEqual(got.length, 100 * 2016);
  for (let i = 0; i < 100; i++)
    assert.strictEqual(got[i * 2016 + 16], i);
  w.rewind();
  assert.strictEqual(w.at, 0);
  assert.strictEqual(u16(258).readUInt16LE(0), 258);
});
