# SPDX-License-Identifier: BSD-2-Clause
"""What a backend says into the log, and what it is told of its clients: LOG
both ways, SETLOG, OPT DEBUG."""

import re
import struct
import threading
import unittest

from support.gateway import (
    ACCEPT, CLOSED, CONFIG, ERROR, OPEN, READY, REJECT, Backend,
    BridgeTestCase, frame, hello, tlv,
)
from support.penstock import wait_for

LOG, SETLOG, SET_OPTS, REGISTER = 0x07, 0x0B, 0x1A, 0x70
ACCEPT_OK = bytes(8)
LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")


def opt(number, value, size="I"):
    return tlv(0x23, struct.pack("<H" + size, number, value))


class ObserveTestCase(BridgeTestCase):
    def accept_with(self, tlvs):
        """Backend.on_frame that ACCEPTs with these TLVs."""

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                self.b.send(frame(ACCEPT, cid, ACCEPT_OK + tlvs))

        return on_frame

    def ready(self, **how):
        """A gateway and its backend, on a link that is READY."""
        self.p, self.b = self.with_backend(**how)
        self.wait_ready(self.p)
        return self.p, self.b

    def join(self, **fields):
        s, head = self.raw(self.p, fields)
        self.assertIn(" 101 ", head)
        cid = wait_for("OPEN", lambda: self.b.of(OPEN))[-1][1]
        return s, cid

    def lines(self, b=None):
        """(level, cid, text) of every LOG that came."""
        return [(f[3], f[1], f[2].decode()) for f in (b or self.b).of(LOG)]

    def wait_line(self, pattern, b=None):
        def find():
            return [x for x in self.lines(b) if re.search(pattern, x[2])]

        return wait_for(f"LOG of {pattern!r}", find)[0]


class LogTest(ObserveTestCase):
    def test_each_level_with_pool_and_client(self):
        p = self.penstock(
            "error_log logs/error.log debug;" + CONFIG % ("", ""), start=False)
        self.p, self.b = p, b = p, Backend(p.path("echo.sock"))
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        s, cid = self.join()
        for level, name in enumerate(LEVELS):
            b.send(frame(LOG, 0, b"of the link %d" % level, aux=level))
            b.send(frame(LOG, cid, b"of a client %d" % level, aux=level))
        for level, name in enumerate(LEVELS):
            p.wait_for_log(f"of a client {level}")
            log = p.log()
            self.assertRegex(
                log, rf'\[{name}\] \d+#0: backend "echo" says: of the link'
                rf" {level}, backend: unix:\S+echo\.sock")
            self.assertRegex(
                log, rf'\[{name}\] \d+#0: \*\d+ backend "echo" says: of a client'
                rf" {level}, client: 127\.0\.0\.1, backend: unix:\S+echo\.sock")

    def test_a_line_stays_one_line(self):
        p, b = self.ready()
        b.send(frame(LOG, 0, b"a\nb\x00c\x1b[31m\x7f", aux=3))
        p.wait_for_log('says: a?b?c?[31m?,')
        b.send(frame(LOG, 0, b"x" * 5000, aux=3))
        p.wait_for_log("says: " + "x" * 1000)
        self.assertNotIn("x" * 1100, p.log())
        # Of nobody: the link's own.
        b.send(frame(LOG, 0x0000100000000007, b"of a ghost", aux=3))
        p.wait_for_log("of a ghost, backend: ")

    def test_a_wrong_level_ends_the_link(self):
        p, b = self.ready()
        b.send(frame(LOG, 0, b"x", aux=8))
        p.wait_for_log("backend broke the protocol")

    def test_log_rate(self):
        for backend, rate in (("", 1000), ("log_rate 20;", 20), ("log_rate 0;", 0)):
            with self.subTest(rate=rate):
                p, b = self.ready(backend=backend)
                b.send(b"".join(
                    frame(LOG, 0, b"line %d." % i, aux=6) for i in range(3000)))
                p.wait_for_log("lines suppressed")
                written = p.log().count("says: line ")
                counted = sum(map(int, re.findall(
                    r'backend "echo": (\d+) lines suppressed', p.log())))
                self.assertEqual(written + counted, 3000)
                self.assertEqual(written, rate)
                if rate:  # the next second is another one
                    b.send(frame(LOG, 0, b"afterwards", aux=6))
                    p.wait_for_log("afterwards")
                p.stop()

    def test_what_is_suppressed_is_told_when_the_link_ends(self):
        p, b = self.ready(backend="log_rate 1;")
        b.send(frame(LOG, 0, b"one", aux=6) * 5 + frame(5))
        p.wait_for_log('backend "echo": 4 lines suppressed')

    def test_an_error_of_the_backend_is_a_line(self):
        p, b = self.ready()
        b.send(frame(ERROR, 0, struct.pack("<BBH", 0, 0, 0) + b"a\nhint", aux=7))
        p.wait_for_log('[warn]')
        self.assertRegex(p.log(), r'\[warn\] .* backend "echo" reports \S+: a\?hint')


