// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { EventEmitter } from 'events';
import { AddressInfo, ListenOptions, Socket } from 'net';
import { Readable, Writable } from 'stream';
import { TlsOptions } from 'tls';

export type Data = string | Buffer | ArrayBufferView | ArrayBuffer;
export type Fields =
  | Record<string, string | number | readonly string[]>
  | readonly (readonly [string, string | number | readonly string[]])[]
  | readonly string[];

export const CONNECTING: 0;
export const OPEN: 1;
export const CLOSING: 2;
export const CLOSED: 3;

export interface Request {
  readonly method: string;
  readonly target: string;
  readonly url: string;
  readonly path: string;
  readonly version: 0 | 7 | 8 | 13 | 75 | 76;
  readonly httpVersion: number;
  readonly host: string;
  readonly origin: string;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly rawHeaders: readonly string[];
  readonly protocols: readonly string[];
  readonly captures: Record<string, string>;
  readonly vars: Record<string, string>;
  readonly channels: readonly string[];
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: boolean;
  readonly alreadyOpen: boolean;
  readonly binaryOk: boolean;
  readonly location: string;
  readonly extension: string;
  readonly app: string;
  readonly route: string;
  readonly requestId: string | null;
  readonly maxMessage: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface ResumeInfo {
  firstSeq: number;
  nextOutSeq: number;
  unacked: number;
  foreign: boolean;
  truncated: boolean;
  dead: boolean;
}

export interface Accept {
  protocol?: string;
  headers?: Fields;
  channels?: readonly string[];
  state?: Data;
  idleTimeout?: number;
  status?: undefined;
  pass?: undefined;
}

export interface Reject {
  status?: number;
  pass?: boolean;
  headers?: Fields;
  body?: Data;
  reason?: string;
}

export type Answer = Accept | Reject | number | boolean | void | undefined;

export interface SendOptions {
  binary?: boolean;
  compress?: boolean;
}

export interface Conn {
  readonly id: number;
  readonly request: Request;
  readonly backend: Backend;
  readonly protocol: string;
  readonly resumed: boolean;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly bufferedAmount: number;
  readonly bytesReceived: number;
  readonly isPaused: boolean;
  /** The application's. */
  data: any;
  accept(answer?: Accept): boolean;
  reject(answer?: Reject): boolean;
  send(data: Data, callback?: (error?: Error) => void): boolean;
  send(data: Data, options?: SendOptions | null,
    callback?: (error?: Error) => void): boolean;
  fragment(data: Data, options?: { binary?: boolean; last?: boolean }): boolean;
  raw(head: number, data?: Data): boolean;
  ping(data?: Data): boolean;
  pong(data?: Data): boolean;
  close(code?: number, reason?: string | Buffer): boolean;
  terminate(): boolean;
  pause(): void;
  resume(): void;
  setIdleTimeout(ms: number): void;
  setState(state: Data, ackSeq?: number): boolean;
  ack(seq: number): void;
  subscribe(...names: string[]): boolean;
  unsubscribe(...names: string[]): boolean;
}

export interface HttpRequest extends Readable {
  readonly id: number;
  readonly request: Request;
  readonly method: string;
  readonly url: string;
  readonly path: string;
  readonly headers: Request['headers'];
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
}

export interface HttpResponse extends Writable {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: string | number | readonly string[]): this;
  getHeader(name: string): string | number | readonly string[] | undefined;
  hasHeader(name: string): boolean;
  removeHeader(name: string): void;
  writeHead(status: number, headers?: Fields): this;
  flushHeaders(): void;
  inform(status: 100 | 102 | 103, headers?: Fields): boolean;
}

