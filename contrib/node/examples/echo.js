// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// Sends every message back.  usage: node echo.js [socket path]
const { Backend } = require('..');

const backend = new Backend({ name: 'echo' });
backend.app({
  message(conn, data) {
    conn.send(data);
  },
});
backend.run(process.argv[2]);
