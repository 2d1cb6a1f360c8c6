# SPDX-License-Identifier: BSD-2-Clause
"""The versions before RFC 6455 row by row: hixie-75, hixie-76 (hybi-00) with
its known answers, hybi-07 and hybi-08 to -12 with the rows of RFC 6455 less
what came later."""

import re
import struct
import unittest

import conformance_test as rfc6455
from support.gateway import SharedGatewayTestCase
from support.rows import RowTestCase, close, f, good
from support.websocket import (
    BINARY, CONT, TEXT, Client, Ended,
)

# (why, Key1, Key2, the eight bytes, the answer)
ANSWERS = [
    ("hixie-76 1.2", "4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00",
     b"^n:ds[4U", b"8jKS'y:G*Co,Wxa-"),
    ("hybi-00 1.3", "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
     "1_ tx7X d  <  nw  334J702) 7]o}` 0", b"Tm[K T2u", b"fQJ,fN/4F4!~K~MH"),
    ("hixie-76 5.2", "3e6b263  4 17 80", "17  9 G`ZD9   2 2b 7X 3 /r90",
     b"WjN}|M(6", b"n`9eBk9z$R8pOtVb"),
    ("keys full of digits", "30  ;- 5=5 u 4 1  7336", ":2 8 G(  07A 93Ql 3 *20 Ox0G'w",
     bytes.fromhex("5d9fb0670fe4fa75"), bytes.fromhex("b6bc2a9ea00c1cb90faddc97906017a8")),
    ("hixie-76 4.1: numbers alone", "777 007543", "1 14997259",
     bytes.fromhex("4730222d5a3f4758"), b"0st3Rl&q-2ZU^weu"),
]

# (why, what is wrong with the fields of a good one, status)
REFUSED = [
    ("no blank in key 1", {"Sec-WebSocket-Key1": "12998"}, 400),
    ("no blank in key 2", {"Sec-WebSocket-Key2": "12998"}, 400),
    ("a remainder in key 1", {"Sec-WebSocket-Key1": "1 2 5"}, 400),
    ("a remainder in key 2", {"Sec-WebSocket-Key2": "1 2 5"}, 400),
    ("no digits' worth of 32 bits", {"Sec-WebSocket-Key1": "99999 999999"}, 400),
    ("an empty key 1", {"Sec-WebSocket-Key1": ""}, 400),
    ("no key 1", {"Sec-WebSocket-Key1": None}, 400),
    ("no key 2", {"Sec-WebSocket-Key2": None}, 400),
    ("key 1 twice", {"Sec-WebSocket-Key1": ["4 @1  46546xW%0l 1 5"] * 2}, 400),
    ("not GET", {"request": "POST /ws HTTP/1.1"}, 405),
    ("HTTP/1.0", {"request": "GET /ws HTTP/1.0"}, 400),
    ("no Connection", {"Connection": None}, 400),
    ("another page", {"Origin": "http://elsewhere.example"}, 403),
]

EURO = "\u00e4\u20ac\U0001f600".encode()


def t(payload):
    return b"\x00" + payload + b"\xff"


