// SPDX-License-Identifier: BSD-2-Clause
import WebSocket from './ws04.js';

export const { Server, WebSocketServer, createServer } = WebSocket;
export { WebSocket };
export default WebSocket;
