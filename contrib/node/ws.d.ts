// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { EventEmitter } from 'events';
import { IncomingMessage, Server as HttpServer } from 'http';
import { Server as HttpsServer } from 'https';
import { AddressInfo } from 'net';
import { Duplex, DuplexOptions } from 'stream';
import { Backend } from './index';

type Callback = (error?: Error) => void;

declare class WebSocket extends EventEmitter {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  /** A client: of the npm package `ws`, or Node's own. */
  constructor(address: string | URL, protocols?: string | string[] | object,
    options?: object);
  /** Of a server, for classes that extend it. */
  constructor(address: null, protocols?: undefined, options?: object);
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocol: string;
  readonly extensions: string;
  readonly url: string;
  readonly isPaused: boolean;
  readonly bufferedAmount: number;
  binaryType: WebSocket.BinaryType;
  onopen: ((event: WebSocket.Event) => void) | null;
  onmessage: ((event: WebSocket.MessageEvent) => void) | null;
  onclose: ((event: WebSocket.CloseEvent) => void) | null;
  onerror: ((event: WebSocket.ErrorEvent) => void) | null;
  send(data: WebSocket.BufferLike, callback?: Callback): void;
  send(data: WebSocket.BufferLike, options: WebSocket.SendOptions,
    callback?: Callback): void;
  ping(data?: WebSocket.BufferLike, mask?: boolean, callback?: Callback): void;
  ping(data: WebSocket.BufferLike, callback: Callback): void;
  ping(callback: Callback): void;
  pong(data?: WebSocket.BufferLike, mask?: boolean, callback?: Callback): void;
  pong(data: WebSocket.BufferLike, callback: Callback): void;
  pong(callback: Callback): void;
  close(code?: number, data?: string | Buffer): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  addEventListener<K extends keyof WebSocket.EventMap>(type: K,
    listener: ((event: WebSocket.EventMap[K]) => void) |
      { handleEvent(event: WebSocket.EventMap[K]): void },
    options?: { once?: boolean }): void;
  removeEventListener<K extends keyof WebSocket.EventMap>(type: K,
    listener: ((event: WebSocket.EventMap[K]) => void) |
      { handleEvent(event: WebSocket.EventMap[K]): void }): void;
  on(event: 'open', listener: (this: this) => void): this;
  on(event: 'message',
    listener: (this: this, data: WebSocket.RawData, isBinary: boolean) => void):
    this;
  on(event: 'ping' | 'pong', listener: (this: this, data: Buffer) => void):
    this;
  on(event: 'close',
    listener: (this: this, code: number, reason: Buffer) => void): this;
  on(event: 'error', listener: (this: this, error: Error) => void): this;
  on(event: string | symbol, listener: (this: this, ...args: any[]) => void):
    this;
  once(event: 'open', listener: (this: this) => void): this;
  once(event: 'message',
    listener: (this: this, data: WebSocket.RawData, isBinary: boolean) => void):
    this;
  once(event: 'ping' | 'pong', listener: (this: this, data: Buffer) => void):
    this;
  once(event: 'close',
    listener: (this: this, code: number, reason: Buffer) => void): this;
  once(event: 'error', listener: (this: this, error: Error) => void): this;
  once(event: string | symbol, listener: (this: this, ...args: any[]) => void):
    this;
}

declare namespace WebSocket {
  export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'fragments' | 'blob';
  export type RawData = Buffer | ArrayBuffer | Buffer[];
  export type Data = string | Buffer | ArrayBuffer | Buffer[];
  export type BufferLike = string | number | Buffer | ArrayBufferView | ArrayBuffer |
    SharedArrayBuffer | readonly number[] | Blob;

  export interface SendOptions {
    binary?: boolean | undefined;
    compress?: boolean | undefined;
    fin?: boolean | undefined;
    mask?: boolean | undefined;
  }

