# SPDX-License-Identifier: BSD-2-Clause
"""websocket_deflate: permessage-deflate (RFC 7692) against bytes made by hand
and against clients that nobody here wrote."""

import asyncio
import os
import random
import struct
import subprocess
import time
import unittest
import zlib

import websockets
from websockets.extensions import permessage_deflate

from support.browser import CHROMIUM, DRIVER, Browser
from support.gateway import (
    BINARY as SLUICE_BINARY,
    ACCEPT,
    BROADCAST,
    READY,
    CONT as SLUICE_CONT,
    OPEN,
    TEXT as SLUICE_TEXT,
    BridgeTestCase,
    SharedGatewayTestCase,
    frame,
    hello,
)
from support.penstock import wait_for
from support.websocket import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Client,
    encode,
    handshake,
)

NODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")
TAIL = b"\x00\x00\xff\xff"
RSV1 = 4
OFFER = "permessage-deflate"
# Says FRAGMENTS and WIRECOUNT.
HELLO_WIRE = hello()[:48] + struct.pack("<Q", 4 | 1 << 14) + hello()[56:]
# Text that compresses as chat does.
TEXTS = [
    '{"room":"%d","from":"someone","text":"%s"}' % (i % 3, "lorem ipsum " * (i % 40))
    for i in range(100)
]


def offering(text):
    return {"Sec-WebSocket-Extensions": text}


class Deflater:
    def __init__(self, bits=15, takeover=True):
        self.bits, self.takeover = bits, takeover
        self.z = None

    def __call__(self, data):
        if not self.z or not self.takeover:
            self.z = zlib.compressobj(9, zlib.DEFLATED, -max(self.bits, 9))
        out = self.z.compress(data) + self.z.flush(zlib.Z_SYNC_FLUSH)
        return out[:-4] if out.endswith(TAIL) else out + b"\x00"


class Inflater:
    """Keeps strictly to its window: it is given one byte at a time, so that
    it has nothing else to look at."""

    def __init__(self, bits=15, takeover=True):
        self.bits, self.takeover = bits, takeover
        self.z = None

    def __call__(self, data):
        if not self.z or not self.takeover:
            self.z = zlib.decompressobj(-self.bits)
        out = b""
        for part in (data, TAIL):
            rest = part
            while True:
                out += (got := self.z.decompress(rest, 1))
                rest = self.z.unconsumed_tail
                if not rest and not got:
                    break
        return out


class NegotiationTest(SharedGatewayTestCase):
    location = "websocket_deflate on min=0 takeover=client,server;"

    def test_each_pair_of_windows_both_ways(self):
        data = (b"far " + random.Random(1).randbytes(300)) * 40
        for server in range(8, 16):
            for client in range(8, 16):
                offer = (
                    f"{OFFER}; server_max_window_bits={server}"
                    f"; client_max_window_bits={client}"
                )
                c = self.ask(offering(offer))
                self.assertEqual(c.status, 101)
                answer = c.fields["sec-websocket-extensions"].split("; ")
                self.assertIn(f"server_max_window_bits={server}", answer)
                self.assertEqual(
                    f"client_max_window_bits={client}" in answer, client < 15
                )
                deflate, inflate = Deflater(client), Inflater(server)
                for text in (data, data[5:], b"", data[:700]):
                    c.send(encode(BINARY, deflate(text), rsv=RSV1))
                    first, payload = c.frame()
                    self.assertEqual(first, 0xC2)
                    self.assertEqual(inflate(payload), text)
                c.socket.close()

    def test_offers_that_are_wrong_are_declined_and_the_handshake_is_not(self):
        for offer in (
            f"{OFFER}; server_max_window_bits=7",
            f"{OFFER}; unknown",
            f"{OFFER}; server_no_context_takeover=1",
            f"{OFFER}; client_max_window_bits=10; client_max_window_bits=10",
            "x-webkit-deflate-frame",
            '"',
            f"{OFFER}; server_max_window_bits=\"15",
        ):
            c = self.ask(offering(offer))
            self.assertEqual(c.status, 101, offer)
            self.assertNotIn("sec-websocket-extensions", c.fields, offer)
            c.send(encode(TEXT, b"plain"))
            self.assertEqual(c.frame(), (0x81, b"plain"))
            # RSV1 has no meaning here.
            c.send(encode(TEXT, Deflater()(b"x"), rsv=RSV1))
            self.assertEqual(c.finish()[1], 1002)

    def test_offers_in_several_fields(self):
        c = self.ask(
            offering([f"{OFFER}; server_max_window_bits=16", f"foo, {OFFER}"])
        )
        self.assertEqual(c.fields["sec-websocket-extensions"], OFFER)


