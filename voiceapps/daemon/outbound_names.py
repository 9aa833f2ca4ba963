"""The names of customers' backends, looked up in threads that do nothing else.

Whoever owns a zone decides how long its names take, and no thread that waits in the system's resolver can be ended: long after the
request has given up it still waits. The event loop's own few threads would all wait for one customer's names, and everybody's with them.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

MAX_LOOKUPS = 512
"""At once. The courier's 64 requests of an account may leave twice as many threads that still wait."""
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class NameResolver(AbstractResolver):
    """Looks names up by the system's resolver."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="names")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses of a name; raises OSError."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=_NUMERIC)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Give up the lookups that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)
