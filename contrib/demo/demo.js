'use strict';
// A WebSocket that comes back, with a little longer between tries each time.
function connect(path, onMessage, onState) {
  let socket, wait = 250;
  const open = () => {
    const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
    socket = new WebSocket(scheme + location.host + path);
    socket.onopen = () => { wait = 250; onState('connected'); };
    socket.onmessage = (event) => onMessage(event.data);
    socket.onclose = () => {
      onState('reconnecting');
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 5000);
    };
  };
  open();
  return (text) => {
    if (socket.readyState !== WebSocket.OPEN) return false;
    socket.send(text);
    return true;
  };
}

const byId = (id) => document.getElementById(id);

function say(log, who, text) {
  const item = document.createElement('li');
  const name = document.createElement('b');
  name.textContent = who;
  item.append(name, text);
  log.append(item);
  while (log.children.length > 200) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

function form(name, send) {
  byId(name + '-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const input = byId(name + '-text');
    if (input.value && send(input.value)) input.value = '';
  });
}

const setState = (name) => (state) => { byId(name + '-state').textContent = state; };

let sentAt = 0;
const echo = connect('/echo', (text) => {
  const ms = (performance.now() - sentAt).toFixed(1);
  say(byId('echo-log'), ms + ' ms', text);
}, setState('echo'));
form('echo', (text) => { sentAt = performance.now(); return echo(text); });

// A client's id, as a name that people can tell apart.
function nameOf(id) {
  let hash = 7;
  for (const c of id) hash = (hash * 31 + c.charCodeAt(0)) >>> 0;
  return 'guest ' + (hash % 900 + 100);
}

// The chat backend speaks JSON: {"type":"chat","from":..,"text":..} and
// {"type":"count","clients":..}.
const chat = connect('/chat', (text) => {
  const message = JSON.parse(text);
  if (message.type === 'count') byId('online').textContent = message.clients;
  else say(byId('chat-log'), nameOf(message.from), message.text);
}, setState('chat'));
form('chat', (text) => chat(text));
