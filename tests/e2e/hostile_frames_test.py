# SPDX-License-Identifier: BSD-2-Clause
"""A backend that breaks the rules of requests, channels, states and claims: its
link, its session or its request ends as is said, and nobody else notices."""

import os
import struct
import select
import subprocess
import threading
import unittest

from hostile_backend_test import (
    BAD_STATE, BAD_UTF8, CONFIG, FLOW_CONTROL, PROTOCOL, REGISTER, UNSUPPORTED,
    HostileTestCase, greeting_of, header, raw_header,
)
from support import penstock
from support.gateway import (
    ACCEPT, ACK, BINARY, CLOSE, CONT, ECHO, ERROR, HTTP_BODY, PING, PONG,
    READY, REJECT, TEXT, Backend, frame, tlv,
)
from support.penstock import wait_for
from support.raw import Closed, Raw
from support.websocket import TEXT as WS_TEXT
from support.websocket import Client, handshake

HTTP_REQ, HTTP_RES, HTTP_INFO, HTTP_RESET, HTTP_TRAILERS = 0x50, 0x52, 0x53, 0x54, 0x55
SET_STATE, SET_OPTS, DETACH, DETACHED = 0x19, 0x1A, 0x1B, 0x1C
SUBSCRIBE, UNSUBSCRIBE, PUBLISH, PRESENCE_REQ = 0x40, 0x41, 0x42, 0x47
DELIVERED, PRESENCE, CLAIM, UNCLAIM = 0x46, 0x48, 0x73, 0x74
BSTREAM, START, END = 0x45, 1, 2
TERMINATE, PAUSE = 0x16, 0x32
LIMIT, HANDSHAKE = 7, 19
KEY, HAS_ACK, MORE, NOTIFY, LIST = 0x2C, 1, 1, 4, 1
# RESUME, ALO, FRAGMENTS, HTTP, CHANNELS, STATE, MOVE, CLAIM, BSTREAM
EVERYTHING = 0b1_0111_0001_1111
OVERRUN = struct.pack("<I", 0x10 | 99 << 8)
BAD_FIELD = tlv(0x10, struct.pack("<H", 99) + b"X")


def channels(*names):
    return b"".join(struct.pack("<H", len(n)) + n for n in names)


def publish(channel, data=b"", opcode=1, length=None):
    n = len(channel) if length is None else length
    return struct.pack("<BBH", opcode, 0, n) + channel + data


def piece(stream, data=b"", flags=0, opcode=1, app=0, excepted=0, token=0):
    if flags & START:  # for its own clients
        data = struct.pack("<BBHHHI", opcode, 2, app, excepted, 0, 0) + data
    return frame(BSTREAM, stream, data, flags, token)


def ack(cid, count, seq):
    return frame(ACK, 0, struct.pack("<QII", cid, count, seq))


def response(cid, status=200, *fields, kind=HTTP_RES, more=False):
    payload = struct.pack("<HH", status, 0) + b"".join(fields)
    return frame(kind, cid, payload, MORE if more else 0)


def state(cid, blob=b"", seq=None):
    payload = struct.pack("<I", seq or 0) + blob
    return frame(SET_STATE, cid, payload, HAS_ACK if seq else 0)


def named_tests(table):
    """A test for each row: a name, and what run_case() gets."""

    def decorate(cls):
        for name, *case in table:
            assert not hasattr(cls, "test_" + name), name
            test = lambda self, case=case: self.run_case(*case)
            setattr(cls, "test_" + name, test)
        return cls

    return decorate


