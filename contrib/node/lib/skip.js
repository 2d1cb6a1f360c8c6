// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// PENSTOCK_WS_SKIP: a regular expression; files whose path it matches get the
// genuine `ws`.
const pattern = process.env.PENSTOCK_WS_SKIP
  ? new RegExp(process.env.PENSTOCK_WS_SKIP) : null;

module.exports = { skips: (file) => pattern !== null && pattern.test(file) };