# (why, pieces, what they bring, does it end the session).  hixie-75 has the
# same, less the closing frame.
HIXIE = [
    ("text", [t(b"hello")], t(b"hello"), False),
    ("empty text", [t(b"")], t(b""), False),
    ("one after the other", [t(b"a"), t(b""), t(b"b")], t(b"a") + t(b"") + t(b"b"), False),
    ("text of UTF-8", [t(EURO)], t(EURO), False),
    ("text with zeros", [t(b"a\x00b\x00")], t(b"a\x00b\x00"), False),
    ("text with bytes that begin frames", [t(b"\x01\x7f")], t(b"\x01\x7f"), False),
    ("65536 bytes", [t(b"x" * 65536)], t(b"x" * 65536), False),
    *(
        (f"type {kind:02x} is dropped", [bytes([kind]) + b"junk\xff", t(b"x")], t(b"x"),
         False)
        for kind in (0x01, 0x02, 0x20, 0x7F)
    ),
    *(
        (f"type {kind:02x} has a length and is dropped",
         [bytes([kind]) + b"\x05\x00\xff\x00bi", t(b"x")], t(b"x"), False)
        for kind in (0x80, 0x81, 0xC0, 0xFE, 0xFF)
    ),
    ("length 0", [b"\x80\x00", t(b"x")], t(b"x"), False),
    ("a length of two digits", [b"\x80\x81\x00" + b"\xff" * 128, t(b"x")], t(b"x"), False),
    ("a length with zeros in front", [b"\x80\x80\x80\x03abc", t(b"x")], t(b"x"), False),
    ("between texts", [t(b"a"), b"\x80\x02\x00\xff", t(b"b")], t(b"a") + t(b"b"), False),
    ("text that is not UTF-8", [t(b"\xc3(")], b"", True),
    ("text that ends inside a character", [t(b"ok\xe2\x82")], b"", True),
    ("at once", [b"\x00ok\xc3("], b"", True),
    ("behind good text", [t(b"good"), t(b"\xc3(")], t(b"good"), True),
    ("a length of eleven digits", [b"\x80" + b"\x80" * 11], b"", True),
    ("a length that nobody takes", [b"\x80" + b"\xff" * 6], b"", True),
    ("more than websocket_max_message", [b"\x00" + b"x" * ((1 << 20) + 1)], b"", True),
]
CLOSING = [
    ("the closing frame", [b"\xff\x00"], b"", True),
    ("behind text", [t(b"x"), b"\xff\x00"], t(b"x"), True),
    ("what follows it", [b"\xff\x00", t(b"late")], b"", True),
    ("twice", [b"\xff\x00", b"\xff\x00"], b"", True),
]


class Session(Client):
    def __init__(self, port, fields, behind=b"", size=0, request=None):
        lines = {"Host": "x", "Upgrade": "WebSocket", "Connection": "Upgrade", **fields}
        head = lines.pop("request", "GET /ws HTTP/1.1") + "\r\n"
        for name, value in lines.items():
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    head += f"{name}: {each}\r\n"
        data = (head + "\r\n").encode() + behind
        super().__init__(port, b"", wait=False)
        self.chop(data, size or len(data))

    def rest(self):
        try:
            while True:
                self.more()
        except Ended:
            return bytes(self.data)


class HixieTest(SharedGatewayTestCase):
    location = (
        "websocket_versions 13 8 7 76 75; websocket_max_message 1m;"
        " websocket_max_frame 1m; websocket_ping off;"
    )

    def session(self, *args):
        c = Session(self.p.port(), *args)
        self.addCleanup(c.socket.close)
        return c

    def keys(self, row):
        return {"Sec-WebSocket-Key1": row[1], "Sec-WebSocket-Key2": row[2]}

    def test_hixie_76_known_answers(self):
        for row in ANSWERS:
            fields = {**self.keys(row), "Origin": "http://x"}
            for size in (0, 1, 7, 100):
                with self.subTest(row[0], piece=size):
                    c = self.session(fields, row[3] + t(b"early"), size)
                    self.assertEqual(c.read_head(), 101)
                    self.assertEqual(
                        c.head,
                        "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
                        "Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Origin: http://x\r\n"
                        "Sec-WebSocket-Location: ws://x/ws\r\n\r\n",
                    )
                    self.assertEqual(c.take(16), row[4])
                    self.assertEqual(c.take(7), t(b"early"))
                    c.socket.close()
            for at in range(8):
                with self.subTest(row[0], late=at):
                    c = self.session(fields, row[3][:at])
                    c.send(row[3][at:])
                    self.assertEqual((c.read_head(), c.take(16)), (101, row[4]))
                    c.socket.close()

    def test_hixie_76_refusals(self):
        for why, differs, status in REFUSED:
            for size in (0, 1):
                with self.subTest(why, piece=size):
                    row = ANSWERS[0]
                    # They would come too late behind a head in pieces.
                    c = self.session({**self.keys(row), **differs},
                                     b"" if size else row[3], size)
                    self.assertEqual(c.read_head(), status)
                    c.read_body()
                    # The eight bytes are no request.
                    self.assertEqual(c.rest(), b"")
                    c.socket.close()

    def test_hixie_75_answer(self):
        for size in (0, 1, 7):
            c = self.session({"Origin": "http://x"}, t(b"early"), size)
            self.assertEqual(c.read_head(), 101)
            self.assertEqual(
                c.head,
                "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
                "Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
                "WebSocket-Origin: http://x\r\nWebSocket-Location: ws://x/ws\r\n\r\n",
            )
            self.assertEqual(c.take(7), t(b"early"))
            c.socket.close()

    def check_rows(self, rows, open, ending):
        for why, pieces, answer, ends in rows:
            data = b"".join(pieces)
            for size in (len(data), 1 if len(data) < 300 else 997, 0):
                with self.subTest(why, piece=size):
                    c = open()
                    try:
                        for piece in pieces if not size else [data]:
                            c.chop(piece, size or len(piece))
                    except (BrokenPipeError, ConnectionResetError):
                        self.assertTrue(ends)
                    if ends:
                        got = c.rest()
                        # What the backend sends behind our end is lost.
                        self.assertIn(got, (answer + ending, ending))
                    else:
                        c.send(t(b"and on"))
                        wanted = answer + t(b"and on")
                        self.assertEqual(c.take(len(wanted)), wanted)
                    c.socket.close()

    def open_76(self):
        row = ANSWERS[1]
        c = self.session(self.keys(row), row[3])
        self.assertEqual((c.read_head(), c.take(16)), (101, row[4]))
        return c

    def open_75(self):
        c = self.session({})
        self.assertEqual(c.read_head(), 101)
        return c

    def test_hixie_76_frames(self):
        self.check_rows(HIXIE + CLOSING, self.open_76, b"\xff\x00")

    def test_hixie_75_frames(self):
        self.check_rows(HIXIE, self.open_75, b"")


