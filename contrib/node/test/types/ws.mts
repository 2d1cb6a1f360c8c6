import WebSocket, { WebSocketServer, createWebSocketStream } from 'penstock/ws';
import { WebSocket as Same, Server } from 'penstock/ws';
import { Backend } from 'penstock';

const wss: WebSocketServer = new WebSocketServer({ port: 1 }, () => {});
const other: Server<WebSocket> = new Server({ noServer: true });
wss.on('connection', (ws: WebSocket, req) => {
  const same: Same = ws;
  createWebSocketStream(same).write(req.headers.host ?? '');
});
wss.on('error', (e: Error) => { throw e; });
other.close();
new WebSocketServer({ backend: new Backend('x') });
const data: WebSocket.RawData = Buffer.from('');
export { data };
