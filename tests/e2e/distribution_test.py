# SPDX-License-Identifier: BSD-2-Clause
"""Which backend of a pool gets a client: methods, weights, sticky, claim."""

import socket
import struct
import unittest

from support.gateway import (
    ACCEPT, CLOSE, OPEN, READY, Backend, BridgeTestCase, frame, tlv,
)
from support.penstock import wait_for

CONFIG = """
worker_processes %d;
user root;
events { }
http {
    access_log off;
    backend pool { %s }
    server {
        listen 127.0.0.1:@PORT@;
        location /ws { websocket_pass pool; }
        location /http { backend_pass pool; }
    }
}
"""
CLAIM, UNCLAIM, TAG_KEY, FEATURE_CLAIM = 0x73, 0x74, 0x2C, 1 << 10
HTTP_FEATURE = 1 << 3


def greeting(*more):
    """HELLO with claims and READY."""
    hello = b"SLUICE1\n" + struct.pack(
        "<HHBBHIIIIQQ", 1, 1, 2, 0, 0, 65536, 65536, 1 << 20, 0,
        4 | FEATURE_CLAIM, 7,
    )
    return frame(1, payload=hello) + b"".join(more) + frame(READY)


class DistributionTest(BridgeTestCase):
    def pool(self, settings, names="abc", parameters=("", "", ""),
             greetings=None):
        """A gateway with one worker before these backends."""
        servers = "".join(
            f"server unix:@PREFIX@/{n}.sock {how};"
            for n, how in zip(names, parameters)
        )
        p = self.penstock(CONFIG % (1, settings + servers), start=False)
        self.backends = {}
        for n in names:
            b = Backend(
                p.path(f"{n}.sock"), greeting=(greetings or {}).get(n, greeting())
            )
            self.addCleanup(b.stop)
            self.backends[n] = b
        p.start()
        up = [n for n, how in zip(names, parameters) if "down" not in how]
        self.wait_ready(p, len(up))
        return p

    def connect(self, p, path="/ws", source="127.0.0.1", **fields):
        """Who got the client, and the response's head."""
        before = {n: len(b.of(OPEN)) for n, b in self.backends.items()}
        s, head = self.raw(
            p, fields, f"GET {path} HTTP/1.1"
        ) if source == "127.0.0.1" else self.raw_from(p, path, source)
        self.clients = getattr(self, "clients", []) + [s]
        who = "".join(
            n for n, b in self.backends.items() if len(b.of(OPEN)) > before[n]
        )
        return who, head

    def raw_from(self, p, path, source):
        s = socket.create_connection(
            ("127.0.0.1", p.port()), 20, source_address=(source, 0)
        )
        self.addCleanup(s.close)
        s.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        return s, self.read_head(s)

    def who(self, p, n, path="/ws"):
        return "".join(self.connect(p, path)[0] for _ in range(n))

    def cookie(self, head):
        text = head.decode() if isinstance(head, bytes) else head
        for line in text.split("\r\n"):
            if line.lower().startswith("set-cookie: "):
                return line.split(": ", 1)[1]
        return None

    def test_round_robin_by_weight(self):
        p = self.pool("round_robin;", parameters=("weight=2", "", "down"))
        self.assertEqual(self.who(p, 6), "abaaba")

    def test_least_conn(self):
        p = self.pool("least_conn;", parameters=("weight=2", "", ""))
        who = self.who(p, 8)
        self.assertEqual(sorted(who), sorted("aaaabbcc"))

    def test_max_clients_and_backup(self):
        p = self.pool(
            "round_robin;",
            parameters=("max_clients=1", "max_clients=1", "backup"),
        )
        self.assertEqual(sorted(self.who(p, 2)), ["a", "b"])
        self.assertEqual(self.who(p, 2), "cc")

    def test_ip_hash(self):
        p = self.pool("ip_hash;")
        seen = set()
        for i in range(12):
            first = self.connect(p, source=f"127.0.{i}.1")[0]
            again = self.connect(p, source=f"127.0.{i}.9")[0]
            self.assertEqual(first, again)
            seen.add(first)
        self.assertGreater(len(seen), 1)

    def test_hash(self):
        for how in ("", "consistent"):
            p = self.pool(f"hash $arg_room {how};")
            seen = {}
            for i in range(12):
                path = f"/ws?room={i}"
                seen[i] = self.connect(p, path)[0]
                self.assertEqual(self.connect(p, path)[0], seen[i])
            self.assertGreater(len(set(seen.values())), 1)

    def test_hash_when_a_backend_goes(self):
        p = self.pool("hash $arg_room consistent;")
        before = {i: self.connect(p, f"/ws?room={i}")[0] for i in range(15)}
        b = self.backends["b"]
        b.greeting = b""  # dialled again, it is never ready
        b.link.shutdown(socket.SHUT_RDWR)
        wait_for("the loss", lambda: "lose their backend" in p.log())
        after = {i: self.connect(p, f"/ws?room={i}")[0] for i in range(15)}
        self.assertNotIn("b", after.values())
        for i, name in before.items():
            if name != "b":
                self.assertEqual(after[i], name)

    def test_sticky_cookie(self):
        p = self.pool("round_robin; sticky cookie where path=/ httponly;")
        cookies = {}
        for _ in range(3):
            who, head = self.connect(p)
            cookie = self.cookie(head)
            self.assertRegex(cookie, "^where=[0-9a-f]{32}; path=/; httponly$")
            cookies[who] = cookie.split(";")[0]
        self.assertEqual(len(set(cookies.values())), 3)
        for _ in range(3):
            for name, cookie in cookies.items():
                who, head = self.connect(p, Cookie=f"x=1; {cookie}")
                self.assertEqual(who, name)
                self.assertIsNone(self.cookie(head))
        who, head = self.connect(p, Cookie="where=nowhere")
        self.assertIsNotNone(self.cookie(head))

    def test_claim(self):
        claims = {
            "b": greeting(
                frame(CLAIM, payload=tlv(TAG_KEY, b"beta")),
                frame(CLAIM, payload=tlv(TAG_KEY, b"both")),
            ),
            "c": greeting(frame(CLAIM, payload=tlv(TAG_KEY, b"gamma"))),
        }
        p = self.pool("round_robin; claim $arg_sid;", greetings=claims)
        self.assertEqual(self.who(p, 3, "/ws?sid=beta"), "bbb")
        self.assertEqual(self.who(p, 3, "/ws?sid=gamma"), "ccc")
        self.assertEqual(set(self.who(p, 6, "/ws?sid=other")), set("abc"))
        self.assertEqual(set(self.who(p, 6)), set("abc"))
        # The last one who claims a key has it; who lets go has it no more.
        self.backends["c"].send(frame(CLAIM, payload=tlv(TAG_KEY, b"both")))
        wait_for("c", lambda: self.who(p, 1, "/ws?sid=both") == "c")
        self.assertEqual(self.who(p, 4, "/ws?sid=both"), "cccc")
        self.backends["c"].send(frame(UNCLAIM, payload=tlv(TAG_KEY, b"both")))
        wait_for("a", lambda: self.who(p, 1, "/ws?sid=both") == "a")
        # Claims end with their link.
        self.backends["b"].link.shutdown(socket.SHUT_RDWR)
        self.backends["b"].greeting = greeting()
        self.wait_ready(p, 4)
        self.assertEqual(set(self.who(p, 6, "/ws?sid=beta")), set("abc"))

    def test_claims_that_break_the_rules(self):
        for why, bad in (
            ("no key", frame(CLAIM)),
            ("an empty key", frame(CLAIM, payload=tlv(TAG_KEY, b""))),
            ("a long key", frame(CLAIM, payload=tlv(TAG_KEY, b"k" * 256))),
        ):
            p = self.pool("claim $arg_sid;", names="a", parameters=("",))
            self.backends["a"].send(bad)
            wait_for(why, lambda: "broke the protocol" in p.log())

    def test_claims_are_bounded(self):
        p = self.pool("claim $arg_sid;", names="a", parameters=("",))
        data = b"".join(
            frame(CLAIM, payload=tlv(TAG_KEY, b"%d" % i)) for i in range(65537)
        )
        try:
            self.backends["a"].send(data)
        except OSError:
            pass  # ended in the middle of it
        wait_for("the end", lambda: "broke the protocol: limit" in p.log())

    METHODS = (
        "least_conn;", "round_robin;", "ip_hash;", "hash $arg_x;",
        "hash $arg_x consistent;", "round_robin; sticky cookie c;",
        "least_conn; claim $arg_x;",
    )

    def spread(self, p, n):
        """n clients of different keys and addresses."""
        return "".join(
            self.connect(p, f"/ws?x=key-{i * i}", f"127.0.{i + 1}.1")[0] for i in range(n))

    def test_down_and_max_clients_of_every_method(self):
        for method in self.METHODS:
            with self.subTest(method):
                p = self.pool(method, parameters=("down", "max_clients=2", ""))
                who = self.spread(p, 12)
                self.assertNotIn("a", who)
                self.assertEqual(len(who), 12)
                self.assertEqual(who.count("b"), 2)
                # Room comes back.
                b = self.backends["b"]
                b.send(frame(0x16, b.of(OPEN)[0][1]))
                wait_for("CLOSED", lambda: b.of(0x15))
                self.assertIn("b", self.spread(p, 12))
                p.stop()

    def test_weights_of_every_method(self):
        for method in self.METHODS:
            with self.subTest(method):
                p = self.pool(method, names="ab", parameters=("weight=7", "weight=1"))
                who = self.spread(p, 32)
                self.assertGreater(who.count("a"), 18)
                self.assertGreater(who.count("b"), 0)
                p.stop()

    def test_backup_of_every_method(self):
        for method in self.METHODS:
            if "hash" in method:
                p = self.penstock(CONFIG % (1, method + "server unix:a; server unix:b backup;"),
                                  start=False)
                done = p.run("-t")
                self.assertEqual(done.returncode, 1)
                self.assertIn('does not support parameter "backup"', done.stderr)
                continue
            with self.subTest(method):
                p = self.pool(method, names="ab", parameters=("", "backup"))
                self.assertEqual(self.spread(p, 4), "aaaa")
                a = self.backends["a"]
                a.greeting = b""
                a.link.shutdown(socket.SHUT_RDWR)
                wait_for("the loss", lambda: "lose their backend" in p.log())
                self.assertEqual(self.spread(p, 4), "bbbb")
                p.stop()

    def test_several_workers_and_backends(self):
        settings = "hash $arg_room consistent; sticky cookie id;"
        p = self.penstock(
            CONFIG
            % (
                3,
                settings
                + "".join(f"server unix:@PREFIX@/{n}.sock;" for n in "xyz"),
            ),
            start=False,
        )
        for n in "xyz":
            self.start_echo(p, f"{n}.sock")
        p.start()
        self.wait_ready(p, 9)
        seen = {}
        for _ in range(6):  # each time another worker may take it
            for room in range(6):
                _, head = self.raw(p, (), f"GET /ws?room={room} HTTP/1.1")
                seen.setdefault(room, set()).add(self.cookie(head))
        self.assertEqual([len(c) for c in seen.values()], [1] * 6)
        self.assertGreater(len({min(c) for c in seen.values()}), 1)


if __name__ == "__main__":
    unittest.main()
