# SPDX-License-Identifier: BSD-2-Clause
"""What is told of sessions (access_log, $websocket_*), and what they are held
to: limits, timeouts, a client that reads nothing."""

import os
import re
import socket
import struct
import time
import unittest

from support.gateway import (
    ACCEPT,
    BROADCAST,
    CLOSE as SLUICE_CLOSE,
    CLOSED,
    OPEN,
    TEXT as SLUICE_TEXT,
    BridgeTestCase,
    frame,
    tlv,
)
from support.penstock import wait_for
from support.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Client,
    close_frame,
    encode,
    handshake,
)

CONFIG = """
user root;
events { }
http {
    access_log off;
    %s
    backend echo { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@;
        location / { return 200 "plain\\n"; }
        location /ws { websocket_pass echo; %s }
    }
}
"""
NAMES = (
    "id version protocol close_code close_by messages_in messages_out "
    "bytes_in bytes_out rtt"
).split()
ALL = "log_format all '%s';" % " ".join(
    [f"{name}=$websocket_{name}" for name in NAMES]
    + ["name=$backend_name", "addr=$backend_addr", "status=$status"]
    + ["sent=$bytes_sent", "body=$body_bytes_sent", "time=$request_time"]
    + ["agent=$http_user_agent", "uri=$uri", "arg=$arg_a", "end"]
)


