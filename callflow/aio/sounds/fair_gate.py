"""Places that accounts share: one that wants many of them keeps no other one waiting for longer than one piece of work takes."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairGate:
    """Lets so many in at once, and of those that wait first the one whose account has the fewest places, in turns.

    An account that has half of the places gets no more while others wait, and never the last one that is free: whoever comes next
    needs it at once.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: Counter[str] = Counter()
        self._share = places // 2
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """Accounts in the order of their turns."""

    @asynccontextmanager
    async def place(self, account_id: str) -> AsyncIterator[None]:
        """Hold one place for an account; waits until there is one."""
        await self._take(account_id)
        try:
            yield
        finally:
            self._give_back(account_id)

    async def _take(self, account_id: str) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(place)
        self._hand_out()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                # It was handed out just before.
                self._give_back(account_id)
            raise

    def _give_back(self, account_id: str) -> None:
        self._free += 1
        self._held[account_id] -= 1
        self._held += Counter()
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (account_id := self._next()) is not None:
            places = self._waiting.pop(account_id)
            place = places.popleft()
            if places:
                self._waiting[account_id] = places
            if not place.cancelled():
                self._free -= 1
                self._held[account_id] += 1
                place.set_result(None)

    def _next(self) -> str | None:
        may = [account_id for account_id in self._waiting if self._free > 1 or self._held[account_id] < self._share]
        return min(may, key=lambda account_id: self._held[account_id], default=None)