class MessagesTest(SharedGatewayTestCase):
    location = (
        "websocket_deflate on min=0 takeover=client,server;"
        " websocket_max_message 100k; websocket_max_fragments 1000;"
    )

    def open(self, offer=OFFER):
        c = self.ask(offering(offer))
        self.assertIn("sec-websocket-extensions", c.fields)
        return c

    def check_end(self, data, code, offer=OFFER):
        """Whole, byte by byte, and as the frames come."""
        for size in (len(data), 1, max(1, len(data) // 2)):
            c = self.open(offer)
            try:
                c.chop(data, size)
            except (BrokenPipeError, ConnectionResetError):
                pass
            _, got, _ = c.finish()
            self.assertEqual(got, code)

    def check_echo(self, c, data, expected, inflate=None):
        c.send(data)
        first, payload = c.frame()
        if first & 0x40:
            payload = (inflate or Inflater())(payload)
        self.assertEqual((first & 0x8F, payload), expected)

    def test_rfc_7692_7_2_3(self):
        hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
        for why, frames in (
            ("one block", encode(TEXT, hello, rsv=RSV1)),
            (
                "fragments",
                encode(TEXT, hello[:3], rsv=RSV1, fin=False) + encode(CONT, hello[3:]),
            ),
            (
                "an empty last fragment",
                encode(TEXT, hello, rsv=RSV1, fin=False) + encode(CONT),
            ),
            (
                "an empty first fragment",
                encode(TEXT, b"", rsv=RSV1, fin=False) + encode(CONT, hello),
            ),
            (
                "stored",
                encode(TEXT, b"\x00\x05\x00\xfa\xffHello\x00", rsv=RSV1),
            ),
            ("BFINAL", encode(TEXT, b"\xf3" + hello[1:] + b"\x00", rsv=RSV1)),
            (
                "two blocks",
                encode(
                    TEXT,
                    b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
                    rsv=RSV1,
                ),
            ),
            ("plain", encode(TEXT, b"Hello")),
        ):
            with self.subTest(why):
                c = self.open()
                inflate = Inflater()
                self.check_echo(c, frames, (0x81, b"Hello"), inflate)
                # 7.2.3.2: the window is the client's of the message before.
                if why != "plain":
                    self.check_echo(
                        c,
                        encode(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1),
                        (0x81, b"Hello"),
                        inflate,
                    )
                c.socket.close()

    def test_control_frames_between_fragments(self):
        c = self.open()
        data = Deflater()(b"x" * 50000 + b"end")
        for i, byte in enumerate(data):
            last = i == len(data) - 1
            c.send(
                encode(
                    CONT if i else BINARY,
                    bytes([byte]),
                    fin=last,
                    rsv=0 if i else RSV1,
                )
            )
            if not last:
                c.send(encode(PING, b"%d" % i))
        seen, pings = 0, 0
        while True:
            first, payload = c.frame()
            if first == 0x80 | PONG:
                self.assertEqual(payload, b"%d" % pings)
                pings += 1
                continue
            break
        self.assertEqual(first, 0xC2)
        self.assertEqual(Inflater()(payload), b"x" * 50000 + b"end")
        self.assertEqual(pings, len(data) - 1)

    def test_reserved_bits(self):
        for why, data in (
            ("6.1: RSV1 behind the first frame",
             encode(TEXT, b"\xf2", rsv=RSV1, fin=False)
             + encode(CONT, b"\x00", rsv=RSV1)),
            ("6.1: RSV1 of a ping", encode(PING, b"x", rsv=RSV1)),
            ("6.1: RSV1 of a close", encode(CLOSE, rsv=RSV1)),
            ("RSV2", encode(TEXT, b"x", rsv=2)),
            ("RSV3", encode(TEXT, b"x", rsv=1)),
            ("RSV1 and RSV2", encode(TEXT, b"x", rsv=6)),
        ):
            with self.subTest(why):
                self.check_end(data, 1002)

    def test_corrupt_streams_are_1007(self):
        stored = b"\x00\x02\x00\xfd\xff\xc3\x28\x00"
        for why, data in (
            ("block of type 3", encode(BINARY, b"\x06", rsv=RSV1)),
            ("no stream", encode(TEXT, b"Hello, this is text", rsv=RSV1)),
            ("half of a stream", encode(BINARY, b"\xf2\x48\xcd", rsv=RSV1)),
            ("7.2.2: the tail is there", encode(
                BINARY, b"\xf2\x48\xcd\xc9\xc9\x07\x00" + TAIL, rsv=RSV1)),
            ("too far back", encode(BINARY, b"\xf2\x00\x11\x00\x00", rsv=RSV1)),
            ("not UTF-8", encode(TEXT, stored, rsv=RSV1)),
            ("not UTF-8, in two frames",
             encode(TEXT, stored[:6], rsv=RSV1, fin=False)
             + encode(CONT, stored[6:])),
        ):
            with self.subTest(why):
                self.check_end(data, 1007)

    def test_a_window_that_was_given_up_is_1007(self):
        first = encode(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1)
        c = self.open(f"{OFFER}; client_no_context_takeover")
        self.check_echo(c, first, (0x81, b"Hello"))
        c.send(encode(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1))
        self.assertEqual(c.finish()[1], 1007)

    def test_max_message_counts_what_is_inflated(self):
        exact, over = bytes(100 << 10), bytes((100 << 10) + 1)
        c = self.open()
        c.send(encode(BINARY, Deflater()(exact), rsv=RSV1))
        first, payload = c.frame()
        self.assertEqual(Inflater()(payload), exact)
        self.check_end(encode(BINARY, Deflater()(over), rsv=RSV1), 1009)
        # Fragments, of which each is small.
        data = Deflater()(over)
        frames = encode(BINARY, data[:50], rsv=RSV1, fin=False)
        frames += encode(CONT, data[50:])
        self.check_end(frames, 1009)

    def test_max_fragments_counts_frames_whatever_they_inflate_to(self):
        for first, n, code in ((0, 1000, None), (0, 1001, 1008), (50, 1001, 1008)):
            data = Deflater()(b"fragments " * 500)
            pieces = [data[:first]] + [b""] * (n - 2) + [data[first:]]
            frames = [
                encode(CONT if i else TEXT, x, fin=i == n - 1, rsv=0 if i else RSV1)
                for i, x in enumerate(pieces)
            ]
            if code:
                self.check_end(b"".join(frames), code)
            else:
                expected = 0x81, b"fragments " * 500
                self.check_echo(self.open(), b"".join(frames), expected)

    def test_a_bomb_is_stopped_while_it_inflates(self):
        before = self.memory()
        bomb = Deflater()(bytes(80 << 20))  # 80 KiB of it
        self.assertLess(len(bomb), 100 << 10)
        for _ in range(5):
            c = self.open()
            start = time.monotonic()
            c.send(encode(BINARY, bomb, rsv=RSV1))
            self.assertEqual(c.finish()[1], 1009)
            self.assertLess(time.monotonic() - start, 5)
        self.assertLess(self.memory() - before, 20 << 20)

    def memory(self):
        with open(f"/proc/{self.p.workers()[0]}/status") as f:
            for line in f:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) * 1024

    def test_many_messages_with_both_windows(self):
        c = self.open()
        deflate, inflate = Deflater(), Inflater()
        rng = random.Random(4)
        for i in range(200):
            text = rng.choice(TEXTS).encode() * rng.randrange(1, 4)
            plain = rng.random() < 0.2
            c.send(
                encode(TEXT, text) if plain else encode(TEXT, deflate(text), rsv=RSV1)
            )
            first, payload = c.frame()
            self.assertEqual(first, 0xC1)
            self.assertEqual(inflate(payload), text)


class BackPressureTest(BridgeTestCase):
    def test_a_message_of_a_gibibyte_needs_no_gibibyte(self):
        """Inflated as fast as the backend gives credit, and not faster."""
        total = 1 << 30
        got = {"n": 0, "last": False, "cid": 0}

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                b.send(frame(0x11, cid, struct.pack("<II", 0, 0) + mask))
                got["cid"] = cid
            elif kind in (SLUICE_BINARY, SLUICE_CONT):
                got["n"] += len(payload)
                got["last"] = True
                b.send(
                    frame(0x30, 0, struct.pack("<QII", cid, len(payload), 0))
                )

        # OPT 5 EVENT_MASK, bit 4 FRAGMENTS
        mask = struct.pack("<I", 0x23 | 6 << 8) + struct.pack("<HI", 5, 1 << 4)
        p, b = self.with_backend(
            location="websocket_deflate on; websocket_max_message 1g;"
            " websocket_max_frame 1g;",
            on_frame=on_frame,
        )
        self.wait_ready(p)
        c = Client(p.port(), greeting=handshake(offering(OFFER), port=p.port()))
        self.addCleanup(c.socket.close)
        z = zlib.compressobj(1, zlib.DEFLATED, -15)
        part = bytes(16 << 20)
        peak, opcode = 0, BINARY
        for i in range(total >> 24):
            data = z.compress(part)
            last = i == (total >> 24) - 1
            if last:
                data += z.flush(zlib.Z_SYNC_FLUSH)[:-4]
            c.send(encode(opcode, data, fin=last, rsv=RSV1 if i == 0 else 0))
            opcode = CONT
            peak = max(peak, self.rss(p))
        wait_for("the whole message", lambda: got["n"] == total, 120)
        peak = max(peak, self.rss(p))
        self.assertLess(peak, 128 << 20)

    def rss(self, p):
        with open(f"/proc/{p.workers()[0]}/status") as f:
            for line in f:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) * 1024


