# SPDX-License-Identifier: BSD-2-Clause
"""allow_raw: WebSocket frames that a backend makes itself (RAW)."""

import struct
import time
import unittest
import zlib

from support.gateway import (
    ACCEPT, ACK, BINARY, BROADCAST, CLOSED, CONT, ERROR, HELLO, OPEN, READY,
    TEXT, BridgeTestCase, frame,
)
from support.penstock import wait_for
from support.websocket import Client, close_frame, handshake

RAW = 0x25
BAD_STATE, FLOW_CONTROL, UNSUPPORTED, BAD_UTF8, WS_PROTOCOL = 4, 6, 8, 15, 17
MORE = 1
TAIL = b"\x00\x00\xff\xff"
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def greeting(features=1 << 7):
    fixed = struct.pack(
        "<HHBBHIIIIQQ", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20, 0, features, 7
    )
    return frame(HELLO, payload=b"SLUICE1\n" + fixed) + frame(READY)


def raw(cid, head, data=b""):
    return frame(RAW, cid, data, aux=head)


def deflated(data):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


class RawFramesTest(BridgeTestCase):
    def start(self, allow="on", backend="", location="", **how):
        how.setdefault("greeting", greeting())
        p, b = self.with_backend(
            f"allow_raw {allow}; {backend}", location, **how
        )
        self.wait_ready(p)
        return p, b

    def join(self, p, b, fields=()):
        before = len(b.of(OPEN))
        c = Client(p.port(), handshake(fields, port=p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return c, wait_for("OPEN", lambda: b.of(OPEN)[before:])[0][1]

    def error_of(self, b, cid):
        found = wait_for("ERROR", lambda: [f for f in b.of(ERROR) if f[1] == cid])
        return found[-1][3], found[-1][2][1]

    def test_every_frame_comes_as_it_is(self):
        p, b = self.start()
        c, cid = self.join(p, b)
        heads = [h for h in range(0x80, 0x100) if h & 15 not in (0, 8)]
        for head in heads:
            b.send(raw(cid, head, b"%d" % head))
        self.assertEqual([c.frame() for _ in heads], [(h, b"%d" % h) for h in heads])
        # A message in parts, whatever it begins with, and control frames
        # between them; then what is whole again.
        for opcode in (1, 2, 3, 0x35, 7):
            b.send(
                raw(cid, opcode, b"a") + raw(cid, 0x89, b"p") + raw(cid, 0x20, b"b")
                + raw(cid, 0x9F, b"r") + raw(cid, 0x80, b"c")
                + frame(TEXT, cid, b"whole")
            )
            self.assertEqual(
                [c.frame() for _ in range(6)],
                [
                    (opcode, b"a"), (0x89, b"p"), (0x20, b"b"), (0x9F, b"r"),
                    (0x80, b"c"), (0x81, b"whole"),
                ],
            )

    def test_a_group_waits_for_the_end_of_a_message(self):
        p, b = self.start()
        c, cid = self.join(p, b)
        group = struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0) + b"all"
        b.send(raw(cid, 0x01, b"a") + frame(BROADCAST, 0, group) + raw(cid, 0x80, b"b"))
        self.assertEqual(
            [c.frame() for _ in range(3)],
            [(0x01, b"a"), (0x80, b"b"), (0x81, b"all")],
        )

    def test_a_compressed_session_stays_whole(self):
        """Between the gateway's messages the backend's own, compressed and
        not: a client with one window for all of them reads each."""
        p, b = self.start(
            location="websocket_deflate on min=0 takeover=client,server;"
        )
        c, cid = self.join(p, b, DEFLATE)
        z = zlib.decompressobj(-15)
        text = b"the same words again, and the same words again " * 20

        def read():
            first, data = c.frame()
            rsv1 = first & 0x40
            while not first & 0x80:
                first, more = c.frame()
                self.assertEqual(first & 0x7F, 0)
                data += more
            return z.decompress(data + TAIL) if rsv1 else data

        for i in range(5):
            mine = b"%d " % i + text
            packed = deflated(mine)
            b.send(
                frame(TEXT, cid, text) + raw(cid, 0xC1, packed)
                + frame(TEXT, cid, text) + raw(cid, 0x81, mine)
                + frame(BINARY, cid, mine[:50], MORE) + frame(CONT, cid, mine[50:])
                + raw(cid, 0x41, packed[:9]) + raw(cid, 0x80, packed[9:])
            )
            got = [read() for _ in range(6)]
            self.assertEqual(got, [text, mine, text, mine, mine, mine])
        # The bit is the extension's: nowhere else.
        for frames in ([0xC9], [0xCB], [0x41, 0xC0]):
            c, cid = self.join(p, b, DEFLATE)
            b.send(b"".join(raw(cid, head) for head in frames))
            self.assertEqual(self.error_of(b, cid), (WS_PROTOCOL, 1))
            self.assertEqual(c.finish()[1], 1011)

    def test_what_would_break_a_session_ends_it(self):
        p, b = self.start()
        witness, other = self.join(p, b)
        cases = (
            ("a ping in parts", [raw, 0x09], b"", WS_PROTOCOL),
            ("a long ping", [raw, 0x89], bytes(126), WS_PROTOCOL),
            ("a reserved one in parts", [raw, 0x0B], b"", WS_PROTOCOL),
            ("a long reserved one", [raw, 0x8F], bytes(126), WS_PROTOCOL),
            ("a close of a byte", [raw, 0x88], b"x", WS_PROTOCOL),
            ("a close without a code", [raw, 0x88], b"\0\0", WS_PROTOCOL),
            ("nothing to go on", [raw, 0x80], b"", BAD_STATE),
            ("text in a message", [raw, 0x01, 0x81], b"", BAD_STATE),
            ("a reserved one in a message", [raw, 0x02, 0x83], b"", BAD_STATE),
            ("no text", [raw, 0x81], b"\xff", BAD_UTF8),
            ("text cut short", [raw, 0x01, 0x80], b"\xc3", BAD_UTF8),
        )
        for name, (make, *heads), data, code in cases:
            c, cid = self.join(p, b)
            b.send(b"".join(make(cid, h, data) for h in heads))
            self.assertEqual(self.error_of(b, cid), (code, 1), name)
            self.assertEqual(c.finish()[1], 1011, name)
            c.socket.close()
        for first, second in (
            (lambda c: frame(TEXT, c, b"a", MORE), lambda c: raw(c, 0x80)),
            (lambda c: frame(TEXT, c, b"a", MORE), lambda c: raw(c, 0x81)),
            (lambda c: raw(c, 0x01, b"a"), lambda c: frame(CONT, c, b"b")),
            (lambda c: raw(c, 0x01, b"a"), lambda c: frame(TEXT, c, b"b")),
        ):
            c, cid = self.join(p, b)
            b.send(first(cid) + second(cid))
            self.assertEqual(self.error_of(b, cid), (BAD_STATE, 1))
            self.assertEqual(c.finish(), ([(1, b"a")], 1011, b""))
        b.send(raw(other, 0x81, b"unmoved"))
        self.assertEqual(witness.frame(), (0x81, b"unmoved"))
        self.assertEqual(b.links, 1)

    def test_before_the_answer(self):
        p, b = self.start(on_frame=lambda kind, cid, payload: kind == OPEN
                          and b.send(raw(cid, 0x81, b"x")))
        c = Client(p.port(), handshake(port=p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 502)
        self.assertEqual(self.error_of(b, b.of(OPEN)[0][1]), (BAD_STATE, 1))

    def test_a_close_frame_closes(self):
        p, b = self.start()
        c, cid = self.join(p, b)
        b.send(raw(cid, 0x88, b"\x0f\xa0why") + raw(cid, 0x81, b"late"))
        self.assertEqual(c.frame(), (0x88, b"\x0f\xa0why"))
        c.send(close_frame(4000, b"why"))
        closed = wait_for("CLOSED", lambda: b.of(CLOSED))[0]
        self.assertEqual((closed[3], closed[2][0], closed[2][1]), (4000, 1, 3))

    def test_it_spends_credit(self):
        p, b = self.start(backend="reply_window 64k;")
        c, cid = self.join(p, b)
        b.send(raw(cid, 0x82, bytes(65536)))
        self.assertEqual(c.frame(), (0x82, bytes(65536)))
        acks = lambda: sum(struct.unpack_from("<QI", f[2])[1] for f in b.of(ACK))
        wait_for("credit", lambda: acks() == 65536)
        while not b.of(ERROR):
            b.send(raw(cid, 0x82, bytes(60000)))
        self.assertEqual(self.error_of(b, cid), (FLOW_CONTROL, 1))

    def test_the_oldest_versions_have_no_such_frames(self):
        p, b = self.start(
            location="websocket_versions 75; websocket_origin any;"
        )
        fields = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None}
        c, cid = self.join(p, b, fields)
        b.send(raw(cid, 0x83, b"no") + frame(TEXT, cid, b"yes"))
        self.assertEqual(self.error_of(b, cid), (UNSUPPORTED, 0))
        self.assertEqual(c.take(5), b"\x00yes\xff")

    def test_it_is_refused_without_permission(self):
        """The feature is not in effect: that ends the link."""
        p, b = self.start(allow="off")
        self.assertFalse(struct.unpack_from("<Q", b.of(HELLO)[0][2], 32)[0] & 1 << 7)
        c, cid = self.join(p, b)
        b.send(raw(cid, 0x81, b"x"))
        before, code, _ = c.finish()
        self.assertEqual((before, code), ([], 1012))
        told = wait_for("ERROR", lambda: b.of(ERROR))[0]
        self.assertEqual((told[3], told[2][1]), (UNSUPPORTED, 2))

    def test_a_reload_withdraws_it(self):
        p, b = self.start()
        c, cid = self.join(p, b)
        self.assertTrue(struct.unpack_from("<Q", b.of(HELLO)[0][2], 32)[0] & 1 << 7)
        with open(p.path("conf", "penstock.conf")) as f:
            text = f.read()
        p.configure(text.replace("allow_raw on", "allow_raw off"))
        p.reload()
        b.send(raw(cid, 0x81, b"x"))
        self.assertEqual(self.error_of(b, cid), (UNSUPPORTED, 1))
        self.assertEqual(c.finish(), ([], 1011, b""))


if __name__ == "__main__":
    unittest.main()
