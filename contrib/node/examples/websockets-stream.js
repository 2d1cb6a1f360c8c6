// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Streams this file to all clients, piece by piece, when one says "go", on an
// http.Server that serves pages too.
// usage: node -r penstock/register websockets-stream.js [port], or in a
// backend { spawn ...; } with websocket_pass and backend_pass
const fs = require('fs');
const http = require('http');
const { attach } = require('../http');
const WebSocketServer = require('../websockets');

const server = http.createServer((req, res) => res.end('a page\n'));
const wsserver = new WebSocketServer({ url: 'ws://localhost:3000/ws' });

wsserver.on('message', (message) => {
  if (message === 'go')
    fs.createReadStream(__filename, { highWaterMark: 200 }).pipe(wsserver);
});
wsserver.listen(server);

// Under register listen() would do; this is without.
if (process.env.PENSTOCK_SOCKET || process.env.LISTEN_FDS || !process.argv[2])
  attach(server);
else
  server.listen(Number(process.argv[2]));
