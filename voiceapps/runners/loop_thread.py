"""The event loops of a worker's process, each in a thread that the first task starts."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog

DRAIN_SECONDS = 8.0
"""How long the end of what was begun is waited for; `runall` gives a worker ten seconds."""

RETRY_SECONDS = 1.0
STUCK_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Work(ABC):
    """What a loop does, whenever it is woken, until it is closed. Everything but `is_stuck` is called on the loop."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._is_closing = False
        self._asked_at: float | None = None
        """When the database was asked what it has not answered yet, in monotonic seconds."""

    def wake(self) -> None:
        """Look for something to do."""
        self._woken.set()

    def close(self) -> None:
        """Begin nothing more; `run` ends soon."""
        self._is_closing = True
        self._woken.set()

    def is_stuck(self) -> bool:
        """Return whether the database has kept it waiting for long."""
        asked_at = self._asked_at
        return asked_at is not None and time.monotonic() - asked_at > STUCK_SECONDS

    async def run(self) -> None:
        """Look for something to do until it is closed and over."""
        while not (self._is_closing and self._is_over()):
            await self._woken.wait()
            self._woken.clear()
            try:
                self._asked_at = time.monotonic()
                await self._look()
            except Exception as error:  # noqa: BLE001  # whatever the database says, later work waits for this loop
                log.warning("work_waits", of=type(self).__name__, error=f"{type(error).__name__}: {error}")
                self._woken.set()
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self._asked_at = None

    @abstractmethod
    def _is_over(self) -> bool:
        """Return whether nothing is left that `run` has to wait for."""

    @abstractmethod
    async def _look(self) -> None:
        """Begin what waits, and store what has been done; raises whatever the database says."""


class LoopThread:
    """One loop of this process: a process that is forked from it gets its own."""

    def __init__(self, name: str, open_work: Callable[[], AbstractAsyncContextManager[Work]]) -> None:
        self._name = name
        self._open_work = open_work
        self._lock = threading.Lock()
        self._process: int | None = None
        self._thread: threading.Thread
        self._loop: asyncio.AbstractEventLoop
        self._work: Work

    def wake(self) -> None:
        """Have what is due done."""
        with self._lock:
            if self._runs() or self._start():
                self._loop.call_soon_threadsafe(self._work.wake)

    def is_well(self) -> bool:
        """Return whether it runs and its database answers."""
        return self._runs() and not self._work.is_stuck()

    def drain(self) -> None:
        """Begin nothing more, and wait a while for the end of what was begun."""
        if self._runs():
            self._loop.call_soon_threadsafe(self._work.close)
            self._thread.join(DRAIN_SECONDS)

    def _runs(self) -> bool:
        return self._process == os.getpid() and self._thread.is_alive()

    def _start(self) -> bool:
        """Start the thread and return whether it runs; the next task tries again."""
        self._process = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run_loop, args=(started,), name=self._name, daemon=True)
        self._thread.start()
        started.wait()
        return self._process is not None

    def _run_loop(self, started: threading.Event) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._run(started))
        except Exception:  # noqa: BLE001  # such as a process without room for one more file
            log.exception("loop_ended", name=self._name)
        finally:
            started.set()

    async def _run(self, started: threading.Event) -> None:
        async with self._open_work() as self._work:
            self._loop = asyncio.get_running_loop()
            self._process = os.getpid()
            started.set()
            await self._work.run()
