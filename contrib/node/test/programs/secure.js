// SPDX-License-Identifier: BSD-2-Clause
const fs = require('fs');
const https = require('https');

const [key, cert] = process.argv.slice(2).map((name) => fs.readFileSync(name));
const server = https.createServer({ key, cert }, (req, res) => {
  res.end(`${req.socket.encrypted} ${req.url}\n`);
});
server.listen(0, '127.0.0.1', () => {
  console.log('callback', JSON.stringify(server.address()));
});
