// SPDX-License-Identifier: BSD-2-Clause
const http = require('http');
const { Server } = require('socket.io');

const server = http.createServer();
const io = new Server(server);
io.on('connection', (socket) => {
  socket.on('echo', (x, done) => done(x));
  socket.on('transport', (done) => done(socket.conn.transport.name));
});
server.listen(0, '127.0.0.1', () => {
  console.log('callback', JSON.stringify(server.address()));
});
