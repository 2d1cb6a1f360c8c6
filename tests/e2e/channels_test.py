# SPDX-License-Identifier: BSD-2-Clause
"""Channels whose members are at several workers and of several backends, and
websocket_publish."""

import asyncio
import base64
import json
import os
import unittest
import urllib.error
import urllib.request

import websockets

from support.pair import PairTestCase
from support.penstock import PATIENCE, wait_for

SERVER = """
        websocket_max_message 256k;
        location = /publish { websocket_publish pair $arg_to; }
        location = /guarded {
            auth_basic "those who may";
            auth_basic_user_file @PREFIX@/users;
            websocket_publish pair $arg_to;
        }
        location = /denied { deny all; websocket_publish pair $arg_to; }
        location = /small {
            client_max_body_size 10;
            websocket_publish pair $arg_to;
        }
"""
CLIENTS = 12


class Channels(PairTestCase):
    example = "example-rooms"
    server = SERVER

    def prepare(self):
        with open(self.p.path("users"), "w") as f:
            f.write("me:{PLAIN}secret\n")

    def url(self, path):
        return f"ws://127.0.0.1:{self.p.port()}{path}"

    def post(self, to, body, kind="text/plain", method="POST", at="/publish", **more):
        """The status and the body."""
        request = urllib.request.Request(
            self.p.url(f"{at}?to={to}"), data=body, method=method,
            headers={"Content-Type": kind, **more},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read()

    def publish(self, *args, **more):
        return self.post(*args, **more)[0]

    def in_a_room(self, talk, path="/red"):
        """talk(clients): a coroutine function, with all of them connected."""

        async def run():
            clients = [
                await websockets.connect(self.url(path), max_size=None)
                for _ in range(CLIENTS)
            ]
            try:
                await asyncio.wait_for(talk(clients), PATIENCE)
            finally:
                for c in clients:
                    await c.close()

        asyncio.run(run())

    def test_what_one_says_all_others_hear(self):
        async def talk(clients):
            for n, speaker in enumerate(clients):
                await speaker.send(f"from {n}")
                for c in clients:
                    if c is not speaker:
                        self.assertEqual(await c.recv(), f"from {n}")

        self.in_a_room(talk)

    def test_another_room_hears_nothing(self):
        async def talk(clients):
            async with websockets.connect(self.url("/blue")) as other:
                await clients[0].send("red")
                await clients[1].recv()
                status = await asyncio.to_thread(self.publish, "/blue", b"blue")
                self.assertEqual(status, 202)
                self.assertEqual(await other.recv(), "blue")

        self.in_a_room(talk)

    def test_a_post_reaches_everybody_at_every_worker(self):
        big = os.urandom(200000)

        async def talk(clients):
            for body, kind, got in (
                (b"text", "text/plain", "text"),
                ("Gr\u00fc\u00dfe".encode(), "application/json", "Gr\u00fc\u00dfe"),
                (b"", "text/plain", ""),
                (big, "application/octet-stream", big),
            ):
                status = await asyncio.to_thread(self.publish, "/red", body, kind)
                self.assertEqual(status, 202)
                for c in clients:
                    self.assertEqual(await c.recv(), got)

        self.in_a_room(talk)

    def test_no_post_is_lost(self):
        async def talk(clients):
            def many():
                for n in range(100):
                    self.assertEqual(self.publish("/red", b"%d" % n), 202)

            await asyncio.to_thread(many)
            for c in clients:
                got = [int(await c.recv()) for _ in range(100)]
                self.assertEqual(sorted(got), list(range(100)))

        self.in_a_room(talk)

    def test_who_asks_is_told_how_many_got_it(self):
        async def talk(clients):
            for body in (b"one", b"x" * 100000):
                status, said = await asyncio.to_thread(
                    self.post, "/red", body, Accept="text/html, application/json"
                )
                self.assertEqual(status, 200)
                self.assertEqual(
                    json.loads(said),
                    {"matched": CLIENTS, "queued": CLIENTS, "skipped": 0,
                     "dropped": 0, "missing": 0},
                )
                for c in clients:
                    self.assertEqual(await c.recv(), body.decode())
            _, said = await asyncio.to_thread(
                self.post, "/empty", b"x", Accept="application/json"
            )
            self.assertEqual(json.loads(said)["matched"], 0)
            self.assertEqual(self.publish("/red", b"\xff", Accept="application/json"), 400)

        self.in_a_room(talk)

    def test_the_usual_directives_guard_it(self):
        me = "Basic " + base64.b64encode(b"me:secret").decode()

        async def talk(clients):
            for how, status in (
                (dict(at="/guarded"), 401),
                (dict(at="/guarded", Authorization="Basic bm86bm8="), 401),
                (dict(at="/denied"), 403),
                (dict(at="/denied", Accept="application/json"), 403),
                (dict(at="/small"), 413),
            ):
                got = await asyncio.to_thread(self.publish, "/red", b"not this one", **how)
                self.assertEqual(got, status, how)
            for how in (dict(at="/guarded", Authorization=me), dict(at="/small")):
                got = await asyncio.to_thread(self.publish, "/red", b"this", **how)
                self.assertEqual(got, 202)
                for c in clients:
                    self.assertEqual(await c.recv(), "this")

        self.in_a_room(talk)

    def test_what_can_not_be_published_is_refused(self):
        rows = [
            ("no channel", "", b"x", "text/plain", "POST", 400),
            ("a long name", "x" * 256, b"x", "text/plain", "POST", 400),
            ("bad text", "/red", b"\xff", "text/plain", "POST", 400),
            ("too long", "/red", bytes(300000), "application/octet-stream",
             "POST", 413),
            ("another method", "/red", None, "text/plain", "GET", 405),
            ("nobody there", "/empty", b"x", "text/plain", "POST", 202),
        ]
        for why, to, body, kind, method, status in rows:
            with self.subTest(why):
                self.assertEqual(self.publish(to, body, kind, method), status)


if __name__ == "__main__":
    unittest.main()
