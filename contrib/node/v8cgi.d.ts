// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { Backend } from './index';

export interface Handlers {
  onconnect?(clientId: string,
    headers: Record<string, string | string[] | undefined>,
    protocol: string): void;
  onmessage?(clientId: string, data: string | Buffer): void;
  ondisconnect?(clientId: string, code: number, message: string): void;
  onidle?(): void;
  acceptsOrigin?(origin: string): boolean;
  chooseProtocol?(protocols: string[]): string | false | null | undefined;
}

export class Application implements Handlers {
  onconnect(clientId: string,
    headers: Record<string, string | string[] | undefined>,
    protocol: string): void;
  onmessage(clientId: string, data: string | Buffer): void;
  ondisconnect(clientId: string, code: number, message: string): void;
  onidle(): void;
  acceptsOrigin(origin: string): boolean;
}

export interface ServerOptions {
  nodelay?: boolean;
  /** Milliseconds without events until onidle, 15000. */
  idle?: number;
  certificate?: string;
  privateKey?: string;
  socket?: string;
  backend?: Backend;
  name?: string;
  signals?: boolean;
}

export class Server {
  constructor(ip?: string | null, port?: number | null,
    options?: ServerOptions);
  readonly backend: Backend;
  readonly debug: boolean;
  setDebug(on: boolean): void;
  addApplication(app: Handlers, host?: string | null,
    path?: string | null): void;
  send(clientId: string, data: string | Buffer | ArrayBufferView): void;
  disconnect(clientId: string, code?: number, message?: string): void;
  run(): Promise<this>;
  address(): { address: string; port: number } | null;
  close(graceMs?: number): Promise<void>;
}
