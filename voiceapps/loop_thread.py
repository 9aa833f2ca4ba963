"""The event loops of a worker's process, each in a thread that the first task starts."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

DRAIN_SECONDS = 8.0
"""How long the end of what was begun is waited for; `runall` gives a worker ten seconds."""

log = structlog.get_logger(__name__)


class Work(Protocol):
    """What a loop does. Everything but `is_stuck` is called on the loop."""

    def wake(self) -> None:
        """Look for something to do."""

    def close(self) -> None:
        """Begin nothing more; `run` ends soon."""

    def is_stuck(self) -> bool:
        """Return whether the database has kept it waiting for long."""

    async def run(self) -> None:
        """Do what there is to do, whenever it is woken."""


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
