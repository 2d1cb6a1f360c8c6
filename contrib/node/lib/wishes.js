// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a program asked a WebSocketServer for that only a gateway can do, and
// who starts gateways under penstock/register must hear of.
const EventEmitter = require('events');

const wishes = new EventEmitter();
wishes.deflate = null; // perMessageDeflate of a server that has it on

function wishDeflate(options) {
  if (!options || wishes.deflate !== null) return;
  wishes.deflate = options;
  wishes.emit('deflate');
}

module.exports = { wishes, wishDeflate };