class SharedHostileTestCase(HostileTestCase):
    """Each test has a session and a request at the bad backend."""

    features = EVERYTHING
    backend = "on_backend_loss close; state_max 1k; channels_max 4; claim $arg_key;"

    @classmethod
    def setUpClass(cls):
        # What the kernel keeps of an upload is not ours to bound.
        config = CONFIG.replace("@PORT@;", "@PORT@ rcvbuf=256k;")
        cls.p = penstock.Penstock(config % (cls.backend, ""))
        cls.addClassCleanup(cls.p.remove)
        greeting = (
            greeting_of(features=cls.features)
            + frame(REGISTER, 0, tlv(0x01, b"bad"))
            + frame(READY)
        )
        cls.b = Backend(cls.p.path("bad.sock"), greeting=greeting)
        cls.addClassCleanup(cls.b.stop)
        path = cls.p.path("good.sock")
        echo = subprocess.Popen([ECHO, path])
        cls.addClassCleanup(echo.wait)
        cls.addClassCleanup(echo.kill)
        wait_for("the good backend's socket", lambda: os.path.exists(path))
        cls.addClassCleanup(cls.p.stop)
        cls.p.start()
        wait_for("both", lambda: cls.p.log().count("backend is ready") >= 2)
        cls.pids = cls.p.workers()
        cls.witness = Client(
            cls.p.port(), handshake(request="GET /good HTTP/1.1", port=cls.p.port())
        )
        cls.addClassCleanup(cls.witness.socket.close)

    def tearDown(self):
        self.check_witness(self.p)

    def request(self, path="/http"):
        """One that no other backend may have, under way; and its id."""
        s = Raw(self.p.port())
        self.addCleanup(s.close)
        before = len(self.b.of(HTTP_REQ))
        s.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_for("the request", lambda: len(self.b.of(HTTP_REQ)) > before)
        return s, self.b.of(HTTP_REQ)[-1][1]

    def error(self, act):
        """The ERROR that an act brings: code, severity, client."""
        before = len(self.b.of(ERROR))
        act()
        wait_for("an ERROR", lambda: len(self.b.of(ERROR)) > before)
        _, cid, payload, aux = self.b.of(ERROR)[before]
        return aux, payload[1], cid


def wrong_direction():
    kinds = dict(
        HTTP_REQ=(HTTP_REQ, 1, 32), HTTP_DONE=(0x56, 1, 9), RESUME=(0x17, 1, 32),
        RESUME_END=(0x18, 0, 4), STATE=(0x1D, 1, 0), DELIVERED=(DELIVERED, 0, 16),
        PRESENCE=(PRESENCE, 0, 4), REGISTERED=(0x71, 0, 0), CONN=(0x64, 0, 0),
        CLIENT_ERROR=(0x65, 0, 0),
    )
    for name, (kind, about, n) in kinds.items():
        yield (
            f"{name}_is_not_the_backends_to_send",
            lambda c, x, k=kind, a=about, n=n: frame(k, c * a, bytes(n)),
        )


def wrong_id():
    kinds = dict(
        SET_STATE=SET_STATE, DETACH=DETACH, DETACHED=DETACHED, HTTP_BODY=HTTP_BODY,
        SUBSCRIBE=SUBSCRIBE, UNSUBSCRIBE=UNSUBSCRIBE, HTTP_RES=HTTP_RES,
        HTTP_INFO=HTTP_INFO, HTTP_RESET=HTTP_RESET, HTTP_TRAILERS=HTTP_TRAILERS,
    )
    for name, kind in kinds.items():
        yield f"{name}_without_an_id", lambda c, x, k=kind: frame(k, 0, bytes(4))
    for name, kind in dict(
        PRESENCE_REQ=PRESENCE_REQ, CLAIM=CLAIM, UNCLAIM=UNCLAIM
    ).items():
        yield f"{name}_with_an_id", lambda c, x, k=kind: frame(k, c, tlv(KEY, b"k"))


