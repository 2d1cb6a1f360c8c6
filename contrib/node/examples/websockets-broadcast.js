// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The options of `websockets`, and broadcasts: "head" is answered by a message
// to all with a head of ours, "parts" by one in parts, all else goes to all as
// it is.
// usage: node websockets-broadcast.js [port], or in a backend { spawn ...; }
const WebSocketServer = require('../websockets');

const server = new WebSocketServer({
  url: `ws://localhost:${Number(process.argv[2]) || 3000}/ws`,
  timeout: 600000,
  maxConnections: 10,
  listen: true,
});

server.on('message', (message) => {
  if (message === 'head') {
    server.broadcast({ fin: true, opcode: 1 }, 'one frame of text');
  } else if (message === 'parts') {
    server.broadcast({ fin: false, opcode: 1 }, 'one ');
    server.broadcast({ fin: false, opcode: 0 }, 'of ');
    server.broadcast({ fin: true, opcode: 0 }, 'three');
  } else {
    server.broadcast(message);
  }
});
server.on('error', (error) => console.error(error.message));
