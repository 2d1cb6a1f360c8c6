// SPDX-License-Identifier: BSD-2-Clause
// The same as a module; and the address is asked for at once.
import { createServer } from 'http';

const server = createServer((req, res) => res.end(`${req.method} ${req.url}\n`));
server.listen(0);
console.log('callback', JSON.stringify(server.address()));
