// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// A client, of `ws` and of penstock/ws: see scene.js.
const { once } = require('events');
const http = require('http');
const { until, Client } = require('./support');
const { play, tick, plain, genuine } = require('./scene');

play({
  async 'what send takes'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    const u16 = new Uint16Array([0x6162, 0x6364]);
    const all = ['text', '', 0, 5, null, undefined, Buffer.from('b'),
      u16, u16.buffer, new DataView(u16.buffer, 1, 2), [65, 66], true, {},
      new Date(0), Symbol.iterator];
    for (const x of all) s.note(s.attempt(() => ws.send(x)));
    s.note(s.attempt(() => ws.send('a', { binary: true })));
    s.note(s.attempt(() => ws.send(Buffer.from('a'), { binary: false })));
    s.note(s.attempt(() => ws.send('a', { binary: undefined })));
    s.note(s.attempt(() => ws.send(Buffer.from('a'), { binary: undefined })));
    s.note(s.attempt(() => ws.send('a', {}, undefined)));
    s.note(s.attempt(() => ws.send('a', null)));
    await new Promise((done) => { ws.send('last', { compress: true }, done); });
    await new Promise((done) => { ws.send('last', done); });
    await until('the last', () => c.got.filter((x) => x === 'last').length > 1);
    s.note(c.got);
  },

  async 'fragments and Blobs'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    ws.send('a', { fin: false });
    ws.send('b', { fin: false }, (e) => s.note('sent', Boolean(e)));
    ws.send('c', { fin: true });
    ws.send(Buffer.from('d'), { fin: false });
    ws.send('e');
    ws.send('f');
    await until('these', () => c.got.length === 3);
    ws.send(new Blob(['blob']), (e) => s.note('blob', Boolean(e)));
    ws.send('behind it', (e) => s.note('behind', Boolean(e)));
    s.note(ws.bufferedAmount > 0);
    ws.close(1000);
    await once(c, 'close');
    s.note(c.got, ws.bufferedAmount);
  },

  async 'ping and pong'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    c.on('ping', (d) => s.note('ping', d));
    c.on('pong', (d) => s.note('pong', d));
    ws.on('pong', (d) => s.note('answer', d));
    for (const x of [undefined, 'x', 7, Buffer.from('b'), 'y'.repeat(125),
      'z'.repeat(126)]) {
      s.note(s.attempt(() => ws.ping(x)));
      await tick(5);
    }
    await new Promise((done) => { ws.ping(done); });
    await new Promise((done) => { ws.ping('m', false, done); });
    s.note(s.attempt(() => ws.pong('p')));
    await until('answers', () => s.notes.filter(([x]) => x === 'answer')
      .length === 7);
    const sorted = [];
    for (const kind of ['ping', 'pong', 'answer'])
      sorted.push(s.notes.filter(([x]) => x === kind));
    s.notes = [...s.notes.filter((n) => n.length === 1), sorted];
    const seen = once(ws, 'ping');
    c.removeAllListeners('pong');
    c.ping('from the client');
    s.note((await seen)[0]);
  },

  async 'codes to close with'(s) {
    await s.serve();
    for (const args of [[], [1000], [1000, 'bye'], [4999, Buffer.from('x')],
      [undefined, 'why'], [1005], [1006], [999], ['1000'], [5000], [2999],
      [1004], [1016], [1000, 'x'.repeat(124)], [3000, 'ä'.repeat(61)]]) {
      const [c, ws] = await s.pair();
      const text = s.attempt(() => ws.close(...args));
      s.note(args, text, ws.readyState);
      if (text !== undefined) continue;
      ws.close(3333, 'again');
      const [[code, reason], [code2, reason2]] = await Promise.all([
        once(c, 'close'), once(ws, 'close')]);
      s.note(code, reason, code2, reason2, ws.readyState);
      ws.close();
      ws.terminate();
    }
  },

  async 'how clients leave'(s) {
    await s.serve();
    for (const leave of [(c) => c.close(), (c) => c.close(3000, 'r'),
      (c) => c.terminate(), (c) => c.close(1001)]) {
      const [c, ws] = await s.pair();
      ws.onclose = (e) => s.note(e.type, e.code, e.reason, e.wasClean,
        e.target === ws, e.constructor.name);
      ws.on('error', (e) => s.note(e));
      leave(c);
      s.note(await once(ws, 'close'), ws.readyState, ws.bufferedAmount);
    }
  },

  async 'after the end'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    ws.close(1000);
    s.note(ws.readyState, s.attempt(() => ws.send('x', (e) => s.note(e))));
    s.note(s.attempt(() => ws.send('x')), ws.bufferedAmount);
    await once(ws, 'close');
    s.note(s.attempt(() => ws.send(Buffer.from('abc'), (e) => s.note(e))));
    s.note(s.attempt(() => ws.ping('ab', false, (e) => s.note(e))));
    s.note(s.attempt(() => ws.pong(5)), ws.bufferedAmount);
    s.note(s.attempt(() => ws.pause()), s.attempt(() => ws.resume()),
      ws.isPaused);
    await tick(5);
    s.note(c.got);
  },

  async 'terminate'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    ws.terminate();
    s.note(ws.readyState);
    const [[code], gone] = await Promise.all([once(c, 'close'),
      once(ws, 'close')]);
    s.note(code, gone, ws.readyState);
  },

  async 'properties and constants'(s) {
    await s.serve();
    const [, ws] = await s.pair('/', ['p', 'q']);
    const { WebSocket, WebSocketServer, Server } = s.lib;
    s.note(s.lib === WebSocket, WebSocketServer === Server,
      ws instanceof WebSocket, WebSocket.name, WebSocketServer.name);
    s.note(['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].map((n) =>
      [WebSocket[n], ws[n]]));
    s.note(ws.protocol, ws.extensions, ws.url, ws.isPaused, ws.binaryType,
      ws.readyState, ws.bufferedAmount, ws.onopen, ws.onmessage);
    for (const type of ['arraybuffer', 'fragments', 'nodebuffer', 'blob',
      'nonsense']) {
      ws.binaryType = type;
      s.note(ws.binaryType);
    }
    s.note(['binaryType', 'bufferedAmount', 'extensions', 'isPaused', 'onclose',
      'onerror', 'onopen', 'onmessage', 'protocol', 'readyState', 'url']
      .map((n) => Object.getOwnPropertyDescriptor(WebSocket.prototype, n)
        .enumerable));
    s.note(s.attempt(() => { ws.readyState = 3; }), ws.readyState);
    const o = s.wss.options;
    s.note(o.maxPayload, o.clientTracking, o.verifyClient, o.handleProtocols,
      o.noServer, o.backlog, o.path, o.server, o.autoPong, o.closeTimeout,
      o.skipUTF8Validation, o.perMessageDeflate,
      o.WebSocket === s.lib.WebSocket, s.wss.clients instanceof Set);
  },

  async 'kinds of binary'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    const got = [];
    ws.on('message', async (data, isBinary) => {
      const i = got.push(null) - 1;
      if (data instanceof Blob)
        got[i] = ['Blob', data.type, await data.text()];
      else got[i] = plain([data, isBinary]);
    });
    for (const type of ['nodebuffer', 'arraybuffer', 'fragments', 'blob']) {
      ws.binaryType = type;
      const before = got.length;
      c.send(Buffer.from(type));
      c.send(type);
      c.send('');
      await until('these', () => got.length === before + 3 &&
        got.every((x) => x !== null));
    }
    s.note(got);
  },

  async 'event targets'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    const f = (e) => s.note('f', e.type, e.data, e.target === ws,
      e.constructor.name);
    const object = { handleEvent(e) {
      s.note('object', this === object, e.data);
    } };
    ws.addEventListener('message', f);
    ws.addEventListener('message', f);
    ws.addEventListener('message', object);
    ws.addEventListener('nonsense', f);
    ws.addEventListener('message', function once_(e) {
      s.note('once', this === ws, e.data);
    }, { once: true });
    ws.onmessage = function on(e) { s.note('on', this === ws, e.data); };
    s.note(ws.listenerCount('message'), ws.listenerCount('nonsense'),
      ws.onmessage.name);
    let n = 0;
    ws.on('message', () => n++);
    c.send('one');
    await until('it', () => n === 1);
    ws.removeEventListener('message', f);
    ws.removeEventListener('message', ws.onmessage);
    c.send(Buffer.from('two'));
    await until('it', () => n === 2);
    ws.onmessage = null;
    s.note(ws.onmessage, ws.listenerCount('message'));
    ws.onmessage = 'nonsense';
    ws.onmessage = f;
    ws.onmessage = object;
    s.note(ws.onmessage, ws.listenerCount('message'));
    ws.removeEventListener('message', object);
    ws.onerror = (e) => s.note(e.type, e.message, e.error.message,
      e.constructor.name);
    ws.emit('error', new Error('an error'));
    ws.onopen = (e) => s.note(e.type, e.constructor.name);
    ws.emit('open');
    c.send('three');
    await until('it', () => n === 3);
  },

  async 'pause and resume'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    let n = 0;
    ws.on('message', () => n++);
    ws.pause();
    s.note(ws.isPaused);
    await tick(50);
    c.send('x');
    await tick(100);
    s.note(n);
    ws.resume();
    s.note(ws.isPaused);
    await until('it', () => n === 1);
  },

  async 'verifyClient'(s) {
    const wss = await s.serve();
    const infos = [];
    const forms = [
      (info) => {
        infos.push([Object.keys(info).sort(), info.origin, info.secure,
          info.req.url]);
        return false;
      },
      (info, done) => done(false),
      (info, done) => setImmediate(done, false, 402),
      (info, done) => done(false, 403, 'no entry'),
      (info, done) => done(false, 429, undefined, { 'Retry-After': 120 }),
      (info, done) => done(false, 503, '', { 'X-A': 'b' }),
    ];
    for (const f of forms) {
      wss.options.verifyClient = f;
      const r = await s.refused('/v', { origin: 'http://o' });
      s.note(r.status, r.body, r.headers['content-type'],
        r.headers['retry-after'], r.headers['x-a']);
    }
    s.note(infos);
    for (const f of [() => true, (info, done) => done(true),
      (info, done) => setImmediate(done, true)]) {
      wss.options.verifyClient = f;
      const [c] = await s.pair('/');
      s.note(c.readyState);
    }
  },

  async 'subprotocols'(s) {
    const wss = await s.serve();
    for (const f of [null, (set) => [...set][1], () => false, () => '',
      (set, req) => {
        s.note(set instanceof Set, [...set], req.url);
        return 'a';
      }]) {
      wss.options.handleProtocols = f;
      const c = new genuine(`ws://127.0.0.1:${s.port}/`, ['a', 'b']);
      s.t.after(() => c.terminate());
      c.on('error', (e) => s.note(e));
      const [ws] = await once(wss, 'connection');
      s.note(ws.protocol);
      await until('its end', () => c.readyState !== 0);
      s.note(c.protocol);
    }
  },

  async 'fields of the handshake'(s) {
    const wss = await s.serve();
    wss.on('headers', (lines, req) => {
      s.note(lines.map((l) => l.replace(/Accept: .*/, (x) => x.length)),
        req.url);
      lines.push('Set-Cookie: a=b', 'X-C: d');
    });
    const c = new genuine(`ws://127.0.0.1:${s.port}/h`, ['p']);
    s.t.after(() => c.terminate());
    const [res] = await once(c, 'upgrade');
    s.note(res.statusCode, res.headers['set-cookie'], res.headers['x-c'],
      res.headers.upgrade, res.headers['sec-websocket-protocol']);
  },

  async 'paths'(s) {
    const wss = await s.serve({ path: '/p' });
    for (const [path, ok] of [['/p', 1], ['/p?q=1', 1], ['/p/', 0], ['/', 0],
      ['/P', 0]]) {
      if (ok) s.note((await s.pair(path))[2].url);
      else s.note((await s.refused(path)).status);
    }
    wss.shouldHandle = (req) => req.url === '/mine';
    s.note((await s.pair('/mine'))[2].url, (await s.refused('/p')).status);
    const res = await fetch(`http://127.0.0.1:${s.port}/`);
    s.note(res.status, await res.text(), res.headers.get('content-type'));
  },

  async 'what is no handshake'(s) {
    await s.serve();
    const all = { Connection: 'Upgrade', Upgrade: 'websocket',
      'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2RlZg==' };
    const hixie = { 'Sec-WebSocket-Key1': '4 @1  46546xW%0l 1 5',
      'Sec-WebSocket-Key2': '12998 5 Y3 1  .P00', Origin: 'http://o' };
    for (const [method, change] of [['POST', {}],
      ['GET', { 'Sec-WebSocket-Key': undefined,
        'Sec-WebSocket-Version': undefined }],
      ['GET', { 'Sec-WebSocket-Key': 'P5l8BJcZwRc=' }],
      ['GET', { 'Sec-WebSocket-Version': undefined }],
      ['GET', { 'Sec-WebSocket-Version': 7 }],
      ['GET', { 'Sec-WebSocket-Protocol': 'foo;bar' }],
      ['GET', { 'Sec-WebSocket-Protocol': 'a, a' }],
      ['GET', { 'Sec-WebSocket-Key': undefined,
        'Sec-WebSocket-Version': undefined, ...hixie }]]) {
      const headers = Object.fromEntries(Object.entries({ ...all, ...change })
        .filter(([, value]) => value !== undefined));
      const req = http.request({ host: '127.0.0.1', port: s.port, method,
        headers, agent: false });
      req.flushHeaders();
      if (headers['Sec-WebSocket-Key1'])
        req.write(Buffer.alloc(8, 'x'));
      const [res] = await once(req, 'response');
      res.resume();
      s.note(res.statusCode);
      req.destroy();
    }
  },

  async 'what is too large'(s) {
    await s.serve({ maxPayload: 1000 });
    const [c, ws] = await s.pair();
    ws.on('error', (e) => s.note(e.name, e.code, e.message));
    c.send('x'.repeat(1000));
    await once(ws, 'message');
    c.send('x'.repeat(1001));
    const gone = new Promise((done) => {
      ws.on('close', (...args) => done(args));
    });
    s.note((await once(c, 'close'))[0], await gone);
  },

  async 'what is not UTF-8'(s) {
    await s.serve();
    const here = once(s.wss, 'connection');
    const c = await Client.open(s.t, s.port, '/');
    const [ws] = await here;
    ws.on('error', (e) => s.note(e.code, e.message));
    const gone = new Promise((done) => {
      ws.on('close', (...args) => done(args));
    });
    c.send(Buffer.from([0xff]), { opcode: 1 });
    s.note((await c.message()).code, await gone);
  },

  async 'a class of its own'(s) {
    class Own extends s.lib.WebSocket {
      get mine() { return this.readyState + 100; }
    }
    await s.serve({ WebSocket: Own });
    const [, ws] = await s.pair();
    s.note(ws instanceof Own, ws instanceof s.lib.WebSocket, ws.mine);
  },

  async 'pings that it answers itself'(s) {
    await s.serve({ autoPong: false });
    const [c, ws] = await s.pair();
    c.on('pong', (d) => s.note('pong', d));
    const seen = once(ws, 'ping');
    c.ping('p');
    s.note(await seen);
    await tick(50);
    s.note('now');
    ws.pong('q');
    await until('it', () => s.notes.length === 3);
  },

  async 'a client that does not close'(s) {
    await s.serve({ closeTimeout: 100 });
    const here = once(s.wss, 'connection');
    const c = await Client.open(s.t, s.port, '/');
    const [ws] = await here;
    ws.close(1000);
    s.note(await once(ws, 'close'));
    await until('the end', () => c.ended);
  },

  async 'the end of a server'(s) {
    const wss = await s.serve();
    s.note(s.attempt(() => typeof wss.address().port));
    const [c, ws] = await s.pair();
    wss.close((e) => s.note('closed', e));
    wss.on('close', () => s.note('close'));
    s.note(wss.address());
    ws.send('still there');
    await until('it', () => c.got.length === 1);
    s.note('before');
    ws.close();
    await until('the close', () => s.notes.some(([x]) => x === 'close'));
    wss.close((e) => s.note(e));
    await until('an error', () => s.notes.length > 6);
  },

  async 'an http.Server'(s) {
    const server = http.createServer((req, res) => res.end('http'));
    const wss = await s.serve({ server });
    await s.feed(server);
    const [, ws, req] = await s.pair('/x?y');
    s.note(req instanceof http.IncomingMessage, req.url, ws._socket !== null,
      wss.clients.size, server.listenerCount('upgrade'));
    wss.close(() => s.note('closed'));
    s.note(server.listenerCount('upgrade'));
    await tick(20);
    s.note('still');
    ws.terminate();
    await until('its end', () => s.notes.some(([x]) => x === 'closed'));
    s.note(wss.clients.size);
  },

  async 'no server'(s) {
    const server = http.createServer();
    const wss = await s.serve({ noServer: true, clientTracking: false });
    server.on('upgrade', (req, socket, head) => {
      if (req.url === '/destroy') {
        socket.destroy();
      } else if (req.url === '/write') {
        socket.write('HTTP/1.1 401 Unauthorized\r\nX-A: b\r\n' +
          'Content-Length: 0\r\n\r\n');
        socket.destroy();
      } else {
        wss.handleUpgrade(req, socket, head, (ws, req2) => {
          s.note(req === req2, ws.readyState, ws._socket === socket);
          s.note(s.attempt(() =>
            wss.handleUpgrade(req, socket, head, () => {})));
          wss.emit('connection', ws, req);
        });
      }
    });
    await s.feed(server);
    s.note(wss.clients, s.attempt(() => wss.address()));
    await s.pair('/yes');
    const r = await s.refused('/write');
    s.note(r.status, r.headers['x-a']);
    wss.close();
    await once(wss, 'close');
    s.note((await s.refused('/late')).status);
    wss.on('wsClientError', (e, socket, req) => {
      s.note(e.name, e.message, req.method);
      socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n');
    });
    server.removeAllListeners('upgrade');
    server.on('upgrade', (req, socket, head) => {
      req.method = 'POST';
      wss.handleUpgrade(req, socket, head, () => {});
    });
    s.note((await s.refused('/post')).status);
  },

  async 'streams'(s) {
    await s.serve();
    const [c, ws] = await s.pair();
    const stream = s.lib.createWebSocketStream(ws, { encoding: 'utf8' });
    const got = [];
    stream.on('data', (d) => got.push(d));
    for (const name of ['end', 'finish', 'close', 'error'])
      stream.on(name, () => s.note(name));
    c.send('one');
    c.send(Buffer.from('two'));
    await until('both', () => got.join('') === 'onetwo');
    const big = Buffer.alloc(100000, 'x');
    s.note(stream.write(big));
    await once(stream, 'drain');
    stream.write('text');
    await until('these', () => c.got.length === 2);
    s.note(c.got.map((x) => x.length));
    stream.end('last');
    const [code] = await once(c, 'close');
    await until('its end', () => s.notes.some(([x]) => x === 'close'));
    s.note(code, c.got[2]);
    const [c2, ws2] = await s.pair();
    const other = s.lib.createWebSocketStream(ws2);
    other.on('error', (e) => s.note('failed', e.message));
    other.destroy(new Error('broken'));
    s.note((await once(c2, 'close'))[0], ws2.readyState);
    const [c3, ws3] = await s.pair();
    const third = s.lib.createWebSocketStream(ws3,
      { readableObjectMode: true });
    c3.send('o');
    s.note(await once(third, 'data'));
    third.resume();
    c3.close();
    await once(third, 'end');
    s.note(third.writable);
  },
});
