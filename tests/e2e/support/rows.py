# SPDX-License-Identifier: BSD-2-Clause
"""Rows of conformance tests: (why, frames, answers, code).

frames is what the client sends, one piece of bytes each; answers[i] is what the
i-th of them brings (None: nothing); code is that of the close frame the server
sends on its own, or None when the session goes on.  Each row is fed whole, byte
by byte, and frame by frame, where the next frame is sent when the answers to
the one before are here: so what ends a session must end it at once.
"""

import struct

from support.gateway import SharedGatewayTestCase
from support.websocket import CLOSE, PONG, TEXT, encode

MASK = bytes.fromhex("37fa213d")


def f(opcode, payload=b"", fin=True, **how):
    how.setdefault("key", MASK)
    return encode(opcode, payload, fin=fin, **how)


def close(code=None, reason=b"", **how):
    return f(CLOSE, b"" if code is None else struct.pack(">H", code) + reason, **how)


def server(opcode, payload=b""):
    """One frame of the server."""
    return encode(opcode, payload, key=b"")


def echo(opcode, payload=b""):
    return [server(opcode, payload)]


def good(why, *frames, opcode=TEXT, payload=b""):
    """These frames are one message, which comes back."""
    return (why, frames, [None] * (len(frames) - 1) + echo(opcode, payload), None)


def bad(why, *frames, code=1002, answers=()):
    return (why, frames, list(answers) + [None] * (len(frames) - len(answers)), code)


class RowTestCase(SharedGatewayTestCase):
    def open(self):
        """A session that a row begins with."""
        return self.client()

    def ends(self, c, frames, code, row):
        """Exactly these frames, of which those of messages may be missing when
        they had no time, then a close frame with the code, then the end."""
        before, got, reason = c.finish()
        wanted = [x for x in frames if x]
        if got != code or reason:
            self.fail(f"{row[0]}: closed with {got} {reason!r}, not {code}")
        got = [encode(first & 15, payload, key=b"") for first, payload in before]
        if got != wanted:
            # What the backend sends back behind our close is lost.
            wanted = [x for x in wanted if x[0] == 0x80 | PONG]
            got = [x for x in got if x[0] == 0x80 | PONG]
            self.assertEqual(got, wanted, row[0])

    def goes_on(self, c, frames, row):
        wanted = b"".join(x for x in frames if x)
        self.assertEqual(c.take(len(wanted)), wanted, row[0])
        c.send(close(1000))
        self.assertEqual(c.finish(), ([], 1000, b""), row[0])

    def after(self, c, answers, row):
        if row[3] is None:
            self.goes_on(c, answers, row)
        else:
            self.ends(c, answers, row[3], row)
        c.socket.close()

    def whole(self, row):
        c = self.open()
        c.send(*row[1])
        self.after(c, row[2], row)

    def byte_by_byte(self, row):
        c = self.open()
        data = b"".join(row[1])
        try:
            c.chop(data, 1 if len(data) < 300 else 997)
        except (BrokenPipeError, ConnectionResetError):
            self.assertIsNotNone(row[3], row[0])
        self.after(c, row[2], row)

    def frame_by_frame(self, row):
        why, frames, answers, code = row
        c = self.open()
        for data, answer in zip(frames, answers):
            c.send(data)
            if answer:
                self.assertEqual(c.take(len(answer)), answer, why)
        self.after(c, [], row)

    def run_rows(self, rows):
        for row in rows:
            self.assertEqual(len(row[1]), len(row[2]), row[0])
            for feed in (self.whole, self.byte_by_byte, self.frame_by_frame):
                with self.subTest(row[0], fed=feed.__name__):
                    feed(row)
