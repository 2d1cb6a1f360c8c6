// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// All options of node-websocket-server, a page for who comes by HTTP, and every
// message to all clients.
// usage: node nws-echo-all.js [port], or in a backend { spawn ...; } with
// websocket_pass and backend_pass
const nws = require('../nws');

const server = nws.createServer({
  debug: false,
  version: 'auto',
  origin: '*',
  subprotocol: null,
});

server.on('connection', (connection) => {
  server.send(connection.id, `you are ${connection.getVersion()}`);
  connection.on('message', (message) => {
    server.broadcast(`${connection.id}: ${message}`);
  });
});

server.on('request', (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/plain' });
  res.end('Come with a WebSocket.\n');
});

server.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
server.listen(Number(process.argv[2]) || 8080);