class SetlogTest(ObserveTestCase):
    def greeting(self, level):
        return hello() + frame(SETLOG, 0, aux=level) + frame(READY)

    def test_nothing_is_told_unasked(self):
        p, b = self.ready()
        s, cid = self.join()
        s.close()
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual(b.of(LOG), [])

    def test_how_a_client_ends(self):
        p, b = self.ready(greeting=self.greeting(6))
        s, cid = self.join()
        s.sendall(b"\x88\x82" + bytes(4) + struct.pack(">H", 1000))
        level, of, text = self.wait_line("client closed the session")
        self.assertEqual((level, of), (6, cid))
        self.assertIn("code 1000, cause 0", text)
        # What a client broke, what the backend did, who just left.
        s, cid = self.join()
        s.sendall(b"\x83\x80" + bytes(4))
        self.assertEqual(self.wait_line("code 1002, cause 7")[1], cid)
        s, cid = self.join()
        s.close()
        self.assertEqual(self.wait_line("code 1006, cause 3")[1], cid)
        s, cid = self.join()
        b.send(frame(0x16, cid))
        self.assertEqual(self.wait_line("cause 2 ")[1], cid)

    def test_levels(self):
        p, b = self.ready(greeting=self.greeting(3))
        s, cid = self.join()
        s.close()
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual(b.of(LOG), [])  # information, not an error
        s, cid = self.join()
        b.send(frame(0x22, cid, b"CONT of nothing"))
        level, of, text = self.wait_line("CONT frame refused: ")
        self.assertEqual((level, of), (3, cid))
        self.assertIn("bad state", text)
        b.send(frame(SETLOG, 0, aux=0xFFFF))
        seen = len(b.of(LOG))
        s, cid = self.join()
        b.send(frame(0x22, cid, b"CONT of nothing"))
        wait_for("CLOSED", lambda: len(b.of(CLOSED)) == 3)
        self.assertEqual(len(b.of(LOG)), seen)

    def test_handshakes_that_are_refused(self):
        p, b = self.ready(greeting=self.greeting(6))
        s, head = self.raw(p, {"Origin": "http://evil"})
        self.assertIn(" 403 ", head)
        level, of, text = self.wait_line("handshake refused")
        self.assertEqual((level, of), (6, 0))
        self.assertIn("origin", text)
        self.assertIn("client: 127.0.0.1, target: /ws", text)

    def test_flow_control_and_states_are_debugging(self):
        for debug in ("on", "off"):
            with self.subTest(debug=debug):
                p, b = self.ready(
                    backend=f"debug {debug};",
                    greeting=hello(window=1024) + frame(SETLOG, 0, aux=7)
                    + frame(READY))
                s, cid = self.join()
                for _ in range(3):
                    s.sendall(b"\x82\xfe" + struct.pack(">H", 1000) + bytes(1004))
                if debug == "on":
                    self.wait_line("session opening -> connected")
                    level, of, _ = self.wait_line("read no more: no credit")
                    self.assertEqual((level, of), (7, cid))
                    b.send(frame(0x30, 0, struct.pack("<QII", cid, 2000, 2)))
                    self.wait_line("client is read again")
                s.close()
                b.send(frame(0x16, cid))
                self.wait_line("cause")
                self.assertEqual(
                    any(x[0] == 7 for x in self.lines()), debug == "on")
                p.stop()

    def test_a_lost_sibling(self):
        p = self.penstock(
            """user root; events { } http { access_log off;
            backend two { server unix:@PREFIX@/a.sock; server unix:@PREFIX@/b.sock; }
            server { listen 127.0.0.1:@PORT@; location /ws { websocket_pass two; } } }""",
            start=False)
        a = Backend(p.path("a.sock"), greeting=self.greeting(4))
        b = Backend(p.path("b.sock"))
        self.addCleanup(a.stop)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p, 2)
        b.link.close()
        level, of, text = self.wait_line("is gone", a)
        self.assertEqual((level, of), (4, 0))
        self.assertIn("b.sock is gone, 0 clients", text)

    def test_sessions_that_nobody_takes_over(self):
        p = self.penstock(
            """user root; events { } http { access_log off;
            backend two { server unix:@PREFIX@/a.sock; server unix:@PREFIX@/b.sock;
                          on_backend_loss hold 300ms; }
            server { listen 127.0.0.1:@PORT@; location /ws { websocket_pass two app=b; } } }""",
            start=False)
        resuming = hello()[:48] + struct.pack("<Q", 4 | 1) + hello()[56:]
        a = Backend(p.path("a.sock"), greeting=self.greeting(4))
        b = Backend(p.path("b.sock"),
                    resuming + frame(REGISTER, 0, tlv(1, b"b")) + frame(READY))
        self.addCleanup(a.stop)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p, 2)
        s, head = self.raw(p)
        self.assertIn(" 101 ", head)
        b.greeting = b""
        b.link.shutdown(2)
        level, of, text = self.wait_line("took over 1 sessions", a)
        self.assertEqual((level, of), (3, 0))

    def test_a_request_that_is_given_up(self):
        self.p, self.b = p, b = self.with_backend(
            location="backend_pass echo; backend_read_timeout 200ms;",
            greeting=hello()[:48] + struct.pack("<Q", 8) + hello()[56:]
            + frame(SETLOG, 0, aux=6) + frame(READY))
        self.wait_ready(p)
        s, head = self.raw(p, {"Upgrade": None, "Connection": None})
        self.assertIn(" 504 ", head)
        self.assertIn("request ends with 504", self.wait_line("request ends")[2])

    def test_a_client_that_lags_behind(self):
        p, b = self.ready(location="websocket_send_buffer 1k overflow=drop_new;",
                          greeting=self.greeting(4))
        s, cid = self.join()
        data = bytes(30000)
        for _ in range(2000):
            b.send(frame(0x44, 0, struct.pack("<BBHIQ", 2, 0, 0, 1, cid) + data))
            if b.of(LOG):
                break
        level, of, _ = self.wait_line("lags behind")
        self.assertEqual((level, of), (4, cid))

    def test_a_link_that_broke_the_protocol(self):
        p, b = self.ready(greeting=self.greeting(3))
        b.send(frame(0))
        self.assertIn("backend broke the protocol", self.wait_line("malformed")[2])

    def test_the_rate(self):
        p, b = self.ready(backend="log_rate 10;", greeting=self.greeting(6))
        for _ in range(25):
            s, head = self.raw(p, {"Origin": "http://evil"})
            s.close()
        _, _, text = self.wait_line("lines suppressed")
        told = sum("refused" in x[2] for x in self.lines())
        counted = sum(int(x[2].split()[0]) for x in self.lines() if "suppressed" in x[2])
        self.assertGreaterEqual(told, 10)
        wait_for("all of them", lambda: 25 == sum(
            int(x[2].split()[0]) if "suppressed" in x[2] else 1 for x in self.lines()))

    def test_a_backend_that_reads_nothing_delays_nobody(self):
        p, b = self.ready(backend="log_rate 1000000;")
        good, cid = self.join()
        b.on_frame = lambda *_: None
        b.send(frame(SETLOG, 0, aux=6))
        # It stops reading; the refusals go on.
        stop = threading.Event()
        b.on_frame = lambda *_: stop.wait(20)
        for _ in range(200):
            s, head = self.raw(p, {"Origin": "http://evil"})
            self.assertIn(" 403 ", head)
            s.close()
        stop.set()