# Of -14: lengths in as few bytes as they need.
def is_older(row):
    return not re.search("length in (16|64) bits", row[0])


HYBI = [
    *filter(is_older, rfc6455.FRAMING + rfc6455.CONTROL),
    *rfc6455.FRAGMENTS,
    *rfc6455.TEXTS,
    *(
        good(f"hybi-08 4.2: {n} bytes, their length in {form * 8} bits",
             f(BINARY, b"x" * n, form=form), opcode=BINARY, payload=b"x" * n)
        for n, form in ((0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8))
    ),
    good("hybi-08 4.2: of a continuation", f(TEXT, b"a", fin=False),
         f(CONT, b"b", form=8), payload=b"ab"),
]


class HybiTest(RowTestCase):
    location = "websocket_versions 8 7; websocket_max_message 1m; websocket_ping off;"

    def open(self):
        c = self.ask({
            "Sec-WebSocket-Version": self.version,
            "Sec-WebSocket-Origin": f"http://127.0.0.1:{self.p.port()}",
        })
        self.assertEqual(c.status, 101)
        return c

    def check_version(self, version):
        self.version = version
        self.run_rows(HYBI)
        for code, answer in (
            (1000, 1000), (1001, 1001), (1002, 1002), (1003, 1003),
            (1004, 1009),  # too large, before it was reserved
            (1005, 1002), (1006, 1002), (999, 1002),
        ):
            with self.subTest("hybi-07 7.4", code=code):
                c = self.open()
                c.chop(close(code, b"bye"))
                self.assertEqual(c.frame(), (0x88, struct.pack(">H", answer)))
                c.socket.close()

    def test_hybi_07(self):
        self.check_version("7")

    def test_hybi_08(self):
        self.check_version("8")

    def test_hybi_accept(self):
        for version in ("7", "8"):
            c = self.ask({
                "Sec-WebSocket-Version": version,
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            })
            self.assertEqual(c.status, 101)
            self.assertEqual(
                c.fields["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            )

    def test_hybi_versions_that_were_never_sent(self):
        for version in ("0", "1", "6", "9", "10", "11", "12", "13"):
            c = self.ask({"Sec-WebSocket-Version": version})
            self.assertEqual(c.status, 426, version)
            self.assertEqual(c.fields["sec-websocket-version"], "8, 7")


if __name__ == "__main__":
    unittest.main()
