import { Backend, type App, type Conn, type Handlers } from 'penstock';
import { attach } from 'penstock/http';
import { createServer } from 'http';

const backend: Backend = new Backend({ name: 'typed', signals: false });
const handlers: Handlers = {
  accept: (request, conn: Conn) => request.protocols.length > 0
    ? { protocol: request.protocols[0], idleTimeout: 1000, state: 'x' }
    : { status: 401, headers: { 'X-A': 'b' } },
  message(conn, data, isBinary, seq) {
    const more: boolean = conn.send(data, { binary: isBinary, compress: false },
      (error) => { if (error) conn.terminate(); });
    if (!more) conn.pause();
    conn.setState(`${seq}`);
  },
  drain: (conn) => conn.resume(),
  close(conn, code: number, reason: string) { conn.id.toFixed(code); reason; },
  http(request, response) {
    response.writeHead(200, { 'X-B': 'c' });
    request.pipe(response);
  },
};
const app: App = backend.app({ path: /^\/a/, origins: ['none', /x$/],
  versions: [13, 8], maxClients: 7 }, handlers);
backend.broadcast('all', { app, scope: 'backend' });
const report = await backend.publish('room', Buffer.from('x'),
  { report: true });
const count: number = report.matched + report.dropped;
for (const conn of backend.conns(app)) conn.fragmentStream().end('x');
const { ids } = await backend.presence('room', { list: true });
backend.msend(ids, 'to these');
await backend.listen({ port: 0, gateway: { workers: 2 } });
attach(createServer(), { backend, handlers: { open() {} } });
// @ts-expect-error: a scope of its own
backend.broadcast('x', { scope: 'world' });
export { count };
