"""The applications for admission, read from the database for every INVITE and never from a cache.

All lookups that arrive while a query is in flight share the next one, so a lookup becomes cheaper under load, not slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Histogram

from voiceapps.daemon.admission_reads import ProxyRun, admission_snapshots
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.rules.admission import AdmissionSnapshot

MAX_WAITING = 5_000
MAX_PER_QUERY = 200

Snapshots = dict[str, AdmissionSnapshot]
OnAnswer = Callable[[Snapshots | None], None]

log = structlog.get_logger(__name__)


class Directory:
    """Lookups in batches; a failed query answers None to each of its batch, and an unreadable application to who asks for it."""

    def __init__(self, database: DatabaseExecutor, *, node: str, registry: CollectorRegistry) -> None:
        self._database = database
        self._snapshots = partial(admission_snapshots, asking=ProxyRun(node, timezone.now()))
        self._waiting: list[tuple[Sequence[str], OnAnswer]] = []
        self._task: asyncio.Task[None] | None = None
        self._size = Histogram("sipuri_directory_batch", "Lookups in one query", registry=registry, buckets=(1, 2, 5, 10, 50, 200))
        self._failures = Counter("sipuri_directory_failures", "Directory queries that failed", registry=registry)

    def ask(self, users: Sequence[str], on_answer: OnAnswer) -> None:
        """Look user parts up; `on_answer` gets the snapshots by user part, or None when the database did not answer."""
        if len(self._waiting) >= MAX_WAITING:
            on_answer(None)
            return
        self._waiting.append((users, on_answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_PER_QUERY], self._waiting[MAX_PER_QUERY:]
            self._size.observe(len(batch))
            found = await self._query(list({user.lower() for users, _ in batch for user in users}))
            for users, on_answer in batch:
                on_answer(None if found is None else _picked(found, users))

    async def _query(self, users: list[str]) -> Snapshots | None:
        try:
            return await self._database.read(self._snapshots, users)
        except Exception as error:  # noqa: BLE001  # whatever it is, the INVITEs of this batch wait for an answer
            self._failures.inc()
            log.error("directory_unavailable", error=f"{type(error).__name__}: {error}")
            return None


def _picked(found: Snapshots, users: Sequence[str]) -> Snapshots | None:
    picked = {user: found[user.lower()] for user in users if user.lower() in found}
    # To judge its callers by nothing would count their passwords as guesses, and ban them.
    return None if any(snapshot.unreadable for snapshot in picked.values()) else picked
