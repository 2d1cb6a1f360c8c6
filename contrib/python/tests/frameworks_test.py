# SPDX-License-Identifier: BSD-2-Clause
"""Applications of FastAPI, Quart and Django Channels, as their manuals write
them, behind the real gateway."""

import unittest

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
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"], INSTALLED_APPS=["channels"],
        ROOT_URLCONF=__name__, SECRET_KEY="of nothing",
    )
    django.setup()

    class Echo(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data="echo " + text_data)

    global urlpatterns
    urlpatterns = [path("<int:number>", lambda _, number: HttpResponse(f"{number}"))]
    app = ProtocolTypeRouter({
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Echo.as_asgi())]),
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


if __name__ == "__main__":
    unittest.main()
