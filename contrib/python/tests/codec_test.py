# SPDX-License-Identifier: BSD-2-Clause
"""The codec against the golden vectors that all implementations share."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.dirname(HERE))

from penstock import codec as k  # noqa: E402
from penstock.request import (  # noqa: E402
    RawConnection, RefusedClient, Request)

C = 0x0000300001000005


def golden():
    out, name = {}, None
    with open(os.path.join(ROOT, "tests/golden/sluice.txt")) as f:
        for line in f:
            key, _, value = line.strip().partition(": ")
            if key == "name":
                name = value
                out[name] = b""
            elif key == "hex":
                out[name] += bytes.fromhex(value)
    return out


GOLDEN = golden()

# What a backend writes.
WRITES = {
    "accept": lambda: k.accept(C, k.tlv(k.SUBPROTOCOL, b"chat")),
    "text-from-backend": lambda: k.frame(k.TEXT, C, b"hi", 4),
    "ack": lambda: k.ack([(C, 2, 1)]),
    "ack-two": lambda: k.ack([(C, 139264, 9), (C + 1, 0, 0xFFFFFFFF)]),
    "broadcast": lambda: k.broadcast(1, 1, b"yo", [C], opts=1),
    "broadcast-own": lambda: k.broadcast(3, 2, b"\0", opts=2, flags=4,
                                         token=7),
    "close": lambda: k.frame(k.CLOSE, C, b"bye", aux=1000),
    "ready": lambda: k.frame(k.READY),
    "keepalive": lambda: k.frame(k.KEEPALIVE, 0, bytes(range(1, 9))),
    "keepalive-reply": lambda: k.frame(k.KEEPALIVE, 0, bytes(range(1, 9)),
                                       k.REPLY),
    "goaway": lambda: k.goaway(1, 30000, "deploy"),
    "bye": lambda: k.frame(k.BYE),
    "error": lambda: k.error(C, 6, 0x20, k.CLIENT, 1011, "no credit"),
    "log": lambda: k.frame(k.LOG, 0, b"slow", aux=4),
    "reject": lambda: k.reject(C, 401, k.headers(
        [("WWW-Authenticate", "Bearer")]) + k.tlv(k.BODY, b"token, please")
        + k.tlv(k.REASON, b"no token")),
    "reject-pass": lambda: k.reject(C, 0, more=True, rflags=k.REJECT_PASS),
    "stats-req": lambda: k.frame(k.STATS_REQ, C, aux=3),
    "setlog": lambda: k.frame(k.SETLOG, aux=7),
    "raw": lambda: k.frame(k.RAW, C, b"\xff", aux=0x82),
    "bstream-start": lambda: k.bstream(77, 1, 1, b"a"),
    "bstream-end": lambda: k.frame(k.BSTREAM, 77, b"b", k.END),
    "presence-req": lambda: k.presence_req(b"room:7", 5, True),
    "unregister": lambda: k.frame(k.UNREGISTER, aux=1),
    "terminate": lambda: k.frame(k.TERMINATE, C),
    "set-state": lambda: k.set_state(C, b"blob", 43),
    "set-opts": lambda: k.frame(k.SET_OPTS, C, k.opt(k.NODELAY, 1)
                                + k.opt(k.IDLE_TIMEOUT_MS, 60000)),
    "detached": lambda: k.frame(k.DETACHED, C),
    "binary-first-fragment": lambda: k.frame(k.BINARY, C, b"\0\1\2", k.MORE),
    "cont-last-fragment": lambda: k.frame(k.CONT, C, b"\3"),
    "ping": lambda: k.frame(k.PING, C, b"p", 1),
    "pause": lambda: k.frame(k.PAUSE, C),
    "unpause": lambda: k.frame(k.UNPAUSE, C),
    "subscribe": lambda: k.frame(k.SUBSCRIBE, C,
                                 k.channels(["room:7", b"all"])),
    "unsubscribe-all": lambda: k.frame(k.UNSUBSCRIBE, C, k.channels([])),
    "publish": lambda: k.publish(b"room:7", 1, b"x", C, flags=4, token=9),
    "msend": lambda: k.msend([C, C + 1], 2, b"z", flags=4, token=8),
    "claim": lambda: k.claim("sid7"),
    "unclaim": lambda: k.claim(b"sid7", k.UNCLAIM),
    "http-res": lambda: k.http_res(C, 200, k.headers(
        {"Content-Type": b"text/plain"}), True),
    "http-info": lambda: k.http_res(C, 103, k.headers([(b"Link", "<a>")]),
                                    False, k.HTTP_INFO),
    "http-body": lambda: k.frame(k.HTTP_BODY, C, b"body", k.MORE),
    "register": lambda: k.frame(k.REGISTER, 0, k.tlv(k.NAME, b"chat")
                                + k.tlv(k.HOST_PATTERN, b"\4")
                                + k.pattern(k.PATH_PATTERN, 1, "/chat/")
                                + k.pattern(k.ORIGIN_PATTERN, 3, "^https:")
                                + k.tlv(k.SUBPROTOCOL, b"chat")
                                + k.opt(k.EVENT_MASK, 0x100)
                                + k.tlv(k.MAX_CLIENTS, k.U32.pack(1000)),
                                aux=4),
}

# What one reads: (type, flags, aux, cid), and the rest in the tests below.
READS = {
    "hello": (k.HELLO, 0, 0, 0),
    "open": (k.OPEN, 0, 0, C),
    "opened": (k.OPENED, 0, 0, C),
    "text-from-client": (k.TEXT, 0, 6, C),
    "text-replayed": (k.TEXT, k.REPLAY, 0, C),
    "closed": (k.CLOSED, 0, 1000, C),
    "closed-lost": (k.CLOSED, 0, 1006, C),
    "resume": (k.RESUME, 0, 0, C),
    "resume-end": (k.RESUME_END, 0, 0, 0),
    "detach": (k.DETACH, 0, 0, C),
    "state": (k.STATE, 0, 0x302, C),
    "pong": (k.PONG, 0, 0, C),
    "delivered": (k.DELIVERED, 0, 9, 0),
    "presence": (k.PRESENCE, 1, 5, 0),
    "http-req": (k.HTTP_REQ, k.MORE, 0, C),
    "http-reset": (k.HTTP_RESET, 0, 13, C),
    "http-trailers": (k.HTTP_TRAILERS, 0, 0, C),
    "http-done": (k.HTTP_DONE, 0, 0, C),
    "conn": (k.CONN, 0, 2, 0),
    "client-error": (k.CLIENT_ERROR, 0, 19, 0),
    "registered": (k.REGISTERED, 0, 1, 0),
    "registered-refused": (k.REGISTERED, 0, 0, 0),
    "nop": (k.NOP, 0, 0, 0),
    "stats": (k.STATS, 0, 0, 0),
}

# Frames that this package neither sends nor gets.
NOT_OURS = {"accept-tunnel"}


def read(data, max_frame=1 << 18):
    frames = k.Reader(max_frame).feed(data)
    assert len(frames) == 1, frames
    return frames[0]


class GoldenTest(unittest.TestCase):
    def test_every_vector_has_its_place(self):
        self.assertEqual(set(GOLDEN), set(WRITES) | set(READS) | NOT_OURS)

    def test_writes(self):
        for name, build in WRITES.items():
            with self.subTest(name):
                self.assertEqual(build().hex(), GOLDEN[name].hex())

    def test_reads(self):
        for name, expected in READS.items():
            with self.subTest(name):
                self.assertEqual(read(GOLDEN[name])[:4], expected)

    def test_hello(self):
        h = k.Hello(read(GOLDEN["hello"])[4])
        self.assertEqual(
            (h.role, h.flags, h.process, h.max_frame, h.window, h.link_window,
             h.keepalive_ms, h.features, h.epoch),
            (1, 0, 3, 262144, 262144, 67108864, 10000, 0x11F,
             0x1122334455667788))
        self.assertEqual(h.tlvs, [(k.NAME, b"gw-3"),
                                  (k.AGENT, b"penstock/0.1")])

    def test_open(self):
        o = k.Open(read(GOLDEN["open"])[4])
        self.assertEqual((o.window_out, o.window_in, o.app_id, o.t_us),
                         (262144, 65536, 1, 1760000000000000))
        r = Request(o)
        self.assertEqual(
            (r.ws_version, r.http_version, r.tls, r.binary_ok, r.max_message,
             r.method, r.target, r.query, r.client, r.captures, r.subprotocols,
             r.headers, r.header("HOST"), r.header("x"), r.time),
            (13, "1.1", None, True, 1048576, "GET", b"/chat/7?x=1", b"x=1",
             ("203.0.113.9", 51234), {"room": "7"}, ["chat"],
             [(b"Host", b"ex.com")], "ex.com", None, 1760000000.0))

    def test_resume(self):
        o = k.Open(read(GOLDEN["resume"])[4])
        values = dict(o.tlvs)
        self.assertEqual(k.RESUME_FIXED.unpack(values[k.RESUME_INFO]),
                         (41, 78, 3, k.RESUME_FOREIGN))
        r = Request(o)
        self.assertEqual((r.params, r.request_id, r.already_open,
                          r.tls.version, r.tls.cipher, r.tls.server_name,
                          r.tls.client_certs),
                         ({"tenant": "a"}, bytes(range(16)), True, 0x304,
                          0x1301, "ex.com", []))

    def test_fixed_parts(self):
        self.assertEqual(
            k.CLOSED_FIXED.unpack_from(read(GOLDEN["closed-lost"])[4]),
            (4, 2, 104, 70000, 2 ** 64 - 1, 2 ** 40, 2 ** 32 - 1, 3))
        self.assertEqual(
            list(k.acks(read(GOLDEN["ack-two"])[4])),
            [(C, 139264, 9), (C + 1, 0, 0xFFFFFFFF)])
        self.assertEqual(read(GOLDEN["http-done"])[4],
                         (2 ** 32).to_bytes(8, "little") + b"\1")
        self.assertEqual(read(GOLDEN["registered-refused"])[4],
                         b"too many apps")
        self.assertEqual(k.DELIVERED_FIXED.unpack(read(GOLDEN["delivered"])[4]),
                         (5000, 4996, 4, 0))
        self.assertEqual(k.presence(read(GOLDEN["presence"])[4]), (1, [C]))
        raw = RawConnection(2, read(GOLDEN["conn"])[4])
        self.assertEqual((raw.listener, raw.remote_addr, raw.remote_port,
                          raw.local_addr), (2, "::1", 9, "::1"))
        refused = RefusedClient(19, read(GOLDEN["client-error"])[4])
        self.assertEqual((refused.code, refused.reason, refused.remote_addr,
                          refused.target), (19, "bad key", "::1", b"/"))


class ReaderTest(unittest.TestCase):
    def test_every_split(self):
        whole = b"".join(GOLDEN[n] for n in
                         ("hello", "open", "text-from-client", "closed"))
        expected = k.Reader(1 << 18).feed(whole)
        self.assertEqual([f[0] for f in expected],
                         [k.HELLO, k.OPEN, k.TEXT, k.CLOSED])
        for at in range(len(whole)):
            reader = k.Reader(1 << 18)
            got = reader.feed(whole[:at]) + reader.feed(whole[at:])
            self.assertEqual(got, expected, f"split at {at}")
            self.assertEqual(reader.left, b"")

    def test_unknown_types_from_80_are_skipped(self):
        data = k.frame(0x80, 0, b"new") + GOLDEN["opened"]
        self.assertEqual(len(k.Reader(16384).feed(data)), 1)

    def test_what_ends_the_link(self):
        for why, data, code in (
            ("type 0", k.frame(0), k.E_UNKNOWN_TYPE),
            ("an unknown type", k.frame(0x3F), k.E_UNKNOWN_TYPE),
            ("a backend's", k.frame(k.ACCEPT, C, bytes(8)), k.E_UNKNOWN_TYPE),
            ("too long", k.HEAD.pack(16385, k.TEXT, 0, 0, C),
             k.E_FRAME_TOO_BIG),
            ("no client", k.frame(k.TEXT), k.E_PROTOCOL),
            ("a client", k.frame(k.ACK, C), k.E_PROTOCOL),
            ("OPEN cut short", k.frame(k.OPEN, C, bytes(31)), k.E_PROTOCOL),
        ):
            with self.subTest(why):
                with self.assertRaises(k.ProtocolError) as raised:
                    k.Reader(16384).feed(data)
                self.assertEqual(raised.exception.code, code)

    def test_values_cut_short(self):
        whole = read(GOLDEN["open"])[4]
        bounds = {32}
        at = 32
        while at < len(whole):
            at += 4 + (int.from_bytes(whole[at:at + 4], "little") >> 8)
            bounds.add(at)
        for n in range(32, len(whole)):
            if n in bounds:
                k.Open(whole[:n])
                continue
            with self.assertRaises(k.ProtocolError, msg=n):
                k.Open(whole[:n])
        for bad in (b"", b"\5", b"\5\0abc"):
            with self.assertRaises(k.ProtocolError, msg=bad):
                k.get_header(bad)
        for bad in (b"", b"\5abc"):
            with self.assertRaises(k.ProtocolError, msg=bad):
                k.get_named(bad)
        with self.assertRaises(k.ProtocolError):
            k.acks(bytes(17))

    def test_a_hello_that_is_none(self):
        good = read(GOLDEN["hello"])[4]
        k.Hello(good)
        for why, at, value in (
            ("magic", 0, b"S2"), ("version", 8, b"\2\0\2\0"),
            ("role", 12, b"\2"), ("max_frame", 16, b"\0\0\0\0"),
            ("window", 20, bytes(4)), ("link_window", 24, bytes(4)),
        ):
            bad = good[:at] + value + good[at + len(value):]
            with self.assertRaises(k.ProtocolError, msg=why):
                k.Hello(bad)

    def test_fields_that_may_not_be_sent(self):
        for name, value in (("", "x"), ("a b", "x"), ("a\r\n", "x"),
                            ("a", "x\r\ny"), ("a", "\0"), ("a:", "x")):
            with self.assertRaises(ValueError, msg=(name, value)):
                k.headers([(name, value)])


if __name__ == "__main__":
    unittest.main()
