// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// What a gateway tells of the time before there is a client; and what it knows
// of a client's TLS.
const { TAG, readTlvs } = require('./codec');

const VERSIONS = { 0x0301: 'TLSv1', 0x0302: 'TLSv1.1', 0x0303: 'TLSv1.2',
  0x0304: 'TLSv1.3' };

const u16 = (value) => value.length >= 2 ? value.readUInt16LE(0) : 0;

// CONN.  listener: the place of its `listen` in the configuration, from 0.
function connection(listener, buf, at, end) {
  const event = { listener, remoteAddress: '', remotePort: 0, localAddress: '',
    localPort: 0, secure: false };
  for (const [tag, value] of readTlvs(buf, at, end))
    switch (tag) {
    case TAG.REMOTE_ADDR: event.remoteAddress = value.latin1Slice(); break;
    case TAG.REMOTE_PORT: event.remotePort = u16(value); break;
    case TAG.LOCAL_ADDR: event.localAddress = value.latin1Slice(); break;
    case TAG.LOCAL_PORT: event.localPort = u16(value); break;
    case TAG.TLS: event.secure = true; break;
    default:
    }
  return event;
}

// CLIENT_ERROR: a handshake that was refused.  code: ERROR's.
function clientError(code, buf, at, end) {
  const event = { code, text: '', remoteAddress: '', target: '' };
  for (const [tag, value] of readTlvs(buf, at, end))
    if (tag === TAG.REASON) event.text = value.toString();
    else if (tag === TAG.REMOTE_ADDR) event.remoteAddress = value.latin1Slice();
    else if (tag === TAG.TARGET) event.target = value.latin1Slice();
  return event;
}

// TLS: TLVs within one.
function tlsInfo(value) {
  const info = { version: '', cipher: 0, serverName: '', alpn: '', error: '',
    subject: '', certificates: [], serverCertificate: '' };
  for (const [tag, v] of readTlvs(value, 0, value.length))
    switch (tag) {
    case 1: info.version = VERSIONS[u16(v)] || `0x${u16(v).toString(16)}`; break;
    case 2: info.cipher = u16(v); break;
    case 3: info.serverName = v.latin1Slice(); break;
    case 4: info.alpn = v.latin1Slice(); break;
    case 5: info.error = v.toString(); break;
    case 6: info.subject = v.toString(); break;
    case 7: info.certificates.push(v.toString()); break;
    case 8: info.serverCertificate = v.toString(); break;
    default:
    }
  return info;
}

module.exports = { connection, clientError, tlsInfo };
