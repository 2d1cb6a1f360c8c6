// SPDX-License-Identifier: BSD-2-Clause
import { createServer } from 'node:http';
import WebSocket, { WebSocketServer } from 'ws';

const server = createServer((req, res) => {
  res.end('plain http works too\n');
});
const wss = new WebSocketServer({ noServer: true });
const packed = new WebSocketServer({ noServer: true, perMessageDeflate: true });
const echo = (ws) => {
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
};
server.on('upgrade', (req, socket, head) => {
  (req.url === '/packed' ? packed : wss).handleUpgrade(req, socket, head, echo);
});
server.listen(0);
console.log('callback', JSON.stringify(server.address()));
const second = new WebSocket.Server({ port: 0, host: '127.0.0.1' });
second.on('listening', () => {
  console.log('port', JSON.stringify(second.address()));
});
second.on('connection', echo);
