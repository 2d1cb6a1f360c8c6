// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { Server as HttpServer } from 'http';
import { Duplex, Writable } from 'stream';
import { Backend, Request } from './index';

type Callback = (error?: Error) => void;

/** Events: open (socket), message (data, socket), stream:start, stream:end and
 * stream:stop (socket), pong (string, socket), close (code, socket, reason),
 * error (error, socket), listening. */
declare class WebSocketServer extends Writable {
  constructor(options?: WebSocketServer.Options);
  static readonly WebSocketServer: typeof WebSocketServer;
  readonly options: WebSocketServer.Options;
  readonly path: string;
  readonly sockets: WebSocketServer.Socket[];
  readonly connections: number;
  maxConnections: number;
  readonly backend?: Backend;
  listen(server: HttpServer): this;
  address(): { address: string; port: number } | string | null;
  assignSocket(socket: Duplex): WebSocketServer.Socket | null;
  broadcast(message: string | Buffer): void;
  broadcast(head: WebSocketServer.Head, message: string | Buffer): void;
  close(code?: number, reason?: string): Promise<void>;
}

declare namespace WebSocketServer {
  interface Options {
    /** Its path and its query. */
    url?: string;
    timeout?: number;
    maxConnections?: number;
    overflow?: 'reject' | 'evict_oldest';
    binaryAsStream?: boolean;
    streamThreshold?: number;
    /** At the url's host and port. */
    listen?: boolean;
    mask?: boolean;
    socket?: string;
    backend?: Backend;
    name?: string;
    signals?: boolean;
  }

  interface Head {
    fin?: boolean;
    opcode?: number;
    rsv1?: boolean;
    rsv2?: boolean;
    rsv3?: boolean;
    mask?: boolean;
    masking?: Buffer;
  }

  interface Socket extends Duplex {
    readonly id: string;
    readonly readyState: 0 | 1 | 2 | 3;
    readonly upgradeReq: Request;
    send(message: string | Buffer, callback?: Callback): boolean;
    ping(data?: string | Buffer): boolean;
    close(reason: string): boolean;
    close(code?: number, reason?: string): boolean;
    terminate(): boolean;
  }
}

export = WebSocketServer;
