# SPDX-License-Identifier: BSD-2-Clause
"""A gateway between clients and a backend: the echo example, or a backend of
the test's own that speaks raw Sluice."""

import asyncio
import base64
import os
import socket
import struct
import subprocess
import threading

import websockets

from . import penstock
from .penstock import PenstockTestCase, wait_for
from .websocket import Client, handshake

ECHO = os.path.join(
    os.path.dirname(penstock.BINARY), "..", "contrib", "examples", "example-echo"
)
CONFIG = """
user root;
events { }
http {
    access_log logs/access.log;
    backend echo {
        server unix:@PREFIX@/echo.sock;
        %s
    }
    server {
        listen 127.0.0.1:@PORT@;
        location / { return 200 "plain\\n"; }
        location /ws { websocket_pass echo; %s }
    }
}
"""
HELLO, READY, ERROR, OPEN, ACCEPT, REJECT = 1, 2, 6, 0x10, 0x11, 0x12
OPENED, CLOSE, CLOSED, TEXT, BINARY, ACK = 0x13, 0x14, 0x15, 0x20, 0x21, 0x30
CONT, PING, PONG, HTTP_BODY, BROADCAST = 0x22, 0x23, 0x24, 0x51, 0x43


def frame(kind, cid=0, payload=b"", flags=0, aux=0):
    return struct.pack("<IBBHQ", len(payload), kind, flags, aux, cid) + payload


def tlv(tag, value):
    return struct.pack("<I", tag | len(value) << 8) + value


def hello(window=65536, link_window=1 << 20):
    return frame(
        HELLO,
        payload=b"SLUICE1\n"
        + struct.pack(
            "<HHBBHIIIIQQ", 1, 1, 2, 0, 0, 65536, window, link_window, 0, 4, 7
        ),
    )


class Backend:
    """A backend of the test's own; on_frame(kind, cid, payload) runs in its
    thread for everything that comes."""

    def __init__(self, path, greeting=None, on_frame=None):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen(10)
        self.greeting = greeting if greeting is not None else hello() + frame(READY)
        self.on_frame = on_frame or self.accept_all
        self.frames, self.keep = [], True
        self.link = None
        self.links = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def accept_all(self, kind, cid, payload):
        if kind == OPEN:
            self.send(frame(ACCEPT, cid, bytes(8)))

    def send(self, data):
        self.link.sendall(data)

    def run(self):
        while True:
            try:
                link, _ = self.listening.accept()
                if self.link:
                    self.link.close()
                self.link = link
                self.links += 1
                self.link.sendall(self.greeting)
                self.read()
            except OSError:
                if self.listening.fileno() == -1:
                    return

    def read(self):
        data = b""
        while True:
            more = self.link.recv(65536)
            if not more:
                return
            data += more
            while len(data) >= 16:
                n, kind, flags, aux, cid = struct.unpack_from("<IBBHQ", data)
                if len(data) < 16 + n:
                    break
                payload, data = data[16 : 16 + n], data[16 + n :]
                if self.keep:
                    self.frames.append((kind, cid, payload, aux))
                self.on_frame(kind, cid, payload)

    def of(self, kind):
        return [f for f in self.frames if f[0] == kind]

    def stop(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        if self.link:
            self.link.close()


class BridgeTestCase(PenstockTestCase):
    def start_echo(self, p, name="echo.sock"):
        path = p.path(name)
        if os.path.exists(path):
            os.unlink(path)
        process = subprocess.Popen([ECHO, path])

        def end():
            process.kill()
            process.wait()

        self.addCleanup(end)
        wait_for("the backend's socket", lambda: os.path.exists(path))
        return process

    def wait_ready(self, p, times=1):
        wait_for(
            "a ready backend",
            lambda: p.log().count("backend is ready") >= times,
        )

    def gateway(self, backend="", location="", echo=True, front=""):
        """front goes before everything: worker_processes and the like."""
        p = self.penstock(front + CONFIG % (backend, location), start=False)
        process = self.start_echo(p) if echo else None
        p.start()
        if echo:
            self.wait_ready(p)
        return p, process

    def with_backend(self, backend="", location="", **how):
        p = self.penstock(CONFIG % (backend, location), start=False)
        b = Backend(p.path("echo.sock"), **how)
        self.addCleanup(b.stop)
        p.start()
        return p, b

    def ws(self, p, path="/ws"):
        return f"ws://127.0.0.1:{p.port()}{path}"

    def check_echo(self, p):
        async def run():
            async with websockets.connect(self.ws(p)) as ws:
                await ws.send("still here")
                self.assertEqual(await ws.recv(), "still here")

        asyncio.run(run())

    def raw(self, p, fields=(), request="GET /ws HTTP/1.1"):
        """A handshake by hand; returns the socket and the response's head."""
        s = socket.create_connection(("127.0.0.1", p.port()))
        s.settimeout(20)
        self.addCleanup(s.close)
        lines = {
            "Host": f"127.0.0.1:{p.port()}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **dict(fields),
        }
        head = request + "\r\n"
        for name, value in lines.items():
            if value is not None:
                head += f"{name}: {value}\r\n"
        s.sendall(head.encode() + b"\r\n")
        return s, self.read_head(s)

    def read_head(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(1)
            if not more:
                break
            data += more
        return data.decode()


def masked(first, payload):
    n = len(payload)
    if n < 126:
        head = bytes([first, 0x80 | n])
    else:
        head = bytes([first, 0x80 | 126]) + struct.pack(">H", n)
    return head + bytes(4) + payload


class SharedGatewayTestCase(PenstockTestCase):
    """One gateway and one echo backend for all tests of a class."""

    location = ""
    backend = ""

    @classmethod
    def setUpClass(cls):
        cls.p = penstock.Penstock(CONFIG % (cls.backend, cls.location))
        cls.addClassCleanup(cls.p.remove)
        path = cls.p.path("echo.sock")
        cls.echo = subprocess.Popen([ECHO, path])

        def end():
            cls.echo.kill()
            cls.echo.wait()

        cls.addClassCleanup(end)
        wait_for("the backend's socket", lambda: os.path.exists(path))
        cls.addClassCleanup(cls.p.stop)
        cls.p.start()
        cls.p.wait_for_log("backend is ready")
        cls.pids = cls.p.workers()

    def tearDown(self):
        self.assertEqual(self.p.workers(), self.pids, "a worker died")

    def client(self, **how):
        c = Client(self.p.port(), **how)
        self.addCleanup(c.socket.close)
        if c.head is not None and "greeting" not in how:
            self.assertEqual(c.status, 101, c.head)
        return c

    def ask(self, fields=(), request="GET /ws HTTP/1.1", **how):
        """A client that has an answer, whichever, to this handshake."""
        greeting = handshake(fields, request, self.p.port())
        return self.client(greeting=greeting, **how)
