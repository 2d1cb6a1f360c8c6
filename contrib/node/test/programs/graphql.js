// SPDX-License-Identifier: BSD-2-Clause
const { buildSchema } = require('graphql');
const { useServer } = require('graphql-ws/lib/use/ws');
const { WebSocketServer } = require('ws');

const wss = new WebSocketServer({ port: 0, host: '127.0.0.1',
  path: '/graphql' });
useServer({ schema: buildSchema('type Query { hello: String }'),
  roots: { query: { hello: () => 'world' } } }, wss);
wss.on('listening', () => {
  console.log('callback', JSON.stringify(wss.address()));
});
