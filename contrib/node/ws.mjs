// SPDX-License-Identifier: BSD-2-Clause
import WebSocket from './ws.js';

export const { WebSocketServer, Server, createWebSocketStream } = WebSocket;
export { WebSocket };
export default WebSocket;
