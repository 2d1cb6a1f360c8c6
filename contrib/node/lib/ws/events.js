// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// The side of a WebSocket that is as in browsers: onmessage and its kin,
// addEventListener, and what they get.

const TYPES = ['open', 'message', 'close', 'error'];
const LISTENER = Symbol('listener');
const ATTRIBUTE = Symbol('attribute'); // it was set as on...

class Event {
  constructor(type, target) {
    this.type = type;
    this.target = target;
  }
}

class MessageEvent extends Event {
  constructor(target, data) {
    super('message', target);
    this.data = data;
  }
}

class CloseEvent extends Event {
  constructor(target, code, reason) {
    super('close', target);
    this.code = code;
    this.reason = reason;
    this.wasClean = code !== 1006;
  }
}

class ErrorEvent extends Event {
  constructor(target, error) {
    super('error', target);
    this.error = error;
    this.message = error && error.message;
  }
}

// What an EventEmitter's listener got, as an event.
const EVENTS = {
  open: (ws) => new Event('open', ws),
  message: (ws, data, isBinary) =>
    new MessageEvent(ws, isBinary ? data : data.toString()),
  close: (ws, code, reason) => new CloseEvent(ws, code, reason.toString()),
  error: (ws, error) => new ErrorEvent(ws, error),
};

function wrap(ws, type, listener, attribute) {
  const wrapped = (...args) => {
    const event = EVENTS[type](ws, ...args);
    if (typeof listener === 'object' && listener.handleEvent)
      listener.handleEvent(event);
    else
      listener.call(ws, event);
  };
  wrapped[LISTENER] = listener;
  wrapped[ATTRIBUTE] = attribute;
  return wrapped;
}

function find(ws, type, listener, attribute) {
  return ws.listeners(type).find((l) => l[ATTRIBUTE] === attribute &&
    (attribute || l[LISTENER] === listener));
}

const methods = {
  addEventListener(type, listener, options = {}) {
    if (!TYPES.includes(type) || find(this, type, listener, false)) return;
    this[options.once ? 'once' : 'on'](type, wrap(this, type, listener, false));
  },

  removeEventListener(type, listener) {
    const found = find(this, type, listener, false);
    if (found) this.removeListener(type, found);
  },
};

// Gives them to the prototype of an EventEmitter.
function addEvents(prototype) {
  for (const [name, value] of Object.entries(methods))
    Object.defineProperty(prototype, name,
      { value, writable: true, configurable: true });
  for (const type of TYPES)
    Object.defineProperty(prototype, `on${type}`, {
      enumerable: true,
      configurable: true,
      get() {
        const found = find(this, type, null, true);
        return found ? found[LISTENER] : null;
      },
      set(listener) {
        const found = find(this, type, null, true);
        if (found) this.removeListener(type, found);
        if (typeof listener === 'function')
          this.on(type, wrap(this, type, listener, true));
      },
    });
}

module.exports = { addEvents };
