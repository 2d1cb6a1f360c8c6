// SPDX-License-Identifier: BSD-2-Clause
const express = require('express');

const app = express();
require('express-ws')(app);
app.get('/hello/:name', (req, res) => res.send(`hello ${req.params.name}`));
app.ws('/echo', (ws) => {
  ws.on('message', (m, isBinary) => ws.send(m, { binary: isBinary }));
});
const server = app.listen(0, '127.0.0.1', () => {
  console.log('callback', JSON.stringify(server.address()));
});
