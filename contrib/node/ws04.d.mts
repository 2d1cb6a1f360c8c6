// SPDX-License-Identifier: BSD-2-Clause
import WebSocket = require('./ws04.js');
import Server = WebSocket.Server;
import WebSocketServer = WebSocket.Server;
import createServer = WebSocket.createServer;

export { WebSocket, Server, WebSocketServer, createServer };
export default WebSocket;