LINK_RULES = [
    *wrong_direction(),
    *wrong_id(),
    # a fixed part cut short
    ("short_HTTP_RES", lambda c, x: frame(HTTP_RES, x, bytes(3))),
    ("short_HTTP_INFO", lambda c, x: frame(HTTP_INFO, x, bytes(3))),
    ("short_SET_STATE", lambda c, x: frame(SET_STATE, c, bytes(3))),
    ("short_PUBLISH", lambda c, x: frame(PUBLISH, 0, bytes(3))),
    ("short_BSTREAM", lambda c, x: frame(BSTREAM, 1, bytes(11), START)),
    ("short_PRESENCE_REQ", lambda c, x: frame(PRESENCE_REQ, 0, bytes(1))),
    # something that ends behind the frame
    ("TLV_overrun_in_HTTP_RES", lambda c, x: response(x, 200, OVERRUN)),
    ("TLV_overrun_in_HTTP_INFO", lambda c, x: response(x, 103, OVERRUN, kind=HTTP_INFO)),
    ("TLV_overrun_in_HTTP_TRAILERS", lambda c, x: response(x, more=True) + frame(HTTP_TRAILERS, x, OVERRUN)),
    ("TLV_overrun_in_CLAIM", lambda c, x: frame(CLAIM, 0, OVERRUN)),
    ("TLV_overrun_in_SET_OPTS", lambda c, x: frame(SET_OPTS, c, OVERRUN)),
    ("HEADER_overrun_in_HTTP_RES", lambda c, x: response(x, 200, BAD_FIELD)),
    ("HEADER_overrun_in_HTTP_TRAILERS", lambda c, x: response(x, more=True) + frame(HTTP_TRAILERS, x, BAD_FIELD)),
    ("name_overrun_in_SUBSCRIBE", lambda c, x: frame(SUBSCRIBE, c, channels(b"a") + b"\x09\0b")),
    ("half_a_length_in_SUBSCRIBE", lambda c, x: frame(SUBSCRIBE, c, b"\x01")),
    ("name_overrun_in_UNSUBSCRIBE", lambda c, x: frame(UNSUBSCRIBE, c, b"\xff\xffb")),
    ("name_overrun_in_PUBLISH", lambda c, x: frame(PUBLISH, 0, publish(b"a", length=2))),
    ("name_overrun_in_PRESENCE_REQ", lambda c, x: frame(PRESENCE_REQ, 0, b"\x05\0abcd")),
    # values
    ("PUBLISH_of_a_ping", lambda c, x: frame(PUBLISH, 0, publish(b"a", opcode=9))),
    ("BSTREAM_without_an_id", lambda c, x: piece(0, b"x", START)),
    ("BSTREAM_of_nothing", lambda c, x: piece(1, b"x", START, opcode=0)),
    ("BSTREAM_of_a_ping", lambda c, x: piece(1, b"x", START, opcode=9)),
    ("BSTREAM_of_an_app_that_is_not_there", lambda c, x: piece(1, b"x", START, app=2)),
    ("BSTREAM_but_for_more_than_are_there", lambda c, x: piece(1, b"x", START, excepted=9)),
    ("CLAIM_of_nothing", lambda c, x: frame(CLAIM, 0, tlv(KEY, b""))),
    ("CLAIM_without_a_key", lambda c, x: frame(CLAIM, 0)),
    ("CLAIM_of_256_bytes", lambda c, x: frame(CLAIM, 0, tlv(KEY, b"k" * 256))),
    ("UNCLAIM_of_256_bytes", lambda c, x: frame(UNCLAIM, 0, tlv(KEY, b"k" * 256))),
    ("ACK_of_a_request_for_too_much", lambda c, x: ack(x, 1, 0)),
    ("ACK_whose_second_entry_is_too_much", lambda c, x: frame(ACK, 0, struct.pack("<QIIQII", c, 0, 0, x, 2**32 - 1, 0))),
]


@named_tests((*row, PROTOCOL) for row in LINK_RULES)
@named_tests([
    ("RAW_that_is_not_agreed", lambda c, x: frame(0x25, c), UNSUPPORTED),
])
class LinkRulesTest(SharedHostileTestCase):
    """The link ends: its session with 1012, its request with 502."""

    def run_case(self, data, code):
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        links = self.b.links
        told = self.error(lambda: self.b.send(data(cid, xid)))
        self.assertEqual(told, (code, 2, 0))
        self.assertEqual(c.finish(), ([], 1012, b""))
        try:
            self.assertEqual(s.answer().status, 502)
        except Closed:  # these had begun
            self.assertIn("TRAILERS", self.id())
        wait_for("another link", lambda: self.b.links > links)


@named_tests(
    (f"{name}_that_is_not_agreed", lambda c, x, k=kind, a=about: frame(k, c * a, bytes(8)), UNSUPPORTED)
    for name, kind, about in (
        ("SUBSCRIBE", SUBSCRIBE, 1), ("UNSUBSCRIBE", UNSUBSCRIBE, 1),
        ("PUBLISH", PUBLISH, 0), ("PRESENCE_REQ", PRESENCE_REQ, 0), ("BSTREAM", BSTREAM, 1),
        ("HTTP_RES", HTTP_RES, 1), ("HTTP_INFO", HTTP_INFO, 1),
        ("HTTP_RESET", HTTP_RESET, 1), ("HTTP_TRAILERS", HTTP_TRAILERS, 1),
        ("SET_STATE", SET_STATE, 1), ("DETACH", DETACH, 1),
        ("DETACHED", DETACHED, 1), ("CLAIM", CLAIM, 0), ("UNCLAIM", UNCLAIM, 0),
    )
)
class FeaturesTest(SharedHostileTestCase):
    """A backend that agreed on nothing may use nothing, and gets no request."""

    features = 0

    def run_case(self, data, code):
        c, cid = self.victim(self.p, self.b)
        told = self.error(lambda: self.b.send(data(cid, 0)))
        self.assertEqual(told, (code, 2, 0))
        self.assertEqual(c.finish(), ([], 1012, b""))

    def test_a_request(self):
        self.victim(self.p, self.b)
        with Raw(self.p.port()) as s:
            self.assertEqual(s.ask("/http").status, 501)
        self.assertFalse(self.b.of(HTTP_REQ))


