// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Feeds an http.Server that listens nowhere with requests of the gateway, and
// with handshakes: 'upgrade'.
const { Backend } = require('./lib/backend');
const { feed } = require('./lib/feed');

const SESSIONS = ['accept', 'open', 'resume', 'message', 'fragment'];

// options: `backend` (not running yet), or `socket` as that of penstock/ws;
// and those of an app.  With `handlers` for WebSockets those get them, and not
// the server.  Returns the backend.
function attach(server, options = {}) {
  const { backend = new Backend({ name: options.name || 'http',
    signals: options.signals }), socket, handlers, ...app } = options;
  const all = feed(server);
  const own = handlers && SESSIONS.some((name) => handlers[name]);
  backend.app({ text: own ? 'string' : 'buffer', ...app },
    own ? { ...handlers, http: all.http } : { ...all, ...handlers });
  if (!options.backend)
    backend.run(socket).then(() => server.emit('listening'),
      (e) => server.emit('error', e));
  return backend;
}

module.exports = { attach };
