// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { EventEmitter } from 'events';
import { IncomingMessage, Server as HttpServer } from 'http';
import { Duplex, Readable } from 'stream';
import { Backend } from './index';

type Payload = string | number | Buffer | ArrayBufferView | ArrayBuffer;
type Callback = (error?: Error | null) => void;

/** Events: open, message (data, flags), ping and pong (data, flags), close
 * (code, reason), error. */
declare class WebSocket extends EventEmitter {
  constructor(upgrade: [IncomingMessage, Duplex, Buffer?],
    options?: { protocol?: string; sendCallback?: 'queued' | 'flushed' });
  constructor(address: string, options?: object);
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  static readonly WebSocket: typeof WebSocket;
  static readonly WebSocketServer: typeof WebSocket.Server;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocolVersion: 8 | 13 | 'hixie-76';
  readonly protocol: string | undefined;
  readonly supports: { binary: boolean };
  readonly bytesReceived: number;
  readonly bufferedAmount: number;
  readonly url: undefined;
  readonly upgradeReq: IncomingMessage;
  onopen: ((event: any) => void) | undefined;
  onmessage: ((event: any) => void) | undefined;
  onclose: ((event: any) => void) | undefined;
  onerror: ((event: any) => void) | undefined;
  send(data: Payload | Readable, callback?: Callback): void;
  send(data: Payload | Readable, options?: WebSocket.SendOptions,
    callback?: Callback): void;
  stream(callback: (error: Error | null,
    send: (data: Payload, final?: boolean) => void) => void): void;
  stream(options: WebSocket.SendOptions, callback: (error: Error | null,
    send: (data: Payload, final?: boolean) => void) => void): void;
  ping(data?: Payload, options?: WebSocket.SendOptions, dontFailWhenClosed?: boolean):
    void;
  pong(data?: Payload, options?: WebSocket.SendOptions, dontFailWhenClosed?: boolean):
    void;
  pause(): void;
  resume(): void;
  close(code?: number, data?: string): void;
  terminate(): void;
  addEventListener(method: string, listener: (event: any) => void): void;
}

declare namespace WebSocket {
  interface SendOptions {
    binary?: boolean;
    /** Has no effect: a server does not mask. */
    mask?: boolean;
  }

  interface VerifyInfo {
    origin: string | undefined;
    secure: boolean;
    req: IncomingMessage;
  }

  interface ServerOptions {
    host?: string;
    port?: number | null;
    server?: HttpServer | null;
    /** Returns its answer, or has two parameters and calls back. */
    verifyClient?: ((info: VerifyInfo, callback: (ok: boolean, code?: number,
      name?: string, headers?: Record<string, string>) => void) =>
      boolean | Promise<boolean> | void) | null;
    handleProtocols?: ((protocols: string[],
      callback: (ok: boolean, protocol?: string) => void) => void) | null;
    path?: string | null;
    noServer?: boolean;
    disableHixie?: boolean;
    clientTracking?: boolean;
    /** Milliseconds from close(code) until clients are terminated, 30000. */
    closeTimeout?: number;
    sendCallback?: 'flushed' | 'queued';
    socket?: string;
    backend?: Backend;
    name?: string;
    signals?: boolean;
  }

  /** Events: connection (ws), connection/url (ws), listening, error, close. */
  class Server extends EventEmitter {
    constructor(options?: ServerOptions, callback?: () => void);
    readonly options: ServerOptions;
    readonly clients: WebSocket[];
    readonly backend?: Backend;
    address(): { address: string; port: number } | string | null;
    handleUpgrade(request: IncomingMessage, socket: Duplex,
      upgradeHead: Buffer, callback: (ws: WebSocket) => void): void;
    close(code?: number, data?: string): void;
  }

  function createServer(options?: ServerOptions,
    listener?: (ws: WebSocket) => void): Server;
}

export = WebSocket;
