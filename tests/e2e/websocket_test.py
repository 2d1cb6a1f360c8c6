# SPDX-License-Identifier: BSD-2-Clause
"""RFC 6455 frame by frame: what a client may send, and what it may not."""

import itertools
import random
import struct
import time
import unittest

from support.gateway import SharedGatewayTestCase
from support.websocket import (
    BINARY, CLOSE, CONT, PING, PONG, TEXT, Ended, close_frame, encode,
)

RNG = random.Random(6455)
SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20)


def text_of(n):
    return bytes(RNG.choices(b"abcdefghijklmnopqrstuvwxyz *", k=n))


class WebSocketTestCase(SharedGatewayTestCase):
    def fails(self, data, code, why=""):
        """These bytes end the session with this code, and nothing before."""
        c = self.client()
        c.send(*data) if isinstance(data, (list, tuple)) else c.send(data)
        self.check_end(c, code, why or data)

    def check_end(self, c, code, why="", before=()):
        got = c.finish()
        self.assertEqual((got[0], got[1]), (list(before), code), why)
        c.socket.close()

    def check_alive(self, c):
        c.send(encode(TEXT, b"still here"))
        self.assertEqual(c.message(), (TEXT, b"still here"))


class MessageTest(WebSocketTestCase):
    def test_every_size_comes_back(self):
        c = self.client()
        for opcode, n in itertools.product((TEXT, BINARY), SIZES):
            payload = text_of(n) if opcode == TEXT else RNG.randbytes(n)
            c.send(encode(opcode, payload))
            self.assertEqual(c.message(), (opcode, payload), n)

    def test_frames_may_be_cut_anywhere(self):
        for size in (1, 2, 3, 7):
            c = self.client()
            for n in (0, 1, 125, 126, 300):
                payload = text_of(n)
                c.chop(encode(TEXT, payload), size)
                self.assertEqual(c.message(), (TEXT, payload))
        for size in (997, 65536):
            payload = RNG.randbytes(65537)
            c.chop(encode(BINARY, payload), size)
            self.assertEqual(c.message(), (BINARY, payload))

    def test_many_frames_in_one_packet(self):
        c = self.client()
        payloads = [b"%d" % i + bytes(i % 130) for i in range(500)]
        c.send(*(encode(BINARY, m) for m in payloads))
        for m in payloads:
            self.assertEqual(c.message(), (BINARY, m))

    def test_a_key_of_zeros_is_a_key(self):
        c = self.client()
        c.send(encode(TEXT, b"plain", key=bytes(4)))
        self.assertEqual(c.message(), (TEXT, b"plain"))

    def test_frames_without_a_mask_are_refused(self):
        for opcode in (TEXT, BINARY, PING, PONG):
            self.fails(encode(opcode, b"x", key=b""), 1002)
        self.fails(close_frame(1000, key=b""), 1002)
        self.fails(encode(TEXT, b"", key=b""), 1002)

    def test_lengths_in_a_longer_form_than_needed_are_refused(self):
        for n, form in ((5, 2), (125, 2), (5, 8), (126, 8), (65535, 8)):
            self.fails(encode(BINARY, bytes(n), form=form), 1002, (n, form))


