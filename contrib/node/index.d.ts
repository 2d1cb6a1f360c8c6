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

/** `code` of what the gateway refused. */
export const ERROR: Readonly<Record<'PROTOCOL' | 'UNKNOWN_TYPE' |
  'FRAME_TOO_BIG' | 'BAD_STATE' | 'NO_SUCH_CLIENT' | 'FLOW_CONTROL' | 'LIMIT' |
  'UNSUPPORTED' | 'DENIED' | 'VERSION' | 'AUTH' | 'ADDR_IN_USE' | 'TIMEOUT' |
  'INTERNAL' | 'BAD_UTF8' | 'MESSAGE_TOO_BIG' | 'WS_PROTOCOL' | 'CONFLICT' |
  'HANDSHAKE', number>>;
/** `cause` of close. */
export const CAUSE: Readonly<Record<'CLIENT' | 'BACKEND' | 'TERMINATE' | 'EOF' |
  'SOCKET' | 'IDLE' | 'PING' | 'PROTOCOL' | 'TOO_BIG' | 'BAD_UTF8' | 'SLOW' |
  'BACKEND_LOST' | 'SHUTDOWN' | 'REJECTED' | 'ACCEPT_TIMEOUT' | 'LIMIT' |
  'MOVED' | 'LEFT', number>>;

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
  readonly tlsInfo: TlsInfo | null;
  readonly alreadyOpen: boolean;
  readonly binaryOk: boolean;
  /** remoteAddress is what a trusted proxy said (set_real_ip_from). */
  readonly byProxy: boolean;
  readonly location: string;
  readonly extension: string;
  readonly app: string;
  readonly route: string;
  readonly requestId: string | null;
  readonly maxMessage: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface TlsInfo {
  version: string;
  /** As registered with IANA. */
  cipher: number;
  serverName: string;
  alpn: string;
  /** Why the client's certificate is not trusted. */
  error: string;
  subject: string;
  /** PEM, the client's own first. */
  certificates: string[];
  serverCertificate: string;
}

export interface ResumeInfo {
  firstSeq: number;
  nextOutSeq: number;
  unacked: number;
  foreign: boolean;
  truncated: boolean;
  dead: boolean;
}

/** Numbers are bytes or milliseconds. */
export interface ClientOptions {
  maxMessage?: number;
  idleTimeout?: number;
  pingInterval?: number;
  closeTimeout?: number;
  sendBuffer?: number;
  streamThreshold?: number;
  autoPong?: boolean;
  nodelay?: boolean;
  debug?: boolean;
  onLoss?: 'close' | 'hold' | 'hold any' | 'reassign';
}

export interface Closed {
  cause: number;
  clean: boolean;
  byBackend: boolean;
  errno: number;
  lost: number;
  bytesIn: number;
  bytesOut: number;
  messagesIn: number;
  messagesOut: number;
}

export interface ConnectionEvent {
  listener: number;
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  secure: boolean;
}

export interface ClientErrorEvent {
  code: number;
  text: string;
  remoteAddress: string;
  target: string;
}

export interface Delivered {
  matched: number;
  queued: number;
  skipped: number;
  dropped: number;
  /** Links that were lost before they answered. */
  lost: number;
}

export interface Accept extends ClientOptions {
  protocol?: string;
  headers?: Fields;
  channels?: readonly string[];
  state?: Data;
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
  fragmentStream(options?: { binary?: boolean }): Writable;
  /** Once, when send() said false. */
  whenRoom(callback: (error?: Error) => void): void;
  setOptions(options: ClientOptions): boolean;
  readonly closed: Closed | null;
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
  readonly rawTrailers: readonly string[];
  readonly trailers: Request['headers'];
}

export interface HttpResponse extends Writable {
  statusCode: number;
  readonly headersSent: boolean;
  /** Set with `close`. */
  readonly bytesSent?: number;
  setHeader(name: string, value: string | number | readonly string[]): this;
  getHeader(name: string): string | number | readonly string[] | undefined;
  hasHeader(name: string): boolean;
  removeHeader(name: string): void;
  writeHead(status: number, headers?: Fields): this;
  flushHeaders(): void;
  addTrailers(headers: Fields): void;
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
  state?(conn: Conn, state: number, before: number): void;
  closing?(conn: Conn, code: number, reason: string): void;
  conn?(event: ConnectionEvent): void;
  clientError?(event: ClientErrorEvent): void;
  http?(request: HttpRequest, response: HttpResponse): void;
  httpDone?(response: HttpResponse, bytes: number, complete: boolean): void;
}

export interface AppOptions extends ClientOptions {
  name?: string;
  host?: string;
  path?: string | RegExp;
  pathKind?: 'exact' | 'prefix' | 'suffix' | 'regex';
  origins?: readonly (string | RegExp)[];
  protocols?: readonly string[];
  versions?: readonly (7 | 8 | 13 | 75 | 76)[];
  maxClients?: number;
  /** bytesReceived counts bytes on the wire. */
  wire?: boolean;
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
  compress?: boolean;
  except?: Conn | number;
}

export interface BroadcastOptions extends GroupOptions {
  app?: App | string;
  ownOnly?: boolean;
  scope?: 'app' | 'backend';
}

/** What a gateway tells of itself: see STATS in sluice.md. */
export type Stats = Record<string, any>;

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
  broadcast(data: Data, options: BroadcastOptions & { report: true }):
    Promise<Delivered>;
  broadcast(data: Data, options?: BroadcastOptions): boolean;
  broadcastStream(options?: GroupOptions & { app?: App | string;
    ownOnly?: boolean }): Writable;
  publish(channel: string, data: Data,
    options: GroupOptions & { report: true }): Promise<Delivered>;
  publish(channel: string, data: Data, options?: GroupOptions): boolean;
  msend(list: Iterable<Conn | number | string>, data: Data,
    options: GroupOptions & { report: true }): Promise<Delivered>;
  msend(list: Iterable<Conn | number | string>, data: Data,
    options?: GroupOptions): boolean;
  /** Any client of the pool. */
  send(to: Conn | number | string, data: Data, options?: SendOptions): boolean;
  disconnect(to: Conn | number | string, code?: number, reason?: string):
    boolean;
  terminate(to: Conn | number | string): boolean;
  subscribe(to: Conn | number | string, ...names: string[]): boolean;
  unsubscribe(to: Conn | number | string, ...names: string[]): boolean;
  presence(channel: string, options?: { list?: boolean }):
    Promise<{ count: number; ids: number[] }>;
  stats(what?: 'link' | 'process'): Promise<Stats[]>;
  stats(what: 'instance' | Conn | number): Promise<Stats>;
  claim(key: Data): void;
  unclaim(key: Data): void;
  /** Lines about clients from the gateway, as `log` events. */
  setDebug(level: number | boolean): void;
  unregister(app: App | string): boolean;
  log(text: string, level?: number): void;
  goaway(mode?: 'drain' | 'handover', graceMs?: number): void;
  close(graceMs?: number): Promise<void>;
}
