# SPDX-License-Identifier: BSD-2-Clause
"""Roles of a HELLO: publishers speak to groups and get nobody, monitors look
on; health checks, versions and what is no role."""

import json
import struct
import unittest

from support.gateway import (
    ACCEPT, BROADCAST, ERROR, OPEN, READY, TEXT, Backend, BridgeTestCase, frame,
    tlv,
)
from support.penstock import wait_for
from support.websocket import Client, handshake
from support.websocket import TEXT as WS_TEXT

HELLO, BYE, LOG, STATS_REQ, STATS, SETLOG, NOP = 1, 5, 7, 8, 9, 0x0B, 0x0C
PUBLISH, MSEND, SUBSCRIBE, DELIVERED, REGISTER = 0x42, 0x44, 0x40, 0x46, 0x70
PRESENCE_REQ, PRESENCE, KEEPALIVE, GOAWAY, CLAIM = 0x47, 0x48, 3, 4, 0x73
CHANNELS, CROSS, NOTIFY = 1 << 4, 1 << 13, 4
BACKEND, PUBLISHER, MONITOR = 2, 3, 4
PROTOCOL = 1
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend one { server unix:@PREFIX@/a.sock; server unix:@PREFIX@/b.sock; }
    server { listen 127.0.0.1:@PORT@; location / { websocket_pass one; } }
}
"""


def hello(role=BACKEND, flags=0, low=1, high=1, features=CHANNELS | CROSS):
    return frame(HELLO, 0, struct.pack(
        "<8sHHBBHIIIIQQ", b"SLUICE1\n", low, high, role, flags, 0, 65536, 65536,
        1 << 20, 0, features, role))


class RolesTest(BridgeTestCase):
    def start(self, greeting, ready=1):
        self.p = p = self.penstock(CONFIG, start=False)
        self.a = Backend(p.path("a.sock"), hello() + frame(READY))
        self.b = Backend(p.path("b.sock"), greeting)
        self.addCleanup(self.a.stop)
        self.addCleanup(self.b.stop)
        p.start()
        self.wait_ready(p, ready)
        wait_for("its link", lambda: self.b.of(HELLO))
        return p, self.b

    def join(self):
        c = Client(self.p.port(), handshake(request="GET / HTTP/1.1", port=self.p.port()))
        self.addCleanup(c.socket.close)
        self.assertEqual(c.status, 101)
        return c, self.a.of(OPEN)[-1][1]

    def test_a_publisher(self):
        p, b = self.start(hello(PUBLISHER))
        clients = [self.join() for _ in range(6)]  # none came to it
        self.assertEqual(b.of(OPEN), [])
        c, cid = clients[0]
        self.a.send(frame(SUBSCRIBE, cid, b"\x01\x00x") + frame(TEXT, cid, b"in"))
        self.assertEqual(c.message(), (WS_TEXT, b"in"))
        b.send(frame(PUBLISH, 0, struct.pack("<BBH", 1, 0, 1) + b"x" + b"news", NOTIFY, 5)
               + frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0) + b"all", NOTIFY, 6)
               + frame(MSEND, 0, struct.pack("<BBHIQ", 1, 0, 0, 1, cid) + b"one", NOTIFY, 7)
               + frame(PRESENCE_REQ, 0, b"\x01\x00x", aux=8))
        for text in (b"news", b"all", b"one"):
            self.assertEqual(c.message(), (WS_TEXT, text))
        done = wait_for("DELIVERED", lambda: len(b.of(DELIVERED)) == 3 and b.of(DELIVERED))
        self.assertEqual([(f[3], struct.unpack_from("<I", f[2])[0]) for f in done],
                         [(5, 1), (6, 6), (7, 1)])
        wait_for("PRESENCE", lambda: b.of(PRESENCE))
        # It may go in good order.
        b.send(frame(NOP) + frame(KEEPALIVE, 0, bytes(8)) + frame(BYE))
        p.wait_for_log("backend said goodbye")

    def test_a_monitor(self):
        p, b = self.start(hello(MONITOR) + frame(SETLOG, 0, aux=6))
        c, cid = self.join()
        self.assertEqual(b.of(OPEN), [])
        b.send(frame(LOG, 0, b"seen", aux=5) + frame(STATS_REQ, 0, aux=0)
               + frame(STATS_REQ, 0, aux=1) + frame(STATS_REQ, 0, aux=2))
        p.wait_for_log('backend "one" says: seen')
        stats = wait_for("STATS", lambda: len(b.of(STATS)) == 3 and b.of(STATS))
        link, process, instance = [json.loads(f[2]) for f in stats]
        self.assertEqual(link["sessions"], 0)
        self.assertEqual(process["pool"]["clients"], 1)
        self.assertEqual(instance["pools"][0]["clients"], 1)
        # It hears of refusals as others do.
        self.raw(p, {"Origin": "http://evil"}, request="GET / HTTP/1.1")
        wait_for("LOG", lambda: b.of(LOG))

    def test_what_they_may_not_say(self):
        cid = 1 << 24
        for role, frames in (
            (PUBLISHER, (frame(READY), frame(ACCEPT, cid, bytes(8)), frame(TEXT, cid, b"x"),
                         frame(REGISTER, 0, tlv(1, b"x")), frame(SETLOG, 0, aux=6),
                         frame(SUBSCRIBE, cid, b"\x01\x00x"))),
            (MONITOR, (frame(READY), frame(TEXT, cid, b"x"), frame(REGISTER, 0, tlv(1, b"x")),
                       frame(PUBLISH, 0, struct.pack("<BBH", 1, 0, 1) + b"xx"),
                       frame(BROADCAST, 0, struct.pack("<BBHHHI", 1, 0, 0, 0, 0, 0)))),
        ):
            p, b = self.start(hello(role))
            c, _ = self.join()
            for n, data in enumerate(frames, 1):
                with self.subTest(role=role, kind=data[4]):
                    b.send(data)
                    error = wait_for("ERROR", lambda: len(b.of(ERROR)) == n and b.of(ERROR))[-1]
                    self.assertEqual((error[3], error[2][1]), (PROTOCOL, 2))
                    wait_for("the next link", lambda: len(b.of(HELLO)) > n)
            self.a.send(frame(TEXT, self.a.of(OPEN)[0][1], b"unmoved"))
            self.assertEqual(c.message(), (WS_TEXT, b"unmoved"))
            p.stop()

    def test_who_is_not_welcome(self):
        for greeting, text in (
            (hello(1), "backend broke the protocol: handshake"),
            (hello(0), "backend broke the protocol"),
            (hello(5), "backend broke the protocol"),
            (hello(low=2, high=9), "backend broke the protocol: version"),
            (hello(low=0, high=0), "backend broke the protocol: version"),
        ):
            with self.subTest(greeting=greeting[16:32]):
                p, b = self.start(greeting)
                p.wait_for_log(text)
                wait_for("ERROR", lambda: b.of(ERROR))
                wait_for("more of them", lambda: b.links > 3)
                # Once a minute, however often it comes.
                self.assertEqual(p.log().count("backend broke the protocol"), 1)
                p.stop()

    def test_a_later_version_in_common(self):
        p, b = self.start(hello(low=1, high=7) + frame(READY), ready=2)

    def test_a_health_check(self):
        p, b = self.start(hello(flags=2))
        wait_for("BYE", lambda: b.of(BYE))
        self.assertEqual(b.of(ERROR), [])
        p.wait_for_log("it was a health check")
        self.join()


if __name__ == "__main__":
    unittest.main()
