# SPDX-License-Identifier: BSD-2-Clause
"""RFC 6455 rule by rule: what a client sends, what comes back, and the close
code, before an echoing backend.

The rows are those of support/rows.py.

Section    what                                            where
3, 4.1     what a client must send, as a server sees it    REQUESTS
4.2.1      each item of the list                           REQUESTS
4.2.2      the answer; subprotocols                        REQUESTS, PROTOCOLS
4.3, 4.4   the grammar of the fields; other versions       REQUESTS
5.1 - 5.3  masks, lengths, reserved bits and opcodes       FRAMING
5.4, 5.6   fragments, text and binary                      FRAGMENTS, TEXTS
5.5        control frames                                  CONTROL, CLOSES
7          closing: codes, reasons, who goes first         CLOSES, test_7_*
8.1        text that is not UTF-8                          TEXTS
9.1, 11.3  extensions; fields that come twice              REQUESTS

RFC 7692 has its own tables in deflate_rows_test.py, the older drafts theirs
in draft_rows_test.py.
"""

import base64
import hashlib
import socket
import ssl
import struct
import unittest

from support.certificates import Authority
from support.gateway import CONFIG, BridgeTestCase, SharedGatewayTestCase
from support.rows import RowTestCase, bad, close, echo, f, good, server
from support.websocket import (
    BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, Client, Ended, handshake,
)



def accept(key):
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
    return base64.b64encode(digest.digest()).decode()


ACCEPT = accept(KEY)


def text_rows(why, texts):
    return [
        good(f"{why}: {t.hex()}", f(TEXT, t), payload=t) for t in texts
    ]


FRAMING = [
    # 5.2, and 1.* of what the usual suites try: every length in its form.
    *(
        good(f"5.2: {n} bytes of {name}", f(op, b"*" * n), opcode=op, payload=b"*" * n)
        for op, name in ((TEXT, "text"), (BINARY, "binary"))
        for n in (0, 1, 125, 126, 127, 128, 65535, 65536)
    ),
    good("5.3: a key of zeros", f(TEXT, b"plain", key=bytes(4)), payload=b"plain"),
    good("5.3: a key of ones", f(TEXT, b"plain", key=b"\xff" * 4), payload=b"plain"),
    bad("5.1: text without a mask", f(TEXT, b"x", key=b"")),
    bad("5.1: empty text without a mask", f(TEXT, b"", key=b"")),
    bad("5.1: binary without a mask", f(BINARY, b"x", key=b"")),
    bad("5.1: a ping without a mask", f(PING, b"x", key=b"")),
    bad("5.1: a pong without a mask", f(PONG, b"x", key=b"")),
    bad("5.1: a close without a mask", close(1000, key=b"")),
    bad("5.1: a continuation without a mask", f(TEXT, b"a", fin=False),
        f(CONT, b"b", key=b"")),
    bad("5.2: 1 byte, its length in 16 bits", f(TEXT, b"x", form=2)),
    bad("5.2: 125 bytes, their length in 16 bits", f(TEXT, b"x" * 125, form=2)),
    bad("5.2: 1 byte, its length in 64 bits", f(TEXT, b"x", form=8)),
    bad("5.2: 126 bytes, their length in 64 bits", f(TEXT, b"x" * 126, form=8)),
    bad("5.2: 65535 bytes, their length in 64 bits", f(BINARY, b"x" * 65535, form=8)),
    bad("5.2: the top bit of a length of 64 bits", f(TEXT, b"", length=1 << 63)),
    bad("5.2: a length that no memory holds", f(TEXT, b"", length=(1 << 63) - 1),
        code=1009),
    # 5.2, RSV: 3.*
    *(
        bad(f"5.2: RSV {rsv} on opcode {op}", f(op, b"", rsv=rsv))
        for rsv in range(1, 8) for op in (TEXT, BINARY, CLOSE, PING, PONG)
    ),
    bad("5.2: RSV on a continuation", f(TEXT, b"a", fin=False), f(CONT, b"b", rsv=4)),
    bad("5.2: RSV behind a good message", f(TEXT, b"good"), f(TEXT, b"bad", rsv=2),
        answers=echo(TEXT, b"good")),
    bad("5.2: RSV behind a ping", f(PING, b"p"), f(TEXT, b"bad", rsv=1),
        answers=[server(PONG, b"p")]),
    # 5.2, opcodes: 4.*
    *(
        bad(f"5.2: opcode {op}", f(op, payload, fin=fin))
        for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for payload in (b"", b"x") for fin in (True, False)
    ),
    bad("5.2: a reserved opcode behind a good message", f(TEXT, b"good"), f(3),
        answers=echo(TEXT, b"good")),
]

