// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What one client streams goes to all, as it comes.
// usage: node websockets-pipe.js [port], or in a backend { spawn ...; }
const WebSocketServer = require('../websockets');

const wsserver = new WebSocketServer({
  url: `ws://localhost:${Number(process.argv[2]) || 3000}/ws`,
  listen: true,
});

wsserver.on('stream:start', (wssocket) => {
  wssocket.pipe(wsserver);
});
wsserver.on('error', (error) => console.error(error.message));
