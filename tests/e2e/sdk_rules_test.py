# SPDX-License-Identifier: BSD-2-Clause
"""A gateway, played by the test, that breaks rules to the backend libraries.

Each row goes to the echo program of the C, the Node.js and the Python library.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from support.gateway import (
    ACCEPT, CLOSED, ECHO, ERROR, HELLO, HTTP_BODY, OPEN, OPENED, PING, PONG,
    READY, TEXT, frame, tlv,
)

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
REGISTER, REGISTERED = 0x70, 0x71
TERMINATE, RESUME, DETACH, DETACHED, HTTP_REQ = 0x16, 0x17, 0x1B, 0x1C, 0x50
PROTOCOL, BAD_STATE, WS_PROTOCOL = 1, 4, 17
CLIENT, LINK = 1, 2
ALL = 0x7F9F
CID = 1 << 24 | 5

PYTHON = """
import sys
from penstock import Backend
backend = Backend("echo", socket=sys.argv[1])

@backend.app(path="/")
async def echo(conn):
    await conn.accept()
    async for message in conn:
        await conn.send(message)

backend.run()
"""


def opening(version=13):
    fixed = struct.pack("<HBBHHIIQIHH", version, 11, 4, 1, 0, 1 << 18, 65536,
                        1, 1 << 20, 1, 2)
    return (fixed + tlv(0x11, b"GET") + tlv(0x12, b"/") + tlv(0x13, b"/")
            + tlv(0x15, b"127.0.0.1"))


class Link:
    def __init__(self, path):
        end = time.monotonic() + 20
        while True:
            self.s = socket.socket(socket.AF_UNIX)
            try:
                self.s.connect(path)
                break
            except OSError:
                self.s.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.s.settimeout(20)
        self.left = b""
        self.s.sendall(frame(HELLO, 0, b"SLUICE1\n" + struct.pack(
            "<HHBBHIIIIQQ", 1, 1, 1, 0, 0, 262144, 262144, 64 << 20, 0, ALL,
            7)))
        while (got := self.next())[0] != READY:
            if got[0] == REGISTER:
                self.s.sendall(frame(REGISTERED, aux=1))

    def next(self):
        """(type, flags, aux, cid, payload), or None at the end."""
        while True:
            if len(self.left) >= 16:
                n, *head = struct.unpack_from("<IBBHQ", self.left)
                if len(self.left) >= 16 + n:
                    payload = self.left[16:16 + n]
                    self.left = self.left[16 + n:]
                    return (*head, payload)
            try:
                data = self.s.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.left += data

    def until(self, kind):
        while (got := self.next()) is not None and got[0] != kind:
            pass
        if got is None:
            raise AssertionError(f"the link ended before {kind:#x}")
        return got

    def open(self, cid=CID):
        self.s.sendall(frame(OPEN, cid, opening()))
        self.until(ACCEPT)
        self.s.sendall(frame(OPENED, cid))

    def close(self):
        self.s.close()


class Rules:
    """What every library does; a mixin, so that it does not run by itself."""

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp()
        cls.path = os.path.join(cls.dir, "b.sock")
        cls.process = subprocess.Popen(cls.command() + [cls.path],
                                       env=cls.environment())

    @classmethod
    def tearDownClass(cls):
        cls.process.kill()
        cls.process.wait()
        shutil.rmtree(cls.dir)

    @classmethod
    def environment(cls):
        return {**os.environ, "PYTHONPATH": f"{ROOT}/contrib/python"}

    def link(self):
        link = Link(self.path)
        self.addCleanup(link.close)
        return link

    def test_what_ends_a_client(self):
        for why, said, code in (
            ("a ping too long", frame(PING, CID, b"x" * 126), WS_PROTOCOL),
            ("a pong too long", frame(PONG, CID, b"x" * 126), WS_PROTOCOL),
            ("a body of no request", frame(HTTP_BODY, CID, b"x"), BAD_STATE),
            ("a message in a message",
             frame(TEXT, CID, b"a", 1) + frame(TEXT, CID, b"b"), BAD_STATE),
            ("a piece of nothing", frame(0x22, CID, b"a"), BAD_STATE),
        ):
            with self.subTest(why):
                link = self.link()
                link.open()
                link.open(CID + 1)
                link.s.sendall(said)
                _, _, aux, cid, payload = link.until(ERROR)
                self.assertEqual((aux, cid, payload[1]), (code, CID, CLIENT))
                self.assertEqual(link.until(TERMINATE)[3], CID)
                # Others of the link do not notice.
                link.s.sendall(frame(CLOSED, CID, bytes(32), aux=1006)
                               + frame(TEXT, CID + 1, b"here"))
                self.assertEqual(link.until(TEXT)[3:], (CID + 1, b"here"))

    def test_what_ends_the_link(self):
        for why, said, code in (
            ("an id above 53 bits", frame(TEXT, CID | 1 << 53, b"x"), PROTOCOL),
            ("and of 64", frame(PING, 1 << 63), PROTOCOL),
            ("OPEN of a client", frame(OPEN, CID, opening()), BAD_STATE),
            ("RESUME of one", frame(RESUME, CID, opening()), BAD_STATE),
            ("HTTP_REQ of one", frame(HTTP_REQ, CID, opening(0)), BAD_STATE),
        ):
            with self.subTest(why):
                link = self.link()
                link.open()
                link.s.sendall(said)
                _, _, aux, cid, payload = link.until(ERROR)
                self.assertEqual((aux, cid, payload[1]), (code, 0, LINK))
                while link.next() is not None:
                    pass

    def test_an_idle_client_leaves_when_asked(self):
        link = self.link()
        link.open()
        link.s.settimeout(5)
        link.s.sendall(frame(DETACH, CID))
        self.assertEqual(link.until(DETACHED)[3], CID)

    def test_ends_of_the_allowed(self):
        link = self.link()
        link.open()
        link.s.sendall(frame(PING, CID, b"x" * 125, 1)
                       + frame(PONG, CID, b"x" * 125)
                       + frame(TEXT, (1 << 53) - 1, b"nobody")
                       + frame(TEXT, CID, b"") + frame(TEXT, CID, b"on"))
        self.assertEqual(link.until(TEXT)[4], b"")
        self.assertEqual(link.until(TEXT)[4], b"on")


class CTest(Rules, unittest.TestCase):
    @classmethod
    def command(cls):
        return [ECHO]


class PythonTest(Rules, unittest.TestCase):
    @classmethod
    def command(cls):
        return [sys.executable, "-c", PYTHON]


@unittest.skipUnless(shutil.which("node"), "no node")
class NodeTest(Rules, unittest.TestCase):
    @classmethod
    def command(cls):
        return ["node", f"{ROOT}/contrib/node/examples/echo.js"]


if __name__ == "__main__":
    unittest.main()
