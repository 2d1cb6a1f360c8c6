// SPDX-License-Identifier: BSD-2-Clause
/// <reference types="node" />
import { EventEmitter } from 'events';
import { Backend, Data } from './index';

export interface Handshake {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly socket: { remoteAddress: string; remotePort: number;
    localAddress: string; localPort: number; encrypted: boolean };
}

type Callback = (error?: Error) => void;

declare class WebSocket extends EventEmitter {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  static readonly Server: typeof WebSocketServer;
  static readonly WebSocketServer: typeof WebSocketServer;
  static readonly WebSocket: typeof WebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocol: string;
  readonly extensions: string;
  readonly url: undefined;
  readonly isPaused: boolean;
  readonly bufferedAmount: number;
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments';
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: Data | number, callback?: Callback): void;
  send(data: Data | number, options: { binary?: boolean; compress?: boolean;
    fin?: boolean }, callback?: Callback): void;
  ping(data?: Data | number, mask?: boolean, callback?: Callback): void;
  pong(data?: Data | number, mask?: boolean, callback?: Callback): void;
  close(code?: number, reason?: string | Buffer): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  addEventListener(type: string, listener: any,
    options?: { once?: boolean }): void;
  removeEventListener(type: string, listener: any): void;
}

interface ServerOptions {
  socket?: string;
  backend?: Backend;
  name?: string;
  signals?: boolean;
  path?: string;
  clientTracking?: boolean;
  maxPayload?: number;
  autoPong?: boolean;
  WebSocket?: typeof WebSocket;
  handleProtocols?(protocols: Set<string>, request: Handshake): string | false;
  verifyClient?(info: VerifyInfo, done: (ok: boolean, status?: number,
    text?: string, headers?: Record<string, string>) => void):
    boolean | Promise<boolean> | void;
}

interface VerifyInfo {
  origin: string;
  secure: boolean;
  req: Handshake;
}

declare class WebSocketServer extends EventEmitter {
  constructor(options?: ServerOptions, callback?: () => void);
  readonly options: ServerOptions;
  readonly clients?: Set<WebSocket>;
  readonly backend: Backend;
  close(callback?: () => void): void;
}

export { WebSocket, WebSocketServer, WebSocketServer as Server };
export default WebSocket;