class BackendTest(BridgeTestCase):
    """A backend of our own: OPEN, NOCOMPRESS, fragments, broadcasts."""

    def start(self, options):
        p, b = self.with_backend(location=f"websocket_deflate {options};")
        self.wait_ready(p)
        return p, b

    def open(self, p, b, offer=OFFER):
        before = len(b.of(OPEN))
        c = Client(
            p.port(),
            greeting=handshake(offering(offer) if offer else (), port=p.port()),
        )
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        c.cid, c.open = b.of(OPEN)[before][1], b.of(OPEN)[before][2]
        return c

    def test_open_tells_what_was_agreed_on(self):
        p, b = self.start("on takeover=server")
        c = self.open(p, b, f"{OFFER}; server_max_window_bits=10")
        answer = c.fields["sec-websocket-extensions"]
        self.assertEqual(
            answer,
            f"{OFFER}; client_no_context_takeover; server_max_window_bits=10",
        )
        self.assertTrue(c.open[3] & 8)
        tlv = struct.pack("<I", 0x1A | len(answer) << 8) + answer.encode()
        self.assertIn(tlv, c.open)
        c = self.open(p, b, None)
        self.assertFalse(c.open[3] & 8)
        self.assertNotIn(b"permessage-deflate; client", c.open)

    def test_the_wire_is_counted_as_it_was(self):
        """A18: aux is bytes on the wire less the payload, and what does not fit
        into 16 bits comes with the next message."""
        greeting = HELLO_WIRE + frame(READY)
        option = struct.pack("<I", 0x23 | 6 << 8) + struct.pack("<HI", 5, 1 << 9)

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                b.send(frame(ACCEPT, cid, bytes(8) + option))

        p, b = self.with_backend(
            location="websocket_deflate on;", greeting=greeting, on_frame=on_frame
        )
        self.wait_ready(p)
        c = self.open(p, b)
        deflate = Deflater(takeover=False)
        sent = 0
        for size in (40000, 20000, 0, 5, 1000, 7):
            data = encode(BINARY, deflate(bytes(size)), rsv=RSV1)
            c.send(data)
            sent += len(data)
        def told():
            frames = b.of(SLUICE_BINARY)
            return frames if len(frames) == 6 else None

        frames = wait_for("the messages", told)
        deltas = [aux - 65536 if aux > 32767 else aux for _, _, _, aux in frames]
        self.assertEqual(deltas[0], -32768)
        self.assertEqual(sum(len(f[2]) for f in frames) + sum(deltas), sent)

    def test_what_is_compressed(self):
        for options, takeover in (
            ("on min=100", False),
            ("on min=100 takeover=server", True),
        ):
            p, b = self.start(options)
            c = self.open(p, b)
            inflate = Inflater(takeover=takeover)
            text = b"again and again " * 20
            noise = random.Random(1).randbytes(300)
            for why, payload, flags, compressed in (
                ("short", text[:99], 0, False),
                ("long enough", text[:100], 0, True),
                ("NOCOMPRESS", text, 8, False),
                ("long", text, 0, True),
                ("it gets no smaller", noise, 0, takeover),
                ("long again", text, 0, True),
            ):
                b.send(frame(SLUICE_BINARY, c.cid, payload, flags))
                first, got = c.frame()
                self.assertEqual(first, 0xC2 if compressed else 0x82, why)
                self.assertEqual(inflate(got) if compressed else got, payload, why)

    def test_fragments_of_the_backend(self):
        for options in ("on", "on takeover=server", "on takeover=server window=9"):
            p, b = self.start(options)
            c, inflate = self.open(p, b), Inflater(takeover="server" in options)
            parts = [b"first " * 200, b"", b"second " * 3000, b"x", b""]
            for round in range(3):
                for i, part in enumerate(parts):
                    last = i == len(parts) - 1
                    kind = SLUICE_CONT if i else SLUICE_TEXT
                    b.send(frame(kind, c.cid, part, 0 if last else 1))
                whole = b""
                for i in range(len(parts)):
                    first, payload = c.frame()
                    last = i == len(parts) - 1
                    expected = (0x80 if last else 0) | (0 if i else 0x41)
                    self.assertEqual(first, expected)
                    whole += payload
                self.assertEqual(inflate(whole), b"".join(parts))
                # A first piece that is not to be compressed decides for all.
                b.send(frame(SLUICE_TEXT, c.cid, b"plain" * 100, 1 | 8))
                b.send(frame(SLUICE_CONT, c.cid, b"plain" * 100))
                self.assertEqual(c.frame(), (0x01, b"plain" * 100))
                self.assertEqual(c.frame(), (0x80, b"plain" * 100))

    def broadcast(self, b, data, opcode=TEXT):
        b.send(
            frame(
                BROADCAST, 0, struct.pack("<BBHHHI", opcode, 0, 0, 0, 0, 0) + data
            )
        )

    def test_broadcasts_between_messages_of_each_window(self):
        p, b = self.start("on min=10 takeover=client,server")
        offers = [
            None,
            OFFER,
            f"{OFFER}; server_no_context_takeover",
            f"{OFFER}; server_max_window_bits=8",
            f"{OFFER}; server_max_window_bits=11",
            f"{OFFER}; server_max_window_bits=8; server_no_context_takeover",
        ]
        clients = [self.open(p, b, offer) for offer in offers]
        for c, offer in zip(clients, offers):
            bits = 8 if offer and "=8" in offer else 11 if offer and "=11" in offer else 15
            c.inflate = Inflater(bits, not (offer and "no_context" in offer))
        rng = random.Random(9)
        for i in range(150):
            text = rng.choice(TEXTS).encode()[: rng.choice((5, 200, 5000))]
            if rng.random() < 0.5:
                self.broadcast(b, text)
                to = clients
            else:
                to = [rng.choice(clients)]
                b.send(frame(SLUICE_TEXT, to[0].cid, text))
            for c in to:
                first, payload = c.frame()
                if first & 0x40:
                    payload = c.inflate(payload)
                self.assertEqual((first & 0x8F, payload), (0x81, text))

    def test_a_broadcast_waits_for_the_end_of_a_compressed_message(self):
        p, b = self.start("on min=10 takeover=server")
        c, inflate = self.open(p, b), Inflater()
        b.send(frame(SLUICE_TEXT, c.cid, b"one " * 100, 1))
        self.broadcast(b, b"shared " * 100)
        b.send(frame(SLUICE_CONT, c.cid, b"two " * 100))
        b.send(frame(SLUICE_TEXT, c.cid, b"one two " * 100))
        first, one = c.frame()
        last, two = c.frame()
        self.assertEqual((first, last), (0x41, 0x80))
        self.assertEqual(inflate(one + two), b"one " * 100 + b"two " * 100)
        for text in (b"shared " * 100, b"one two " * 100):
            first, payload = c.frame()
            self.assertEqual(first, 0xC1)
            self.assertEqual(inflate(payload), text)

    def test_broadcasts_are_compressed_once(self):
        """As many clients again cost hardly more time to compress for."""
        p, b = self.start("on min=10 level=9")
        clients = [self.open(p, b) for _ in range(50)]
        text = "".join(random.Random(3).choices("abcdefgh ", k=200000)).encode()
        (pid,) = p.workers()

        def spent():
            with open(f"/proc/{pid}/stat") as f:
                return sum(map(int, f.read().rpartition(")")[2].split()[11:13]))

        def cost(send):
            start = spent()
            for _ in range(10):
                send()
                for c in clients:
                    self.assertEqual(c.frame()[0], 0xC1)
            return spent() - start

        def to_each():
            for c in clients:
                b.send(frame(SLUICE_TEXT, c.cid, text[:60000]))

        together = cost(lambda: self.broadcast(b, text[:60000]))
        alone = cost(to_each)
        print(f"{together} ticks for a broadcast, {alone} for messages")
        self.assertLess(together, alone / 3)


