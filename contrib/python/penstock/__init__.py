# SPDX-License-Identifier: BSD-2-Clause
"""Write backends for the Penstock WebSocket gateway with asyncio."""

from .app import App
from .backend import Backend
from .client import ConnectionClosed, GatewayError
from .connection import Connection, ReadyState, State
from .groups import Delivered
from .http import Exchange
from .request import Request, Tls

__all__ = ["App", "Backend", "Connection", "ConnectionClosed", "Delivered",
           "Exchange", "GatewayError", "ReadyState", "Request", "State",
           "Tls"]