@named_tests([
    ("a_message_that_was_never_sent", lambda c: ack(c, 0, 2)),
    ("one_of_long_ago", lambda c: ack(c, 0, 2**31 - 1)),
    ("a_state_of_the_future", lambda c: state(c, b"s", 7)),
])
class NeverSentTest(SharedHostileTestCase):
    """delivery at_least_once: who acknowledges what was not sent."""

    backend = "on_backend_loss close; delivery at_least_once;"

    def run_case(self, data):
        c, cid = self.victim(self.p, self.b)
        told = self.error(lambda: self.b.send(data(cid)))
        self.assertEqual(told, (PROTOCOL, 2, 0))
        self.assertEqual(c.finish(), ([], 1012, b""))


SESSION_RULES = [
    ("state_that_is_too_large", lambda c: state(c, bytes(1025)), LIMIT),
    ("channel_without_a_name", lambda c: frame(SUBSCRIBE, c, channels(b"")), LIMIT),
    ("channel_of_256_bytes", lambda c: frame(SUBSCRIBE, c, channels(b"c" * 256)), LIMIT),
    ("leaving_a_channel_without_a_name", lambda c: frame(UNSUBSCRIBE, c, channels(b"")), LIMIT),
    ("channels_max", lambda c: frame(SUBSCRIBE, c, channels(*(b"%d" % i for i in range(5)))), LIMIT),
    ("DETACHED_unasked", lambda c: frame(DETACHED, c), BAD_STATE),
    ("HTTP_RES_about_a_session", lambda c: response(c), BAD_STATE),
    ("HTTP_INFO_about_a_session", lambda c: response(c, 103, kind=HTTP_INFO), BAD_STATE),
    ("HTTP_RESET_about_a_session", lambda c: frame(HTTP_RESET, c), BAD_STATE),
    ("HTTP_TRAILERS_about_a_session", lambda c: frame(HTTP_TRAILERS, c), BAD_STATE),
    ("HTTP_BODY_about_a_session", lambda c: frame(HTTP_BODY, c, b"x"), BAD_STATE),
]


@named_tests(SESSION_RULES)
class SessionRulesTest(SharedHostileTestCase):
    """The session ends with 1011; its neighbours and the link stay."""

    def run_case(self, data, code):
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        links = self.b.links
        self.assertEqual(self.error(lambda: self.b.send(data(cid))), (code, 1, cid))
        self.assertEqual(c.finish(), ([], 1011, b""))
        self.b.send(response(xid, 204))
        self.assertEqual(s.answer().status, 204)
        self.assertEqual(self.b.links, links)

    def test_what_is_just_within_its_limits(self):
        c, cid = self.victim(self.p, self.b)
        names = [b"c" * 255, b"1", b"2", b"3"]
        self.b.send(
            state(cid, bytes(1024)) + frame(SUBSCRIBE, cid, channels(*names, *names))
            + frame(UNSUBSCRIBE, cid, channels(b"unknown", b"1"))
            + frame(SUBSCRIBE, cid, channels(b"4"))
            + frame(PUBLISH, 0, publish(b"4", b"heard"))
        )
        self.assertEqual(c.message(), (WS_TEXT, b"heard"))