export interface Handlers {
  accept?(request: Request, conn: Conn): Answer | Promise<Answer>;
  open?(conn: Conn): void;
  resume?(conn: Conn, state: Buffer | null, info: ResumeInfo): void;
  detach?(conn: Conn): void;
  /** data: a string when binary is false, unless the app has text 'buffer'. */
  message?(conn: Conn, data: any, binary: boolean, seq: number,
    replay: boolean): void | Promise<unknown>;
  fragment?(conn: Conn, data: Buffer, binary: boolean, first: boolean,
    last: boolean): void | Promise<unknown>;
  ping?(conn: Conn, data: Buffer): void;
  pong?(conn: Conn, data: Buffer): void;
  drain?(conn: Conn): void;
  error?(conn: Conn, error: Error & { code: number }): void;
  close?(conn: Conn, code: number, reason: string, cause: number): void;
  /** It went away before it was accepted. */
  left?(conn: Conn, cause: number): void;
  http?(request: HttpRequest, response: HttpResponse): void;
}

export interface AppOptions {
  name?: string;
  host?: string;
  path?: string | RegExp;
  pathKind?: 'exact' | 'prefix' | 'suffix' | 'regex';
  origins?: readonly (string | RegExp)[];
  protocols?: readonly string[];
  versions?: readonly (7 | 8 | 13 | 75 | 76)[];
  maxClients?: number;
  maxMessage?: number;
  idleTimeout?: number;
  streamThreshold?: number;
  /** bytesReceived counts bytes on the wire. */
  wire?: boolean;
  autoPong?: boolean;
  manualAck?: boolean;
  text?: 'string' | 'buffer';
}

export interface App {
  readonly name: string;
}

export interface BackendOptions {
  name?: string;
  path?: string;
  socket?: string;
  fd?: number;
  signals?: boolean;
  grace?: number;
  maxBuffered?: number;
}

/** Of a private gateway. */
export interface GatewayOptions {
  workers?: number;
  deflate?: boolean | { level?: number; threshold?: number; window?: number;
    takeover?: string };
  /** As `websocket_max_message`: '100m'. */
  maxMessage?: string | number;
  /** As `websocket_origin`. */
  origin?: string;
  keepAliveTimeout?: number;
  logLevel?: string;
  /** Lines of configuration for http{} and server{}. */
  http?: string;
  server?: string;
}

export interface GroupOptions {
  binary?: boolean;
  except?: Conn | number;
}

export class Backend extends EventEmitter {
  constructor(options?: BackendOptions | string);
  readonly name: string;
  app(handlers: Handlers): App;
  app(options: AppOptions, handlers: Handlers): App;
  run(where?: string | { path?: string; socket?: string; fd?: number }):
    Promise<this>;
  /** As net.Server.listen(): by a gateway of its own, or behind the one that
   * PENSTOCK_SOCKET or LISTEN_FDS names. */
  listen(port?: number, host?: string, backlog?: number,
    callback?: () => void): Promise<this>;
  listen(port: number, callback?: () => void): Promise<this>;
  listen(path: string, callback?: () => void): Promise<this>;
  listen(options: ListenOptions & { tls?: TlsOptions;
    gateway?: GatewayOptions }, callback?: () => void): Promise<this>;
  address(): AddressInfo | string | null;
  readonly listening: boolean;
  ref(): this;
  unref(): this;
  adopt(socket: Socket): void;
  conns(app?: App | string): IterableIterator<Conn>;
  find(id: number): Conn | null;
  broadcast(data: Data,
    options?: GroupOptions & { app?: App | string; ownOnly?: boolean }):
    boolean;
  broadcastStream(options?: GroupOptions & { app?: App | string;
    ownOnly?: boolean }): Writable;
  publish(channel: string, data: Data, options?: GroupOptions): boolean;
  msend(list: Iterable<Conn | number>, data: Data,
    options?: { binary?: boolean }): boolean;
  /** Lines about clients from the gateway, as `log` events. */
  setDebug(level: number | boolean): void;
  unregister(app: App | string): boolean;
  log(text: string, level?: number): void;
  goaway(mode?: 'drain' | 'handover', graceMs?: number): void;
  close(graceMs?: number): Promise<void>;
}
