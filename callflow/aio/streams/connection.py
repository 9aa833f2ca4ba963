"""What all streams do with their WebSocket: open it unless they are stopped first, take what comes no faster than it may, end it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import WSCloseCode

MAX_OCTETS_A_SECOND = 1024 * 1024
"""Of messages that come: twenty times what speech of the highest quality takes."""
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
"""How long the far end may take for the last message and the goodbye."""
MESSAGE_OCTETS = 128
"""What a message counts at least, however short it is, since each costs us time."""
MAX_BUSY_SECONDS = 0.25
"""Of processor time for what a far end sends, more than which no honest one needs at once: ten seconds of speech take a tenth of it."""
BUSY_SHARE = 0.01
"""Of a processor, which a far end may take for ever."""
MESSAGES_AT_ONCE = 100
"""After so many, whatever else the process does gets its turn."""
_FAULTS = (WSCloseCode.PROTOCOL_ERROR, WSCloseCode.UNSUPPORTED_DATA, WSCloseCode.INVALID_TEXT, WSCloseCode.MESSAGE_TOO_BIG)
"""With what we close the connection ourselves (RFC 6455 section 7.4.1)."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream is over: the cause for the webhook, and a sentence if something went wrong."""

    cause: str
    sentence: str = ""


class BusyBudget:
    """What a far end may cost: a bucket of `MAX_BUSY_SECONDS` that leaks `BUSY_SHARE` seconds a second."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._level = 0.0

    def charge(self, seconds: float) -> float:
        """Take processor time into account, and return for how many seconds nothing more is to be taken."""
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._at) * BUSY_SHARE) + seconds
        self._at = now
        return max(0.0, (self._level - MAX_BUSY_SECONDS) / BUSY_SHARE)


async def messages(socket: aiohttp.ClientWebSocketResponse, count: Callable[[str], None]) -> AsyncIterator[aiohttp.WSMessage]:
    """Yield what comes but pings, which are answered; who sends too fast is counted, and read no further until the second is over."""
    began, octets, taken = time.monotonic(), 0, 0
    async for message in socket:
        if message.type is aiohttp.WSMsgType.ERROR:
            return
        octets += max(len(message.data), MESSAGE_OCTETS)
        taken += 1
        if message.type is aiohttp.WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.PONG:
            yield message
        if taken % MESSAGES_AT_ONCE == 0:
            await asyncio.sleep(0)
        if octets >= MAX_OCTETS_A_SECOND:
            count("flood")
            await asyncio.sleep(max(0.0, began + 1.0 - time.monotonic()))
        if time.monotonic() - began >= 1.0:
            began, octets = time.monotonic(), 0


def end_of(socket: aiohttp.ClientWebSocketResponse) -> StreamEnd:
    """Return why a socket from which nothing more comes is closed."""
    if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
        return StreamEnd("connection-error", "The connection broke.")
    if socket.close_code in _FAULTS:
        return StreamEnd("error", f"The far end broke the protocol ({socket.close_code}).")
    return StreamEnd("closed")


async def broken(socket: aiohttp.ClientWebSocketResponse, error: BaseException) -> StreamEnd:
    """Return why a socket is over to which nothing can be sent any more: its far end may have closed it in the same moment."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            async for _ in socket:
                pass
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    end = end_of(socket)
    was_closed = socket.close_code is not None and end.cause == "closed"
    return end if was_closed else StreamEnd("connection-error", f"The connection broke. {error}".strip())


async def unless(
    event: asyncio.Event, work: Coroutine[Any, Any, aiohttp.ClientWebSocketResponse]
) -> aiohttp.ClientWebSocketResponse | None:
    """Return what comes of some work, or None if the event comes first; a socket that opens in the same moment is not lost."""
    opening, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((opening, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        opening.cancel()
        waiting.cancel()
        await asyncio.gather(opening, waiting, return_exceptions=True)
    return None if opening.cancelled() else opening.result()


async def first(*works: Coroutine[Any, Any, object]) -> object:
    """Return what comes of the work that ends first, and cancel the others; raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def say_goodbye(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close a socket; a far end that does not answer is not waited for."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close()
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
