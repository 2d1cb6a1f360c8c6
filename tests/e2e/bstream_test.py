# SPDX-License-Identifier: BSD-2-Clause
"""Streams to groups (BSTREAM), from a backend in C to clients of several
versions, at two workers."""

import asyncio
import hashlib
import os
import unittest
import zlib

import websockets

from drafts_test import KEYS, SECRET, Old
from support.pair import PairTestCase
from support.penstock import PATIENCE, wait_for
from support.websocket import BINARY, CONT, TEXT, Client, encode, handshake

OLD = 4  # clients of each sort


class Bstream(PairTestCase):
    example = "example-relay"
    server = """
        websocket_versions 13 8 7 76 75;
        websocket_deflate on min=1;
        websocket_max_message 4m;
    """

    def client(self, **fields):
        c = Client(self.p.port(), handshake(fields, port=self.p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return c

    def test_frames_on_the_wire(self):
        speaker, listener = self.client(), self.client()
        speaker.send(encode(BINARY, b"one", fin=False))
        for c in (speaker, listener):
            self.assertEqual(c.take(5), b"\x02\x03one")
        late = self.client()
        speaker.send(encode(CONT, b"two", fin=False))
        for c in (speaker, listener):
            self.assertEqual(c.take(5), b"\x00\x03two")
        speaker.send(encode(CONT, b"", fin=True))
        for c in (speaker, listener):
            self.assertEqual(c.take(2), b"\x80\x00")
        speaker.send(encode(TEXT, b"a", fin=False) + encode(CONT, b"b"))
        for c in (speaker, listener, late):
            self.assertEqual(c.take(8), b"\x01\x01a\x00\x01b\x80\x00")

    def test_compressed_pieces_can_be_read_as_they_come(self):
        deflate = {"Sec-WebSocket-Extensions": "permessage-deflate"}
        speaker = self.client()
        packed = [self.client(**deflate) for _ in range(OLD)]
        inflaters = [zlib.decompressobj(-15) for _ in packed]
        words = b"again and again and again and "
        got = [b""] * OLD
        for n in range(3):
            opcode = CONT if n else TEXT
            speaker.send(encode(opcode, words * (n + 1), fin=False))
            for i, c in enumerate(packed):
                head = c.take(2)
                self.assertEqual(head[0], 0x41 if not n else 0)
                got[i] += inflaters[i].decompress(c.take(head[1]))
                self.assertEqual(got[i], words * sum(range(n + 2)))
        speaker.send(encode(CONT, b""))
        for c in packed:
            self.assertEqual(c.take(2), b"\x80\x00")

    def test_clients_nobody_here_wrote(self):
        data = os.urandom(1 << 20) + bytes(1 << 20)
        want = hashlib.sha256(data).digest()

        async def talk():
            url = f"ws://127.0.0.1:{self.p.port()}/"
            clients = [
                await websockets.connect(url, max_size=None, compression=how)
                for how in ("deflate", None) * OLD
            ]
            try:
                for speaker in clients[:3]:
                    pieces = [data[i : i + 50000] for i in range(0, len(data), 50000)]
                    sending = asyncio.create_task(speaker.send(pieces))
                    for c in clients:
                        got = await c.recv()
                        self.assertEqual(hashlib.sha256(got).digest(), want)
                    await sending
                    await speaker.send("and text")
                    for c in clients:
                        self.assertEqual(await c.recv(), "and text")
            finally:
                for c in clients:
                    await c.close()

        asyncio.run(asyncio.wait_for(talk(), PATIENCE))

    def test_the_old_versions(self):
        eight = self.client(**{"Sec-WebSocket-Version": "8"})
        old = [
            Old(self.p.port(), KEYS, SECRET),
            Old(self.p.port()),
        ]
        for c in old:
            self.addCleanup(c.socket.close)
            self.assertEqual(c.status, 101)
        old[0].take(16)
        eight.send(encode(TEXT, b"a", fin=False))
        self.assertEqual(eight.take(3), b"\x01\x01a")
        for c in old:
            self.assertEqual(c.take(2), b"\x00a")
        eight.send(encode(CONT, b"b"))
        self.assertEqual(eight.take(5), b"\x00\x01b\x80\x00")
        eight.send(encode(BINARY, b"c", fin=False) + encode(CONT, b"d"))
        eight.send(encode(TEXT, b"e"))
        for c in old:
            self.assertEqual(c.take(2), b"b\xff")
            self.assertEqual(c.take(3), b"\x00e\xff")

    def test_a_speaker_who_leaves_and_a_backend_that_dies(self):
        speaker, listener = self.client(), self.client()
        speaker.send(encode(BINARY, b"one", fin=False))
        self.assertEqual(listener.take(5), b"\x02\x03one")
        speaker.socket.close()
        self.assertEqual(listener.take(2), b"\x80\x00")
        other = self.client()
        other.send(encode(BINARY, b"two", fin=False))
        self.assertEqual(listener.take(5), b"\x02\x03two")
        for process in self.backends:
            process.kill()
        self.assertEqual(listener.take(4), b"\x88\x02\x03\xf3")  # 1011


if __name__ == "__main__":
    unittest.main()