class ReasonTest(ObserveTestCase):
    def test_why_it_was_rejected(self):
        for debug, own in (("on", b""), ("off", b""), ("on", b"own body")):
            with self.subTest(debug=debug, own=own):
                def refuse(kind, cid, payload):
                    if kind == OPEN:
                        tlvs = tlv(0x22, b"not in\nthe list")
                        if own:
                            tlvs += tlv(0x21, own)
                        b.send(frame(REJECT, cid, struct.pack("<HH", 403, 0) + tlvs))

                p, b = self.ready(backend=f"debug {debug};", on_frame=refuse)
                s, head = self.raw(p)
                self.assertIn(" 403 ", head)
                n = int(re.search(r"Content-Length: (\d+)", head)[1])
                body = s.recv(n)
                if own:
                    self.assertEqual(body, own)
                elif debug == "on":
                    self.assertEqual(body, b"not in\nthe list")
                    self.assertIn("Content-Type: text/plain", head)
                else:
                    self.assertNotIn(b"the list", body)
                self.assertRegex(
                    p.log(), r"\[info\] .* rejects the handshake: not in\?the list")
                p.stop()


class DebugOptionTest(ObserveTestCase):
    def test_of_one_client(self):
        p, b = self.ready(backend="debug on;", on_frame=self.accept_with(opt(12, 1, "B")))
        s, cid = self.join()
        s.sendall(b"\x88\x80" + bytes(4))
        wait_for("CLOSED", lambda: b.of(CLOSED))
        self.assertEqual({x[1] for x in self.lines()}, {cid})
        self.wait_line("client closed the session")
        self.assertIn(7, {x[0] for x in self.lines()})

    def test_set_and_unset(self):
        p, b = self.ready(backend="debug on;")
        s, cid = self.join()
        b.send(frame(SET_OPTS, cid, opt(12, 1, "B")))
        s.sendall(b"\x88\x80" + bytes(4))
        self.wait_line("connected -> flushing")
        before = len(self.lines())
        s, cid = self.join()
        b.send(frame(SET_OPTS, cid, opt(12, 1, "B")) + frame(SET_OPTS, cid, opt(12, 0, "B")))
        s.sendall(b"\x88\x80" + bytes(4))
        wait_for("CLOSED", lambda: len(b.of(CLOSED)) == 2)
        self.assertEqual({x[1] for x in self.lines()} - {cid},
                         {x[1] for x in self.lines()})

    def test_of_an_app(self):
        p, b = self.ready(
            backend="debug on;",
            greeting=hello()
            + frame(REGISTER, 0, tlv(1, b"a") + opt(12, 1, "B")) + frame(READY))
        s, cid = self.join()
        self.wait_line("opening -> connected")

    def test_without_debug_on_it_hears_information(self):
        p, b = self.ready(on_frame=self.accept_with(opt(12, 1, "B")))
        s, cid = self.join()
        s.close()
        self.wait_line("without a close frame")
        self.assertNotIn(7, {x[0] for x in self.lines()})


if __name__ == "__main__":
    unittest.main()
