# SPDX-License-Identifier: BSD-2-Clause
"""Write backends for the Penstock WebSocket gateway with asyncio."""

from .backend import App, Backend
from .client import ConnectionClosed
from .connection import Connection, State
from .http import Exchange
from .request import Request

__all__ = ["App", "Backend", "Connection", "ConnectionClosed", "Exchange",
           "Request", "State"]