class ControlTest(WebSocketTestCase):
    def test_pings_of_every_size(self):
        c = self.client()
        for n in range(126):
            payload = RNG.randbytes(n)
            c.send(encode(PING, payload))
            self.assertEqual(c.frame(), (0x80 | PONG, payload))
        c.chop(encode(PING, b"in octets"))
        self.assertEqual(c.frame(), (0x80 | PONG, b"in octets"))

    def test_control_frames_over_125_bytes_are_refused(self):
        for opcode in (PING, PONG, CLOSE):
            self.fails(encode(opcode, struct.pack(">H", 1000) + bytes(124)), 1002)
            self.fails(encode(opcode, b"", length=1 << 62), 1002)

    def test_fragmented_control_frames_are_refused(self):
        for opcode in (PING, PONG, CLOSE):
            self.fails(encode(opcode, b"", fin=False), 1002)

    def test_pings_in_a_row_are_answered_in_order(self):
        c = self.client()
        c.send(*(encode(PING, b"ping %d" % i) for i in range(100)))
        for i in range(100):
            self.assertEqual(c.frame(), (0x80 | PONG, b"ping %d" % i))

    def test_pongs_that_nobody_asked_for_mean_nothing(self):
        c = self.client()
        c.send(encode(PONG), encode(PONG, b"x" * 125), encode(PING, b"now"))
        self.assertEqual(c.frame(), (0x80 | PONG, b"now"))
        self.check_alive(c)

    def test_reserved_bits_are_refused(self):
        for rsv in range(1, 8):
            for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
                self.fails(encode(opcode, b"", rsv=rsv), 1002, (rsv, opcode))
        c = self.client()
        c.send(encode(TEXT, b"a", fin=False), encode(CONT, b"b", rsv=4))
        self.check_end(c, 1002)

    def test_a_good_message_before_a_bad_frame_arrives(self):
        c = self.client()
        c.send(encode(TEXT, b"good"))
        self.assertEqual(c.message(), (TEXT, b"good"))
        c.send(encode(TEXT, b"bad", rsv=2), encode(PING))
        self.check_end(c, 1002)

    def test_reserved_opcodes_are_refused(self):
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            for payload in (b"", b"payload"):
                self.fails(encode(opcode, payload), 1002, opcode)
            c = self.client()
            c.chop(encode(opcode, b"x"), 2)
            self.check_end(c, 1002, opcode)


