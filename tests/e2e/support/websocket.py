# SPDX-License-Identifier: BSD-2-Clause
"""A WebSocket client that can say everything, right and wrong."""

import base64
import os
import socket
import struct

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = base64.b64encode(bytes(range(16))).decode()


def mask(payload, key):
    n = len(payload)
    if not n or key == bytes(4):
        return payload
    long = (key * (n // 4 + 1))[:n]
    return (
        int.from_bytes(payload, "big") ^ int.from_bytes(long, "big")
    ).to_bytes(n, "big")


def encode(opcode, payload=b"", fin=True, rsv=0, key=None, length=None, form=None):
    """One frame.  key: b"" sends it without a mask; length: what it claims;
    form: 2 or 8 bytes of length where fewer would do."""
    n = len(payload) if length is None else length
    key = os.urandom(4) if key is None else key
    bit = 0x80 if key else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form is None:
        form = 0 if n < 126 else 2 if n < 65536 else 8
    if form == 0:
        head += bytes([bit | n])
    elif form == 2:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    return head + key + (mask(payload, key) if key else payload)


def close_frame(code=None, reason=b"", **how):
    payload = b"" if code is None else struct.pack(">H", code) + reason
    return encode(CLOSE, payload, **how)


def handshake(fields=(), request="GET /ws HTTP/1.1", port=80):
    """The bytes of a handshake; a field of None is left out, a list comes
    several times."""
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **dict(fields),
    }
    head = request + "\r\n"
    for name, value in lines.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                head += f"{name}: {each}\r\n"
    return head.encode() + b"\r\n"


class Ended(Exception):
    """The server closed the connection."""


class Client:
    def __init__(self, port, greeting=None, behind=b"", wait=True, patience=20):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.head = None
        if greeting is None:
            greeting = handshake(port=port)
        self.socket.sendall(greeting + behind)
        if wait:
            self.read_head()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *data):
        self.socket.sendall(b"".join(data))

    def chop(self, data, size=1):
        for i in range(0, len(data), size):
            self.socket.sendall(data[i : i + size])

    def more(self):
        try:
            got = self.socket.recv(1 << 20)
        except ConnectionResetError:
            raise Ended from None
        if not got:
            raise Ended
        self.data += got

    def take(self, n):
        while len(self.data) < n:
            self.more()
        out = bytes(self.data[:n])
        del self.data[:n]
        return out

    def read_head(self):
        """Of a response: self.status, self.fields (lower-case names)."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        n = self.data.index(b"\r\n\r\n") + 4
        self.head = self.take(n).decode()
        lines = self.head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if name in self.fields:
                value = self.fields[name] + ", " + value
            self.fields[name] = value
        return self.status

    def read_body(self):
        return self.take(int(self.fields["content-length"]))

    def frame(self):
        """(first byte, payload) of the next one."""
        first, second = self.take(2)
        assert not second & 0x80, "a server's frame with a mask"
        n = second & 0x7F
        if n == 126:
            (n,) = struct.unpack(">H", self.take(2))
            assert n > 125
        elif n == 127:
            (n,) = struct.unpack(">Q", self.take(8))
            assert n > 65535
        return first, self.take(n)

    def message(self):
        """(opcode, payload); no control frame may come before its end."""
        first, payload = self.frame()
        opcode, whole = first & 0x7F, payload
        assert opcode in (TEXT, BINARY), (first, payload[:200])
        while not first & 0x80:
            first, payload = self.frame()
            assert first & 0x7F == CONT, (first, payload[:200])
            whole += payload
        return opcode, whole

    def finish(self):
        """Read to the end: the bytes of the frames that came before the
        close frame, its code (None: no code, 0: no close frame), its reason."""
        before, code, reason = [], 0, b""
        try:
            while True:
                first, payload = self.frame()
                assert not code, "a frame behind the close frame"
                if first == 0x80 | CLOSE:
                    code = struct.unpack(">H", payload[:2])[0] if payload else None
                    reason = payload[2:]
                else:
                    before.append((first, payload))
        except Ended:
            assert not self.data, bytes(self.data)
        return before, code, reason