FRAGMENTS = [
    good("5.4: text in two", f(TEXT, b"fragment1", fin=False), f(CONT, b"fragment2"),
         payload=b"fragment1fragment2"),
    good("5.4: binary in two", f(BINARY, b"\x00", fin=False), f(CONT, b"\xff"),
         opcode=BINARY, payload=b"\x00\xff"),
    good("5.4: empty fragments", f(TEXT, b"", fin=False), f(CONT, b"", fin=False),
         f(CONT), payload=b""),
    good("5.4: an empty one in front", f(TEXT, b"", fin=False), f(CONT, b"x"),
         payload=b"x"),
    good("5.4: an empty one at the end", f(TEXT, b"x", fin=False), f(CONT),
         payload=b"x"),
    good("5.4: a hundred", f(TEXT, b"0", fin=False),
         *(f(CONT, b"%d" % (i % 10), fin=i == 99) for i in range(1, 100)),
         payload=b"0123456789" * 10),
    ("5.4: a ping in between",
     [f(TEXT, b"a", fin=False), f(PING, b"now"), f(CONT, b"b")],
     [None, server(PONG, b"now"), server(TEXT, b"ab")], None),
    ("5.4: pings everywhere",
     [f(PING, b"1"), f(TEXT, b"a", fin=False), f(PING, b"2"), f(CONT, b"b", fin=False),
      f(PONG, b"3"), f(PING, b"4"), f(CONT, b"c")],
     [server(PONG, b"1"), None, server(PONG, b"2"), None, None, server(PONG, b"4"),
      server(TEXT, b"abc")], None),
    bad("5.4: a fragmented ping", f(PING, b"a", fin=False), f(CONT, b"b")),
    bad("5.4: a fragmented pong", f(PONG, b"a", fin=False), f(CONT, b"b")),
    bad("5.4: a fragmented close", close(1000, fin=False)),
    bad("5.4: a continuation of nothing", f(CONT, b"x")),
    bad("5.4: and one that goes on", f(CONT, b"x", fin=False), f(CONT, b"y")),
    bad("5.4: a continuation behind a whole message", f(TEXT, b"x"), f(CONT, b"y"),
        answers=echo(TEXT, b"x")),
    bad("5.4: text inside text", f(TEXT, b"a", fin=False), f(TEXT, b"b")),
    bad("5.4: text that begins inside text", f(TEXT, b"a", fin=False),
        f(TEXT, b"b", fin=False)),
    bad("5.4: binary inside text", f(TEXT, b"a", fin=False), f(BINARY, b"b")),
    bad("5.4: text inside binary", f(BINARY, b"a", fin=False), f(TEXT, b"b")),
    bad("5.4: text inside the second part", f(TEXT, b"a", fin=False),
        f(CONT, b"b", fin=False), f(TEXT, b"c")),
]

CONTROL = [
    *(
        (f"5.5.2: a ping of {n} bytes", [f(PING, b"p" * n)], [server(PONG, b"p" * n)], None)
        for n in (0, 1, 124, 125)
    ),
    ("5.5.2: a ping of bytes that are no text", [f(PING, b"\x00\xff\xfe")],
     [server(PONG, b"\x00\xff\xfe")], None),
    ("5.5.2: pings in a row", [f(PING, b"%d" % i) for i in range(10)],
     [server(PONG, b"%d" % i) for i in range(10)], None),
    ("5.5.3: a pong that nobody asked for", [f(PONG), f(PONG, b"x" * 125), f(PING, b"p")],
     [None, None, server(PONG, b"p")], None),
    bad("5.5: a ping of 126 bytes", f(PING, b"p" * 126)),
    bad("5.5: a pong of 126 bytes", f(PONG, b"p" * 126)),
    bad("5.5: a close of 126 bytes", close(1000, b"r" * 124)),
    bad("5.5: a ping of 2^62 bytes", f(PING, b"", length=1 << 62)),
    bad("5.5: a ping of 1 byte, its length in 16 bits", f(PING, b"p", form=2)),
]

