# SPDX-License-Identifier: BSD-2-Clause
"""A backend that breaks every rule of the protocol: its link or its client
ends as is said, and nobody else notices."""

import random
import socket
import struct
import threading
import time
import unittest

from support.gateway import (
    ACCEPT, ACK, BINARY, BROADCAST, CLOSE, CLOSED, CONT, ERROR, HELLO,
    HTTP_BODY, OPEN, OPENED, PING, PONG, READY, REJECT, TEXT, Backend,
    BridgeTestCase, frame, hello, tlv,
)
from support.penstock import wait_for
from support.websocket import Client, close_frame, encode, handshake
from support.websocket import TEXT as WS_TEXT

# The bad backend is at /bad; the good one in the same pool gets who comes to
# /good: an app each.  A third place has the bad one alone.
CONFIG = """
user root;
events { }
http {
    access_log off;
    backend both {
        server unix:@PREFIX@/bad.sock;
        server unix:@PREFIX@/good.sock;
        %s
    }
    server {
        listen 127.0.0.1:@PORT@;
        location /bad { websocket_pass both app=bad; %s }
        location /good { websocket_pass both app=echo; }
        location /http { client_max_body_size 0; backend_pass both app=bad; }
    }
}
"""
PROTOCOL, UNKNOWN_TYPE, FRAME_TOO_BIG, BAD_STATE = 1, 2, 3, 4
FLOW_CONTROL, UNSUPPORTED, VERSION, BAD_UTF8 = 6, 8, 10, 15
REGISTER, ACCEPT_OK = 0x70, bytes(8)
GREETING = hello() + frame(REGISTER, 0, tlv(0x01, b"bad")) + frame(READY)
CID = 0x0000100000000000  # of nobody, but legal


def greeting_of(**change):
    """A HELLO with some fields changed."""
    fields = dict(
        magic=b"SLUICE1\n", low=1, high=1, role=2, flags=0, lane=0,
        max_frame=65536, window=65536, link_window=1 << 20, keepalive=0,
        features=4, boot=7,
    )
    fields.update(change)
    payload = struct.pack("<8sHHBBHIIIIQQ", *fields.values())
    return frame(HELLO, payload=payload)


def raw_header(length, kind, cid=0):
    return struct.pack("<IBBHQ", length, kind, 0, 0, cid)


def header(name, value):
    return tlv(0x10, struct.pack("<H", len(name)) + name + value)


class HostileTestCase(BridgeTestCase):
    def pool(self, backend="", location="", **how):
        p = self.penstock(CONFIG % (backend, location), start=False)
        how.setdefault("greeting", GREETING)
        b = Backend(p.path("bad.sock"), **how)
        self.addCleanup(b.stop)
        self.start_echo(p, "good.sock")
        p.start()
        wait_for("the good backend", lambda: self.status(p, "/good") == 101)
        self.pids = p.workers()
        # Who is there all the time and must not notice.
        self.witness = self.join(p, "/good")
        return p, b

    def join(self, p, path="/bad"):
        request = f"GET {path} HTTP/1.1"
        c = Client(p.port(), handshake(request=request, port=p.port()))
        self.addCleanup(c.socket.close)
        return c

    def status(self, p, path="/bad"):
        c = self.join(p, path)
        c.socket.close()
        return c.status

    def check_witness(self, p):
        self.witness.send(encode(WS_TEXT, b"unmoved"))
        self.assertEqual(self.witness.message(), (WS_TEXT, b"unmoved"))
        self.assertEqual(p.workers(), self.pids)

    def victim(self, p, b):
        """A client of the bad backend, and its id."""

        def come():
            c = self.join(p)
            if c.status == 101:
                return c
            c.socket.close()
            time.sleep(0.02)

        c = wait_for("a client of the bad backend", come)
        return c, b.of(OPEN)[-1][1]


