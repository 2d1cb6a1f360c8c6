// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The options of ws 0.4, and an echo; "file" is answered by this file, piece by
// piece.
// usage: node ws04-echo.js [port], or in a backend { spawn ...; } with
// websocket_pass and backend_pass
const fs = require('fs');
const { Server } = require('../ws04');

const server = new Server({
  host: '127.0.0.1',
  port: Number(process.argv[2]) || 8080,
  verifyClient: (info) => info.req.url !== '/forbidden',
  path: null,
  noServer: false,
  disableHixie: false,
  clientTracking: true,
});

server.on('connection', (ws) => {
  ws.on('message', (data, flags) => {
    if (data === 'file')
      ws.send(fs.createReadStream(__filename, 'utf8'));
    else
      ws.send(data, { binary: flags.binary });
  });
  ws.on('error', (error) => console.error(error.message));
});
server.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