# (why, payload of the close, payload of the answer)
CLOSES = [
    ("5.5.1: an empty close", b"", b""),
    *(
        (f"7.4: code {code}", struct.pack(">H", code), struct.pack(">H", code))
        for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    ),
    *(
        (f"7.4: code {code} may not be sent", struct.pack(">H", code),
         struct.pack(">H", 1002))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999,
                     5000, 32768, 65535)
    ),
    ("5.5.1: half a code", b"\x03", struct.pack(">H", 1002)),
    ("5.5.1: a reason", b"\x03\xe8bye", b"\x03\xe8"),
    ("5.5.1: the longest reason", b"\x03\xe8" + b"r" * 123, b"\x03\xe8"),
    ("5.5.1: a reason of UTF-8", b"\x03\xe8" + "\u20ac".encode() * 41, b"\x03\xe8"),
    ("5.5.1: a reason that is not UTF-8", b"\x03\xe8\xff", struct.pack(">H", 1007)),
    ("5.5.1: one that is cut inside a character", b"\x03\xe8ok\xe2\x82",
     struct.pack(">H", 1007)),
    ("7.4: a code and a reason that may not be sent", b"\x00\x00\xff",
     struct.pack(">H", 1002)),
]

VALID = [x.encode("utf-8", "surrogatepass") for x in (
    "", "a", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd",
    "\ufdd0", "\ufffe", "\uffff", "\U00010000", "\U0001fffe", "\U0001ffff",
    "\U0008ffff", "\U0010fffe", "\U0010ffff",
    "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!",
    "\u03ba\u1f79\u03c3\u03bc\u03b5",
)]
INVALID = [bytes.fromhex(x) for x in (
    "80", "bf", "8080", "808182", "c2", "c220", "e0a0", "e0a020", "f09080", "f0908020",
    "c080", "c1bf", "e08080", "e09fbf", "f0808080", "f08fbfbf", "f8888080 80",
    "fc84808080 80", "f4908080", "f5808080", "f7bfbfbf", "f8", "fc", "fe", "ff", "feff",
    "fefeffff", "eda080", "edad bf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf",
    "eda080edb080", "edafbfedbfbf", "cebae1bdb9cf83cebcceb5eda080656469746564",
    "cebae1bdb9cf83cebcceb5f4908080656469746564",
)]
KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()

TEXTS = [
    *text_rows("8.1: valid", VALID),
    *(bad(f"8.1: {b.hex()}", f(TEXT, b), code=1007) for b in INVALID),
    *(bad(f"8.1: {b.hex()} behind good text", f(TEXT, KOSME + b), code=1007)
      for b in INVALID),
    *(
        bad(f"8.1: {b.hex()}, a byte a fragment", f(TEXT, b"", fin=False),
            *(f(CONT, bytes([x]), fin=False) for x in b), f(CONT), code=1007)
        for b in INVALID[:8]
    ),
    *(
        good(f"5.6: text cut at {at}", f(TEXT, KOSME[:at], fin=False),
             f(CONT, KOSME[at:]), payload=KOSME)
        for at in range(len(KOSME) + 1)
    ),
    good("5.6: a byte a fragment", f(TEXT, KOSME[:1], fin=False),
         *(f(CONT, KOSME[i:i + 1], fin=False) for i in range(1, len(KOSME))),
         f(CONT), payload=KOSME),
    # At once: what follows is never sent.
    bad("8.1: refused before the message ends", f(TEXT, KOSME, fin=False),
        f(CONT, b"\xf4\x90\x80\x80", fin=False), code=1007),
    bad("8.1: refused at the byte that is wrong", f(TEXT, KOSME, fin=False),
        f(CONT, b"\xf4", fin=False), f(CONT, b"\x90", fin=False), code=1007),
    bad("8.1: refused before the frame ends",
        f(TEXT, KOSME + b"\xf4\x90" + bytes(1000))[:6 + 2 + len(KOSME) + 2], code=1007),
    *(
        good(f"5.6: binary may be {b.hex()}", f(BINARY, b), opcode=BINARY, payload=b)
        for b in INVALID[:6]
    ),
]


