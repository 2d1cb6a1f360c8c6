import WebSocket = require('penstock/ws');
import { attach } from 'penstock/http';
import * as http from 'http';

const server = http.createServer();
attach(server, { socket: '/run/app.sock', signals: false }).close(0);

class Own extends WebSocket {
  name = '';
}

const wss = new WebSocket.Server<Own>({
  server, path: '/p', maxPayload: 1, clientTracking: true, backlog: 5,
  perMessageDeflate: { threshold: 10 }, WebSocket: Own, closeTimeout: 1,
  verifyClient(info, done) {
    done(info.secure && info.origin === info.req.url, 401, 'no', { a: 'b' });
  },
  handleProtocols: (protocols, req) => protocols.has(req.url!) && 'a',
});
wss.options.handleProtocols = () => false;
wss.on('headers', (lines, req) => lines.push(`X: ${req.method}`));
wss.on('wsClientError', (e, socket, req) => socket.end(e.message + req.url));
wss.on('connection', (ws, req) => {
  ws.name = req.url!;
  ws.on('message', (data, isBinary) => ws.send(data as Buffer,
    { binary: isBinary, compress: false }, (e) => e && e.message));
  ws.once('close', (code, reason) => code.toFixed() + reason.toString());
  ws.addEventListener('close', (e) => e.wasClean, { once: true });
  ws.addEventListener('message', { handleEvent: (e) => e.data });
  ws.onmessage = ({ data, target }) => target.send(data);
  ws.binaryType = 'blob';
  ws.ping('x', false, () => {});
  ws.close(1000, 'bye');
  if (ws.readyState === WebSocket.OPEN) ws.terminate();
  WebSocket.createWebSocketStream(ws, { encoding: 'utf8' }).end('x');
});
server.on('upgrade', (req, socket, head) => {
  if (wss.shouldHandle(req))
    wss.handleUpgrade(req, socket, head, (ws, r) =>
      wss.emit('connection', ws, r));
});
const address = wss.address();
if (address && typeof address === 'object') address.port.toFixed();
for (const c of wss.clients) c.name.trim();
wss.close((e) => e && e.message);
new WebSocket('ws://localhost', ['a'], { headers: {} }).on('open', () => {});
// @ts-expect-error: no such option
new WebSocket.WebSocketServer({ ports: 1 });