class LogTest(BridgeTestCase):
    def start(self, front=ALL, location="access_log logs/ws.log all;", echo=True):
        p = self.penstock(CONFIG % (front, location), start=False)
        if echo:
            self.start_echo(p)
        p.start()
        if echo:
            self.wait_ready(p)
        return p

    def lines(self, p, n=1, name="logs/ws.log"):
        def read():
            with open(p.path(name), encoding="utf-8") as f:
                lines = f.read().split("\n")[:-1]
            return lines if len(lines) >= n else None

        return wait_for(f"{n} lines", read)

    def fields(self, line):
        return dict(word.split("=", 1) for word in line.split(" ")[:-1])

    def open(self, p, fields=(), **how):
        fields = {"User-Agent": "tester", **dict(fields)}
        request = "GET /ws?a=1 HTTP/1.1"
        c = Client(p.port(), handshake(fields, request, p.port()), **how)
        self.addCleanup(c.socket.close)
        return c

    def test_a_session_is_one_line_at_its_end(self):
        p = self.start()
        c = self.open(p, {"Sec-WebSocket-Protocol": "b, a"})
        self.assertEqual(c.status, 101)
        for text in b"one", b"two", b"three":
            c.send(encode(TEXT, text))
            c.message()
        time.sleep(0.1)
        self.assertEqual(os.path.getsize(p.path("logs/ws.log")), 0)
        c.send(close_frame(4001, b"bye"))
        c.finish()
        (line,) = self.lines(p)
        f = self.fields(line)
        # 3 messages of 11 bytes and their frames, and the close frame
        self.assertEqual(f["bytes_in"], str(3 * 6 + 11 + 6 + 5))
        self.assertEqual(f["bytes_out"], str(3 * 2 + 11 + 4))
        self.assertEqual(f["body"], f["bytes_out"])
        self.assertEqual(int(f["sent"]), int(f["body"]) + len(c.head))
        self.assertGreaterEqual(float(f["time"]), 0.1)
        self.assertTrue(f["id"].isdigit())
        for name, value in (
            ("version", "13"),
            ("protocol", "-"),
            ("close_code", "4001"),
            ("close_by", "client"),
            ("messages_in", "3"),
            ("messages_out", "3"),
            ("rtt", "-"),
            ("name", "echo"),
            ("addr", "unix:" + p.path("echo.sock")),
            ("status", "101"),
            ("agent", "tester"),
            ("uri", "/ws"),
            ("arg", "1"),
        ):
            self.assertEqual(f[name], value, name)

    def test_what_is_no_session_has_a_line_too(self):
        p = self.start(location="access_log logs/ws.log all; websocket_origin none;")
        c = self.open(p, {"Origin": "http://elsewhere"})
        self.assertEqual(c.status, 403)
        f = self.fields(self.lines(p)[0])
        self.assertEqual((f["status"], f["id"], f["close_by"]), ("403", "-", "-"))

    def test_the_predefined_format(self):
        p = self.start("", "access_log logs/ws.log websocket;")
        c = self.open(p)
        c.send(encode(TEXT, b"x"))
        c.message()
        c.send(close_frame(1000))
        c.finish()
        (line,) = self.lines(p)
        self.assertRegex(
            line,
            r'^127\.0\.0\.1 - - \[.*\] "GET /ws\?a=1 HTTP/1\.1" 101 1000 client '
            r"1 1 15 7 0\.\d{3} - echo unix:\S+ \"tester\"$",
        )

    def test_who_closed(self):
        mode = {"end": None}

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                chosen = tlv(0x19, b"chat") if b"chat" in payload else b""
                b.send(frame(ACCEPT, cid, bytes(8) + chosen))
            elif kind == SLUICE_TEXT:
                b.send(frame(SLUICE_CLOSE, cid, b"", aux=4002))

        p, b = self.with_backend_logging(on_frame)
        for do, code, by in (
            (lambda c: c.send(encode(TEXT, b"end it")), "4002", "backend"),
            (lambda c: c.send(encode(TEXT, b"\xff")), "1007", "gateway"),
            (lambda c: c.send(encode(PING, fin=False)), "1002", "gateway"),
            (lambda c: c.send(close_frame()), "1005", "client"),
            (lambda c: c.socket.close(), "1006", "client"),
        ):
            before = len(self.all_lines(p))
            c = self.open(p, {"Sec-WebSocket-Protocol": "other, chat"})
            self.assertEqual(c.status, 101)
            do(c)
            if code == "4002":
                self.assertEqual(c.frame(), (0x88, struct.pack(">H", 4002)))
                c.send(close_frame(4002))
            f = self.fields(self.lines(p, before + 1)[-1])
            self.assertEqual((f["close_code"], f["close_by"]), (code, by))
            self.assertEqual(f["protocol"], "chat")

    def all_lines(self, p):
        with open(p.path("logs/ws.log"), encoding="utf-8") as f:
            return f.read().split("\n")[:-1]

    def with_backend_logging(self, on_frame, location=""):
        from support.gateway import Backend

        p = self.penstock(
            CONFIG % (ALL, "access_log logs/ws.log all;" + location), start=False
        )
        b = Backend(p.path("echo.sock"), on_frame=on_frame)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        return p, b

    def test_the_round_trip_is_measured(self):
        p = self.start(
            location="access_log logs/ws.log all;"
            " websocket_ping 100ms timeout=5s;"
        )
        c = self.open(p)
        first, token = c.frame()
        self.assertEqual(first, 0x80 | PING)
        time.sleep(0.15)
        c.send(encode(PONG, token))
        # It is there before anything else is.
        c.send(encode(TEXT, b"x"))
        c.message()
        c.send(close_frame(1000))
        rtt = float(self.fields(self.lines(p)[0])["rtt"])
        self.assertGreaterEqual(rtt, 0.15)
        self.assertLess(rtt, 5)

    def test_messages_of_groups_are_counted(self):
        p, b = self.with_backend_logging(None)
        c = self.open(p)
        for _ in range(5):
            b.send(frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0) + b"x"))
        for _ in range(5):
            self.assertEqual(c.message(), (TEXT, b"x"))
        b.send(frame(SLUICE_TEXT, b.of(OPEN)[0][1], b"own"))
        c.message()
        c.send(close_frame(1000))
        c.finish()
        f = self.fields(self.lines(p)[0])
        self.assertEqual((f["messages_in"], f["messages_out"]), ("0", "6"))

    def test_conditions_and_maps_see_the_end(self):
        p = self.start(
            ALL + ' map $websocket_close_code $bad { 1000 ""; default 1; }',
            "access_log logs/ws.log all if=$bad;",
        )
        for code in 1000, 4000, 1000, 4001:
            c = self.open(p)
            c.send(close_frame(code))
            c.finish()
        lines = self.lines(p, 2)
        self.assertEqual(
            [self.fields(line)["close_code"] for line in lines], ["4000", "4001"]
        )


if __name__ == "__main__":
    unittest.main()
