// SPDX-License-Identifier: BSD-2-Clause
// Two processes, one port.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  let up = 0;
  for (let i = 0; i < 2; i++)
    cluster.fork().on('listening', (at) => {
      if (++up === 2)
        console.log('callback', JSON.stringify({ port: at.port }));
    });
} else {
  const server = http.createServer((req, res) => res.end(`${process.pid}\n`));
  server.listen(0, '127.0.0.1');
}
