# SPDX-License-Identifier: BSD-2-Clause
"""backend_pass: HTTP requests that a backend answers over its link."""

import hashlib
import os
import random
import socket
import struct
import subprocess
import threading
import time
import unittest
import urllib.request

from support import penstock
from support.gateway import (
    ACK, ERROR, HELLO, HTTP_BODY, READY, BridgeTestCase, Backend, frame, tlv,
)
from support.penstock import wait_for
from support.raw import Raw

EXAMPLE = os.path.join(
    os.path.dirname(penstock.BINARY), "..", "contrib", "examples", "example-http"
)
CONFIG = """
user root;
events { }
http {
    access_log logs/access.log;
    client_max_body_size 0;
    backend app {
        server unix:@PREFIX@/a.sock;
        server unix:@PREFIX@/b.sock;
        round_robin;
        %s
    }
    server {
        listen 127.0.0.1:@PORT@;
        location / { backend_pass app; %s }
    }
}
"""
HTTP_REQ, HTTP_RES, HTTP_INFO, HTTP_RESET = 0x50, 0x52, 0x53, 0x54
HTTP_TRAILERS, HTTP_DONE, REGISTER, PAUSE = 0x55, 0x56, 0x70, 0x32
TERMINATE, SET_OPTS, KEEPALIVE = 0x16, 0x1A, 0x03
HEADER, EVENT_MASK = 0x10, 5
MORE = 1


def hello(window=65536):
    return frame(
        HELLO,
        payload=b"SLUICE1\n"
        + struct.pack("<HHBBHIIIIQQ", 1, 1, 2, 0, 0, 65536, window, 1 << 20, 0, 8, 7),
    )


def header(name, value):
    name, value = name.encode(), value.encode()
    return tlv(HEADER, struct.pack("<H", len(name)) + name + value)


def response(cid, status=200, fields=(), more=False, kind=HTTP_RES):
    payload = struct.pack("<HH", status, 0)
    payload += b"".join(header(n, v) for n, v in fields)
    return frame(kind, cid, payload, MORE if more else 0)


def greeting(**how):
    """An app that wants HTTP_DONE."""
    opt = tlv(0x23, struct.pack("<HI", EVENT_MASK, 1 << 7))
    return hello(**how) + frame(REGISTER, 0, tlv(1, b"app") + opt) + frame(READY)


