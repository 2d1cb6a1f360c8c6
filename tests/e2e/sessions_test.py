# SPDX-License-Identifier: BSD-2-Clause
"""What is told of sessions (access_log, $websocket_*), and what they are held
to: limits, timeouts, a client that reads nothing."""

import collections
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import unittest

from support.gateway import (
    ACCEPT,
    BROADCAST,
    CLOSE as SLUICE_CLOSE,
    CLOSED,
    OPEN,
    TEXT as SLUICE_TEXT,
    Backend,
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
            # A close frame of ours is on the wire, and counted.
            out = {"gateway": "4", "backend": "4"}.get(by, {"1005": "2"}.get(code, "0"))
            self.assertEqual(f["bytes_out"], out)
            self.assertEqual(f["body"], out)
            self.assertEqual(f["protocol"], "chat")

    def all_lines(self, p):
        with open(p.path("logs/ws.log"), encoding="utf-8") as f:
            return f.read().split("\n")[:-1]

    def with_backend_logging(self, on_frame, location=""):
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

    def test_a_line_is_the_same_when_the_request_was_kept_for_it(self):
        """$connection_time of another log needs all of the request; lines
        without such are kept instead of it."""
        everything = ALL.replace(
            " end'",
            " host=$http_host sent_ws=$sent_http_sec_websocket_protocol"
            " map=$mapped method=$request_method completion=$request_completion"
            " cookie=$cookie_a v=$server_protocol scheme=$scheme id_=$connection_requests"
            " end'",
        )
        front = (
            everything
            + 'map $arg_a $mapped { 1 one; default none; }'
            + "log_format late '$connection_time';"
        )
        lines = []
        for also in "", "access_log logs/late.log late;":
            p = self.start(front, "access_log logs/ws.log all;" + also)
            c = self.open(p, {"Cookie": "a=b", "Host": "example.org"})
            c.send(encode(TEXT, b"x" * 200))
            c.message()
            c.send(close_frame(3001))
            c.finish()
            (line,) = self.lines(p)
            line = line.replace(p.prefix, "PREFIX")
            lines.append(re.sub(r"(time|id)=[^ ]*", r"\1=", line))
        self.assertEqual(lines[0], lines[1])
        self.assertIn(" map=one method=GET ", lines[0])

    def test_several_logs_and_conditions(self):
        p = self.start(
            ALL
            + "log_format a 'a $uri'; log_format b '$uri b';"
            + ' map $http_user_agent $is_tester { tester 1; default 0; }'
            + " map $uri $never { default 0; }",
            "access_log logs/ws.log a if=$is_tester; access_log logs/ws.log b;"
            " access_log logs/ws.log all if=$never;"
            " access_log logs/other.log b buffer=4k flush=100ms;",
        )
        for agent in "tester", "other":
            c = self.open(p, {"User-Agent": agent})
            c.send(close_frame(1000))
            c.finish()
        self.assertEqual(self.lines(p, 3), ["a /ws", "/ws b", "/ws b"])
        self.assertEqual(self.lines(p, 2, "logs/other.log"), ["/ws b"] * 2)

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


class ReloadTest(BridgeTestCase):
    def test_sessions_adopt_the_limits_of_a_reload(self):
        p = self.penstock(CONFIG % ("websocket_max_message 1k;", ""), start=False)
        self.start_echo(p)
        p.start()
        self.wait_ready(p)
        clients = [Client(p.port()) for _ in range(4)]
        for c in clients:
            self.addCleanup(c.socket.close)
            c.send(encode(TEXT, b"x" * 1000))
            self.assertEqual(c.message(), (TEXT, b"x" * 1000))
        self.change(
            p,
            "websocket_max_message 100k; websocket_ping 200ms timeout=10s;",
            "websocket_close_timeout 1s;",
        )
        # The pings say that it is used.
        for c in clients:
            self.assertEqual(c.frame()[0], 0x80 | PING)
            c.send(encode(TEXT, b"y" * 60000))
            self.until_message(c, b"y" * 60000)
        self.change(p, "websocket_idle_timeout 500ms; websocket_ping off;", "")
        for c in clients:
            before, code, _ = c.finish()
            self.assertEqual(code, 1001)

    def change(self, p, front, location):
        p.configure(CONFIG % (front, location))
        p.reload()

    def until_message(self, c, expected):
        while True:
            first, payload = c.frame()
            if first != 0x80 | PING:
                break
            c.send(encode(PONG, payload))
        self.assertEqual(payload, expected)


class LivenessTest(BridgeTestCase):
    """websocket_send_timeout, websocket_send_buffer, and that nobody waits for
    a client that does not read."""

    def cut(self, location):
        """What the backend and the log are told of a client that reads
        nothing."""
        closed = []

        def on_frame(kind, cid, payload):
            if kind == OPEN:
                b.send(frame(ACCEPT, cid, bytes(8)))
            elif kind == CLOSED:
                (lost,) = struct.unpack_from("<I", payload, 4)
                closed.append((payload[0], b.frames[-1][3], lost))

        p = self.penstock(
            CONFIG % (ALL, "access_log logs/ws.log all; websocket_ping off;"
            " websocket_send_buffer 1m overflow=drop_new;" + location),
            start=False,
        )
        b = Backend(p.path("echo.sock"), on_frame=on_frame)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        cid = b.of(OPEN)[0][1]
        # More than the kernel takes, of which no overflow makes an end.
        data = struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0) + bytes(50000)
        for _ in range(400):
            b.send(frame(BROADCAST, 0, data))
        b.send(frame(0x21, cid, bytes(60000)))
        wait_for("the end", lambda: closed)
        self.assertEqual(closed, [(10, 1013, 1)])
        self.assertIn("client took nothing for too long", p.log())

        def line():
            with open(p.path("logs/ws.log"), encoding="utf-8") as f:
                return f.read()

        self.assertIn(" close_code=1013 close_by=gateway ", wait_for("a line", line))

    def test_websocket_send_timeout(self):
        self.cut("send_timeout 60s; websocket_send_timeout 500ms;")

    def test_send_timeout_holds_where_there_is_no_other(self):
        self.cut("send_timeout 500ms;")

    def test_a_stalled_client_delays_nobody(self):
        p, b = self.with_backend(
            location="websocket_send_buffer 256k overflow=drop_new;"
            " websocket_send_timeout 60s;"
        )
        self.wait_ready(p)
        stalled = [Client(p.port()) for _ in range(20)]
        quick = Client(p.port())
        for c in stalled + [quick]:
            self.addCleanup(c.socket.close)
        head = struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0)
        worst = 0
        for i in range(400):
            data = struct.pack("<I", i) + bytes(20000)
            start = time.monotonic()
            b.send(frame(BROADCAST, 0, head + data))
            self.assertEqual(quick.message(), (BINARY, data))
            worst = max(worst, time.monotonic() - start)
        # 8 MB went to one, and stands before the others.
        self.assertLess(worst, 2)
        for c in stalled:
            first, payload = c.frame()
            self.assertEqual(payload[:4], bytes(4))
        with open(f"/proc/{p.workers()[0]}/status") as f:
            rss = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        self.assertLess(rss, 200000)

    def test_a_burst_of_one_turn_is_no_slow_client(self):
        """More than websocket_send_buffer, less than the kernel takes."""
        for overflow in "close", "drop_new", "drop_old":
            p, b = self.with_backend(
                location=f"websocket_send_buffer 4k overflow={overflow};"
            )
            self.wait_ready(p)
            c = Client(p.port())
            self.addCleanup(c.socket.close)
            head = struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0)
            data = [bytes([i]) + bytes(1000) for i in range(40)]
            b.send(b"".join(frame(BROADCAST, 0, head + x) for x in data))
            self.assertEqual([c.message() for _ in data], [(BINARY, x) for x in data])

    def test_drop_old_leaves_the_newest(self):
        p, b = self.with_backend(
            location="websocket_send_buffer 256k overflow=drop_old;"
        )
        self.wait_ready(p)
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        n = 500
        for i in range(n):
            b.send(
                frame(
                    BROADCAST,
                    0,
                    struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0)
                    + struct.pack("<I", i)
                    + bytes(20000),
                )
            )
        b.send(frame(SLUICE_TEXT, b.of(OPEN)[0][1], b"last"))
        got = []
        while True:
            opcode, payload = c.message()
            if opcode == TEXT:
                break
            got.append(struct.unpack_from("<I", payload)[0])
        self.assertEqual(got, sorted(got))
        self.assertEqual(got[-1], n - 1)
        self.assertEqual(got[0], 0)
        self.assertLess(len(got), n)


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class SystemCallsTest(BridgeTestCase):
    """One read, and at most one write, for each socket in a turn of the loop."""

    def traced(self, p, do):
        """The names of what the worker asked of the kernel meanwhile, by
        descriptor."""
        (worker,) = p.workers()
        out = p.path("strace")
        tracer = subprocess.Popen(
            ["strace", "-qq", "-o", out, "-p", str(worker), "-e",
             "trace=read,recvfrom,recvmsg,readv,write,writev,sendto,sendmsg,"
             "epoll_wait,epoll_pwait,epoll_ctl"],
            stderr=subprocess.PIPE,
        )
        try:
            wait_for("strace", lambda: self.is_traced(worker))
            do()
        finally:
            tracer.terminate()
            tracer.wait()
            tracer.stderr.close()
        with open(out, encoding="utf-8") as f:
            return re.findall(r"^(\w+)\((\d+)", f.read(), re.M)

    def is_traced(self, pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return not re.search(r"^TracerPid:\s+0$", f.read(), re.M)

    def count(self, calls):
        reads = {"read", "recvfrom", "recvmsg", "readv"}
        by_fd = collections.Counter()
        for name, fd in calls:
            kind = "epoll" if "epoll" in name else "in" if name in reads else "out"
            by_fd[kind, fd] += 1
        return by_fd

    def busiest(self, by_fd, kind):
        return max(n for (what, _), n in by_fd.items() if what == kind)

    def test_a_message_alone(self):
        for deflate in "off", "on min=0 takeover=client,server":
            p, _ = self.gateway(location=f"websocket_deflate {deflate};")
            offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
            c = Client(p.port(), handshake(offer, port=p.port()))
            self.addCleanup(c.socket.close)
            n = 200

            def talk():
                for i in range(n):
                    c.send(encode(TEXT, b"message %d" % i))
                    c.frame()

            by_fd = self.count(self.traced(p, talk))
            # The link is read until nothing is there: its loss is heard at
            # once.
            client, link = sorted(
                k for (what, _), k in by_fd.items() if what == "in" and k > n / 2
            )
            self.assertLessEqual(client, n + 5)
            self.assertLessEqual(link, 2 * n + 5)
            self.assertLessEqual(self.busiest(by_fd, "out"), n + 5)

    def test_many_messages_in_one_turn(self):
        p, _ = self.gateway()
        c = Client(p.port())
        self.addCleanup(c.socket.close)
        many = b"".join(encode(TEXT, b"message %d" % i) for i in range(300))

        def talk():
            for _ in range(10):
                c.send(many)
                for i in range(300):
                    self.assertEqual(c.message(), (TEXT, b"message %d" % i))

        by_fd = self.count(self.traced(p, talk))
        # 3000 messages; what the kernel gives in pieces is read in pieces.
        self.assertLess(self.busiest(by_fd, "in"), 100)
        self.assertLess(self.busiest(by_fd, "out"), 100)

    def test_a_broadcast_is_one_write_a_client(self):
        p, b = self.with_backend()
        self.wait_ready(p)
        clients = [Client(p.port()) for _ in range(20)]
        for c in clients:
            self.addCleanup(c.socket.close)
        head = struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0)

        def talk():
            for _ in range(10):
                b.send(b"".join(
                    frame(BROADCAST, 0, head + b"number %d" % i) for i in range(50)
                ))
                for c in clients:
                    for i in range(50):
                        self.assertEqual(c.message(), (TEXT, b"number %d" % i))

        by_fd = self.count(self.traced(p, talk))
        self.assertLess(self.busiest(by_fd, "out"), 40)


if __name__ == "__main__":
    unittest.main()
