"""Hear that there is an order for this node: by Redis where there is one, else by PostgreSQL's NOTIFY; SQLite has no bell.

A connection that is lost is made again; meanwhile nothing is heard, and who waits asks the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import structlog
from redis.asyncio import Redis

from voiceapps.services.call_orders import BELL

RETRY_SECONDS = 2.0
PING_SECONDS = 15.0
"""How long a connection may say nothing before it is tried."""
CONNECT_SECONDS = 5.0

Rings = AsyncIterator[str]
"""The names of nodes as they ring; "" comes first, since what was rung before the connection has not been heard."""

log = structlog.get_logger(__name__)


class OrderBell:
    """The bell of the node `name`; `listen` connects, and None is no bell."""

    def __init__(self, name: str, listen: Callable[[], Rings] | None) -> None:
        self.is_heard = False
        """True while a ring would be heard."""
        self._listen = listen
        self._name = name
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to listen, if there is anything to listen to."""
        if self._listen is not None:
            self._task = asyncio.create_task(self._hear_forever(self._listen))

    async def close(self) -> None:
        """Listen no longer."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait(self, seconds: float) -> None:
        """Wait for a ring, at most so long; rings between two waits count as one."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()

    async def _hear_forever(self, listen: Callable[[], Rings]) -> None:
        while True:
            try:
                async for name in listen():
                    self.is_heard = True
                    if name in ("", self._name):
                        self._rung.set()
            except Exception as error:  # noqa: BLE001  # whatever a client raises, the next connection may hear again
                log.warning("order_bell_lost", error=f"{type(error).__name__}: {error}")
            self.is_heard = False
            await asyncio.sleep(RETRY_SECONDS)


async def redis_rings(url: str) -> Rings:
    """Yield the rings that come by Redis; raises what its client raises."""
    client: Redis = Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, health_check_interval=PING_SECONDS)
    async with client, client.pubsub() as channel:
        await channel.subscribe(BELL)
        yield ""
        while True:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=PING_SECONDS)
            if message is not None:
                yield message["data"].decode(errors="replace")


async def postgres_rings(url: str, options: Mapping[str, int]) -> Rings:
    """Yield the rings that come by PostgreSQL, of a connection with these options; raises what psycopg raises.

    No pooler may stand between that shares connections.
    """
    from psycopg import AsyncConnection, sql  # noqa: PLC0415  # installed where PostgreSQL is used

    async with await AsyncConnection.connect(url, autocommit=True, **dict[str, Any](options)) as connection:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(BELL)))
        yield ""
        while True:
            async for ring in connection.notifies(timeout=PING_SECONDS):
                yield ring.payload
            await connection.execute("SELECT 1")