class FragmentTest(WebSocketTestCase):
    def fragments(self, opcode, pieces):
        last = len(pieces) - 1
        return [
            encode(CONT if i else opcode, piece, fin=i == last)
            for i, piece in enumerate(pieces)
        ]

    def test_fragments_of_every_number(self):
        c = self.client()
        for opcode, n in itertools.product((TEXT, BINARY), (1, 2, 3, 5, 64, 1000)):
            pieces = [b"%d." % i for i in range(n)]
            c.send(*self.fragments(opcode, pieces))
            self.assertEqual(c.message(), (opcode, b"".join(pieces)))

    def test_empty_fragments(self):
        c = self.client()
        for pieces in ([b"", b""], [b"", b"", b""], [b"", b"middle", b""]):
            c.send(*self.fragments(TEXT, pieces))
            self.assertEqual(c.message(), (TEXT, b"".join(pieces)))

    def test_large_fragments(self):
        c = self.client()
        for size, n in ((65536, 16), (1024, 1024), (300000, 3)):
            pieces = [RNG.randbytes(size) for _ in range(n)]
            c.send(*self.fragments(BINARY, pieces))
            self.assertEqual(c.message(), (BINARY, b"".join(pieces)))

    def test_fragments_of_many_clients_in_turn(self):
        clients = [self.client() for _ in range(10)]
        for size in (3, 5000, 50000):
            for i in range(4):
                for k, c in enumerate(clients):
                    piece = b"%d.%d " % (k, i) * (size // 4)
                    c.send(encode(CONT if i else TEXT, piece, fin=i == 3))
            for k, c in enumerate(clients):
                whole = b"".join(b"%d.%d " % (k, i) * (size // 4) for i in range(4))
                self.assertEqual(c.message(), (TEXT, whole))
            # One leaves inside a message; its buffer is nobody's.
            clients[0].send(encode(TEXT, b"unfinished", fin=False))
            clients[0].socket.close()
            clients[0] = self.client()

    def test_control_frames_between_fragments(self):
        c = self.client()
        frames = self.fragments(TEXT, [b"one ", b"two ", b"three"])
        for i, f in enumerate(frames):
            c.chop(f, 3)
            if i < 2:
                c.send(encode(PONG, b"nothing"), encode(PING, b"%d" % i))
                self.assertEqual(c.frame(), (0x80 | PONG, b"%d" % i))
        self.assertEqual(c.message(), (TEXT, b"one two three"))

    def test_a_continuation_of_nothing_is_refused(self):
        for fin in (True, False):
            self.fails(encode(CONT, b"x", fin=fin), 1002)
        c = self.client()
        self.check_alive(c)
        c.send(encode(CONT, b"more"))
        self.check_end(c, 1002)

    def test_a_message_inside_another_is_refused(self):
        for opcode, fin in itertools.product((TEXT, BINARY), (True, False)):
            self.fails(
                [encode(TEXT, b"a", fin=False), encode(opcode, b"b", fin=fin)],
                1002,
            )

    def test_close_inside_a_message(self):
        c = self.client()
        c.send(encode(TEXT, b"unfinished", fin=False), close_frame(1000))
        self.check_end(c, 1000)

    def test_the_end_of_the_connection_inside_a_message_or_frame(self):
        for data in (
            encode(TEXT, b"unfinished", fin=False), encode(TEXT, b"cut")[:-1],
            encode(TEXT, b"cut")[:1], encode(PING, b"cut")[:-1],
            encode(BINARY, bytes(70000))[:5],
        ):
            gone = self.p.log().count("without a close frame")
            c = self.client()
            c.send(data)
            c.socket.close()
            self.p.wait_for_log("without a close frame")
            deadline = time.monotonic() + 20
            while self.p.log().count("without a close frame") == gone:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)


VALID = [
    "", "a", "\x7f", "\x00", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000",
    "\ufffd", "\ufffe", "\uffff", "\ufeff", "\U00010000", "\U0001ffff",
    "\U0010ffff", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!",
    "\u03ba\u1f79\u03c3\u03bc\u03b5", "\U0001f600 \u20ac \u4e2d\u6587",
]
INVALID = [bytes.fromhex(x) for x in (
    "80", "bf", "8080", "fe", "ff", "feff",
    "c0", "c080", "c1bf", "c0af",  # overlong
    "e08080", "e09fbf", "e080af", "f0808080", "f08fbfbf", "f08080af",
    "f8", "f888808080", "fc8480808080", "fdbfbfbfbfbf",
    "f4908080", "f5808080", "f7bfbfbf",  # beyond U+10FFFF
    "eda080", "edafbf", "edb080", "edbfbf", "eda080edb080",  # surrogates
    "c2", "df", "e282", "e2", "ef bf", "f0", "f09f", "f09f98",  # cut short
    "c241", "e28241", "e24141", "f09f9841", "f0419880", "c2c2", "e282e282",
    "cebae1bdb9cf83cebcceb5eda080656469746564",
)]


class TextTest(WebSocketTestCase):
    def test_valid_text_comes_back(self):
        c = self.client()
        for text in VALID:
            text = text.encode("utf-8", "surrogatepass")
            c.send(encode(TEXT, text))
            self.assertEqual(c.message(), (TEXT, text))

    def test_characters_may_be_cut_by_frames_and_packets(self):
        c = self.client()
        text = "".join(VALID).encode()
        for at in range(len(text)):
            c.send(encode(TEXT, text[:at], fin=False), encode(CONT, text[at:]))
            self.assertEqual(c.message(), (TEXT, text))
        c.send(encode(TEXT, text[:1], fin=False))
        for byte in text[1:-1]:
            c.send(encode(CONT, bytes([byte]), fin=False))
        c.send(encode(CONT, text[-1:]))
        self.assertEqual(c.message(), (TEXT, text))
        c.chop(encode(TEXT, text))
        self.assertEqual(c.message(), (TEXT, text))

    def test_invalid_text_is_refused(self):
        for bad in INVALID:
            self.fails(encode(TEXT, bad), 1007, bad)
            self.fails(encode(TEXT, b"good until here " + bad), 1007, bad)

    def test_invalid_text_in_fragments_is_refused(self):
        for bad in INVALID:
            frames = [encode(TEXT, b"", fin=False)]
            frames += [encode(CONT, bytes([b]), fin=False) for b in bad]
            self.fails(frames + [encode(CONT)], 1007, bad)

    def test_text_is_refused_before_its_end(self):
        good = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
        for rest in (b"\xf4\x90", b"\xed\xa0", b"\xff", b"\xc0", b"\x80"):
            # In the middle of a frame, of which much is still to come.
            c = self.client()
            c.send(encode(TEXT, good + rest + bytes(90000))[: 14 + len(good + rest)])
            self.check_end(c, 1007, rest)
            # In an unfinished fragment.
            c = self.client()
            c.send(encode(TEXT, good, fin=False), encode(CONT, rest, fin=False))
            self.check_end(c, 1007, rest)

    def test_binary_and_pings_may_hold_anything(self):
        c = self.client()
        for bad in INVALID:
            c.send(encode(BINARY, bad), encode(PING, bad))
            self.assertCountEqual(
                [c.frame(), c.frame()], [(0x82, bad), (0x8A, bad)]
            )


class CloseTest(WebSocketTestCase):
    def test_codes_are_given_back(self):
        codes = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
        for code in codes:
            c = self.client()
            c.send(close_frame(code, "gr\u00fc\u00dfe".encode()))
            self.check_end(c, code, code)

    def test_codes_that_may_not_be_sent(self):
        for code in (
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999,
            5000, 65535,
        ):
            self.fails(close_frame(code), 1002, code)

    def test_an_empty_close_is_answered_by_one(self):
        c = self.client()
        c.send(close_frame())
        self.check_end(c, None)

    def test_half_a_code_is_refused(self):
        self.fails(encode(CLOSE, b"\x03"), 1002)

    def test_reasons(self):
        for reason in (b"", b"bye", b"r" * 123, "\u20ac".encode() * 41):
            c = self.client()
            c.send(close_frame(1000, reason))
            self.check_end(c, 1000, reason)
        for reason in (b"\xff", b"ok \xce\xba\xed\xa0\x80", b"r" * 122 + b"\xc3"):
            self.fails(close_frame(1000, reason), 1007, reason)

    def test_what_follows_a_close_is_dropped(self):
        for behind in (
            encode(TEXT, b"late"), encode(PING, b"late"), close_frame(1001),
            b"\xff\xff garbage", encode(BINARY, bytes(300000)),
        ):
            c = self.client()
            c.send(close_frame(1000, b"first"), behind)
            self.check_end(c, 1000, behind[:10])

    def test_messages_before_a_close_are_taken(self):
        c = self.client()
        c.send(encode(TEXT, b"last"))
        self.assertEqual(c.message(), (TEXT, b"last"))
        c.send(encode(BINARY, bytes(262144)), close_frame(4001))
        with self.assertRaises(Ended):
            while True:
                c.more()
        self.assertEqual(bytes(c.data[-4:]), b"\x88\x02" + struct.pack(">H", 4001))

    def test_the_server_ends_the_connection_with_a_fin(self):
        c = self.client()
        c.send(close_frame(1000))
        started = time.monotonic()
        self.check_end(c, 1000)
        self.assertLess(time.monotonic() - started, 5)

    def test_the_client_may_shut_down_behind_its_close(self):
        c = self.client()
        c.send(close_frame(1000))
        c.socket.shutdown(1)
        self.check_end(c, 1000)


class LimitTest(WebSocketTestCase):
    location = (
        "websocket_max_message 100000; websocket_max_frame 60000;"
        "websocket_max_fragments 10;"
    )

    def test_frames_and_messages_over_the_limit(self):
        c = self.client()
        c.send(encode(BINARY, bytes(60000)))
        self.assertEqual(c.message(), (BINARY, bytes(60000)))
        pieces = [bytes(60000), bytes(40000)]
        c.send(encode(BINARY, pieces[0], fin=False), encode(CONT, pieces[1]))
        self.assertEqual(c.message(), (BINARY, bytes(100000)))
        self.fails(encode(BINARY, bytes(60001)), 1009)
        c.send(encode(BINARY, pieces[0], fin=False), encode(CONT, bytes(40001)))
        self.check_end(c, 1009)

    def test_lengths_are_refused_before_their_bytes_come(self):
        for n in (60001, 1 << 31, 1 << 32, (1 << 63) - 1):
            self.fails(encode(BINARY, b"", length=n), 1009, n)
        for n in (1 << 63, (1 << 64) - 1):  # the highest bit must be 0
            self.fails(encode(BINARY, b"", length=n), 1002, n)
        # A sum that would wrap around.
        self.fails(
            [encode(BINARY, b"1", fin=False), encode(CONT, b"", length=(1 << 63) - 1)],
            1009,
        )

    def test_fragments_over_the_limit(self):
        c = self.client()
        frames = [encode(CONT if i else TEXT, b"x", fin=False) for i in range(10)]
        c.send(*frames[:9], encode(CONT, b"x"))
        self.assertEqual(c.message(), (TEXT, b"x" * 10))
        c.send(*frames, encode(CONT, b"x"))
        self.check_end(c, 1008)
        self.fails([encode(CONT if i else TEXT, b"", fin=False) for i in range(11)], 1008)


if __name__ == "__main__":
    unittest.main()
