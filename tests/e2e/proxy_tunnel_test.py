# SPDX-License-Identifier: BSD-2-Clause
"""proxy_pass: upgrades are tunnels."""

import asyncio
import threading
import time
import unittest

import websockets

from support.penstock import wait_for
from support.proxy import ProxyTestCase, show
from support.raw import seconds_of


class TunnelTest(ProxyTestCase):
    RECIPE = (
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
        " proxy_set_header Connection $connection_upgrade;"
    )
    MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }"

    def websocket_server(self):
        """websockets' echo server on a loop in a thread: its port."""
        loop = asyncio.new_event_loop()

        async def serve_one(ws, *_):
            async for message in ws:
                await ws.send(message)
            # The close code of the client reached us.

        async def start():
            return await websockets.serve(serve_one, "127.0.0.1", 0, max_size=None,
                                          subprotocols=["echo"])

        server = loop.run_until_complete(start())
        t = threading.Thread(target=loop.run_forever)
        t.start()

        async def finish():
            server.close()
            await server.wait_closed()

        def stop():
            asyncio.run_coroutine_threadsafe(finish(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            t.join()
            loop.close()

        self.addCleanup(stop)
        return server.sockets[0].getsockname()[1]

    def talk(self, p):
        async def run():
            uri = f"ws://127.0.0.1:{p.port()}/chat?x"
            async with websockets.connect(uri, max_size=None, subprotocols=["echo"]) as ws:
                self.assertEqual(ws.subprotocol, "echo")
                for message in ("hello", b"\0\1", "x" * 3000000, ""):
                    await ws.send(message)
                    self.assertEqual(await asyncio.wait_for(ws.recv(), 20), message)
            self.assertEqual(ws.close_code, 1000)

        asyncio.run(run())

    def test_the_recipe_of_nginx(self):
        port = self.websocket_server()
        self.talk(self.before(port, location=self.RECIPE, http=self.MAP))

    def test_proxy_websocket(self):
        port = self.websocket_server()
        self.talk(self.before(port, location="proxy_websocket on;"))

    ASK = ("GET /t HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")

    def raw(self, respond, **how):
        return self.before(self.origin(respond), location=self.RECIPE, http=self.MAP, **how)

    @staticmethod
    def switch(peer, more=""):
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nX-Kept: 1\r\n\r\n" + more)

    def test_bytes_that_come_early(self):
        def respond(peer):
            self.switch(peer, "server first")
            peer.send(b"got " + peer.exactly(11))
            return True

        s = self.client(self.raw(respond))
        s.send(self.ASK + "client early")
        m = s.answer()
        self.assertEqual((m.status, m.get("Upgrade"), m.get("X-Kept")), (101, "websocket", "1"))
        self.assertEqual(s.rest(), b"server firstgot client earl")

    def test_the_last_bytes_reach_a_slow_reader(self):
        def respond(peer):
            self.switch(peer)
            peer.send(b"z" * 8000000)
            return True

        s = self.client(self.raw(respond), small=True)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        time.sleep(1)
        self.assertEqual(len(s.rest()), 8000000)

    def test_the_last_bytes_reach_the_origin(self):
        got = []

        def respond(peer):
            self.switch(peer)
            time.sleep(1)
            got.append(len(peer.rest()))
            return True

        s = self.client(self.raw(respond))
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        s.send(b"z" * 8000000)
        s.close()
        wait_for("the bytes", lambda: got)
        self.assertEqual(got, [8000000])

    def test_refused(self):
        p = self.raw(lambda peer: peer.reply("no", status="403 No"))
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().text, "no")
        self.assertEqual(s.ask("/again").text, "no")

    def test_the_recipe_without_an_upgrade(self):
        o = self.origin(show)
        p = self.before(o, location=self.RECIPE, http=self.MAP)
        s = self.client(p)
        lines = s.ask("/").text.split("\n")
        self.assertIn("connection: close", lines)
        self.assertFalse([l for l in lines if l.startswith("upgrade")])

    def test_read_timeout(self):
        def respond(peer):
            self.switch(peer)
            peer.rest()
            return True

        p = self.before(self.origin(respond), http=self.MAP,
                        location=self.RECIPE + "proxy_read_timeout 1s;")
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        for _ in range(4):
            time.sleep(0.4)
            s.send("x")
        closed, seconds = seconds_of(s.is_closed)
        self.assertTrue(closed)
        self.assertLess(seconds, 10)

    def test_a_worker_that_ends_lets_tunnels_go(self):
        def respond(peer):
            self.switch(peer)
            peer.rest()
            return True

        p = self.raw(respond)
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        p.stop()
        self.assertTrue(s.is_closed())


if __name__ == "__main__":
    unittest.main()