class RowTest(RowTestCase):
    location = "websocket_max_message 1m; websocket_ping off;"

    def test_5_2_framing(self):
        self.run_rows(FRAMING)

    def test_5_4_fragments(self):
        self.run_rows(FRAGMENTS)

    def test_5_5_control_frames(self):
        self.run_rows(CONTROL)

    def test_8_1_text(self):
        self.run_rows(TEXTS)

    def test_7_closing(self):
        for why, payload, answer in CLOSES:
            data = f(CLOSE, payload)
            for cut in (len(data), *range(1, len(data), max(1, len(data) // 8))):
                with self.subTest(why, cut=cut):
                    c = self.client()
                    c.send(data[:cut])
                    c.send(data[cut:])
                    self.assertEqual(c.frame(), (0x88, answer))
                    with self.assertRaises(Ended):
                        c.more()
                    c.socket.close()

    def test_7_what_follows_a_close(self):
        """5.5.1 and 1.4: whatever it is, it is not looked at."""
        for why, behind in (
            ("nothing", b""), ("text", f(TEXT, b"late")), ("a ping", f(PING, b"late")),
            ("another close", close(1001)), ("an end of text", f(CONT, b"x")),
            ("garbage", b"\xff" * 50), ("a frame without a mask", f(TEXT, b"x", key=b"")),
        ):
            for late in (False, True):
                with self.subTest(why, late=late):
                    c = self.client()
                    if late:
                        c.send(close(1000))
                        self.assertEqual(c.frame(), (0x88, b"\x03\xe8"))
                        c.send(behind)
                    else:
                        c.send(close(1000), behind)
                        self.assertEqual(c.frame(), (0x88, b"\x03\xe8"))
                    with self.assertRaises(Ended):
                        c.more()
                    c.socket.close()

    def test_7_1_5_a_close_inside_a_message(self):
        c = self.client()
        c.send(f(TEXT, b"unfinished", fin=False), close(1000), f(CONT, b"x"))
        self.assertEqual(c.finish(), ([], 1000, b""))

    def test_7_1_1_the_server_closes_the_connection_first(self):
        """And does not wait for the client to."""
        c = self.client()
        c.send(close(1000))
        self.assertEqual(c.frame(), (0x88, b"\x03\xe8"))
        self.assertEqual(c.socket.recv(1), b"")

    def test_10_4_messages_in_packets_of_any_size(self):
        payload = b"*" * 65536
        c = self.client()
        for size in (64, 1300, 8192):
            c.send(*(
                f(CONT if at else TEXT, payload[at:at + size], fin=at + size >= 65536)
                for at in range(0, 65536, size)
            ))
            self.assertEqual(c.message(), (TEXT, payload))


    def test_7_1_4_an_end_without_a_close(self):
        """FIN wherever it comes: the session is over, without a frame."""
        for why, before in (
            ("at once", b""), ("inside a header", b"\x81"), ("inside a key", b"\x81\x85\x01"),
            ("inside a payload", f(TEXT, b"abc")[:-1]),
            ("inside a message", f(TEXT, b"abc", fin=False)),
            ("inside a ping", f(PING, b"abc")[:-1]), ("inside a close", close(1000)[:-1]),
        ):
            with self.subTest(why):
                c = self.client()
                c.send(before)
                c.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(c.finish(), ([], 0, b""))
                c.socket.close()

    def test_7_1_4_an_end_behind_a_close(self):
        c = self.client()
        c.send(close(1001, b"bye"))
        c.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(c.finish(), ([], 1001, b""))


class TlsTest(BridgeTestCase):
    """7.1.1: over TLS the connection ends with a close_notify, which tells the
    client that nothing was cut off."""

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority().issue("server", "test.example")

    def test_7_1_1_the_end_of_tls(self):
        config = CONFIG.replace("@PORT@;", """@PORT@ ssl;
        ssl_certificate server.pem; ssl_certificate_key server.key;""")
        files = {"conf/" + name: self.ca.read(name) for name in ("server.pem", "server.key")}
        p = self.penstock(config % ("", ""), start=False, files=files)
        self.start_echo(p)
        p.start()
        self.wait_ready(p)
        context = ssl.create_default_context(cafile=self.ca.path("ca.pem"))
        for why, sent, answer in (
            ("a close", close(1000), server(CLOSE, b"\x03\xe8")),
            ("a close, chopped", close(4999, b"bye"), server(CLOSE, b"\x13\x87")),
            ("a bad frame", f(3), server(CLOSE, b"\x03\xea")),
            ("half a code", f(CLOSE, b"\x03"), server(CLOSE, b"\x03\xea")),
            ("close_notify alone", None, b""),
            ("close_notify inside a message", f(TEXT, b"abc", fin=False), b""),
        ):
            with self.subTest(why):
                plain = socket.create_connection(("127.0.0.1", p.port()), timeout=20)
                c = context.wrap_socket(
                    plain, server_hostname="test.example", suppress_ragged_eofs=False
                )
                self.addCleanup(c.close)
                c.sendall(handshake(port=p.port()))
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += c.recv(1)
                self.assertIn(b" 101 ", head)
                for byte in sent or b"":
                    c.sendall(bytes([byte]))
                if not answer:
                    c.unwrap().close()  # raises without a close_notify
                    continue
                got = b""
                while more := c.recv(100):  # raises at a FIN without it
                    got += more
                self.assertEqual(got, answer)
                c.close()


HEAD = {
    "Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
}
# (why, what differs, status, and fields the answer has besides, None: has not)
REQUESTS = [
    ("4.2.1: as it should be", {}, 101),
    ("1.3: the example", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, 101,
     {"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}),
    ("4.2.1 (1): not GET", {"request": "POST /ws HTTP/1.1"}, 405, {"allow": "GET"}),
    ("4.2.1 (1): HEAD", {"request": "HEAD /ws HTTP/1.1"}, 405, {"allow": "GET"}),
    ("4.2.1 (1): HTTP/1.0", {"request": "GET /ws HTTP/1.0"}, 400),
    ("4.2.1 (1): an absolute target", {"request": "GET http://x/ws HTTP/1.1"}, 101),
    ("4.2.1 (1): a query", {"request": "GET /ws?a=b&c HTTP/1.1"}, 101),
    ("4.2.1 (1): an empty query", {"request": "GET /ws? HTTP/1.1"}, 101),
    ("3: a fragment", {"request": "GET /ws#part HTTP/1.1"}, 400),
    ("3: a # that is escaped", {"request": "GET /ws/%23part HTTP/1.1"}, 101),
    ("4.2.2 (4): where no sessions are", {"request": "GET /elsewhere HTTP/1.1"}, 200),
    ("4.1 (3): a body", {"Content-Length": "2", "request": "GET /ws HTTP/1.1"}, 400),
    ("4.2.1 (2): no Host", {"Host": None}, 400),
    ("4.2.1 (2): two of them", {"Host": ["x", "x"]}, 400),
    ("4.2.1 (2): with a port", {"Host": "x:8080"}, 101),
    ("4.2.1 (3): no Upgrade", {"Upgrade": None}, 404),
    ("4.2.1 (3): Upgrade to another", {"Upgrade": "h2c"}, 404),
    ("4.2.1 (3): to a version of it", {"Upgrade": "websocket/13"}, 404),
    ("4.2.1 (3): Upgrade in any case", {"Upgrade": "WEBSocket"}, 101),
    ("4.2.1 (3): the name in any case", {"Upgrade": None, "UPGRADE": "websocket"}, 101),
    ("4.2.1 (3): Upgrade with more", {"Upgrade": "h2c, websocket"}, 101),
    ("4.2.1 (3): in two fields", {"Upgrade": ["h2c", "websocket"]}, 101),
    ("4.2.1 (4): Connection in any case", {"Connection": "uPGRADE"}, 101),
    ("4.2.1 (4): Connection with more", {"Connection": "keep-alive, Upgrade"}, 101),
    ("4.2.1 (4): in two fields", {"Connection": ["keep-alive", "Upgrade"]}, 101),
    ("4.2.1 (4): no blanks", {"Connection": "keep-alive,Upgrade"}, 101),
    ("4.2.1 (4): no Connection", {"Connection": None}, 400),
    ("4.2.1 (4): another Connection", {"Connection": "keep-alive"}, 400),
    ("4.2.1 (4): one that begins so", {"Connection": "Upgrades"}, 400),
    ("4.2.1 (4): a quoted one", {"Connection": '"Upgrade"'}, 400),
    ("4.2.1 (5): no key", {"Sec-WebSocket-Key": None}, 400),
    ("4.2.1 (5): an empty key", {"Sec-WebSocket-Key": ""}, 400),
    ("4.2.1 (5): a short key", {"Sec-WebSocket-Key": "AAAA"}, 400),
    ("4.2.1 (5): a long key", {"Sec-WebSocket-Key": "A" * 26 + "=="}, 400),
    ("4.2.1 (5): of 15 bytes", {"Sec-WebSocket-Key": "A" * 20}, 400),
    ("4.2.1 (5): of 17 bytes", {"Sec-WebSocket-Key": "A" * 23 + "="}, 400),
    ("4.2.1 (5): without its end", {"Sec-WebSocket-Key": "A" * 22}, 400),
    ("4.2.1 (5): a key of other letters", {"Sec-WebSocket-Key": "!" * 22 + "=="}, 400),
    ("4.2.1 (5): of URLs' base64", {"Sec-WebSocket-Key": "-_" * 11 + "=="}, 400),
    ("4.2.1 (5): every letter is hashed as it is",
     {"Sec-WebSocket-Key": "//////////////////////=="}, 101,
     {"sec-websocket-accept": accept("//////////////////////==")}),
    ("4.2.1 (5): blanks around it do not count", {"Sec-WebSocket-Key": f" \t{KEY} \t"}, 101),
    ("11.3.1: two keys", {"Sec-WebSocket-Key": [KEY, KEY]}, 400),
    ("11.3.1: two in a list", {"Sec-WebSocket-Key": f"{KEY}, {KEY}"}, 400),
    ("4.2.1 (6): no version", {"Sec-WebSocket-Version": None}, 400,
     {"sec-websocket-version": "13, 8"}),
    ("4.2.1 (6): an empty one", {"Sec-WebSocket-Version": ""}, 400),
    ("11.3.5: two versions", {"Sec-WebSocket-Version": ["13", "13"]}, 400),
    ("11.3.5: two in a list", {"Sec-WebSocket-Version": "13, 8"}, 400),
    ("4.4: a later version", {"Sec-WebSocket-Version": "14"}, 426),
    ("4.4: the last there can be", {"Sec-WebSocket-Version": "255"}, 426),
    ("4.4: an earlier version", {"Sec-WebSocket-Version": "0"}, 426),
    ("4.4: of a draft that is off", {"Sec-WebSocket-Version": "7"}, 426),
    ("4.3: no number", {"Sec-WebSocket-Version": "thirteen"}, 400),
    ("4.3: 256", {"Sec-WebSocket-Version": "256"}, 400),
    ("4.3: a leading zero", {"Sec-WebSocket-Version": "013"}, 400),
    ("4.3: a sign", {"Sec-WebSocket-Version": "+13"}, 400),
    ("4.3: a fraction", {"Sec-WebSocket-Version": "13.0"}, 400),
    ("4.3: a quoted one", {"Sec-WebSocket-Version": '"13"'}, 400),
    ("4.2.1 (7): another page", {"Origin": "http://elsewhere.example"}, 403),
    ("4.2.1 (7): the same page", {"Origin": "http://x"}, 101),
    ("4.2.1 (7): in another case", {"Origin": "HTTP://X"}, 101),
    ("4.2.1 (7): no browser, none", {"Origin": None}, 101),
    ("4.2.1 (7): a page of nowhere", {"Origin": "null"}, 403),
    ("10.2: the same name by another scheme", {"Origin": "https://x"}, 403),
    ("10.2: and at another port", {"Origin": "http://x:8080"}, 403),
    ("4.2.1 (8): subprotocols", {"Sec-WebSocket-Protocol": "a, b"}, 101),
    ("11.3.4: in two fields", {"Sec-WebSocket-Protocol": ["a", "b"]}, 101),
    ("4.1 (10): one of them twice", {"Sec-WebSocket-Protocol": "a, a"}, 400),
    ("4.1 (10): in two fields", {"Sec-WebSocket-Protocol": ["a", "b, a"]}, 400),
    ("4.3: one that is no token", {"Sec-WebSocket-Protocol": "a b"}, 400),
    *(
        (f"4.1 (10): {c} is no letter of a token", {"Sec-WebSocket-Protocol": f"a{c}"}, 400)
        for c in '()<>@;:\\"/[]?={}'
    ),
    ("4.3: all letters of a token", {"Sec-WebSocket-Protocol": "!#$%&'*+-.^_`|~09azAZ"},
     101),
    ("4.2.1 (9): extensions nobody knows", {"Sec-WebSocket-Extensions": "x-nobody; a=1"},
     101),
    ("4.2.1 (9): in two fields", {"Sec-WebSocket-Extensions": ["x-a", "x-b"]}, 101),
    ("9.1: that are off", {"Sec-WebSocket-Extensions": "permessage-deflate"}, 101),
    ("4.2.1 (10): other fields", {"Cookie": "a=b", "X-Other": "1"}, 101),
    ("4.2.1 (10): an answer's fields", {"Sec-WebSocket-Accept": ACCEPT}, 101),
]

# The same where the server has subprotocols.
PROTOCOLS = [
    ("4.2.2 (5.5): none is offered", None, None),
    ("4.2.2 (5.5): the only one", "v1", "v1"),
    ("4.2.2 (5.5): one of them", "v1, v2", "v2"),
    ("4.2.2 (5.5): whatever their order", "v2, v1", "v2"),
    ("4.2.2 (5.5): in several fields", ["v9", "v1"], "v1"),
    ("4.2.2 (5.5): none that is known", "v9", None),
    ("4.2.2 (5.5): names have a case", "V1", None),
    ("4.2.2 (5.5): one that begins so", "v1x", None),
]


class HandshakeTest(SharedGatewayTestCase):
    def head(self, differs):
        fields = {**HEAD, **differs}
        request = fields.pop("request", "GET /ws HTTP/1.1")
        lines = [request]
        for name, value in fields.items():
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    lines.append(f"{name}: {each}")
        return [(line + "\r\n").encode() for line in lines + [""]]

    def check_answer(self, c, why, status, fields):
        self.assertEqual(c.read_head(), status, why)
        for name, value in fields.items():
            self.assertEqual(c.fields.get(name), value, why)
        if status == 101:
            # 4.2.2 (5): all that must be there, and once.
            self.assertTrue(c.head.startswith("HTTP/1.1 101 "), why)
            self.assertEqual(c.fields["upgrade"], "websocket", why)
            self.assertEqual(c.fields["connection"], "Upgrade", why)
            if "sec-websocket-accept" not in fields:
                self.assertEqual(c.fields["sec-websocket-accept"], ACCEPT, why)
            if "sec-websocket-protocol" not in fields:
                self.assertNotIn("sec-websocket-protocol", c.fields, why)
            # 4.1, of the client: it would fail the connection.
            for name in ("extensions", "version", "key"):
                self.assertNotIn(f"sec-websocket-{name}", c.fields, why)
            c.send(f(TEXT, b"hello"))
            self.assertEqual(c.message(), (TEXT, b"hello"), why)
            return
        self.assertNotIn("sec-websocket-accept", c.fields, why)
        if status == 426:
            # 4.4, and RFC 9110 section 15.5.22.
            self.assertEqual(c.fields["sec-websocket-version"], "13, 8", why)
            self.assertEqual(c.fields["upgrade"], "websocket", why)
            self.assertIn("upgrade", c.fields["connection"].lower(), why)
        if c.fields["connection"].split(",")[0] == "close":
            return
        if not why.endswith("HEAD"):
            c.read_body()
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((c.read_head(), c.read_body()), (200, b"plain\n"), why)

    def run_requests(self, rows):
        for why, differs, status, *fields in rows:
            lines = self.head(differs)
            for fed in ("whole", "by lines", "by bytes"):
                with self.subTest(why, fed=fed):
                    c = Client(self.p.port(), b"", wait=False)
                    self.addCleanup(c.socket.close)
                    try:
                        if fed == "whole":
                            c.send(*lines)
                        elif fed == "by lines":
                            for line in lines:
                                c.send(line)
                        else:
                            c.chop(b"".join(lines))
                    except (BrokenPipeError, ConnectionResetError):
                        self.assertNotEqual(status, 101, why)
                    self.check_answer(c, why, status, fields[0] if fields else {})
                    c.socket.close()

    def test_4_2_requests(self):
        self.run_requests(REQUESTS)


class ProtocolTest(HandshakeTest):
    location = "websocket_protocol v2 v1; websocket_accept auto;"

    def test_4_2_requests(self):
        self.run_requests([
            (why, {"Sec-WebSocket-Protocol": offer}, 101, {"sec-websocket-protocol": chosen})
            for why, offer, chosen in PROTOCOLS
        ])


if __name__ == "__main__":
    unittest.main()
