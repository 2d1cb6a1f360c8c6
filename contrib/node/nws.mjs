// SPDX-License-Identifier: BSD-2-Clause
import nws from './nws.js';

export const { Server, Connection, createServer, STATES } = nws;
export default nws;