REQUEST_RULES = [
    *(
        (f"{name}_about_a_request", lambda x, k=kind, n=n: frame(k, x, bytes(n), aux=1000), BAD_STATE)
        for name, kind, n in (
            ("TEXT", TEXT, 1), ("BINARY", BINARY, 1), ("CONT", CONT, 1), ("PING", PING, 0),
            ("PONG", PONG, 0), ("CLOSE", CLOSE, 0), ("ACCEPT", ACCEPT, 8),
            ("REJECT", REJECT, 4), ("SET_STATE", SET_STATE, 4),
            ("DETACH", DETACH, 0), ("DETACHED", DETACHED, 0),
            ("SUBSCRIBE", SUBSCRIBE, 0), ("UNSUBSCRIBE", UNSUBSCRIBE, 0),
        )
    ),
    ("HTTP_BODY_before_HTTP_RES", lambda x: frame(HTTP_BODY, x, b"x"), BAD_STATE),
    ("HTTP_TRAILERS_before_HTTP_RES", lambda x: frame(HTTP_TRAILERS, x), BAD_STATE),
    *(
        (f"HTTP_RES_with_status_{n}", lambda x, n=n: response(x, n), HANDSHAKE)
        for n in (0, 99, 100, 101, 199, 600, 65535)
    ),
    *(
        (f"HTTP_INFO_with_status_{n}", lambda x, n=n: response(x, n, kind=HTTP_INFO), HANDSHAKE)
        for n in (0, 99, 101, 104, 200)
    ),
    *(
        (f"field_{name}_in_{where}", lambda x, k=kind, f=field: response(x, 103 if k == HTTP_INFO else 200, f, kind=k), None)
        for where, kind in (("HTTP_RES", HTTP_RES), ("HTTP_INFO", HTTP_INFO))
        for name, field in (
            ("value_with_CRLF", header(b"X-A", b"a\r\nSet-Cookie: x")),
            ("value_with_LF", header(b"X-A", b"a\nb")), ("value_with_NUL", header(b"X-A", b"a\0b")),
            ("name_with_CRLF", header(b"X\r\nY", b"a")), ("name_with_colon", header(b"X:", b"a")),
            ("without_a_name", header(b"", b"a")),
        )
    ),
    ("Content_Length_that_is_none", lambda x: response(x, 200, header(b"Content-Length", b"1x"), more=True), HANDSHAKE),
    ("Content_Length_that_is_negative", lambda x: response(x, 200, header(b"Content-Length", b"-1"), more=True), HANDSHAKE),
    ("Content_Length_twice", lambda x: response(x, 200, header(b"Content-Length", b"1"), header(b"Content-Length", b"2"), more=True), HANDSHAKE),
    ("Content_Length_without_the_body", lambda x: response(x, 200, header(b"Content-Length", b"1")), HANDSHAKE),
]
BEHIND_THE_HEAD = [
    ("HTTP_RES_twice", lambda x: response(x), BAD_STATE),
    ("HTTP_INFO_behind_HTTP_RES", lambda x: response(x, 103, kind=HTTP_INFO), BAD_STATE),
    ("body_that_is_too_long", lambda x: frame(HTTP_BODY, x, bytes(11), MORE), HANDSHAKE),
    ("body_that_is_too_short", lambda x: frame(HTTP_BODY, x, bytes(9)), HANDSHAKE),
    ("trailers_before_the_end_of_the_body", lambda x: frame(HTTP_TRAILERS, x), BAD_STATE),
    ("TEXT_in_a_body", lambda x: frame(TEXT, x, b"x"), BAD_STATE),
]


@named_tests((*row, False) for row in REQUEST_RULES)
@named_tests((*row, True) for row in BEHIND_THE_HEAD)
class RequestRulesTest(SharedHostileTestCase):
    """The request ends with 502, or is cut; its neighbours and the link stay."""

    def run_case(self, data, code, begun):
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        links = self.b.links
        if begun:
            self.b.send(response(xid, 200, header(b"Content-Length", b"10"), more=True))
            self.b.send(frame(HTTP_BODY, xid, b"", MORE))
        told = self.error(lambda: self.b.send(data(xid)))
        self.assertEqual(told, (code or told[0], 1, xid))
        if begun:
            with self.assertRaises(Closed):
                s.answer()
        else:
            answer = s.answer()
            self.assertEqual(answer.status, 502)
            self.assertIsNone(answer.get("X-A"))
            self.assertIsNone(answer.get("Set-Cookie"))
        self.b.send(frame(TEXT, cid, b"on"))
        self.assertEqual(c.message(), (WS_TEXT, b"on"))
        self.assertEqual(self.b.links, links)


