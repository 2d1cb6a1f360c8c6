// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { TAG, readNamed, Malformed } = require('./codec');
const { tlsInfo } = require('./events');

const FLAG_TLS = 1, FLAG_ALREADY_OPEN = 2, FLAG_BINARY_OK = 4;
const FLAG_BY_PROXY = 0x10;

// Values of fields that node:http joins by other than a comma, or not at all.
const ONCE = new Set(['age', 'authorization', 'content-length', 'content-type',
  'etag', 'expires', 'from', 'host', 'if-modified-since',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards',
  'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent']);

function joined(raw) {
  const headers = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    const value = raw[i + 1];
    if (name === 'set-cookie')
      (headers[name] = headers[name] || []).push(value);
    else if (!Object.hasOwn(headers, name))
      Object.defineProperty(headers, name, { value, enumerable: true,
        writable: true, configurable: true });
    else if (!ONCE.has(name))
      headers[name] += (name === 'cookie' ? '; ' : ', ') + value;
  }
  return headers;
}

// What OPEN, RESUME or HTTP_REQ said.
class Request {
  constructor(open) {
    this.version = open.version;
    this.httpVersion = open.httpVersion;
    this.tls = (open.flags & FLAG_TLS) !== 0;
    this.alreadyOpen = (open.flags & FLAG_ALREADY_OPEN) !== 0;
    this.byProxy = (open.flags & FLAG_BY_PROXY) !== 0;
    this.binaryOk = (open.flags & FLAG_BINARY_OK) !== 0;
    this.maxMessage = open.maxMessage;
    this.time = open.time / 1000;
    this.remotePort = open.remotePort;
    this.localPort = open.localPort;
    this.method = this.target = this.path = this.origin = this.remoteAddress =
      this.localAddress = this.location = this.app = this.route =
      this.extension = '';
    this.requestId = null;
    this.rawHeaders = [];
    this.protocols = [];
    this.captures = Object.create(null);
    this.vars = Object.create(null);
    this.channels = [];
    this.state = null;
    this.resume = null;
    this.tlsInfo = null;
    for (const [tag, value] of open.tlvs) this.take(tag, value);
  }

  get headers() {
    const value = joined(this.rawHeaders);
    Object.defineProperty(this, 'headers', { value, enumerable: true });
    return value;
  }

  get host() {
    return this.headers.host || '';
  }

  get url() {
    return this.target;
  }

  take(tag, value) {
    switch (tag) {
    case TAG.HEADER:
      this.rawHeaders.push(...readNamed(value, true, 'latin1'));
      break;
    case TAG.METHOD: this.method = value.latin1Slice(); break;
    case TAG.TARGET: this.target = value.latin1Slice(); break;
    case TAG.PATH: this.path = value.toString(); break;
    case TAG.LOCATION: this.location = value.latin1Slice(); break;
    case TAG.REMOTE_ADDR: this.remoteAddress = value.latin1Slice(); break;
    case TAG.LOCAL_ADDR: this.localAddress = value.latin1Slice(); break;
    case TAG.ORIGIN: this.origin = value.latin1Slice(); break;
    case TAG.APP: this.app = value.toString(); break;
    case TAG.ROUTE: this.route = value.toString(); break;
    case TAG.EXTENSION: this.extension = value.latin1Slice(); break;
    case TAG.REQUEST_ID: this.requestId = value.toString('hex'); break;
    case TAG.SUBPROTOCOL: this.protocols.push(value.latin1Slice()); break;
    case TAG.CHANNEL: this.channels.push(value.toString()); break;
    case TAG.TLS: this.tlsInfo = tlsInfo(value); break;
    case TAG.STATE: this.state = Buffer.from(value); break;
    case TAG.CAPTURE: this.name(this.captures, value); break;
    case TAG.VAR: this.name(this.vars, value); break;
    case TAG.RESUME_INFO:
      if (value.length < 16) throw new Malformed('RESUME_INFO');
      this.resume = {
        firstSeq: value.readUInt32LE(0), nextOutSeq: value.readUInt32LE(4),
        unacked: value.readUInt32LE(8), foreign: (value[12] & 1) !== 0,
        truncated: (value[12] & 2) !== 0, dead: (value[12] & 4) !== 0,
      };
      break;
    default:
    }
  }

  name(into, value) {
    const [name, text] = readNamed(value, false, 'utf8');
    into[name] = text;
  }
}

module.exports = { Request, joined };
