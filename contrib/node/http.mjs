// SPDX-License-Identifier: BSD-2-Clause
import http from './http.js';

export const { attach } = http;
export default http;
