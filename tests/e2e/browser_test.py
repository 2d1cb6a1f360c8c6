# SPDX-License-Identifier: BSD-2-Clause
"""Chromium as a client: its own WebSocket, with and without compression."""

import unittest

from support.browser import AVAILABLE, Browser
from support.gateway import CONFIG, BridgeTestCase

PAGE = """<!doctype html><title>client</title><script>
const at = `ws://${location.host}/ws`;

function open(url, protocols) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url || at, protocols || []);
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => resolve(ws);
    ws.onclose = (e) => reject(new Error(`closed with ${e.code}`));
  });
}

function once(ws, name) {
  return new Promise((resolve) => ws.addEventListener(name, resolve, { once: true }));
}

function check(what, got, wanted) {
  if (got !== wanted)
    throw new Error(`${what}: ${String(got).slice(0, 100)}, not ${String(wanted).slice(0, 100)}`);
}

async function echo(ws, data) {
  ws.send(data);
  const { data: got } = await once(ws, 'message');
  if (typeof data === 'string')
    return check('text', got, data);
  const a = new Uint8Array(data), b = new Uint8Array(got);
  check('length', b.length, a.length);
  check('bytes', b.every((x, i) => x === a[i]), true);
}

async function messages(extensions) {
  const ws = await open();
  check('extensions', ws.extensions, extensions);
  check('protocol', ws.protocol, '');
  for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    await echo(ws, 't'.repeat(n));
    const random = new Uint8Array(n);
    for (let i = 0; i < n; i += 65536)
      crypto.getRandomValues(random.subarray(i, Math.min(n, i + 65536)));
    await echo(ws, random.buffer);
  }
  for (let i = 0; i < 200; i++)
    await echo(ws, `{"room":${i % 3},"text":"${'lorem ipsum '.repeat(i % 40)}"}`);
  await echo(ws, '\\u00e4\\u20ac\\u{1f600}\\0');
  // Many at once come back in order.
  let next = 0;
  ws.onmessage = (e) => check('order', e.data, `m${next++}`);
  for (let i = 0; i < 1000; i++)
    ws.send(`m${i}`);
  while (next < 1000)
    await once(ws, 'message');
  ws.close(3456, 'gr\\u00fc\\u00dfe');
  const e = await once(ws, 'close');
  check('code', e.code, 3456);
  check('clean', e.wasClean, true);
}

async function protocols() {
  const ws = await open(at + '/v', ['v1', 'v2']);
  check('protocol', ws.protocol, 'v2');
  ws.close();
  check('code', (await once(ws, 'close')).code, 1005);
}

async function refusals() {
  for (const [url, offer] of [[at + '/v', []], [at + '/v', ['v3']], [at + '/other', []]]) {
    const ws = new WebSocket(url, offer);
    check('refused', (await once(ws, 'close')).code, 1006);
  }
}

async function tooBig() {
  const ws = await open(at + '/small');
  ws.send('x'.repeat(2000));
  check('code', (await once(ws, 'close')).code, 1009);
}

async function all(extensions) {
  await messages(extensions);
  await protocols();
  await refusals();
  await tooBig();
  return 'well';
}
</script>"""


@unittest.skipUnless(AVAILABLE, "chromium or chromedriver is not installed")
class ChromiumTest(BridgeTestCase):
    def run_page(self, deflate, extensions):
        config = CONFIG % ("", f"""
            websocket_max_message 4m;
            websocket_deflate {deflate};
            location /ws/v {{ websocket_pass echo; websocket_protocol v2 v1 required; }}
            location /ws/small {{ websocket_pass echo; websocket_max_message 1k; }}
            location /ws/other {{
                websocket_pass echo;
                websocket_origin https://elsewhere.example;
            }}
        """)
        config = config.replace(
            'location / { return 200 "plain\\n"; }',
            "location / { root @PREFIX@/html; default_type text/html; }",
        )
        p = self.penstock(config, files={"html/client.html": PAGE}, start=False)
        self.start_echo(p)
        p.start()
        self.wait_ready(p)
        browser = Browser()
        self.addCleanup(browser.stop)
        browser.tab(p.url("/client.html"))
        self.assertEqual(browser.wait_for_script(f"all({extensions!r})"), "well")

    def test_plain(self):
        self.run_page("off", "")

    def test_compressed(self):
        self.run_page("on takeover=client,server", "permessage-deflate")


if __name__ == "__main__":
    unittest.main()
