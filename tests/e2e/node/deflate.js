// SPDX-License-Identifier: BSD-2-Clause
// What the compression of `ws` makes of the gateway's.  usage: deflate.js URL
'use strict';
const assert = require('assert');
const { once } = require('events');
const WebSocket = require('ws');
const url = process.argv[2];

const messages = [];
for (let i = 0; i < 60; i++)
  messages.push(JSON.stringify({ i, text: 'lorem ipsum dolor '.repeat(i) }));
messages.push('', 'x', '\u20ac'.repeat(40000), Buffer.alloc(300000, 'abcdef'));

async function talk(perMessageDeflate, mode) {
  const ws = new WebSocket(url, { perMessageDeflate });
  await once(ws, 'open');
  assert.ok(ws.extensions.startsWith('permessage-deflate'), ws.extensions);
  let next = 0;
  const done = new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.on('message', (data, binary) => {
      try {
        assert.strictEqual(binary, Buffer.isBuffer(messages[next]));
        assert.ok(Buffer.from(messages[next]).equals(data), `message ${next}`);
      } catch (e) {
        reject(e);
      }
      if (++next === messages.length)
        resolve();
      else if (mode === 'one by one')
        ws.send(messages[next]);
    });
  });
  if (mode === 'one by one')
    ws.send(messages[0]);
  else
    for (const message of messages) {
      if (mode === 'fragments' && message.length > 2) {
        const half = message.length >> 1;
        ws.send(message.slice(0, half), { fin: false });
        ws.send(message.slice(half), { fin: true });
      } else {
        ws.send(message);
      }
    }
  await done;
  ws.close(1000);
  assert.strictEqual((await once(ws, 'close'))[0], 1000);
}

(async () => {
  const offers = [
    true,
    { threshold: 0 },
    { threshold: 0, serverNoContextTakeover: true },
    { threshold: 0, clientNoContextTakeover: true },
    { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
    { threshold: 0, serverMaxWindowBits: 8 },
    { threshold: 0, clientMaxWindowBits: true },
  ];
  for (const offer of offers)
    for (const mode of ['one by one', 'all at once', 'fragments'])
      await talk(offer, mode);
})().catch((e) => {
  console.error(e.stack);
  process.exit(1);
});
