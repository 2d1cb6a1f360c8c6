// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { EventEmitter } from 'events';
import { Server as HttpServer } from 'http';
import { Backend } from './index';

export type Version =
  'draft75' | 'draft76' | 'hybi-07' | 'hybi-08' | 'rfc6455';

export const STATES: { UNKNOWN: 0; OPENING: 1; WAITING: 2; HANDSHAKING: 3;
  CONNECTED: 4; CLOSED: 5 };

export interface ServerOptions {
  debug?: boolean;
  version?: 'auto' | 'draft75' | 'draft76';
  origin?: string | RegExp | readonly (string | RegExp)[];
  subprotocol?: string | readonly string[] | null;
  autoAccept?: boolean;
  states?: 'closing' | null;
  /** Milliseconds without traffic after which a client is closed. */
  timeout?: number;
  /** Gets the requests. */
  server?: HttpServer;
  socket?: string;
  backend?: Backend;
  name?: string;
  signals?: boolean;
}

/** Events: stateChange, message, close, rejected, timeout, error. */
export class Connection extends EventEmitter {
  readonly id: string;
  readonly req: { method: string; url: string;
    headers: Record<string, string | string[] | undefined>;
    rawHeaders: readonly string[]; httpVersion: string;
    socket: { remoteAddress: string; remotePort: number;
      localAddress: string; localPort: number; encrypted: boolean } };
  readonly headers: Record<string, string | string[] | undefined>;
  readonly url: string;
  readonly method: string;
  readonly remoteAddress: string;
  readonly version: Version;
  readonly state: 0 | 1 | 2 | 3 | 4 | 5;
  readonly readyState: 0 | 1 | 2 | 3;
  getVersion(): Version;
  write(data: string): boolean;
  send(data: string): boolean;
  broadcast(data: string): void;
  close(): void;
  reject(reason?: string): void;
  handshake(): boolean;
}

export interface Manager {
  readonly length: number;
  forEach(f: (connection: Connection) => void): void;
  map<T>(f: (connection: Connection) => T): T[];
  filter(f: (connection: Connection) => boolean): Connection[];
  find(id: string, f?: (connection: Connection) => void):
    Connection | undefined;
}

/** Events: listening, connection, request, close, disconnect, rejected,
 * opening, stateChange, shutdown, clientError, error. */
export class Server extends EventEmitter {
  constructor(options?: ServerOptions);
  readonly options: ServerOptions;
  readonly manager: Manager;
  readonly server: HttpServer;
  readonly backend: Backend;
  listen(port?: number, host?: string, callback?: () => void): this;
  listen(port: number, callback?: () => void): this;
  address(): { address: string; port: number } | null;
  send(clientId: string, message: string): void;
  broadcast(message: string,
    options?: { except?: Connection; scope?: 'backend' }): void;
  close(callback?: () => void): this;
}

export function createServer(options?: ServerOptions): Server;
