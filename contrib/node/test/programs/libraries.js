// SPDX-License-Identifier: BSD-2-Clause
// A program that knows nothing of Penstock, with all that is usual around `ws`.
const express = require('express');
const FayeWebSocket = require('faye-websocket');
const { buildSchema } = require('graphql');
const { useServer } = require('graphql-ws/lib/use/ws');
const http = require('http');
const { Server } = require('socket.io');
const WebSocket = require('ws');
const { setupWSConnection } = require('y-websocket/bin/utils');

const app = express();
require('express-ws')(app);
app.get('/', (req, res) => res.send('hello from express'));
app.ws('/echo', (ws) => ws.on('message', (m) => ws.send(m)));

const io = new Server();
io.on('connection', (socket) => {
  socket.join('all');
  socket.on('say', (x) => io.to('all').emit('said', x,
    socket.handshake.address));
});

const graphql = new WebSocket.WebSocketServer(
  { port: 0, host: '127.0.0.1', path: '/graphql' });
useServer({ schema: buildSchema('type Query { hello: String }'),
  roots: { query: { hello: () => 'world' } } }, graphql);

const y = http.createServer((req, res) => res.end('okay'));
const wss = new WebSocket.Server({ noServer: true });
wss.on('connection', setupWSConnection);
y.on('upgrade', (req, socket, head) => {
  wss.handleUpgrade(req, socket, head, (ws) => {
    wss.emit('connection', ws, req);
  });
});

const faye = http.createServer();
faye.on('upgrade', (req, socket, head) => {
  const ws = new FayeWebSocket(req, socket, head);
  ws.on('message', (e) => ws.send(e.data));
});

const listening = (server) => new Promise((done) => {
  server.on('listening', () => done(server.address().port));
});
const ioServer = http.createServer();
io.attach(ioServer);
const servers = { express: app.listen(0, '127.0.0.1'),
  io: ioServer.listen(0, '127.0.0.1'), graphql,
  y: y.listen(0, '127.0.0.1'), faye: faye.listen(0, '127.0.0.1') };
Promise.all(Object.values(servers).map(listening)).then((ports) => {
  console.log('ports', JSON.stringify(Object.fromEntries(
    Object.keys(servers).map((name, i) => [name, ports[i]]))));
});
process.on('SIGUSR2', () => {
  io.close(() => console.log('io closed'));
  graphql.close(() => console.log('graphql closed'));
});
