// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { Backend } = require('./lib/backend');
const { ERROR, CAUSE } = require('./lib/codec');
const { CONNECTING, OPEN, CLOSING, CLOSED } = require('./lib/flow');

module.exports = { Backend, CONNECTING, OPEN, CLOSING, CLOSED, ERROR, CAUSE };