  export interface Event {
    type: string;
    target: WebSocket;
  }
  export interface MessageEvent extends Event {
    data: any;
  }
  export interface CloseEvent extends Event {
    code: number;
    reason: string;
    wasClean: boolean;
  }
  export interface ErrorEvent extends Event {
    error: any;
    message: string;
  }
  export interface EventMap {
    open: Event;
    message: MessageEvent;
    close: CloseEvent;
    error: ErrorEvent;
  }

  export interface VerifyInfo<R = IncomingMessage> {
    origin: string;
    secure: boolean;
    req: R;
  }
  export type VerifyClientCallbackAsync<R = IncomingMessage> = (info: VerifyInfo<R>,
    callback: (verified: boolean, status?: number, text?: string,
      headers?: Record<string, string | number>) => void) => void;
  export type VerifyClientCallbackSync<R = IncomingMessage> =
    (info: VerifyInfo<R>) => boolean | Promise<boolean>;

  export interface PerMessageDeflateOptions {
    threshold?: number | undefined;
    [other: string]: any;
  }

  export interface ServerOptions {
    host?: string | undefined;
    port?: number | undefined;
    backlog?: number | undefined;
    server?: HttpServer | HttpsServer | null | undefined;
    noServer?: boolean | undefined;
    verifyClient?: VerifyClientCallbackAsync | VerifyClientCallbackSync |
      undefined;
    handleProtocols?: ((protocols: Set<string>, request: IncomingMessage) =>
      string | false) | undefined;
    path?: string | undefined;
    clientTracking?: boolean | undefined;
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    maxPayload?: number | undefined;
    autoPong?: boolean | undefined;
    closeTimeout?: number | undefined;
    allowSynchronousEvents?: boolean | undefined;
    skipUTF8Validation?: boolean | undefined;
    WebSocket?: typeof WebSocket | undefined;
    /** In place of port, server and noServer: where gateways connect. */
    socket?: string | undefined;
    backend?: Backend | undefined;
    name?: string | undefined;
    signals?: boolean | undefined;
  }

  export class Server<T extends WebSocket = WebSocket> extends EventEmitter {
    constructor(options?: ServerOptions, callback?: () => void);
    readonly options: ServerOptions;
    readonly path?: string;
    readonly clients: Set<T>;
    readonly backend?: Backend;
    address(): AddressInfo | string | null;
    close(callback?: (error?: Error) => void): void;
    shouldHandle(request: IncomingMessage): boolean | Promise<boolean>;
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer,
      callback: (client: T, request: IncomingMessage) => void): void;
    completeUpgrade(extensions: object, key: string, protocols: Set<string>,
      request: IncomingMessage, socket: Duplex, head: Buffer,
      callback: (client: T, request: IncomingMessage) => void): void;
    on(event: 'connection',
      listener: (this: this, socket: T, request: IncomingMessage) => void):
      this;
    on(event: 'headers', listener: (this: this, headers: string[],
      request: IncomingMessage) => void): this;
    on(event: 'wsClientError', listener: (this: this, error: Error,
      socket: Duplex, request: IncomingMessage) => void): this;
    on(event: 'error', listener: (this: this, error: Error) => void): this;
    on(event: 'close' | 'listening', listener: (this: this) => void): this;
    on(event: string | symbol, listener: (this: this, ...args: any[]) => void):
      this;
    once(event: 'connection',
      listener: (this: this, socket: T, request: IncomingMessage) => void):
      this;
    once(event: 'error', listener: (this: this, error: Error) => void): this;
    once(event: 'close' | 'listening', listener: (this: this) => void): this;
    once(event: string | symbol,
      listener: (this: this, ...args: any[]) => void): this;
  }

  export const WebSocketServer: typeof Server;
  export interface WebSocketServer<T extends WebSocket = WebSocket>
    extends Server<T> {}
  const WebSocketAlias: typeof WebSocket;
  interface WebSocketAlias extends WebSocket {}
  export { WebSocketAlias as WebSocket };

  export function createWebSocketStream(websocket: WebSocket,
    options?: DuplexOptions): Duplex;
}

export = WebSocket;
