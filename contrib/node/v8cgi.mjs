// SPDX-License-Identifier: BSD-2-Clause
import v8cgi from './v8cgi.js';

export const { Server, Application } = v8cgi;
export default v8cgi;