class HarmlessTest(SharedHostileTestCase):
    """What is odd and breaks no rule."""

    def answer_to(self, kind, data):
        before = len(self.b.of(kind))
        self.b.send(data)
        wait_for("an answer", lambda: len(self.b.of(kind)) > before)
        return self.b.of(kind)[-1]

    def test_a_channel_without_members(self):
        self.victim(self.p, self.b)
        data = frame(PUBLISH, 0, publish(b"nobody", b"x"), NOTIFY, 77)
        _, _, payload, token = self.answer_to(DELIVERED, data)
        self.assertEqual((payload, token), (bytes(16), 77))
        for name in (b"nobody", b"c" * 255):
            data = frame(PRESENCE_REQ, 0, channels(name), LIST, 78)
            _, _, payload, token = self.answer_to(PRESENCE, data)
            self.assertEqual((payload, token), (bytes(4), 78))

    def test_text_for_a_channel_that_is_not_UTF_8(self):
        c, cid = self.victim(self.p, self.b)
        self.b.send(frame(SUBSCRIBE, cid, channels(b"c")))
        told = self.error(
            lambda: self.b.send(frame(PUBLISH, 0, publish(b"c", b"\xff")))
        )
        self.assertEqual(told, (BAD_UTF8, 0, 0))
        self.b.send(frame(PUBLISH, 0, publish(b"c", b"fine")))
        self.assertEqual(c.message(), (WS_TEXT, b"fine"))

    def test_streams_that_make_no_sense(self):
        c, cid = self.victim(self.p, self.b)
        for flags in (0, START, START, END):
            self.b.send(piece(2, b"", flags))
        self.assertEqual(c.take(4), b"\x01\x00\x80\x00")
        wait_for(
            "an ERROR",
            lambda: (BAD_STATE, 2) in [(code, n) for _, n, _, code in self.b.of(ERROR)],
        )
        _, _, payload, token = self.answer_to(DELIVERED, piece(3, b"x", END | NOTIFY, token=79))
        self.assertEqual((payload, token), (bytes(16), 79))

    def test_streams_max(self):
        c, cid = self.victim(self.p, self.b)
        told = self.error(lambda: self.b.send(b"".join(piece(n, b"", START) for n in range(1, 66))))
        self.assertEqual(told, (LIMIT, 0, 65))
        self.b.send(b"".join(piece(n, b"", END) for n in range(1, 66)))
        self.assertEqual(c.take(256), b"\x01\x00\x80\x00" * 64)

    def test_a_stream_that_is_not_utf_8(self):
        c, cid = self.victim(self.p, self.b)
        links = self.b.links
        told = self.error(lambda: self.b.send(piece(1, b"a", START) + piece(1, b"\xff")))
        self.assertEqual(told, (BAD_UTF8, 0, 1))
        self.assertEqual(c.take(3), b"\x01\x01a")
        self.assertEqual(c.finish(), ([], 1011, b""))
        self.assertEqual(self.b.links, links)

    def test_trailers_of_a_response_without_a_body(self):
        before, errors = len(self.b.of(HTTP_REQ)), len(self.b.of(ERROR))
        with Raw(self.p.port()) as s:
            s.get("/http", method="HEAD")
            wait_for("the request", lambda: len(self.b.of(HTTP_REQ)) > before)
            xid = self.b.of(HTTP_REQ)[-1][1]
            self.b.send(
                response(xid, 200, header(b"Content-Length", b"10"), more=True)
                + frame(HTTP_TRAILERS, xid)
            )
            answer = s.answer(True)
            self.assertEqual((answer.status, answer.get("Content-Length")), (200, "10"))
            # The connection goes on: nothing was cut.
            self.assertEqual(s.ask("/nowhere").status, 404)
        self.assertEqual(len(self.b.of(ERROR)), errors)

    def test_keys_of_nobody(self):
        c, cid = self.victim(self.p, self.b)
        key = tlv(KEY, b"k" * 255)
        self.b.send(frame(UNCLAIM, 0, key) + frame(CLAIM, 0, key) * 2 + frame(UNCLAIM, 0, key) * 2)
        self.b.send(frame(TEXT, cid, b"on"))
        self.assertEqual(c.message(), (WS_TEXT, b"on"))

    def test_ids_of_others(self):
        """Also of what lives on the good backend's link."""
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        mine = (cid, xid)
        base = cid & ~0xFFFFFF & ~(0xFFFFF << 24)
        others = [base | 1 << 24 | i for i in range(8)] + [cid + (1 << 24), xid + (1 << 44)]
        for other in others:
            if other in mine:
                continue
            for kind in (HTTP_RES, HTTP_BODY, HTTP_INFO, HTTP_RESET, HTTP_TRAILERS,
                         SET_STATE, DETACH, DETACHED, SUBSCRIBE, TERMINATE, PAUSE):
                payload = channels(b"c") if kind == SUBSCRIBE else bytes(4)
                self.b.send(frame(kind, other, payload))
            self.b.send(ack(other, 2**32 - 1, 2**32 - 1))
        self.b.send(frame(TEXT, cid, b"on") + response(xid, 204))
        self.assertEqual(c.message(), (WS_TEXT, b"on"))
        self.assertEqual(s.answer().status, 204)

    def test_everything_about_what_is_over(self):
        """It crossed a CLOSED, or the end of a response."""
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        links = self.b.links
        errors = len(self.b.of(ERROR))
        self.b.send(frame(TERMINATE, cid) + response(xid, 204))
        self.assertEqual(s.answer().status, 204)
        for about in (cid, xid):
            for kind in (TEXT, CLOSE, SET_STATE, DETACHED, SUBSCRIBE, HTTP_RES,
                         HTTP_BODY, HTTP_RESET, HTTP_TRAILERS, PAUSE, SET_OPTS):
                self.b.send(frame(kind, about, b"" if kind in (SET_OPTS, HTTP_TRAILERS) else bytes(4)))
            self.b.send(ack(about, 1, 1))
        c, cid = self.victim(self.p, self.b)
        self.b.send(frame(TEXT, cid, b"on"))
        self.assertEqual(c.message(), (WS_TEXT, b"on"))
        self.assertEqual(self.b.links, links)
        self.assertEqual(len(self.b.of(ERROR)), errors)


