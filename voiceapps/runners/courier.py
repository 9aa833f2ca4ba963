"""The sender of webhooks in a worker's process: one event loop that waits for all backends, one database connection.

A task only wakes it. It claims from the table as many deliveries as find room, and stores their answers in batches: those that come
while it stores are the next batch. A backend that hangs costs a place of its own account, and no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor, blames_the_rows
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.runners.loop_thread import LoopThread, Work
from voiceapps.services import webhooks
from voiceapps.services.delivery import claims
from voiceapps.services.delivery.claims import Answered, Claimed
from voiceapps.services.delivery.pacing import Room

log = structlog.get_logger(__name__)

Send = Callable[[OutboundRequest], Awaitable[OutboundAnswer]]


class Courier(Work):
    """Sends what is due, whenever it is woken, until it is closed."""

    def __init__(self, send: Send, database: DatabaseExecutor) -> None:
        super().__init__()
        self._send = send
        self._database = database
        self._room = Room()
        self._sending: set[asyncio.Task[None]] = set()
        self._answers: list[Answered] = []

    def _is_over(self) -> bool:
        return not self._sending and not self._answers

    async def _look(self) -> None:
        await self._store()
        await self._claim()
        await self._fail_resting()

    async def _store(self) -> None:
        """Store the answers that are there; what the database cannot take now is kept. Raises errors that no answer caused."""
        if self._answers:
            await self._store_some(tuple(self._answers))

    async def _store_some(self, answers: Sequence[Answered]) -> None:
        """Store the first answers, but for the bad ones among them: they are halved until a bad one stands alone."""
        try:
            await self._database.write(claims.store, answers)
        except Exception as error:
            if not blames_the_rows(error):
                raise
            if len(answers) == 1:
                self._forget(answers)
                log.error("answer_refused", delivery=str(answers[0].claimed.delivery_id), error=f"{type(error).__name__}: {error}")
                return
            middle = len(answers) // 2
            await self._store_some(answers[:middle])
            await self._store_some(answers[middle:])
        else:
            self._forget(answers)

    def _forget(self, answers: Sequence[Answered]) -> None:
        """Forget the first answers at once: what the database refuses next would bring them into it twice."""
        for one in answers:
            self._room.give_back(one.claimed.destination)
        del self._answers[: len(answers)]

    async def _claim(self) -> None:
        while not self._is_closing and self._room.left:
            claimed = await self._database.write(claims.claim, self._room.copy())
            if not claimed:
                return
            for one in claimed:
                self._room.take(one.destination)
                task = asyncio.create_task(self._deliver(one))
                self._sending.add(task)
                task.add_done_callback(self._on_done)

    async def _fail_resting(self) -> None:
        """Fail a portion of what is due at hosts that rest; the next one comes after what can be sent, and answers that came meanwhile."""
        if not self._is_closing and await self._database.write(claims.fail_resting):
            self._woken.set()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            answer = await self._send(claimed.request)
        except Exception as error:  # noqa: BLE001  # whatever it is, the delivery has to be tried again
            log.exception("delivery_failed", delivery=str(claimed.delivery_id))
            answer = OutboundAnswer(None, b"", "", 0, f"It could not be sent: {type(error).__name__}.")
        self._answers.append(Answered(claimed, answer))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()


@asynccontextmanager
async def _open() -> AsyncIterator[Courier]:
    client = webhooks.new_client()
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    try:
        yield Courier(client.send, database)
    finally:
        await client.close()
        await database.close()


courier = LoopThread("courier", _open)
