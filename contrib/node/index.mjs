// SPDX-License-Identifier: BSD-2-Clause
import penstock from './index.js';

export const { Backend, CONNECTING, OPEN, CLOSING, CLOSED, ERROR, CAUSE } =
  penstock;
export default penstock;