class RequestFlowTest(SharedHostileTestCase):
    backend = (
        "on_backend_loss close; reply_window 16k; client_window 16k;"
        "link_keepalive 300ms timeout=1s;"
    )

    def test_a_body_without_credit(self):
        c, cid = self.victim(self.p, self.b)
        s = Raw(self.p.port(), small=True)
        self.addCleanup(s.close)
        before = len(self.b.of(HTTP_REQ))
        s.get("/http")
        wait_for("the request", lambda: len(self.b.of(HTTP_REQ)) > before)
        xid = self.b.of(HTTP_REQ)[-1][1]

        def flood():
            self.b.send(response(xid, more=True))
            for _ in range(300):
                self.b.send(frame(HTTP_BODY, xid, bytes(40000), MORE))

        self.assertEqual(self.error(flood), (FLOW_CONTROL, 1, xid))
        self.b.send(frame(TEXT, cid, b"on"))
        self.assertEqual(c.message(), (WS_TEXT, b"on"))

    def test_half_a_body_frame_and_silence(self):
        c, cid = self.victim(self.p, self.b)
        s, xid = self.request()
        t, yid = self.request()
        self.b.send(response(xid, more=True) + raw_header(1000, HTTP_BODY, xid) + b"half")
        self.b.on_frame = lambda *_: None  # nor does it answer KEEPALIVE
        self.addCleanup(setattr, self.b, "on_frame", self.b.accept_all)
        self.check_witness(self.p)
        self.assertEqual(c.finish(), ([], 1012, b""))
        self.assertEqual(t.answer().status, 502)
        with self.assertRaises(Closed):
            s.answer()

    def test_a_backend_that_never_reads_while_requests_upload(self):
        self.victim(self.p, self.b)
        stuck = threading.Event()
        accept_all = self.b.on_frame
        self.b.on_frame = lambda *_: stuck.wait(20)
        self.addCleanup(setattr, self.b, "on_frame", accept_all)
        self.addCleanup(stuck.set)
        clients = [Raw(self.p.port()) for _ in range(4)]
        for s in clients:
            self.addCleanup(s.close)
            s.send("POST /http HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
            s.s.settimeout(0.1)
        # Until the answer: what comes behind it is read and forgotten.
        sent = 0
        for s in clients:
            try:
                while sent < 64 << 20 and not select.select([s.s], [], [], 0)[0]:
                    sent += s.s.send(bytes(65536))
            except OSError:
                pass
        self.assertLess(sent, 48 << 20)
        self.check_witness(self.p)
        # It was silent for too long, and its clients hear of that.
        for s in clients:
            s.s.settimeout(20)
            try:
                self.assertEqual(s.answer().status, 502)
            except (Closed, OSError):
                pass
        stuck.set()


if __name__ == "__main__":
    unittest.main()
