# SPDX-License-Identifier: BSD-2-Clause
"""Groups through the C library: two workers, two backends, cross_backend."""

import asyncio
import json
import unittest

import websockets

from support.pair import PairTestCase
from support.penstock import PATIENCE, wait_for

CLIENTS = 16


class GroupsTestCase(PairTestCase):
    example = "example-switchboard"

    def run_with(self, talk):
        """talk(clients): a coroutine function; each has its id."""

        async def run():
            url = f"ws://127.0.0.1:{self.p.port()}/"
            clients = [await websockets.connect(url) for _ in range(CLIENTS)]
            try:
                for c in clients:
                    await c.send("id")
                    c.number = (await c.recv()).split()[1]
                await talk(clients)
            finally:
                for c in clients:
                    await c.close()

        asyncio.run(asyncio.wait_for(run(), PATIENCE))

    async def ask(self, c, what):
        await c.send(what)
        return await c.recv()

    async def owners(self, clients):
        """How many clients the backend of each has, itself included."""
        counts = []
        for c in clients:
            await c.send("own .")
            counts.append(None)
        for i, c in enumerate(clients):
            said = ""
            while not said.startswith("said"):
                said = await c.recv()
            counts[i] = int(said.split()[1])
        for c in clients:
            await c.send("to 0 .")
            self.assertEqual(await self.drain(c), None)
        return counts

    async def drain(self, c):
        """Whatever has been sent to it so far."""
        await c.send("id")
        while (await c.recv()) != f"id {c.number}":
            pass


class EverywhereTest(GroupsTestCase):
    def test_all_of_both_backends_and_workers(self):
        async def talk(clients):
            processes = {int(c.number) >> 44 for c in clients}
            self.assertEqual(len(processes), 2)
            for i, c in enumerate(clients):
                await c.send(f"all message {i}")
                for other in clients:
                    got = {await other.recv()} | (
                        {await other.recv()} if other is c else set()
                    )
                    self.assertIn(f"message {i}", got)
                    if other is c:
                        self.assertIn(f"said {CLIENTS} {CLIENTS}", got)

        self.run_with(talk)

    def test_its_own_only(self):
        async def talk(clients):
            counts = await self.owners(clients)
            # each of two backends: as many say n as there are of it
            for n in set(counts):
                self.assertIn(counts.count(n), (n, 2 * n))
            self.assertIn(sum(set(counts)), (CLIENTS, CLIENTS // 2))

        self.run_with(talk)

    def test_any_client_by_its_id(self):
        async def talk(clients):
            for speaker in clients:
                for listener in clients:
                    await speaker.send(f"to {listener.number} from {speaker.number}")
                for listener in clients:
                    self.assertEqual(await listener.recv(), f"from {speaker.number}")

        self.run_with(talk)

    def test_closing_and_killing_by_id(self):
        async def talk(clients):
            for c in clients[1:]:
                how = "close" if int(c.number) % 2 else "kill"
                await clients[0].send(f"{how} {c.number}")
                with self.assertRaises(websockets.ConnectionClosed) as caught:
                    await c.recv()
                if how == "close":
                    self.assertEqual(caught.exception.rcvd.code, 4000)
                else:
                    self.assertIsNone(caught.exception.rcvd)
            self.assertEqual(await self.ask(clients[0], "all here"), "here")

        self.run_with(talk)

    def test_rooms(self):
        async def talk(clients):
            half = clients[::2]
            for c in half[1:]:
                await half[0].send(f"pull {c.number} room")
            await half[0].send("join room")
            for c in clients:
                await self.drain(c)
            members = (await self.ask(clients[1], "who room")).split()
            self.assertEqual(members[1], str(len(half)))
            self.assertEqual(set(members[2:]), {c.number for c in half})
            # but who says it
            await half[3].send("say room hello")
            for c in half:
                if c is not half[3]:
                    self.assertEqual(await c.recv(), "hello")
            said = await half[3].recv()
            self.assertEqual(said, f"said {len(half) - 1} {len(half) - 1}")
            await half[5].send("leave room")
            await self.drain(half[5])
            await half[6].close()
            counts = ""
            while counts != f"members {len(half) - 2}":
                got = await self.ask(half[0], "who room")
                counts = " ".join(got.split()[:2])
            self.assertEqual(await self.ask(half[0], "who nobody"), "members 0")

        self.run_with(talk)

    def test_figures_of_each_process(self):
        async def talk(clients):
            await clients[0].send("stats")
            sessions = 0
            for _ in range(2):
                word, text = (await clients[0].recv()).split(" ", 1)
                self.assertEqual(word, "stats")
                sessions += sum(l["sessions"] for l in json.loads(text)["pool"]["links"])
            self.assertEqual(sessions, CLIENTS)

        self.run_with(talk)


class AloneTest(GroupsTestCase):
    backend = "cross_backend off;"

    def test_nobody_elses_clients(self):
        async def talk(clients):
            await clients[0].send("all x")
            said = ""
            while not said.startswith("said"):
                said = await clients[0].recv()
            own = int(said.split()[1])
            self.assertEqual(said, f"said {own} {own}")
            self.assertIn(own, range(1, CLIENTS))
            for c in clients:
                await self.drain(c)
            for c in clients[1:]:
                await clients[0].send(f"to {c.number} hey")
                await clients[0].send(f"pull {c.number} room")
                await self.drain(clients[0])
            heard = 0
            for c in clients[1:]:
                await c.send("id")
                got = await c.recv()
                if got == "hey":
                    heard += 1
                    got = await c.recv()
                self.assertEqual(got, f"id {c.number}")
            self.assertEqual(heard, own - 1)
            # of the room each backend sees its own members only
            members = (await self.ask(clients[0], "who room")).split()
            self.assertEqual(members[1], str(own - 1))

        self.run_with(talk)


if __name__ == "__main__":
    unittest.main()
