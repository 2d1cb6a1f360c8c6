// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The npm package `ws`, where it is installed: for clients, and for connections
// that no gateway has.  Found for the program, not for this package.
const Module = require('module');
const path = require('path');

let found; // undefined: not looked for, null: not there

// Its package.json, as penstock/register gives `ws` itself another meaning.
function look(from) {
  try {
    const file = Module.createRequire(from).resolve('ws/package.json');
    const about = require(file);
    return about.name === 'ws' && /^[8-9]\.|^\d\d/.test(about.version)
      ? require(path.dirname(file)) : null;
  } catch {
    return null;
  }
}

function genuine() {
  if (found === undefined)
    found = (require.main && look(require.main.filename)) ||
      look(path.join(process.cwd(), 'x')) || look(__filename);
  return found;
}

function notBridged() {
  const e = new Error('this connection does not come from a gateway, and ' +
    "there is no npm package 'ws' to take it: feed the http.Server with " +
    'attach() of penstock/http, or run with -r penstock/register');
  e.code = 'ERR_NOT_BRIDGED';
  return e;
}

// new WebSocket(url): a peer, or what Node.js has.
function client(address, protocols, options) {
  const Peer = genuine();
  if (Peer) return new Peer(address, protocols, options);
  if (typeof globalThis.WebSocket === 'function')
    return new globalThis.WebSocket(address, protocols || []);
  const e = new Error('penstock/ws is the server side: a client needs the ' +
    "npm package 'ws', or a Node.js that has WebSocket");
  e.code = 'ERR_NO_CLIENT';
  throw e;
}

function isClient(x) {
  return (Boolean(found) && x instanceof found) ||
    (typeof globalThis.WebSocket === 'function' &&
      x instanceof globalThis.WebSocket);
}

module.exports = { genuine, notBridged, client, isClient };