class BackendPass(BridgeTestCase):
    def example(self, backend="", location=""):
        p = self.penstock(CONFIG % (backend, location), start=False)
        process = subprocess.Popen([EXAMPLE, p.path("a.sock")])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for("the socket", lambda: os.path.exists(p.path("a.sock")))
        p.start()
        self.wait_ready(p)
        return p, process

    def scripted(self, on_frame, backend="", location="", **how):
        p = self.penstock(CONFIG % (backend, location), start=False)
        b = Backend(p.path("a.sock"), greeting=greeting(**how))
        b.on_frame = lambda kind, cid, payload: on_frame(b, kind, cid, payload)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        return p, b

    def answering(self, *frames, **how):
        """A backend that answers every request with these frames, made for
        its id."""

        def on_frame(b, kind, cid, payload):
            if kind == HTTP_REQ:
                b.send(b"".join(f(cid) for f in frames))

        return self.scripted(on_frame, **how)

    def get(self, p, request="GET /x HTTP/1.1\r\nHost: h\r\n\r\n"):
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send(request)
        return s, s.answer()

    # ---- the example, as applications are written ----

    def test_a_request_is_answered_and_the_connection_kept(self):
        p, _ = self.example()
        with Raw(p.port()) as s:
            for n in range(3):
                s.send(f"GET /a/{n}?q HTTP/1.1\r\nHost: h\r\n\r\n")
                answer = s.answer()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.text, f"GET /a/{n}?q\n")
                self.assertEqual(answer.get("Content-Type"), "text/plain")
                self.assertTrue(answer.chunked)

    def test_a_large_body_goes_there_and_back(self):
        p, _ = self.example(backend="client_window 16k; reply_window 16k;")
        body = random.Random(1).randbytes(3 << 20)
        request = urllib.request.Request(p.url("/echo"), data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            line, rest = answer.read().split(b"\n", 1)
        self.assertEqual(line, b"PUT /echo")
        self.assertEqual(
            hashlib.sha256(rest).digest(), hashlib.sha256(body).digest()
        )

    def test_a_client_that_waits_for_100_gets_it(self):
        p, _ = self.example()
        with Raw(p.port()) as s:
            s.send(
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n"
            )
            head = s.s.recv(100)
            # The example answers before the body: no 100 is owed then.
            self.assertIn(b"HTTP/1.1 200", head)

    def test_head_has_no_body(self):
        p, _ = self.example()
        with Raw(p.port()) as s:
            s.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
            s.send("GET /y HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertEqual(s.answer("HEAD").body, b"")
            self.assertEqual(s.answer().text, "GET /y\n")

    def test_requests_of_many_clients_do_not_mix(self):
        p, _ = self.example()
        wrong = []

        def ask(who):
            with Raw(p.port()) as s:
                for n in range(20):
                    s.send(f"GET /{who}/{n} HTTP/1.1\r\nHost: h\r\n\r\n")
                    text = s.answer().text
                    if text != f"GET /{who}/{n}\n":
                        wrong.append((who, n, text))

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(wrong, [])

    def test_the_backend_that_is_gone_is_not_asked(self):
        p, process = self.example()
        process.kill()
        process.wait()
        wait_for("the loss", lambda: "closed the link" in p.log())
        self.assertEqual(self.get(p)[1].status, 503)

    # ---- what a backend is told ----

    def test_the_request_is_told_without_what_concerns_the_connection(self):
        p, b = self.answering(response)
        self.get(
            p,
            "GET /a%20b?c HTTP/1.1\r\nHost: example.com\r\nX-Mine: 1\r\n"
            "X-Hop: 2\r\nConnection: keep-alive, X-Hop\r\nTE: trailers\r\n\r\n",
        )
        payload = b.of(HTTP_REQ)[0][2]
        self.assertEqual(payload[:3], b"\0\0\x0b")
        self.assertIn(b"/a%20b?c", payload)
        self.assertIn(b"/a b", payload)
        self.assertIn(b"X-Mine", payload)
        for absent in (b"X-Hop", b"TE", b"keep-alive"):
            self.assertNotIn(absent, payload)

    def test_done_is_told_when_the_response_has_left(self):
        p, b = self.answering(response)
        self.get(p)
        wait_for("HTTP_DONE", lambda: b.of(HTTP_DONE))
        n, complete = struct.unpack("<QB", b.of(HTTP_DONE)[0][2])
        self.assertTrue(complete)
        self.assertGreater(n, 50)

    def test_done_waits_until_the_client_has_it(self):
        p, b = self.answering(
            lambda cid: response(cid, 200, more=True),
            *[lambda cid: frame(HTTP_BODY, cid, bytes(60000), MORE)] * 400,
            lambda cid: frame(HTTP_BODY, cid),
            backend="reply_window 32m; link_window 64m 64m;",
        )
        for leave in (True, False):
            s = Raw(p.port(), small=True)
            self.addCleanup(s.close)
            s.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            s.s.recv(1000)
            time.sleep(0.5)
            self.assertEqual(b.of(HTTP_DONE), [])
            if leave:
                s.close()
            while not leave and s.s.recv(1 << 20):
                pass
            done = wait_for("HTTP_DONE", lambda: b.of(HTTP_DONE))
            self.assertEqual((len(done), done[0][2][8]), (1, not leave))
            self.assertEqual(b.of(HTTP_RESET), [])
            b.frames.clear()

    def test_a_client_that_leaves_is_told(self):
        p, b = self.scripted(lambda *_: None)
        s = Raw(p.port())
        s.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for("the request", lambda: b.of(HTTP_REQ))
        s.close()
        wait_for("HTTP_RESET", lambda: b.of(HTTP_RESET))

    def test_bodies_come_dechunked_and_end_once(self):
        p, b = self.scripted(
            lambda b, kind, cid, payload: kind == HTTP_BODY
            and b.send(response(cid, 204))
        )
        _, answer = self.get(
            p,
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
        self.assertEqual(answer.status, 204)
        wait_for("the end", lambda: b.of(HTTP_DONE))
        self.assertEqual(b"".join(f[2] for f in b.of(HTTP_BODY)), b"abcde")

    # ---- what a backend says ----

    def test_a_known_length_is_kept(self):
        p, _ = self.answering(
            lambda cid: response(cid, 200, [("Content-Length", "5")], more=True),
            lambda cid: frame(HTTP_BODY, cid, b"he", MORE),
            lambda cid: frame(HTTP_BODY, cid, b"llo"),
        )
        answer = self.get(p)[1]
        self.assertEqual(answer.get("Content-Length"), "5")
        self.assertEqual(answer.body, b"hello")

    def test_early_hints_go_before_the_response(self):
        p, _ = self.answering(
            lambda cid: response(cid, 103, [("Link", "</x>")], kind=HTTP_INFO),
            lambda cid: response(cid, 200),
        )
        answer = self.get(p)[1]
        self.assertEqual(answer.interims, [103])
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.get("Content-Length"), "0")

    # ---- trailers ----

    def trailing(self, *head, **how):
        fields = (
            ("X-Sum", "1"), ("Content-Length", "9"), ("Set-Cookie", "a"),
            ("Connection", "close"), ("x-sum", " 2"),
        )
        return self.answering(
            lambda cid: response(cid, 200, [("Trailer", "X-Sum"), *head], more=True),
            lambda cid: frame(HTTP_BODY, cid, b"x", MORE),
            lambda cid: frame(
                HTTP_TRAILERS, cid, b"".join(header(n, v) for n, v in fields)
            ),
            **how,
        )

    def bytes_of(self, p, request):
        with Raw(p.port()) as s:
            s.send(request)
            data = b""
            while more := s.s.recv(65536):
                data += more
        return data.partition(b"\r\n\r\n")

    def test_trailers_end_the_body(self):
        p, _ = self.trailing()
        close = "Host: h\r\nConnection: close\r\n\r\n"
        head, _, body = self.bytes_of(p, "GET / HTTP/1.1\r\n" + close)
        self.assertIn(b"\r\nTrailer: X-Sum", head)
        self.assertEqual(body, b"1\r\nx\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n")
        # Not where they have no place: HTTP/1.0, HEAD.
        head, _, body = self.bytes_of(p, "GET / HTTP/1.0\r\n" + close)
        self.assertEqual((b"Trailer" in head, body), (False, b"x"))
        head, _, body = self.bytes_of(p, "HEAD / HTTP/1.1\r\n" + close)
        self.assertEqual((b"Trailer" in head, body), (False, b""))

    def test_trailers_behind_a_known_length_are_dropped(self):
        p, _ = self.trailing(("Content-Length", "1"))
        answer = self.get(p)[1]
        self.assertEqual((answer.body, answer.get("Trailer")), (b"x", None))
        self.assertEqual(answer.get("Content-Length"), "1")

    def test_trailers_join_those_of_the_configuration(self):
        p, _ = self.trailing(location="add_trailer X-Own $status; gzip on; gzip_types *;")
        _, _, body = self.bytes_of(
            p, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        self.assertIn(b"\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\nX-Own: 200\r\n\r\n", body)

    def test_trailers_that_could_break_the_message(self):
        p, b = self.answering(
            lambda cid: response(cid, 200, more=True),
            lambda cid: frame(HTTP_BODY, cid, b"x", MORE),
            lambda cid: frame(HTTP_TRAILERS, cid, header("X-A", "1\r\nX-B: 2")),
        )
        _, _, body = self.bytes_of(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(body, b"1\r\nx\r\n")
        wait_for("an ERROR", lambda: b.of(ERROR))
        self.assertEqual(b.links, 1)

    def test_trailers_of_a_request(self):
        # With so little credit the trailers come behind what waits for some.
        p, b = self.scripted(self.take_all, window=4)
        with Raw(p.port()) as s:
            s.send(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                "Trailer: X-Sum\r\n\r\n"
            )
            for _ in range(3):
                s.send("5\r\nhello\r\n")
            s.send(
                "0\r\nX-Sum: 1\r\nHost: evil\r\nContent-Length: 3\r\n"
                "Y: 2\r\n\r\n"
            )
            self.assertEqual(s.answer().status, 204)
        fields = header("X-Sum", "1") + header("Y", "2")
        self.assertEqual([f[2] for f in b.of(HTTP_TRAILERS)], [fields])
        self.assertEqual(b"".join(f[2] for f in b.of(HTTP_BODY)), b"hello" * 3)
        self.assertIn(header("Trailer", "X-Sum"), b.of(HTTP_REQ)[0][2])

    def take_all(self, b, kind, cid, payload):
        if kind == HTTP_BODY:
            b.send(frame(ACK, 0, struct.pack("<QII", cid, len(payload), 0)))
        elif kind == HTTP_TRAILERS:
            b.send(response(cid, 204))

    def test_trailers_alone(self):
        p, b = self.scripted(self.take_all)
        with Raw(p.port()) as s:
            s.send(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                "\r\n0\r\nX-Sum: 1\r\n\r\n"
            )
            self.assertEqual(s.answer().status, 204)
        self.assertEqual(b.of(HTTP_BODY), [])

    # ---- Expect: 100-continue ----

    def test_a_client_that_waits_gets_100_with_the_first_ACK(self):
        def on_frame(b, kind, cid, payload):
            if kind == HTTP_REQ:
                b.send(frame(ACK, 0, struct.pack("<QII", cid, 0, 0)))
            elif kind == HTTP_BODY:
                b.send(response(cid, 204))

        p, _ = self.scripted(on_frame)
        with Raw(p.port()) as s:
            s.send(
                "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n"
            )
            self.assertIn("HTTP/1.1 100", self.read_head(s.s))
            s.send("ok")
            self.assertEqual(s.answer().status, 204)

    def test_a_request_given_up_gets_502(self):
        p, b = self.answering(lambda cid: frame(HTTP_RESET, cid, b"no", aux=14))
        self.assertEqual(self.get(p)[1].status, 502)
        wait_for("HTTP_DONE", lambda: b.of(HTTP_DONE))
        self.assertEqual(b.of(HTTP_DONE)[0][2][8], 0)

    def test_a_response_given_up_is_cut(self):
        p, _ = self.answering(
            lambda cid: response(cid, 200, more=True),
            lambda cid: frame(HTTP_BODY, cid, b"half", MORE),
            lambda cid: frame(HTTP_RESET, cid, b"no", aux=14),
        )
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        data = b""
        while more := s.s.recv(4096):
            data += more
        self.assertIn(b"half", data)
        self.assertNotIn(b"0\r\n\r\n", data)

    def assert_reset(self, s, got=b""):
        data = b""
        with self.assertRaises(ConnectionResetError):
            while more := s.s.recv(4096):
                data += more
            raise AssertionError("a FIN")
        self.assertIn(got, data)

    def test_TERMINATE_resets_the_connection(self):
        begin = (lambda cid: response(cid, 200, more=True),
                 lambda cid: frame(HTTP_BODY, cid, b"half", MORE))
        for why, more, part in (("before the head", (), b""), ("within the body", begin, b"half")):
            for body in ("", "Content-Length: 9\r\n\r\nx"):
                with self.subTest(why, body=body):
                    p, b = self.answering(*more)
                    s = Raw(p.port())
                    self.addCleanup(s.close)
                    s.send("PUT /x HTTP/1.1\r\nHost: h\r\n" + (body or "\r\n"))
                    cid = wait_for("the request", lambda: b.of(HTTP_REQ))[0][1]
                    if part:
                        self.read_until(s, part)
                    b.send(frame(TERMINATE, cid))
                    self.assert_reset(s)
                    done = wait_for("HTTP_DONE", lambda: b.of(HTTP_DONE))
                    self.assertEqual((len(done), done[0][2][8]), (1, 0))
                    self.assertEqual(b.of(ERROR) + b.of(HTTP_RESET), [])
                    log = wait_for("the line", lambda: p.read("logs/access.log"))
                    self.assertIn(' 200 ' if part else ' 444 ', log)
                    p.stop()

    def read_until(self, s, end):
        data = b""
        while end not in data:
            more = s.s.recv(4096)
            self.assertTrue(more, data)
            data += more

    def test_TERMINATE_while_the_response_leaves(self):
        p, b = self.answering(
            lambda cid: response(cid, 200, more=True),
            *[lambda cid: frame(HTTP_BODY, cid, bytes(60000), MORE)] * 400,
            lambda cid: frame(HTTP_BODY, cid),
            lambda cid: frame(TERMINATE, cid),
            backend="reply_window 32m; link_window 64m 64m;",
        )
        s = Raw(p.port(), small=True)
        self.addCleanup(s.close)
        s.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        done = wait_for("HTTP_DONE", lambda: b.of(HTTP_DONE))
        self.assertEqual((len(done), done[0][2][8]), (1, 0))
        self.assert_reset(s)
        self.assertEqual(b.of(ERROR), [])

    def test_options_of_a_request(self):
        """Who wants HTTP_DONE, and nothing else."""
        def opt(n, value=0, size="I"):
            return tlv(0x23, struct.pack("<H" + size, n, value))

        done = opt(EVENT_MASK, 1 << 7)
        for why, payload, told, ends in (
            ("no HTTP_DONE", opt(EVENT_MASK), 0, 0),
            ("HTTP_DONE", opt(EVENT_MASK) + done, 0, 1),
            ("an unknown one", opt(99), 0, 1),
            ("none", b"", 0, 1),
            *((f"option {n}", opt(n, 1, "B" if n in (1, 3, 6, 11, 12) else "I"), 1, 1)
              for n in range(1, 14) if n != EVENT_MASK),
            ("two, and a mask", opt(2) + opt(4) + opt(EVENT_MASK), 1, 0),
        ):
            with self.subTest(why):
                if why == "no HTTP_DONE":
                    wanted = []
                    p, b = self.answering(
                        lambda cid: frame(SET_OPTS, cid, wanted[-1]) + response(cid))
                wanted.append(payload)
                b.frames.clear()
                for n in (1, 2):
                    self.assertEqual(self.get(p)[1].status, 200)
                b.send(frame(KEEPALIVE, 0, bytes(8)))
                wait_for("what comes last", lambda: b.of(KEEPALIVE))
                self.assertEqual(len(b.of(HTTP_DONE)), 2 * ends)
                self.assertEqual(
                    [(e[3], e[2][:2]) for e in b.of(ERROR)],
                    [(8, bytes([SET_OPTS, 0]))] * 2 * told)

    def test_a_silent_backend_gets_504(self):
        p, b = self.scripted(lambda *_: None, location="backend_read_timeout 200ms;")
        self.assertEqual(self.get(p)[1].status, 504)
        wait_for("HTTP_RESET", lambda: b.of(HTTP_RESET))

    def upload(self, p, n):
        """The answer to a POST of n bytes, as many as are taken."""
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send(f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n")
        sender = threading.Thread(target=self.send_all, args=(s, n), daemon=True)
        sender.start()
        return s.answer()

    @staticmethod
    def send_all(s, n):
        try:
            s.send(bytes(n))
        except OSError:
            pass  # refused before all was taken

    def test_a_backend_that_gives_no_credit_gets_504(self):
        p, b = self.scripted(
            lambda *_: None, backend="client_window 16k;",
            location="backend_read_timeout 300ms;", window=16384,
        )
        self.assertEqual(self.upload(p, 32 << 20).status, 504)
        wait_for("HTTP_RESET", lambda: b.of(HTTP_RESET))

    def test_a_backend_that_pauses_and_is_silent_gets_504(self):
        p, b = self.scripted(
            lambda b, kind, cid, _: kind == HTTP_REQ and b.send(frame(PAUSE, cid)),
            location="backend_read_timeout 300ms;",
        )
        self.assertEqual(self.upload(p, 1000).status, 504)
        wait_for("HTTP_RESET", lambda: b.of(HTTP_RESET))

    def test_credit_that_comes_slowly_is_no_silence(self):
        def on_frame(b, kind, cid, payload):
            if kind == HTTP_BODY:
                time.sleep(0.05)
                b.send(frame(ACK, 0, struct.pack("<QII", cid, len(payload), 0)))
                last = sum(len(f[2]) for f in b.of(HTTP_BODY)) == 320 << 10
                if last:
                    b.send(response(cid, 204))

        p, _ = self.scripted(
            on_frame, backend="client_window 16k;",
            location="backend_read_timeout 500ms;", window=16384,
        )
        self.assertEqual(self.upload(p, 320 << 10).status, 204)

    def test_what_is_wrong_costs_the_request_and_not_the_link(self):
        rows = [
            ("a status of 101", lambda cid: response(cid, 101)),
            ("a status of 700", lambda cid: response(cid, 700)),
            ("a field with a line end",
             lambda cid: response(cid, 200, [("X", "a\r\nSet-Cookie: b")])),
            ("a name with a space", lambda cid: response(cid, 200, [("X Y", "a")])),
            ("two lengths", lambda cid: response(
                cid, 200, [("Content-Length", "1"), ("Content-Length", "2")], True)),
            ("a length and no body",
             lambda cid: response(cid, 200, [("Content-Length", "5")])),
            ("a body before the head", lambda cid: frame(HTTP_BODY, cid, b"x")),
            ("a message", lambda cid: frame(0x20, cid, b"x")),
            ("an ACCEPT", lambda cid: frame(0x11, cid, bytes(8))),
        ]
        answers = {}

        def on_frame(b, kind, cid, payload):
            if kind == HTTP_REQ:
                path = int(payload.split(b"/n", 1)[1][:3])
                b.send(answers[path](cid))

        p, b = self.scripted(on_frame)
        for n, (why, answer) in enumerate(rows):
            answers[100 + n] = answer
            with self.subTest(why):
                _, got = self.get(
                    p, f"GET /n{100 + n} HTTP/1.1\r\nHost: h\r\n\r\n"
                )
                self.assertEqual(got.status, 502)
        wait_for("the errors", lambda: len(b.of(ERROR)) == len(rows))
        self.assertEqual(b.links, 1)

    def test_a_response_longer_than_its_length_is_cut(self):
        p, b = self.answering(
            lambda cid: response(cid, 200, [("Content-Length", "2")], more=True),
            lambda cid: frame(HTTP_BODY, cid, b"abc"),
        )
        s = Raw(p.port())
        self.addCleanup(s.close)
        s.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        data = b""
        while more := s.s.recv(4096):
            data += more
        self.assertNotIn(b"abc", data)
        wait_for("the error", lambda: b.of(ERROR))

    def test_a_backend_that_spends_more_than_its_credit_is_stopped(self):
        body = bytes(40000)
        p, b = self.answering(
            lambda cid: response(cid, 200, more=True),
            *[lambda cid: frame(HTTP_BODY, cid, body, MORE)] * 400,
            backend="reply_window 16k;",
        )
        s = Raw(p.port(), small=True)
        self.addCleanup(s.close)
        s.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for("the error", lambda: b.of(ERROR))
        self.assertEqual(b.of(ERROR)[0][3], 6)
        self.assertEqual(b.links, 1)

    # ---- credit ----

    def test_a_client_is_read_no_faster_than_the_backend_gives_credit(self):
        p, b = self.scripted(lambda *_: None, backend="client_window 16k;", window=16384)
        s = Raw(p.port())
        self.addCleanup(s.close)
        body = bytes(32 << 20)
        s.send(f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n")
        s.s.setblocking(False)
        sent = 0
        idle_since = time.monotonic()
        while sent < len(body) and time.monotonic() - idle_since < 0.5:
            try:
                sent += s.s.send(body[sent : sent + 65536])
                idle_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        got = sum(len(f[2]) for f in b.of(HTTP_BODY))
        self.assertLessEqual(got, 16384 + 65536)
        self.assertLess(sent, len(body))

    # ---- the choice of a backend ----

    def test_a_request_that_can_be_repeated_survives_a_dying_backend(self):
        p = self.penstock(CONFIG % ("", ""), start=False)
        a = Backend(p.path("a.sock"), greeting=greeting())
        b = Backend(p.path("b.sock"), greeting=greeting())

        def die(kind, cid, payload):
            if kind == HTTP_REQ:
                a.link.shutdown(socket.SHUT_RDWR)

        a.on_frame = die
        b.on_frame = lambda kind, cid, _: kind == HTTP_REQ and b.send(response(cid))
        self.addCleanup(a.stop)
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p, 2)
        for _ in range(2):
            self.assertEqual(self.get(p)[1].status, 200)
        self.assertEqual(len(a.of(HTTP_REQ)), 1)

    def test_a_backend_without_the_feature_gets_no_requests(self):
        p = self.penstock(CONFIG % ("", ""), start=False)
        plain = Backend(p.path("a.sock"))
        self.addCleanup(plain.stop)
        p.start()
        self.wait_ready(p)
        self.assertEqual(self.get(p)[1].status, 501)

    def test_other_protocols_are_refused_and_h2c_is_ignored(self):
        p, _ = self.answering(response)
        rows = [("websocket", 426), ("foo", 426), ("h2c", 200), ("TLS/1.3", 200)]
        for upgrade, status in rows:
            with self.subTest(upgrade):
                _, answer = self.get(
                    p,
                    f"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                    f"Upgrade: {upgrade}\r\n\r\n",
                )
                self.assertEqual(answer.status, status)


if __name__ == "__main__":
    unittest.main()
