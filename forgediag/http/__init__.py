"""A small HTTP/1.1 server on asyncio and h11: for the daemon's pages and for the simulated Forge."""

from forgediag.http.message import SAFE, Handler, Limits, Request, Response
from forgediag.http.server import Server, serve

__all__ = ["SAFE", "Handler", "Limits", "Request", "Response", "Server", "serve"]
