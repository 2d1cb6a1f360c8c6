// SPDX-License-Identifier: BSD-2-Clause
'use strict';
const { Duplex } = require('stream');

// A WebSocket of any kind as a Duplex.  Each chunk written is a message; the
// client is read no faster than the stream.
function createWebSocketStream(ws, options) {
  let broken = false; // by the WebSocket: it needs no terminate()
  const opened = (go) => {
    if (ws.readyState === ws.CONNECTING) ws.once('open', go);
    else go();
  };
  const stream = new Duplex({
    ...options,
    autoDestroy: false,
    emitClose: false,
    objectMode: false,
    writableObjectMode: false,
    read() {
      if (ws.isPaused) ws.resume();
    },
    write(chunk, encoding, callback) {
      opened(() => ws.send(chunk, callback));
    },
    final(callback) {
      opened(() => {
        if (ws.readyState === ws.CLOSED) {
          callback();
          return;
        }
        // 'finish' before 'end'.
        ws.prependOnceListener('close', () => callback());
        ws.close();
      });
    },
    destroy(error, callback) {
      const finish = () => {
        callback(error);
        process.nextTick(() => stream.emit('close'));
      };
      if (ws.readyState === ws.CLOSED) {
        finish();
        return;
      }
      ws.once('error', (e) => { error = e; });
      ws.once('close', finish);
      if (!broken) ws.terminate();
    },
  });
  ws.on('message', (data, isBinary) => {
    const text = !isBinary && stream.readableObjectMode;
    if (!stream.push(text ? data.toString() : data)) ws.pause();
  });
  ws.once('error', (error) => {
    if (stream.destroyed) return;
    broken = true;
    stream.destroy(error);
  });
  ws.once('close', () => {
    if (!stream.destroyed) stream.push(null);
  });
  stream.on('end', () => {
    if (!stream.destroyed && stream.writableFinished) stream.destroy();
  });
  stream.on('finish', () => {
    if (!stream.destroyed && stream.readableEnded) stream.destroy();
  });
  stream.on('error', function failed(error) {
    stream.removeListener('error', failed);
    stream.destroy();
    // As if nobody had listened.
    if (stream.listenerCount('error') === 0) stream.emit('error', error);
  });
  return stream;
}

module.exports = { createWebSocketStream };
