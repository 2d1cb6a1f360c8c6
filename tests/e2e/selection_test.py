# SPDX-License-Identifier: BSD-2-Clause
"""Which app of a backend gets a client: patterns of host, path and origin,
order, PASS, limits, versions; and evict_oldest."""

import struct
import unittest

from support.gateway import (
    ACCEPT, CLOSE, CLOSED, OPEN, READY, REJECT, Backend, BridgeTestCase, frame,
    tlv,
)
from support.penstock import wait_for
from support.websocket import Client, encode, handshake

HELLO, REGISTER, REGISTERED, UNREGISTER = 1, 0x70, 0x71, 0x72
EXACT, PREFIX, SUFFIX, REGEX, ANY, NONE = range(6)
HOST, PATH, ORIGIN, MAX_CLIENTS = 0x26, 0x27, 0x28, 0x29
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend one { server unix:@PREFIX@/one.sock; %s }
    server {
        listen 127.0.0.1:@PORT@;
        location / { websocket_pass one; websocket_origin any; websocket_versions 13 8 7; }
        location /named { websocket_pass one app=second; websocket_origin any; }
    }
}
"""


def opt(number, value, size="I"):
    return tlv(0x23, struct.pack("<H" + size, number, value))


def app(name, *patterns, more=b""):
    data = tlv(1, name.encode()) + more
    for tag, kind, text in patterns:
        data += tlv(tag, bytes([kind]) + text.encode())
    return frame(REGISTER, 0, data)


class AppsTest(BridgeTestCase):
    def start(self, *apps, backend="", on_frame=None):
        self.p = p = self.penstock(CONFIG % backend, start=False)
        hello = frame(HELLO, 0, struct.pack(
            "<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20,
            0, 4, 7))
        self.b = Backend(p.path("one.sock"), hello + b"".join(apps) + frame(READY),
                         on_frame)
        self.addCleanup(self.b.stop)
        p.start()
        self.wait_ready(p)

    def who(self, path="/", **fields):
        """The number of the app that got it, or the status of the refusal."""
        before = len(self.b.of(OPEN))
        request = f"GET {path} HTTP/1.1"
        c = Client(self.p.port(), handshake(fields, request, self.p.port()))
        self.addCleanup(c.socket.close)
        self.client = c
        if c.status != 101:
            return c.status
        opened, = self.b.of(OPEN)[before:]
        return struct.unpack_from("<H", opened[2], 4)[0]

    def test_patterns_of_every_kind(self):
        # (why, tag, kind, text, [(value, matches)])
        cases = (
            ("host", HOST, EXACT, "chat.example",
             [("chat.example", 1), ("CHAT.example", 1), ("chat.example:80", 1),
              ("x.chat.example", 0), ("chat.example2", 0)]),
            ("host", HOST, PREFIX, "chat.", [("chat.a", 1), ("xchat.a", 0)]),
            ("host", HOST, SUFFIX, ".example", [("a.example", 1), ("example", 0)]),
            ("host", HOST, REGEX, r"^c\d+\.example$", [("c12.example", 1), ("c.example", 0)]),
            ("host", HOST, ANY, "", [("whatever", 1)]),
            ("path", PATH, EXACT, "/a/b", [("/a/b", 1), ("/a/b?x=1", 1), ("/a//b", 1),
                                           ("/a/%62", 1), ("/a/b/", 0), ("/A/b", 0)]),
            ("path", PATH, PREFIX, "/a", [("/a", 1), ("/abc", 1), ("/b/a", 0)]),
            ("path", PATH, SUFFIX, ".ws", [("/x.ws", 1), ("/x.ws/", 0), ("/x?.ws", 0)]),
            ("path", PATH, REGEX, r"^/r/(\d+)$", [("/r/1", 1), ("/r/", 0), ("/r/1/2", 0)]),
            ("path", PATH, ANY, "", [("/x", 1)]),
            ("origin", ORIGIN, EXACT, "https://a.example",
             [("https://a.example", 1), ("https://A.example", 1),
              ("http://a.example", 0), (None, 0), ("https://a.example:444", 0)]),
            ("origin", ORIGIN, PREFIX, "https://", [("https://x", 1), ("http://x", 0), (None, 0)]),
            ("origin", ORIGIN, SUFFIX, ".example", [("https://b.example", 1), (None, 0)]),
            ("origin", ORIGIN, REGEX, "^https?://[ab]$", [("http://a", 1), ("http://c", 0)]),
            ("origin", ORIGIN, ANY, "", [("http://x", 1), (None, 1)]),
            ("origin", ORIGIN, NONE, "", [(None, 1), ("http://x", 0), ("null", 0)]),
        )
        for what, tag, kind, text, values in cases:
            self.start(app("only", (tag, kind, text)))
            for value, matches in values:
                with self.subTest(what=what, kind=kind, text=text, value=value):
                    if what == "path":
                        got = self.who(value)
                    else:
                        got = self.who(**{what.title(): value})
                    self.assertEqual(
                        got, 1 if matches else 403 if what == "origin" else 404)
            self.p.stop()

    def test_several_patterns_are_alternatives_and_all_tags_must_match(self):
        self.start(app("one", (PATH, EXACT, "/a"), (PATH, EXACT, "/b"),
                       (HOST, EXACT, "h"), (ORIGIN, NONE, ""), (ORIGIN, EXACT, "http://o")))
        for path, host, origin, got in (
            ("/a", "h", None, 1), ("/b", "h", "http://o", 1), ("/c", "h", None, 404),
            ("/a", "i", None, 404), ("/a", "h", "http://p", 403),
        ):
            self.assertEqual(self.who(path, Host=host, Origin=origin), got)

    def test_the_first_one_wins(self):
        self.start(app("first", (PATH, PREFIX, "/x/y")), app("second", (PATH, PREFIX, "/x")),
                   app("third"))
        self.assertEqual([self.who(p) for p in ("/x/y/z", "/x/z", "/z", "/named")],
                         [1, 2, 3, 404])

    def test_by_name(self):
        self.start(app("first"), app("second"))
        self.assertEqual((self.who(), self.who("/named")), (1, 2))

    def test_versions(self):
        self.start(app("new", more=opt(13, 1)), app("old", more=opt(13, 2)))
        self.assertEqual(self.who(), 1)
        self.assertEqual(self.who(**{"Sec-WebSocket-Version": "8"}), 2)
        self.assertEqual(self.who(**{"Sec-WebSocket-Version": "7"}), 400)

    def test_max_clients_of_an_app(self):
        self.start(app("few", more=tlv(MAX_CLIENTS, struct.pack("<I", 2))))
        self.assertEqual([self.who() for _ in range(3)], [1, 1, 503])
        self.client.socket.close()
        cid = self.b.of(OPEN)[0][1]
        self.b.send(frame(0x16, cid))
        wait_for("CLOSED", lambda: self.b.of(CLOSED))
        self.assertEqual(self.who(), 1)
        self.assertEqual(self.who(), 503)

    def test_a_full_one_is_passed_by(self):
        self.start(app("few", more=tlv(MAX_CLIENTS, struct.pack("<I", 1))), app("rest"))
        self.assertEqual([self.who() for _ in range(3)], [1, 2, 2])

    def test_unregister(self):
        self.start(app("first"), app("second"))
        self.assertEqual(self.who(), 1)
        staying, cid = self.client, self.b.of(OPEN)[0][1]
        self.b.send(frame(UNREGISTER, 0, aux=1))
        wait_for("the second", lambda: self.who() == 2)
        self.b.send(frame(0x20, cid, b"still"))
        self.assertEqual(staying.message(), (1, b"still"))
        self.b.send(frame(UNREGISTER, 0, aux=2) + frame(UNREGISTER, 0, aux=9))
        wait_for("nobody", lambda: self.who() == 404)

    def test_at_most_64(self):
        self.start(*(app(f"app-{i}") for i in range(66)))
        answers = [(f[3], bool(f[2])) for f in self.b.of(REGISTERED)]
        self.assertEqual(answers, [(i, False) for i in range(1, 65)] + [(0, True)] * 2)
        self.p.stop()
        self.start(app("many", *((PATH, EXACT, f"/{i}") for i in range(65))),
                   app("good", *((PATH, EXACT, f"/{i}") for i in range(64))),
                   app("good"), app("x" * 256), app(""), app("y" * 255, (PATH, REGEX, "(")))
        self.assertEqual([f[3] for f in self.b.of(REGISTERED)], [0, 2, 0, 0, 0, 0])

    def passing(self, *numbers, status=0):
        def on_frame(kind, cid, payload):
            if kind != OPEN:
                return
            if struct.unpack_from("<H", payload, 4)[0] in numbers:
                self.b.send(frame(REJECT, cid, struct.pack("<HH", status, 1)))
            else:
                self.b.send(frame(ACCEPT, cid, bytes(8)))

        return on_frame

    def test_pass_to_the_next_app(self):
        self.start(app("a"), app("b", (PATH, EXACT, "/no")), app("c"), app("d"),
                   on_frame=self.passing(1, 3))
        request = handshake(request="GET / HTTP/1.1", port=self.p.port())
        c = Client(self.p.port(), request)
        self.assertEqual(c.status, 101)
        self.assertEqual([struct.unpack_from("<H", f[2], 4)[0] for f in self.b.of(OPEN)],
                         [1, 3, 4])
        ids = [f[1] for f in self.b.of(OPEN)]
        self.assertEqual(len(set(ids)), 3)
        # Each OPEN has its CLOSED: rejected.
        self.assertEqual([(f[1], f[2][0]) for f in self.b.of(CLOSED)],
                         [(ids[0], 13), (ids[1], 13)])
        c.socket.close()

    def test_nobody_is_left(self):
        for status, got in ((0, 403), (403, 403), (410, 410), (404, 404), (200, 403)):
            with self.subTest(status):
                self.start(app("a"), app("b"), on_frame=self.passing(1, 2, status=status))
                self.assertEqual(self.who(), got)
                self.p.stop()

    def test_evict_oldest(self):
        self.start(app("a"), backend="max_clients 2 overflow=evict_oldest;")
        clients = []
        for _ in range(4):
            self.assertEqual(self.who(), 1)
            clients.append(self.client)
        for c in clients[:2]:
            before, code, reason = c.finish()
            self.assertEqual(code, 1013)
        ids = [f[1] for f in self.b.of(OPEN)]
        wait_for("CLOSEDs", lambda: len(self.b.of(CLOSED)) == 2)
        self.assertEqual([(f[1], f[2][0]) for f in self.b.of(CLOSED)],
                         [(ids[0], 15), (ids[1], 15)])
        for c, cid in zip(clients[2:], ids[2:]):
            self.b.send(frame(0x20, cid, b"here"))
            self.assertEqual(c.message(), (1, b"here"))

    def test_reject(self):
        self.start(app("a"), backend="max_clients 2 overflow=reject;")
        self.assertEqual([self.who() for _ in range(3)], [1, 1, 503])
        self.assertEqual(self.client.fields["retry-after"], "5")


if __name__ == "__main__":
    unittest.main()
