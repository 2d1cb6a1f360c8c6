#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends every message back.  usage: echo.py SOCKET"""
import sys

from penstock import Backend

backend = Backend("echo", socket=sys.argv[1])


@backend.app(path="/")
async def echo(conn):
    await conn.accept()
    async for message in conn:
        await conn.send(message)


backend.run()
