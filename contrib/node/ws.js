// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The API of `ws` 8, server side, on sessions of the gateway.
const { WebSocket } = require('./lib/ws/socket');
const { WebSocketServer } = require('./lib/ws/server');
const { createWebSocketStream } = require('./lib/ws/stream');

WebSocket.createWebSocketStream = createWebSocketStream;
WebSocket.Server = WebSocket.WebSocketServer = WebSocketServer;
WebSocket.WebSocket = WebSocket;
module.exports = WebSocket;