class LinkFatalTest(HostileTestCase):
    def cases(self, cid):
        word = struct.pack("<I", 0x19 | 99 << 8)
        return (
            ("type 0", frame(0), PROTOCOL),
            ("unknown type", frame(0x7F), UNKNOWN_TYPE),
            ("unknown type of a client", frame(0x2F, cid), UNKNOWN_TYPE),
            ("overlong frame", raw_header((256 << 10) + 1, TEXT, cid), FRAME_TOO_BIG),
            ("longest frame", raw_header(0xFFFFFFFF, TEXT, cid), FRAME_TOO_BIG),
            ("overlong ignorable", raw_header(0xFFFFFFFF, 0x80), FRAME_TOO_BIG),
            ("our own OPENED", frame(OPENED, cid), PROTOCOL),
            ("our own OPEN", frame(OPEN, cid, bytes(32)), PROTOCOL),
            ("our own CLOSED", frame(CLOSED, cid, bytes(32)), PROTOCOL),
            ("cid beyond 2^53", frame(TEXT, 1 << 53), PROTOCOL),
            ("cid of all bits", frame(TEXT, (1 << 64) - 1), PROTOCOL),
            ("data without a cid", frame(TEXT, 0, b"x"), PROTOCOL),
            ("link frame with a cid", frame(READY, cid), PROTOCOL),
            ("ACK with a cid", frame(ACK, cid, bytes(16)), PROTOCOL),
            ("ignorable cid", frame(0x80, 1 << 60), PROTOCOL),
            ("second HELLO", hello(), PROTOCOL),
            ("TLV overrun", frame(ACCEPT, cid, ACCEPT_OK + word), PROTOCOL),
            ("half a TLV", frame(0x1A, cid, b"\x19\x01"), PROTOCOL),
            ("REGISTER overrun", frame(REGISTER, 0, word + b"x"), PROTOCOL),
            ("short ACCEPT", frame(ACCEPT, cid, bytes(7)), PROTOCOL),
            ("short REJECT", frame(REJECT, cid, bytes(3)), PROTOCOL),
            ("short ERROR", frame(ERROR, 0, b""), PROTOCOL),
            ("half an ACK", frame(ACK, 0, bytes(15)), PROTOCOL),
            ("ACK of nothing", frame(ACK, 0, struct.pack("<QII", cid, 1, 0)), PROTOCOL),
            ("ACK of much", frame(ACK, 0, struct.pack("<QII", cid, 2**32 - 1, 0)), PROTOCOL),
            ("short BROADCAST", frame(BROADCAST, 0, bytes(11)), PROTOCOL),
            ("BROADCAST of many", frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 0, 9, 0, 0)), PROTOCOL),
            ("BROADCAST to no app", frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 9, 0, 0, 0)), PROTOCOL),
            ("BROADCAST of a ping", frame(BROADCAST, 0, struct.pack("<BBHHHI", 9, 0, 0, 0, 0, 0)), PROTOCOL),
            ("MSEND of many", frame(0x44, 0, struct.pack("<BBHI", 1, 0, 0, 2**32 - 1)), PROTOCOL),
            ("feature that is off", frame(0x25, cid, b"raw"), UNSUPPORTED),
            ("channels", frame(0x40, cid, b"\x01\x00a"), UNSUPPORTED),
        )

    def test_each_way_to_break_a_link(self):
        p, b = self.pool()
        for i in range(len(self.cases(0))):
            c, cid = self.victim(p, b)
            name, data, code = self.cases(cid)[i]
            seen = len(b.of(ERROR))
            b.send(data)
            self.assertEqual(c.finish(), ([], 1012, b""), name)
            c.socket.close()
            wait_for(f"an ERROR for {name}", lambda: len(b.of(ERROR)) > seen)
            kind, _, payload, aux = b.of(ERROR)[-1]
            self.assertEqual((aux, payload[1]), (code, 2), name)
            self.check_witness(p)

    def test_greetings_that_are_none(self):
        for greeting in (
            b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 64, frame(READY),
            frame(HELLO, 0, bytes(48)), frame(HELLO, 0, b"SLUICE1\n"),
            greeting_of(magic=b"SLUICE2\n"), greeting_of(low=2, high=3),
            greeting_of(low=0, high=0), greeting_of(role=1),
            greeting_of(role=9), greeting_of(max_frame=16383),
            greeting_of(window=0), greeting_of(link_window=0),
            greeting_of()[:-1] + b"\0" + frame(0),
            frame(REGISTER, 0, tlv(1, b"bad")) + greeting_of(),
            greeting_of(role=3) + frame(REGISTER, 0, tlv(1, b"bad")),
        ):
            p, b = self.pool(greeting=greeting)
            wait_for("a second dial", lambda: b.links >= 2)
            self.assertNotEqual(self.status(p), 101, greeting[:30])
            self.check_witness(p)
            p.stop()

    def test_silence_at_every_stage(self):
        """No HELLO, half of one, no READY, half a frame."""
        whole = GREETING
        quick = "connect_timeout 400ms; link_keepalive 300ms timeout=700ms;"
        for greeting in (b"", whole[:1], whole[:40], whole + b"\x05\0\0\0\x20"):
            p, b = self.pool(greeting=greeting, backend=quick)
            wait_for("it is given up", lambda: b.links >= 2)
            self.check_witness(p)
            p.stop()
        p, b = self.pool(greeting=whole[:-16], backend=quick)
        b.on_frame = lambda *_: None
        self.assertIn(self.status(p), (404, 502))
        wait_for("silence is noticed", lambda: b.links >= 2)
        self.check_witness(p)

    def test_garbage_at_every_offset_of_a_conversation(self):
        p, b = self.pool()
        rng = random.Random(15)
        size = 0
        offset = 0
        while True:
            c, cid = self.victim(p, b)
            good = (
                frame(TEXT, cid, b"hello") + frame(PING, cid, b"p")
                + frame(BINARY, cid, bytes(40), flags=1)
                + frame(CONT, cid, b"end") + frame(0x90, cid, b"skip")
                + frame(0x0C, 0, b"nop")
            )
            size = len(good)
            if offset > size:
                break
            links = b.links
            try:
                b.send(good[:offset] + rng.randbytes(100 + rng.randrange(400)))
            except OSError:
                pass
            # Whatever came of it: the end of the link, or nothing.
            offset += rng.randrange(1, 8)
            c.socket.close()
            if offset % 3 == 0:
                self.check_witness(p)
            if b.links == links:
                # It may wait for the rest of a long frame: another link.
                b.link.shutdown(socket.SHUT_RDWR)
            wait_for("another link", lambda: b.links > links)
        self.check_witness(p)
        self.assertGreater(size, 100)


