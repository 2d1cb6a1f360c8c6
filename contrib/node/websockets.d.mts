// SPDX-License-Identifier: BSD-2-Clause
import WebSocketServer = require('./websockets.js');

export { WebSocketServer };
export default WebSocketServer;
