# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1.1 by hand, both ends: what no library would send or swallow.

    s = Raw(port)
    s.send("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    self.assertEqual(s.answer().status, 200)

    with Origin(lambda peer: peer.reply("hello")) as origin:
        ... origin.port, origin.connections, origin.requests
"""

import os
import socket
import tempfile
import threading
import time

from .penstock import PATIENCE


class Closed(Exception):
    """The peer hung up before or within a message."""


class Message:
    """A response, or at an origin a request."""

    def __init__(self, start, fields):
        self.start, self.fields, self.body = start, fields, b""
        self.interims = []  # statuses before the one
        words = start.split(" ", 2)
        self.status = int(words[1]) if start.startswith("HTTP/") else 0
        self.method, self.target = words[0], words[1]
        self.version = words[0] if self.status else words[-1]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name, default=None):
        return (self.all(name) or [default])[0]

    def names(self):
        return sorted(n.lower() for n, _ in self.fields)

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def chunked(self):
        return self.get("Transfer-Encoding", "").lower() == "chunked"


class Raw:
    def __init__(self, to, host="127.0.0.1", small=False):
        """to: a port, a path, or a socket that is connected already."""
        if isinstance(to, socket.socket):
            self.s = to
        elif isinstance(to, str):
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(to)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.s = socket.socket(family)
            if small:  # a reader that soon holds the sender up
                self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.s.connect((host, to))
        self.s.settimeout(PATIENCE)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.s.close()

    def send(self, data):
        self.s.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def slowly(self, data):
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            self.send(data[i : i + 1])

    def get(self, target="/", *fields, host="x", version="1.1", method="GET"):
        lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def ask(self, *words, **more):
        self.get(*words, **more)
        return self.answer(more.get("method") == "HEAD")

    def end(self):
        self.s.shutdown(socket.SHUT_WR)

    def more(self):
        """Some bytes more, or Closed."""
        try:
            data = self.s.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(self.seen)
        self.seen += data

    def until(self, mark):
        while mark not in self.seen:
            self.more()
        found, _, self.seen = self.seen.partition(mark)
        return found

    def exactly(self, n):
        parts, have = [self.seen[:n]], min(n, len(self.seen))
        self.seen = self.seen[n:]
        while have < n:
            self.more()
            parts.append(self.seen[: n - have])
            self.seen = self.seen[n - have :]
            have += len(parts[-1])
        return b"".join(parts)

    def rest(self):
        """Everything until the peer closes."""
        parts = []
        try:
            while True:
                parts.append(self.seen)
                self.seen = b""
                self.more()
        except Closed:
            return b"".join(parts)

    def is_closed(self):
        """The peer has closed, or will, without another byte."""
        return self.rest() == b""

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.split(":", 1) for line in lines[1:]]
        return Message(lines[0], [(n, v.strip()) for n, v in fields])

    def chunks(self):
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if not size:
                while self.until(b"\r\n"):
                    pass  # trailers
                return
            yield self.exactly(size)
            if self.exactly(2) != b"\r\n":
                raise AssertionError("no CRLF behind a chunk")

    def body(self, m):
        """Of a message whose head was read."""
        if m.chunked:
            return b"".join(self.chunks())
        if m.get("Content-Length") is not None:
            return self.exactly(int(m.get("Content-Length")))
        return self.rest() if m.status else b""

    def answer(self, to_head=False):
        """One response, whole."""
        interims = []
        while True:
            m = self.head()
            if m.status >= 200 or m.status == 101:
                break
            interims.append(m.status)
        m.interims = interims
        if not (to_head or m.status in (101, 204, 304)):
            m.body = self.body(m)
        return m


class Peer(Raw):
    """A connection at the origin; request is the one being answered."""

    request = None
    number = 0  # of the connection, from 1

    def reply(self, body="", *fields, status="200 OK", length=True):
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status}", *fields]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


class Origin:
    """A server that answers each request with respond(peer).  When respond
    returns True the connection is closed, else kept."""

    def __init__(self, respond, read_body=True, unix=False, host="127.0.0.1",
                 port=0):
        self.respond, self.read_body = respond, read_body
        self.connections, self.requests, self.errors = 0, [], []
        self.stopping = False
        self.lock = threading.Lock()
        self.open = set()
        if unix:
            self.directory = tempfile.mkdtemp(prefix="origin-")
            os.chmod(self.directory, 0o755)
            self.path = os.path.join(self.directory, "s")
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, 0o777)
            self.listener.listen(64)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server(
                (host, port), family=family, backlog=64)
            self.port = self.listener.getsockname()[1]
        self.unix = unix
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            peer = Peer(s)
            with self.lock:
                if self.stopping:
                    s.close()
                    return
                self.connections += 1
                peer.number = self.connections
                self.open.add(peer)
            t = threading.Thread(target=self.serve, args=(peer,), daemon=True)
            self.threads.append(t)
            t.start()

    def serve(self, peer):
        try:
            while True:
                peer.request = peer.head()
                with self.lock:
                    self.requests.append(peer.request)
                if self.read_body:
                    peer.request.body = peer.body(peer.request)
                if self.respond(peer):
                    return
        except (Closed, OSError):
            pass
        except Exception as e:  # told by stop(): a thread has no test
            self.errors.append(e)
        finally:
            with self.lock:
                self.open.discard(peer)
            peer.close()

    def stop(self):
        with self.lock:
            self.stopping = True
            peers = list(self.open)
        for s in [self.listener] + [p.s for p in peers]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        for t in self.threads:
            t.join(PATIENCE)
        if self.unix:
            os.unlink(self.path)
            os.rmdir(self.directory)
        if self.errors:
            raise self.errors[0]


def silence(s, seconds=0.5):
    """True when nothing comes from a Raw for this long."""
    s.s.settimeout(seconds)
    try:
        s.more()
        return False
    except TimeoutError:
        return not s.seen
    finally:
        s.s.settimeout(PATIENCE)


def seconds_of(call):
    """What call() returns, and how long it took."""
    begin = time.monotonic()
    result = call()
    return result, time.monotonic() - begin