class OthersTest(BridgeTestCase):
    OPTIONS = (
        "on min=0",
        "on min=0 takeover=client,server",
        "on min=0 takeover=server window=9",
        "on min=1k level=9 window=12 takeover=client",
    )

    def test_python_websockets(self):
        def factories():
            yield "default"
            for kwargs in (
                {"server_no_context_takeover": True},
                {"client_no_context_takeover": True},
                {"server_max_window_bits": 9, "client_max_window_bits": 9},
                {"server_max_window_bits": 12, "client_max_window_bits": True},
            ):
                yield permessage_deflate.ClientPerMessageDeflateFactory(**kwargs)

        async def talk(p, factory):
            how = {}
            if factory != "default":
                how = {"compression": None, "extensions": [factory]}
            async with websockets.connect(self.ws(p), **how) as ws:
                self.assertEqual(
                    [e.name for e in ws.extensions], ["permessage-deflate"]
                )
                for text in TEXTS + ["", "\u20ac\u00e4" * 3000, "x" * 1000000]:
                    await ws.send(text)
                    self.assertEqual(await ws.recv(), text)
                await ws.send([text for text in TEXTS])
                self.assertEqual(await ws.recv(), "".join(TEXTS))
                await ws.send(bytes(70000))
                self.assertEqual(await ws.recv(), bytes(70000))
                await ws.ping()

        for options in self.OPTIONS:
            p, _ = self.gateway(location=f"websocket_deflate {options};")
            for factory in factories():
                with self.subTest(options=options, factory=factory):
                    asyncio.run(talk(p, factory))

    @unittest.skipUnless(
        CHROMIUM and DRIVER, "chromium or chromedriver is not installed"
    )
    def test_chromium(self):
        script = """
            const url = 'ws://' + location.host + '/ws';
            const texts = [];
            for (let i = 0; i < 300; i++)
                texts.push(JSON.stringify({i, text: 'lorem ipsum '.repeat(i % 50)}));
            texts.push('', '\\u20ac'.repeat(50000), 'x'.repeat(900000));
            const ws = new WebSocket(url);
            let next = 0;
            window.result = '';
            ws.onopen = () => texts.forEach((t) => ws.send(t));
            ws.onmessage = (e) => {
                if (e.data !== texts[next])
                    window.result = 'message ' + next + ' differs';
                if (++next === texts.length)
                    ws.close(3000);
            };
            ws.onclose = (e) => {
                window.result ||= [next, e.code, e.wasClean, ws.extensions].join(' ');
            };
        """
        browser = Browser()
        self.addCleanup(browser.stop)
        for options in self.OPTIONS:
            p, _ = self.gateway(location=f"websocket_deflate {options};")
            with self.subTest(options):
                browser.call("POST", "/url", {"url": p.url()})
                browser.run(script)
                result = wait_for(
                    "the messages", lambda: browser.run("return window.result")
                )
                self.assertRegex(result, "^303 3000 true permessage-deflate")

    @unittest.skipUnless(
        os.path.isdir(os.path.join(NODE, "node_modules", "ws")),
        "npm's ws is not installed (contrib/dev/npm)",
    )
    def test_npm_ws(self):
        for options in self.OPTIONS:
            p, _ = self.gateway(location=f"websocket_deflate {options};")
            with self.subTest(options):
                done = subprocess.run(
                    ["node", os.path.join(NODE, "deflate.js"), self.ws(p)],
                    capture_output=True,
                    text=True,
                    timeout=100,
                )
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
