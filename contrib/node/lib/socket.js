// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What an http.Server takes for a connection.  It has no descriptor: a request
// or a session of the gateway is behind it.
const crypto = require('crypto');
const { X509Certificate } = require('crypto');
const { Duplex } = require('stream');
const tls = require('tls');

const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding',
  'upgrade', 'proxy-connection']);

const NO_TLS = { version: '', serverName: '', alpn: '', error: '',
  certificates: [] };

const family = (address) => address.includes(':') ? 'IPv6' : 'IPv4';

class VirtualSocket extends Duplex {
  constructor(server, request) {
    // As of a net.Socket: 'close' says whether there was an error.
    super({ highWaterMark: server.highWaterMark, emitClose: false });
    this.server = server;
    this.timeout = 0;
    this.timer = null;
    this.remoteAddress = request.remoteAddress;
    this.remotePort = request.remotePort;
    this.remoteFamily = family(request.remoteAddress);
    this.localAddress = request.localAddress;
    this.localPort = request.localPort;
    this.localFamily = family(request.localAddress);
    this.encrypted = request.tls || undefined; // as node:net and node:tls
    this.tlsInfo = request.tlsInfo || NO_TLS;
    this.authorized = request.tls && this.tlsInfo.error === '' &&
      this.tlsInfo.certificates.length > 0;
    this.authorizationError = this.tlsInfo.error || null;
    this.servername = this.tlsInfo.serverName || false;
    this.alpnProtocol = this.tlsInfo.alpn || false;
    this.connecting = this.pending = false;
    this.tunnel = null; // lib/tunnel.js
    this.bytesFed = 0;
    this.bytesTaken = 0;
    this.on('error', () => {}); // who listens is told besides
  }

  // What the gateway has decrypted is not to be decrypted again.
  arrive() {
    this.server.emit(this.server instanceof tls.Server ? 'secureConnection'
      : 'connection', this);
  }

  get bytesRead() { return this.bytesFed; }
  get bytesWritten() { return this.bytesTaken; }
  get bufferSize() { return this.writableLength; }

  get readyState() {
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  address() {
    return { address: this.localAddress, family: this.localFamily,
      port: this.localPort };
  }

  feed(data) {
    this.bytesFed += data.length;
    return this.push(data);
  }

  // Something came or went: a clock that is compared, not set, for each.
  get activity() {
    return this.bytesRead + this.bytesWritten;
  }

  setTimeout(ms, callback) {
    this.timeout = Number(ms) || 0;
    clearTimeout(this.timer);
    this.timer = null;
    if (callback) {
      if (this.timeout > 0) this.once('timeout', callback);
      else this.removeListener('timeout', callback);
    }
    if (this.timeout > 0 && !this.destroyed) this.watch(this.activity);
    return this;
  }

  watch(before) {
    this.timer = setTimeout(() => {
      const now = this.activity;
      if (now === before) this.emit('timeout');
      else this.watch(now);
    }, this.timeout);
    this.timer.unref();
  }

  // Those who derive from it say what the connection is when it is no tunnel:
  // wanted(), written(chunk, callback), finished(callback), broken().

  read(n) {
    const data = super.read(n);
    if (this.tunnel !== null) this.tunnel.wanted();
    return data;
  }

  _read() {
    (this.tunnel || this).wanted();
  }

  _write(chunk, encoding, callback) {
    if (this.tunnel === null) {
      this.written(chunk, callback);
      return;
    }
    this.bytesTaken += chunk.length;
    this.tunnel.write(chunk, callback);
  }

  _final(callback) {
    if (this.tunnel === null) this.finished(callback);
    else this.tunnel.final(callback);
  }

  _destroy(error, callback) {
    clearTimeout(this.timer);
    (this.tunnel || this).broken();
    callback(error);
    process.nextTick(() => this.emit('close', Boolean(error)));
  }

  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  resetAndDestroy() {
    return this.destroy();
  }

  // The gateway has the connection, and sees to these.
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }

  getProtocol() { return this.tlsInfo.version || null; }

  getPeerX509Certificate() {
    const [pem] = this.tlsInfo.certificates;
    return pem === undefined ? undefined : new crypto.X509Certificate(pem);
  }

  getPeerCertificate() {
    const certificate = this.getPeerX509Certificate();
    return certificate === undefined ? {} : certificate.toLegacyObject();
  }
}

module.exports = { VirtualSocket, HOP };
