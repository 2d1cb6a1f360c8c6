// SPDX-License-Identifier: BSD-2-Clause
import WebSocket = require('./ws.js');
import createWebSocketStream = WebSocket.createWebSocketStream;
import Server = WebSocket.Server;
import WebSocketServer = WebSocket.WebSocketServer;

export { WebSocket, WebSocketServer, Server, createWebSocketStream };
export default WebSocket;
