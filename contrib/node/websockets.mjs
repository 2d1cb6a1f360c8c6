// SPDX-License-Identifier: BSD-2-Clause
import WebSocketServer from './websockets.js';

export { WebSocketServer };
export default WebSocketServer;
