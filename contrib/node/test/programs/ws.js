// SPDX-License-Identifier: BSD-2-Clause
// What anybody writes who uses ws.
const http = require('http');
const { WebSocketServer, WebSocket } = require('ws');

if (WebSocket.Receiver) console.log('genuine');
const server = http.createServer((req, res) => {
  res.end('plain http works too\n');
});
const wss = new WebSocketServer({ server, path: '/echo' });
const echo = (ws) => {
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
};
wss.on('connection', echo);
server.listen(0, () => {
  console.log('callback', JSON.stringify(server.address()));
  const second = new WebSocketServer({ port: 0, host: '127.0.0.1' }, () => {
    console.log('port', JSON.stringify(second.address()));
  });
  second.on('connection', echo);
});
