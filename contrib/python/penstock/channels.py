# SPDX-License-Identifier: BSD-2-Clause
"""A layer for Django Channels whose groups are channels of Penstock.

    CHANNEL_LAYERS = {
        "default": {"BACKEND": "penstock.channels.PenstockChannelLayer"},
    }

What is sent to a group as {"type": "websocket.send", "text": ...} (or "bytes")
goes straight to its clients, of all processes: one PUBLISH, and no consumer
is asked.  Messages of other types are for the consumers of this process.
"""

import weakref

from channels.layers import InMemoryChannelLayer

from .asgi import Server, current_connection

PREFIX = "django:"


class PenstockChannelLayer(InMemoryChannelLayer):
    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self._clients = weakref.WeakValueDictionary()  # by channel name

    async def new_channel(self, *args, **how):
        name = await super().new_channel(*args, **how)
        client = current_connection.get()
        if client is not None:
            self._clients[name] = client
        return name

    async def group_add(self, group, channel):
        await super().group_add(group, channel)
        client = self._clients.get(channel)
        if client is not None and client.ready_state <= 1:
            client.subscribe(PREFIX + group)

    async def group_discard(self, group, channel):
        await super().group_discard(group, channel)
        client = self._clients.get(channel)
        if client is not None and client.ready_state <= 1:
            client.unsubscribe(PREFIX + group)

    async def group_send(self, group, message):
        if message.get("type") != "websocket.send":
            await super().group_send(group, message)
            return
        # As the layer in memory does for other types.
        names = getattr(self, "require_valid_group_name", None)
        if names is None:
            names = self.valid_group_name
        names(group)
        if Server.current is None:
            raise RuntimeError("only a process of penstock.asgi has clients "
                               "to send to")
        text = message.get("text")
        await Server.current.backend.publish(
            PREFIX + group, message["bytes"] if text is None else text)
