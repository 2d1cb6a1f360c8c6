// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Every message goes to all clients, as the module `websocket` of v8cgi had it.
// usage: node v8cgi-echo-all.js [port], or in a backend { spawn ...; }
const { Server } = require('../v8cgi');

const server = new Server('127.0.0.1', Number(process.argv[2]) || 8080);
const clients = new Set();

server.addApplication({
  onconnect(clientId) {
    clients.add(clientId);
  },
  onmessage(clientId, data) {
    for (const id of clients) server.send(id, data);
  },
  ondisconnect(clientId) {
    clients.delete(clientId);
  },
});
server.run();