class ClientFatalTest(HostileTestCase):
    def test_each_way_to_break_a_session(self):
        p, b = self.pool()
        other, _ = self.victim(p, b)
        cases = [
            ("ACCEPT twice", lambda c: frame(ACCEPT, c, ACCEPT_OK), BAD_STATE),
            ("REJECT behind ACCEPT", lambda c: frame(REJECT, c, struct.pack("<HH", 403, 0)), BAD_STATE),
            ("a body behind ACCEPT", lambda c: frame(HTTP_BODY, c, b"x"), None),
            ("CONT of nothing", lambda c: frame(CONT, c, b"x"), BAD_STATE),
            ("PING of 126", lambda c: frame(PING, c, bytes(126)), None),
            ("PONG of 126", lambda c: frame(PONG, c, bytes(126)), None),
            ("reason of 124", lambda c: frame(CLOSE, c, b"r" * 124, aux=1000), None),
            ("reason in no UTF-8", lambda c: frame(CLOSE, c, b"\xff", aux=1000), None),
            ("text in no UTF-8", lambda c: frame(TEXT, c, b"\xff"), BAD_UTF8),
            ("text cut short", lambda c: frame(TEXT, c, b"\xe2\x82"), BAD_UTF8),
        ]
        for code in (1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535):
            cases.append((f"code {code}", lambda c, k=code: frame(CLOSE, c, aux=k), None))
        for name, data, code in cases:
            c, cid = self.victim(p, b)
            seen = len(b.of(ERROR))
            b.send(data(cid))
            before, ended, _ = c.finish()
            self.assertEqual((before, ended), ([], 1011), name)
            c.socket.close()
            wait_for(f"an ERROR for {name}", lambda: len(b.of(ERROR)) > seen)
            kind, about, payload, aux = b.of(ERROR)[-1]
            self.assertEqual((about, payload[1]), (cid, 1), name)
            if code:
                self.assertEqual(aux, code, name)
        # Inside a fragmented message only its rest may come.
        c, cid = self.victim(p, b)
        b.send(frame(TEXT, cid, b"a", flags=1) + frame(TEXT, cid, b"b"))
        self.assertEqual(c.finish(), ([(1, b"a")], 1011, b""))
        # The link and its other clients never noticed.
        self.assertEqual(b.links, 1)
        b.send(frame(TEXT, b.of(OPEN)[0][1], b"hello"))
        self.check_witness(p)

    def test_more_than_the_credit(self):
        p, b = self.pool(backend="reply_window 64k;")
        c, cid = self.victim(p, b)
        # Nothing is read, so nothing is given back: the kernel takes some.
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent = 0
        while not b.of(ERROR):
            b.send(frame(BINARY, cid, bytes(60000)))
            sent += 60000
            self.assertLess(sent, 64 << 20)
        kind, about, payload, aux = b.of(ERROR)[-1]
        self.assertEqual((about, aux, payload[1]), (cid, FLOW_CONTROL, 1))
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual(b.links, 1)
        self.check_witness(p)

    def test_answers_to_handshakes_that_are_wrong(self):
        reserved = (
            b"Connection", b"upgrade", b"Sec-WebSocket-Accept",
            b"sec-websocket-extensions", b"Sec-WebSocket-Protocol",
            b"Content-Length", b"Transfer-Encoding", b"Keep-Alive",
        )
        answers = [ACCEPT_OK + header(name, b"x") for name in reserved]
        answers += [
            ACCEPT_OK + header(b"X-A", value)
            for value in (b"a\r\nSet-Cookie: x", b"a\nb", b"a\rb", b"a\0b", b"\x01", b"\x7f")
        ]
        answers += [
            ACCEPT_OK + header(name, b"x")
            for name in (b"", b"X A", b"X:", b"X\r\nY", b"X\0", b"\xc3\xa4", b" X")
        ]
        answers += [
            ACCEPT_OK + tlv(0x19, name)
            for name in (b"not-offered", b"", b"V1", b"v1, v2", b"v1\r\nX: y")
        ]
        answers.append(ACCEPT_OK + tlv(0x19, b"v1") + tlv(0x19, b"v2"))
        it = iter(answers)
        p, b = self.pool(
            on_frame=lambda kind, cid, payload: kind == OPEN
            and b.send(frame(ACCEPT, cid, next(it)))
        )
        wait_for("the bad backend", lambda: b.links)
        self.check_witness(p)
        for answer in answers:
            c = wait_for("an offer", lambda: self.offer(p))
            self.assertEqual(c.status, 502, answer)
            self.assertNotIn("x-a", c.fields)
            self.assertNotIn("set-cookie", c.fields)
            c.read_body()
        self.assertEqual(b.links, 1)
        self.check_witness(p)

    def offer(self, p):
        fields = {"Sec-WebSocket-Protocol": "v1, v2"}
        request = "GET /bad HTTP/1.1"
        c = Client(p.port(), handshake(fields, request, p.port()))
        self.addCleanup(c.socket.close)
        return c if c.status != 404 else None

    def test_rejections_that_are_wrong(self):
        answers = [
            struct.pack("<HH", status, 0)
            for status in (0, 1, 99, 100, 101, 199, 200, 299, 600, 999, 65535)
        ] + [
            struct.pack("<HH", 403, 0) + header(b"X-A", b"a\r\n\r\nHTTP/1.1 200 OK"),
            struct.pack("<HH", 403, 0) + header(b"X\n", b"a"),
        ]
        it = iter(answers)
        p, b = self.pool(
            on_frame=lambda kind, cid, payload: kind == OPEN
            and b.send(frame(REJECT, cid, next(it)))
        )
        for answer in answers:
            c = wait_for("an offer", lambda: self.offer(p))
            if answer[:2] in (struct.pack("<H", 200), struct.pack("<H", 299)):
                # A backend may say so; it is a response like any other.
                self.assertIn(c.status, (200, 299, 502), answer)
            else:
                self.assertEqual(c.status, 502, answer)
            self.assertNotIn("x-a", c.fields)
        self.check_witness(p)

    def test_frames_about_clients_of_nobody_and_of_others(self):
        p, b = self.pool()
        c, cid = self.victim(p, b)
        slot, generation = cid & 0xFFFFFF, 1 << 24
        others = [CID, cid + generation, cid + (1 << 44), 0xFFFFFF, 1]
        others += [(cid & ~0xFFFFFF) + i for i in range(8) if i != slot]
        for other in others:
            for kind in (TEXT, CLOSE, 0x16, PING, ACCEPT, REJECT, HTTP_BODY, 0x32):
                b.send(frame(kind, other, bytes(8)))
        b.send(frame(ACK, 0, b"".join(struct.pack("<QII", o, 1, 1) for o in others)))
        b.send(frame(TEXT, cid, b"and yet"))
        self.assertEqual(c.message(), (WS_TEXT, b"and yet"))
        self.assertEqual(b.links, 1)
        self.check_witness(p)


class NeverReadsTest(HostileTestCase):
    def test_a_backend_that_never_reads(self):
        p, b = self.pool(
            backend="client_window 64k; link_window 1m 1m;"
            "link_keepalive 1s timeout=3s;"
        )
        c, cid = self.victim(p, b)
        stuck = threading.Event()
        b.on_frame = lambda *_: stuck.wait(20)  # its thread reads no more
        self.addCleanup(stuck.set)
        c.socket.settimeout(0.5)
        sent = 0
        message = encode(2, bytes(30000))
        try:
            while sent < 64 << 20:
                sent += c.socket.send(message)
        except OSError:
            pass
        self.assertLess(sent, 32 << 20)
        self.check_witness(p)
        # It said nothing for too long: its client hears 1012.
        c.socket.settimeout(20)
        self.assertIn(c.finish()[1], (1012, 0))
        stuck.set()
        self.check_witness(p)


if __name__ == "__main__":
    unittest.main()
