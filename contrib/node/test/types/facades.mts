import { Server as Cgi, Application } from 'penstock/v8cgi';
import { createServer, Server as Nws, STATES } from 'penstock/nws';
import Ws04 from 'penstock/ws04';
import WebSocketServer from 'penstock/websockets';

const cgi = new Cgi('127.0.0.1', 0, { idle: 100 });
class Chat extends Application {
  override onmessage(id: string, data: string | Buffer) { cgi.send(id, data); }
}
cgi.addApplication(new Chat(), null, '/chat');
cgi.addApplication({ acceptsOrigin: (o) => o.length > 0 });

const nws: Nws = createServer({ version: 'auto', origin: [/x/, '*'] });
nws.on('connection', () => {});
nws.manager.forEach((c) => {
  if (c.state === STATES.CONNECTED) c.broadcast(c.id);
});
nws.broadcast('x', { scope: 'backend' });

const old = new Ws04.Server({ port: 0, verifyClient: (info) => info.secure });
old.on('connection', (ws: Ws04) => {
  ws.send('x', { binary: false }, (e) => e?.message);
  ws.stream((error, send) => { if (!error) send('last', true); });
});
old.handleUpgrade;

const streams = new WebSocketServer({ url: 'ws://h/x', overflow: 'reject' });
streams.on('open', (s: WebSocketServer.Socket) => s.pipe(streams));
streams.broadcast({ fin: true, opcode: 1 }, 'x');
// @ts-expect-error: no such word
new WebSocketServer({ overflow: 'never' });
