// SPDX-License-Identifier: BSD-2-Clause
import { Server } from 'http';
import { AppOptions, Backend, Handlers } from './index';

export function attach(server: Server, options?: AppOptions & {
  backend?: Backend;
  socket?: string;
  signals?: boolean;
  handlers?: Omit<Handlers, 'http'>;
}): Backend;
