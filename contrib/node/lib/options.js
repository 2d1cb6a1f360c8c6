// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// OPT TLVs of an app, of an accepted client, or of one that is there.
const { OPT, tlvOpt } = require('./codec');

const ON_LOSS = { close: 0, hold: 1, 'hold any': 2, reassign: 3 };

const number = (name) => (value) => {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw new RangeError(`${name} is a number from 0 to 2^32 - 1`);
  return value;
};
const flag = () => (value) => Buffer.from([value ? 1 : 0]);

const ROWS = [
  ['nodelay', OPT.NODELAY, flag],
  ['idleTimeout', OPT.IDLE_TIMEOUT_MS, number],
  ['autoPong', OPT.AUTO_PONG, flag],
  ['maxMessage', OPT.MAX_MESSAGE, number],
  ['onLoss', OPT.ON_LOSS, () => (value) => {
    if (!(value in ON_LOSS))
      throw new TypeError('onLoss is close, hold, hold any or reassign');
    return Buffer.from([ON_LOSS[value]]);
  }],
  ['pingInterval', OPT.PING_INTERVAL_MS, number],
  ['sendBuffer', OPT.SEND_BUFFER, number],
  ['closeTimeout', OPT.CLOSE_TIMEOUT_MS, number],
  ['streamThreshold', OPT.STREAM_THRESHOLD, number],
  ['debug', OPT.DEBUG, flag],
].map(([name, id, kind]) => ({ name, id, value: kind(name) }));

function optionTlvs(options) {
  const list = [];
  for (const { name, id, value } of ROWS)
    if (options[name] !== undefined && options[name] !== null)
      list.push(tlvOpt(id, value(options[name])));
  return list;
}

module.exports = { optionTlvs };
