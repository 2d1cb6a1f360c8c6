# SPDX-License-Identifier: BSD-2-Clause
"""RFC 7692 rule by rule (rows: support/rows.py).

Section   what                                             where
5, 5.1    elements, fallback, several fields, bad offers   OFFERS
6, 6.1    RSV1 and where it may stand                      BITS
6.2       plain messages between compressed ones           BITS
7, 7.1    parameters: unknown, twice, values               OFFERS
7.1.1     context takeover                                 OFFERS, TakeoverTest
7.1.2     windows                                          OFFERS, WINDOWS
7.2.1     compression, byte for byte                       SentTest
7.2.2     decompression, also of what is corrupt           STREAMS
7.2.3     its examples                                     EXAMPLES
"""

import unittest
import zlib

from support.gateway import SharedGatewayTestCase
from support.rows import RowTestCase, bad, close, echo, f, good, server
from support.websocket import (
    BINARY, CLOSE, CONT, PING, PONG, TEXT, Client, handshake,
)

PMD = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
HELLO = bytes.fromhex("f248cdc9c90700")  # 7.2.3.1
AGAIN = bytes.fromhex("f200110000")  # 7.2.3.2: "Hello" out of the window
RSV1 = 4


def z(opcode, payload, **how):
    """The first frame of a compressed message."""
    return f(opcode, payload, rsv=RSV1, **how)


def raw(data, bits=15, level=9):
    out = zlib.compressobj(level, zlib.DEFLATED, -bits, bits - 7)
    data = out.compress(data) + out.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(TAIL)
    return data[:-4]


def hello(why, *frames):
    return good(why, *frames, payload=b"Hello")


