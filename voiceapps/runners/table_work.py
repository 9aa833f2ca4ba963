"""Work that waits in a table: what is claimed is carried out, a few at a time, and what came of it is stored.

What has not ended when the work is closed is left to other processes; what a process that died had claimed is found by a sweep.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Generic, TypeVar

import structlog

from voiceapps.runners.loop_thread import RETRY_SECONDS, Work

MAX_STORES = 30

log = structlog.get_logger(__name__)

Key = TypeVar("Key")
Job = TypeVar("Job")
Result = TypeVar("Result")


class TableWork(Work, Generic[Key, Job, Result]):
    """Carries out what waits, whenever it is woken, until it is closed."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places = places
        self._running: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Carry out what waits until it is closed, and leave to others what has not ended."""
        await super().run()
        tasks = dict(self._running)
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
            await self._give_back(tuple(tasks))

    @abstractmethod
    async def _claim(self, places: int) -> Mapping[Key, Job]:
        """Return what this process has to do now, by its rows; raises whatever the database says."""

    @abstractmethod
    async def _carry_out(self, job: Job) -> Result:
        """Do it; whatever happens, something comes of it."""

    @abstractmethod
    async def _store(self, key: Key, result: Result) -> None:
        """Store what came of a row's work; raises whatever the database says."""

    @abstractmethod
    async def _give_back(self, keys: Collection[Key]) -> None:
        """Leave rows to others; raises whatever the database says."""

    def _drop(self, keys: Iterable[Key]) -> None:
        """End the work of rows that are gone; what came of it is not stored."""
        for key in keys:
            task = self._running.get(key)
            # One that is ending already is not disturbed in that.
            if task is not None and not task.cancelling():
                log.info("work_dropped", of=type(self).__name__)
                task.cancel()

    def _is_over(self) -> bool:
        return True

    async def _look(self) -> None:
        while not self._is_closing and (places := self._places - len(self._running)):
            claimed = await self._claim(places)
            if not claimed:
                return
            for key, job in claimed.items():
                task = asyncio.create_task(self._run(key, job))
                self._running[key] = task
                task.add_done_callback(partial(self._on_done, key))

    async def _run(self, key: Key, job: Job) -> None:
        result = await self._carry_out(job)
        for _ in range(MAX_STORES):
            try:
                return await self._store(key, result)
            except Exception as error:  # noqa: BLE001  # while the database is away; the sweep ends what is never stored
                log.warning("end_waits", of=type(self).__name__, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    def _on_done(self, key: Key, _task: asyncio.Task[None]) -> None:
        del self._running[key]
        self._woken.set()
