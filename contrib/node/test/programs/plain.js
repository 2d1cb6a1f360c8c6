// SPDX-License-Identifier: BSD-2-Clause
// A program that knows nothing of Penstock: http.Server, with all that is
// asked of one.
const http = require('http');

const server = http.createServer((req, res) => {
  if (req.url === '/close') {
    res.end('bye\n');
    server.close(() => console.log('closed'));
    return;
  }
  if (req.url === '/count') {
    server.getConnections((e, n) => res.end(`${n}\n`));
    return;
  }
  res.setHeader('X-Address', req.socket.remoteAddress);
  res.end(`${req.method} ${req.url}\n`);
});
const where = JSON.parse(process.argv[2] || '[0, "127.0.0.1"]');
server.on('error', (e) => console.log('error', e.code, e.syscall, e.port));
server.on('listening', () => console.log('listening', server.listening));
server.listen(...where, () => {
  console.log('callback', JSON.stringify(server.address()));
  try {
    server.listen(0);
  } catch (e) {
    console.log(e.code);
  }
});
