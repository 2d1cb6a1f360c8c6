# SPDX-License-Identifier: BSD-2-Clause
"""Applications of FastAPI, Quart and Django Channels, as their manuals write
them, behind the real gateway."""

import unittest
from unittest import mock

from asgi_test import AsgiTestCase
from harness import soon


def fastapi():
    from fastapi import FastAPI, WebSocket, WebSocketDisconnect

    app = FastAPI()

    @app.get("/{number}")
    def read(number: int):
        return {"number": number}

    @app.websocket("/ws")
    async def echo(ws: WebSocket):
        await ws.accept()
        try:
            while True:
                await ws.send_text("echo " + await ws.receive_text())
        except WebSocketDisconnect:
            pass

    return app, b'{"number":7}'


def quart():
    from quart import Quart, websocket

    app = Quart(__name__)

    @app.route("/<int:number>")
    async def read(number):
        return f"{number}"

    @app.websocket("/ws")
    async def echo():
        while True:
            await websocket.send("echo " + await websocket.receive())

    return app, b"7"


def django_channels():
    import django
    from asgiref.sync import async_to_sync
    from channels.generic.websocket import (
        AsyncWebsocketConsumer, WebsocketConsumer)
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"], INSTALLED_APPS=["channels"],
        ROOT_URLCONF=__name__, SECRET_KEY="of nothing",
        CHANNEL_LAYERS={"default": {
            "BACKEND": "penstock.channels.PenstockChannelLayer"}},
    )
    django.setup()

    class Echo(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data="echo " + text_data)

    class Room(AsyncWebsocketConsumer):
        async def connect(self):
            await self.channel_layer.group_add("room", self.channel_name)
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            kind = "websocket.send" if text_data == "all" else "room.message"
            if text_data == "leave":
                await self.channel_layer.group_discard("room",
                                                       self.channel_name)
                await self.send(text_data="left")
                return
            await self.channel_layer.group_send(
                "room", {"type": kind, "text": text_data})

        async def room_message(self, event):
            await self.send(text_data="from a consumer: " + event["text"])

    class SyncRoom(WebsocketConsumer):
        groups = ["room"]

        def receive(self, text_data=None, bytes_data=None):
            async_to_sync(self.channel_layer.group_send)(
                "room", {"type": "websocket.send", "text": text_data})

        def room_message(self, event):
            pass

    global urlpatterns
    urlpatterns = [path("<int:number>", lambda _, number: HttpResponse(f"{number}"))]
    app = ProtocolTypeRouter({
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Echo.as_asgi()),
                                path("ws/room", Room.as_asgi()),
                                path("ws/sync", SyncRoom.as_asgi())]),
    })
    return app, b"7"


class FrameworksTest(AsgiTestCase):
    async def check(self, made, **options):
        app, expected = made
        self.p = self.gateway()
        await self.application(app, **options)
        status, _, body = await self.get("/7")
        self.assertEqual((status, body), (200, expected))
        self.assertEqual((await self.get("/no/such/page"))[0], 404)
        ws = await self.connect(self.p, "/ws")
        for n in range(3):
            await ws.send(f"{n}")
            self.assertEqual(await soon(ws.recv()), f"echo {n}")

    async def test_fastapi(self):
        await self.check(fastapi())

    async def test_quart(self):
        await self.check(quart())

    async def test_django_channels(self):
        await self.check(django_channels(), lifespan="off")
        from channels.layers import get_channel_layer
        message = {"type": "websocket.send", "text": "x"}
        with self.assertRaises(TypeError):
            await get_channel_layer().group_send("no name", message)
        with mock.patch("penstock.channels.Server.current", None), \
                self.assertRaisesRegex(RuntimeError, "penstock.asgi"):
            await get_channel_layer().group_send("room", message)
        one = await self.connect(self.p, "/ws/room")
        two = await self.connect(self.p, "/ws/sync")
        for text, answer in (("all", "all"),
                             ("x", "from a consumer: x")):
            await one.send(text)
            self.assertEqual(await soon(one.recv()), answer)
        self.assertEqual(await soon(two.recv()), "all")
        await two.send("by a thread")
        for ws in (one, two):
            self.assertEqual(await soon(ws.recv()), "by a thread")
        await one.send("leave")
        self.assertEqual(await soon(one.recv()), "left")
        await two.send("again")
        self.assertEqual(await soon(two.recv()), "again")
        await one.send("all")
        self.assertEqual(await soon(two.recv()), "all")


if __name__ == "__main__":
    unittest.main()
