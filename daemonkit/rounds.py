"""Work that is done again and again: no error of one round ends it, and none goes unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import Counter

FAILED_ROUNDS = Counter("sipuri_failed_rounds", "Rounds of repeated work that an unexpected error ended", ["work"], registry=None)
"""One for the process; its runner puts it on the metrics page."""

log = structlog.get_logger(__name__)


@contextmanager
def surviving(work: str) -> Iterator[None]:
    """Log and count an error of one round, and go on behind it."""
    try:
        yield
    except Exception:
        FAILED_ROUNDS.labels(work).inc()
        log.exception("round_failed", work=work)


class Rounds:
    """A task that calls `once` for ever, and waits `pause()` seconds after each round."""

    def __init__(self, work: str, once: Callable[[], Awaitable[None] | None], pause: Callable[[], float]) -> None:
        self._work = work
        self._once = once
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the task was started and not stopped."""
        return self._task is not None

    def start(self, *, with_pause: bool = False) -> None:
        """Start the task: with a round, or with a pause where the first round is done already."""
        self._task = asyncio.create_task(self._repeat(self._pause() if with_pause else None))

    def stop(self) -> None:
        """Stop the task; nothing more of a round is done."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _repeat(self, first_pause: float | None) -> None:
        if first_pause is not None:
            await asyncio.sleep(first_pause)
        while True:
            with surviving(self._work):
                if (going_on := self._once()) is not None:
                    await going_on
            await asyncio.sleep(self._pause())