BITS = [
    hello("7692 6: RSV1 of the first frame says compressed", z(TEXT, HELLO)),
    good("7692 6: binary too", z(BINARY, HELLO), opcode=BINARY, payload=b"Hello"),
    hello("7692 6.2: without it a message is plain", f(TEXT, b"Hello")),
    good("7692 6.2: also if it looks compressed", f(BINARY, HELLO), opcode=BINARY,
         payload=HELLO),
    hello("7692 6.2: plain fragments", f(TEXT, b"Hel", fin=False), f(CONT, b"lo")),
    ("7692 6.2: plain behind compressed behind plain",
     [f(TEXT, b"a"), z(TEXT, HELLO), f(TEXT, b"b"), z(TEXT, AGAIN)],
     [server(TEXT, b"a"), server(TEXT, b"Hello"), server(TEXT, b"b"),
      server(TEXT, b"Hello")], None),
    bad("7692 6.1: RSV1 of a continuation", z(TEXT, HELLO[:3], fin=False),
        z(CONT, HELLO[3:])),
    bad("7692 6.1: of one in the middle", z(TEXT, HELLO[:3], fin=False),
        z(CONT, HELLO[3:4], fin=False), f(CONT, HELLO[4:])),
    bad("7692 6.1: of one of a plain message", f(TEXT, b"Hel", fin=False),
        z(CONT, b"lo")),
    bad("7692 6.1: of an empty continuation", z(TEXT, HELLO, fin=False), z(CONT, b"")),
    *(
        bad(f"7692 6.1: of a control frame, opcode {op}, {len(p)} bytes", z(op, p))
        for op in (CLOSE, PING, PONG) for p in (b"", b"\x03\xe8", HELLO)
    ),
    bad("7692 6.1: of a ping inside a message", z(TEXT, HELLO[:3], fin=False),
        z(PING, b"p")),
    bad("7692 6.1: of a close inside a message", z(TEXT, HELLO[:3], fin=False),
        z(CLOSE, b"\x03\xe8")),
    *(
        bad(f"7692 6: RSV {rsv}, of which one has no meaning", f(TEXT, HELLO, rsv=rsv))
        for rsv in (1, 2, 3, 5, 6, 7)
    ),
    *(
        bad(f"6455 5.2: RSV1 on opcode {op}", z(op, b""))
        for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    bad("6455 5.1: compressed without a mask", z(TEXT, HELLO, key=b"")),
    bad("6455 5.4: compressed inside compressed", z(TEXT, HELLO[:3], fin=False),
        z(TEXT, HELLO)),
    bad("6455 5.4: plain inside compressed", z(TEXT, HELLO[:3], fin=False),
        f(TEXT, b"Hello")),
]

BFINAL = bytes.fromhex("f348cdc9c9070000")
STORED = bytes.fromhex("000500faff48656c6c6f00")
BLOCKS = bytes.fromhex("f24805000000ffffcac9c90700")
EXAMPLES = [
    hello("7692 7.2.3.1: one block", z(TEXT, HELLO)),
    hello("7692 7.2.3.1: in two fragments", z(TEXT, HELLO[:3], fin=False),
          f(CONT, HELLO[3:])),
    hello("7692 7.2.3.1: a byte a fragment", z(TEXT, HELLO[:1], fin=False),
          *(f(CONT, HELLO[i:i + 1], fin=i == 6) for i in range(1, 7))),
    hello("7692 7.2.3.1: empty fragments everywhere", z(TEXT, b"", fin=False),
          f(CONT, b"", fin=False), f(CONT, HELLO[:4], fin=False),
          f(CONT, b"", fin=False), f(CONT, HELLO[4:], fin=False), f(CONT, b"")),
    ("7692 7.2.3.1: control frames in between",
     [z(TEXT, HELLO[:3], fin=False), f(PING, b"1"), f(PONG, b"2"),
      f(CONT, HELLO[3:5], fin=False), f(PING, HELLO), f(CONT, HELLO[5:])],
     [None, server(PONG, b"1"), None, None, server(PONG, HELLO),
      server(TEXT, b"Hello")], None),
    ("7692 7.2.3.2: sharing the window", [z(TEXT, HELLO), z(TEXT, AGAIN)],
     echo(TEXT, b"Hello") * 2, None),
    ("7692 7.2.3.2: or not", [z(TEXT, HELLO), z(TEXT, HELLO)],
     echo(TEXT, b"Hello") * 2, None),
    ("7692 7.2.3.2: with the window of two before",
     [z(TEXT, HELLO), z(TEXT, b"\x00"), z(TEXT, AGAIN)],
     [server(TEXT, b"Hello"), server(TEXT), server(TEXT, b"Hello")], None),
    ("7692 7.2.3.2: with that of one in fragments",
     [z(TEXT, HELLO[:2], fin=False), f(CONT, HELLO[2:]), z(TEXT, AGAIN[:2], fin=False),
      f(CONT, AGAIN[2:])],
     [None, server(TEXT, b"Hello"), None, server(TEXT, b"Hello")], None),
    hello("7692 7.2.3.3: a block without compression", z(TEXT, STORED)),
    ("7692 7.2.3.3: it fills the window", [z(TEXT, STORED), z(TEXT, AGAIN)],
     echo(TEXT, b"Hello") * 2, None),
    hello("7692 7.2.3.4: a block with BFINAL", z(TEXT, BFINAL)),
    hello("7692 7.2.3.4: in fragments", z(TEXT, BFINAL[:7], fin=False),
          f(CONT, BFINAL[7:])),
    ("7692 7.2.3.4: it fills the window",
     [z(TEXT, BFINAL), z(TEXT, AGAIN), z(TEXT, BFINAL), z(TEXT, AGAIN)],
     echo(TEXT, b"Hello") * 4, None),
    good("7692 7.2.3.4: two with BFINAL", z(TEXT, BFINAL[:7] + BFINAL),
         payload=b"HelloHello"),
    hello("7692 7.2.3.5: two blocks", z(TEXT, BLOCKS)),
    *(
        hello(f"7692 7.2.3.5: cut at {at}", z(TEXT, BLOCKS[:at], fin=False),
              f(CONT, BLOCKS[at:]))
        for at in range(len(BLOCKS) + 1)
    ),
    good("7692 7.2.3.6: an empty message", z(TEXT, b"\x00"), payload=b""),
    good("7692 7.2.3.6: in fragments", z(TEXT, b"", fin=False), f(CONT, b"\x00"),
         payload=b""),
    good("7692 7.2.3.6: empty binary", z(BINARY, b"\x00"), opcode=BINARY, payload=b""),
    # Nobody need send it; there is but one thing that it can mean.
    good("7692 7.2.3.6: no bytes at all", z(TEXT, b"")),
    good("7692 7.2.3.6: none in two fragments", z(TEXT, b"", fin=False), f(CONT, b"")),
    ("7692 7.2.3.6: several", [z(TEXT, b"\x00")] * 3, echo(TEXT) * 3, None),
    good("7692 7.2.3.6: an empty block of fixed codes", z(TEXT, b"\x02\x00"), payload=b""),
]

NOT_UTF8 = bytes.fromhex("000200fdffc32800")
EURO = raw("\u20ac".encode() * 20)
STREAMS = [
    good("7692 7.2.2: UTF-8 is looked at inflated", z(TEXT, EURO),
         payload="\u20ac".encode() * 20),
    *(
        good(f"7692 7.2.2: a character cut at {at}", z(TEXT, EURO[:at], fin=False),
             f(CONT, EURO[at:]), payload="\u20ac".encode() * 20)
        for at in range(1, 7)
    ),
    bad("6455 8.1: inflated text that is not UTF-8", z(TEXT, NOT_UTF8), code=1007),
    bad("6455 8.1: at once", z(TEXT, NOT_UTF8, fin=False), code=1007),
    bad("6455 8.1: text that ends inside a character", z(TEXT, raw(b"ok\xe2\x82")),
        code=1007),
    good("6455 8.1: binary may be anything", z(BINARY, NOT_UTF8), opcode=BINARY,
         payload=b"\xc3("),
    bad("7692 7.2.2: a block of type 3", z(BINARY, b"\x06"), code=1007),
    bad("7692 7.2.2: of type 3, at once", z(BINARY, b"\x06\x00\x00", fin=False),
        code=1007),
    bad("7692 7.2.2: half a stream", z(BINARY, HELLO[:3]), code=1007),
    bad("7692 7.2.2: lengths that do not match", z(BINARY, b"\x00\x05\x00\x05\x00Hello\x00"),
        code=1007),
    bad("7692 7.2.1: the tail was not removed", z(TEXT, HELLO + TAIL), code=1007),
    bad("7692 7.2.2: further back than anything", z(BINARY, AGAIN), code=1007),
    bad("7692 7.2.2: text that was not compressed", z(TEXT, b"Hello, this is text"),
        code=1007),
    bad("7692 7.2.2: garbage behind a good message", z(TEXT, HELLO), z(TEXT, b"\xff" * 9),
        code=1007, answers=echo(TEXT, b"Hello")),
    *(
        good(f"7692 7.2.2: level {level}", z(BINARY, raw(b"abc" * 50, level=level)),
             opcode=BINARY, payload=b"abc" * 50)
        for level in range(10)
    ),
    bad("6455 5.5.1: a close inside a compressed message", z(TEXT, HELLO[:3], fin=False),
        close(1000), code=1000),
]

# What a client keeps when it may keep nothing.
NO_TAKEOVER = [
    ("7692 7.1.1.2: each message stands alone", [z(TEXT, HELLO), z(TEXT, HELLO)],
     echo(TEXT, b"Hello") * 2, None),
    bad("7692 7.1.1.2: one that does not", z(TEXT, HELLO), z(TEXT, AGAIN), code=1007,
        answers=echo(TEXT, b"Hello")),
    hello("7692 7.2.3.4: BFINAL", z(TEXT, BFINAL)),
    bad("7692 7.1.1.2: nor behind BFINAL", z(TEXT, BFINAL), z(TEXT, AGAIN), code=1007,
        answers=echo(TEXT, b"Hello")),
    hello("7692 7.2.3.5: two blocks", z(TEXT, BLOCKS)),
    good("7692 7.2.3.6: empty", z(TEXT, b"\x00")),
]

# (why, the offer or several fields of it, the answer or None)
OFFERS = [
    ("7692 5: nothing is offered", None, None),
    ("7692 5: an empty field", "", None),
    ("7692 7.1: no parameters", PMD, PMD),
    ("7692 5: another extension", "permessage-foo", None),
    ("7692 5: of Safari's time", "x-webkit-deflate-frame", None),
    ("7692 5: the name in another case", "Permessage-Deflate", None),
    ("7692 5: the name of another", f"{PMD}r", None),
    ("7692 5: the first that is good", f"{PMD}; server_max_window_bits=10, {PMD}",
     f"{PMD}; server_max_window_bits=10"),
    ("7692 5: in the client's order", f"{PMD}, {PMD}; server_max_window_bits=10", PMD),
    ("7692 5: a fallback", f"{PMD}; server_max_window_bits=16, {PMD}", PMD),
    ("7692 5: behind another extension", f"permessage-foo; x=1, {PMD}", PMD),
    ("7692 5: before another extension", f"{PMD}, permessage-foo", PMD),
    ("7692 5: empty elements", f" , ,{PMD}, ,", PMD),
    ("7692 5: in two fields", ["permessage-foo", PMD], PMD),
    ("7692 5: a fallback in the next field",
     [f"{PMD}; server_max_window_bits=7", f"{PMD}; client_no_context_takeover"],
     f"{PMD}; client_no_context_takeover"),
    ("7692 5: three fields", ["a", "b; c", f"d, {PMD}; client_max_window_bits"], PMD),
    ("7692 7: an unknown parameter", f"{PMD}; unknown", None),
    ("7692 7: with a value", f"{PMD}; client_max_window_bits; unknown=1", None),
    ("7692 7: a parameter in another case", f"{PMD}; Server_No_Context_Takeover", None),
    *(
        (f"7692 7.1: {name} twice", f"{PMD}; {name}{value}; {name}{value}", None)
        for name, value in (
            ("server_no_context_takeover", ""), ("client_no_context_takeover", ""),
            ("server_max_window_bits", "=10"), ("client_max_window_bits", "=10"),
            ("client_max_window_bits", ""),
        )
    ),
    ("7692 7.1: twice with two values",
     f"{PMD}; server_max_window_bits=10; server_max_window_bits=11", None),
    *(
        row for side in ("server", "client") for row in (
            (f"7692 7.1.1: {side}_no_context_takeover",
             f"{PMD}; {side}_no_context_takeover", f"{PMD}; {side}_no_context_takeover"),
            (f"7692 7.1.1: {side}_no_context_takeover has no value",
             f"{PMD}; {side}_no_context_takeover=1", None),
            (f"7692 7.1.1: {side}_no_context_takeover, nor true",
             f"{PMD}; {side}_no_context_takeover=true", None),
            (f"7692 7.1.1: {side}_no_context_takeover, nor a quoted one",
             f'{PMD}; {side}_no_context_takeover="x"', None),
        )
    ),
    ("7692 7.1.2.1: server_max_window_bits needs a value",
     f"{PMD}; server_max_window_bits", None),
    *(
        (f"7692 7.1.2.1: server_max_window_bits={n}",
         f"{PMD}; server_max_window_bits={n}", f"{PMD}; server_max_window_bits={n}")
        for n in range(8, 16)
    ),
    ("7692 7.1.2.2: client_max_window_bits without a value",
     f"{PMD}; client_max_window_bits", PMD),
    *(
        (f"7692 7.1.2.2: client_max_window_bits={n}",
         f"{PMD}; client_max_window_bits={n}",
         PMD + (f"; client_max_window_bits={n}" if n < 15 else ""))
        for n in range(8, 16)
    ),
    *(
        (f"7692 7.1.2: {side}_max_window_bits={value}",
         f"{PMD}; {side}_max_window_bits={value}", None)
        for side in ("server", "client")
        for value in (
            "0", "1", "7", "16", "99", "08", "010", "015", "-10", "+10", "0xa", "10.0",
            "1e1", "ten", "18446744073709551626", '""', '"16"', '"08"',
        )
    ),
    ("6455 9.1: a quoted value", f'{PMD}; server_max_window_bits="10"',
     f"{PMD}; server_max_window_bits=10"),
    ("6455 9.1: the client's", f'{PMD}; client_max_window_bits="9"',
     f"{PMD}; client_max_window_bits=9"),
    ("6455 9.1: a quoted pair", f'{PMD}; server_max_window_bits="1\\0"',
     f"{PMD}; server_max_window_bits=10"),
    ("6455 9.1: quoted pairs only", f'{PMD}; client_max_window_bits="\\1\\1"',
     f"{PMD}; client_max_window_bits=11"),
    ("6455 9.1: behind one with quoted commas", f'foo; a="x, {PMD}; \\"", {PMD}', PMD),
    ("6455 9.1: a quote that stays open", f'foo; a="x, {PMD}', None),
    ("6455 9.1: a quoted value that is no token, with a fallback",
     f'{PMD}; server_max_window_bits="1 0", {PMD}', PMD),
    ("6455 9.1: blanks", f"{PMD} ;  server_max_window_bits = 10 ",
     f"{PMD}; server_max_window_bits=10"),
    ("6455 9.1: no blanks", f"{PMD};server_max_window_bits=10;client_max_window_bits",
     f"{PMD}; server_max_window_bits=10"),
    *(
        (f"6455 9.1: not the grammar: {text}", text, None)
        for text in (
            f"{PMD};", f"{PMD}; ;", f"{PMD}; server_max_window_bits=",
            f'{PMD}; server_max_window_bits="10', f"{PMD}; =10", f"; {PMD}", f"{PMD} x",
            f'"{PMD}"', f"{PMD}=1", f"({PMD})",
        )
    ),
    ("7692 7.1.3: all of them",
     f"{PMD}; client_max_window_bits=12; server_max_window_bits=11"
     "; client_no_context_takeover; server_no_context_takeover",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=11; client_max_window_bits=12"),
    ("7692 7.1.3: as browsers offer", f"{PMD}; client_max_window_bits", PMD),
    ("7692 7.1.3: its example of a fallback",
     f"{PMD}; client_max_window_bits; server_max_window_bits=10,"
     f" {PMD}; client_max_window_bits", f"{PMD}; server_max_window_bits=10"),
]

# As above, of a server that wishes for windows of 10 and keeps nothing.
WISHES = [
    ("7692 7.1.2.1: a smaller window unasked", PMD,
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=10"),
    ("7692 7.1.2.1: than was asked for", f"{PMD}; server_max_window_bits=15",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=10"),
    ("7692 7.1.2.1: never a larger one", f"{PMD}; server_max_window_bits=9",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=9"),
    ("7692 7.1.2.2: the client's only if it lets itself be asked",
     f"{PMD}; client_max_window_bits",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=10; client_max_window_bits=10"),
    ("7692 7.1.2.2: never larger than it says", f"{PMD}; client_max_window_bits=8",
     f"{PMD}; server_no_context_takeover; client_no_context_takeover"
     "; server_max_window_bits=10; client_max_window_bits=8"),
]


class OfferTestCase(SharedGatewayTestCase):
    def run_offers(self, rows):
        for why, offer, answer in rows:
            head = handshake({"Sec-WebSocket-Extensions": offer}, port=self.p.port())
            for size in (len(head), 1, head.index(b"Sec-WebSocket-Version")):
                with self.subTest(why, piece=size):
                    c = Client(self.p.port(), b"", wait=False)
                    self.addCleanup(c.socket.close)
                    c.chop(head, size)
                    self.assertEqual(c.read_head(), 101, c.head)
                    self.assertEqual(c.fields.get("sec-websocket-extensions"), answer)
                    self.assertIn("\r\nSec-WebSocket-Accept: ", c.head)
                    # Agreed on or not, at once.
                    c.send(z(TEXT, HELLO))
                    if answer is None:
                        self.assertEqual(c.finish(), ([], 1002, b""))
                    else:
                        self.assertEqual(c.frame(), (0x81, b"Hello"))
                    c.socket.close()


class OfferTest(OfferTestCase):
    location = "websocket_deflate on takeover=client,server;"

    def test_7692_5_and_7_1_offers(self):
        self.run_offers(OFFERS)


class WishTest(OfferTestCase):
    location = "websocket_deflate on window=10;"

    def test_7692_7_1_what_the_server_wishes(self):
        self.run_offers(WISHES)


class DeflateRowTestCase(RowTestCase):
    location = (
        "websocket_deflate on takeover=client,server; websocket_max_message 1m;"
        " websocket_ping off;"
    )
    offer = PMD

    def open(self):
        c = self.ask({"Sec-WebSocket-Extensions": self.offer})
        self.assertIn("sec-websocket-extensions", c.fields)
        return c


class MessageTest(DeflateRowTestCase):
    def test_7692_6_the_bit(self):
        self.run_rows(BITS)

    def test_7692_7_2_2_streams(self):
        self.run_rows(STREAMS)

    def test_7692_7_2_3_examples(self):
        self.run_rows(EXAMPLES)

    def test_7692_7_2_2_limits(self):
        """10.4 of RFC 6455: of what is inflated, while it is."""
        self.run_rows([
            bad("7692 7.2.2: 2 MiB in 2 KiB", z(BINARY, raw(bytes(2 << 20))), code=1009),
            bad("7692 7.2.2: before the message ends",
                z(BINARY, raw(bytes(2 << 20)), fin=False), code=1009),
        ])


class TakeoverTest(DeflateRowTestCase):
    offer = f"{PMD}; client_no_context_takeover"

    def test_7692_7_1_1_2(self):
        self.run_rows(NO_TAKEOVER)


class WindowTest(DeflateRowTestCase):
    offer = f"{PMD}; client_max_window_bits=9"

    def test_7692_7_1_2_2_the_window_that_was_agreed_on(self):
        far = bytes(range(256)) * 4
        self.run_rows([
            ("7692 7.1.2.2: within the window",
             [z(BINARY, raw(b"near" * 60, bits=9))],
             [server(BINARY, b"near" * 60)], None),
            ("7692 7.1.2.2: stored blocks of any length",
             [z(BINARY, raw(far[:250], level=0))], [server(BINARY, far[:250])], None),
        ])


class SentTest(DeflateRowTestCase):
    """Byte for byte what zlib makes of it, less its tail."""

    location = (
        "websocket_deflate on min=0 takeover=client,server; websocket_ping off;"
    )
    texts = [b"Hello", b"Hello", b"", b"Hello" * 9, "\u20ac".encode() * 100, b""]

    def test_7692_7_2_1(self):
        for bits in range(9, 16):
            for keeps in (True, False):
                self.offer = f"{PMD}; server_max_window_bits={bits}"
                if not keeps:
                    self.offer += "; server_no_context_takeover"
                with self.subTest(bits=bits, keeps=keeps):
                    self.check_sent(bits, keeps)

    def check_sent(self, bits, keeps):
        c = self.open()
        inflate = zlib.decompressobj(-bits)
        for text in self.texts:
            c.send(f(TEXT, text))
            first, payload = c.frame()
            if not first & 0x40:  # 6.1: as it was, where that is no longer
                self.assertEqual((first, payload), (0x81, text))
                self.assertFalse(keeps)
                continue
            self.assertEqual(first, 0xC1)
            # 7.2.1 (3): no tail; 7.2.3.6: and never nothing at all.
            self.assertFalse(payload.endswith(TAIL))
            self.assertTrue(payload)
            if not keeps:
                inflate = zlib.decompressobj(-bits)
            self.assertEqual(inflate.decompress(payload + TAIL), text)
        c.send(close(1000))
        self.assertEqual(c.finish(), ([], 1000, b""))
        c.socket.close()

    def test_7692_7_2_3_1_as_the_example(self):
        c = self.open()
        c.send(z(TEXT, HELLO))
        self.assertEqual(c.frame(), (0xC1, HELLO))
        # 6: neither is for control frames.
        c.send(f(PING, b"Hello"))
        self.assertEqual(c.frame(), (0x8A, b"Hello"))


if __name__ == "__main__":
    unittest.main()
