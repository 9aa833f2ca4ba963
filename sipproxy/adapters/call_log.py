"""Refusals gathered into records: one per application, source and reason each second, with the trace of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter

from sipproxy.core.events import InviteRefused
from voiceapps.rules.admission import Reason
from voiceapps.rules.reports import RefusalSeen, Report

FLUSH_SECONDS = 1.0
MAX_GATHERED = 1_000


@dataclass(slots=True)
class _Burst:
    first: InviteRefused
    last_at: float
    count: int = 1


class RefusalLog:
    """The refusals of this second, alike ones counted together; past `MAX_GATHERED` kinds further ones are dropped and counted."""

    def __init__(self, put: Callable[[Report], None], *, registry: CollectorRegistry) -> None:
        self._put = put
        self._bursts: dict[tuple[str | None, str, Reason], _Burst] = {}
        self._dropped = Counter("sipuri_refusals_dropped", "Refusals that found no room in their second", registry=registry)
        self._task: asyncio.Task[None] | None = None

    def add(self, refusal: InviteRefused) -> None:
        """Count one refusal."""
        key = (refusal.application_id, refusal.source_ip, refusal.reason)
        burst = self._bursts.get(key)
        if burst:
            burst.count += 1
            burst.last_at = refusal.at
        elif len(self._bursts) < MAX_GATHERED:
            self._bursts[key] = _Burst(refusal, refusal.at)
        else:
            self._dropped.inc()

    def start(self) -> None:
        """Start writing each second."""
        self._task = asyncio.create_task(self._flush_forever())

    def stop(self) -> None:
        """Write what is gathered and stop; the writer must still be open."""
        if self._task:
            self._task.cancel()
        self.flush()

    def flush(self) -> None:
        """Write what is gathered."""
        bursts, self._bursts = self._bursts, {}
        for burst in bursts.values():
            self._put(_record(burst))

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()


def _record(burst: _Burst) -> RefusalSeen:
    first = burst.first
    return RefusalSeen(
        application_id=first.application_id,
        source_ip=first.source_ip,
        reason=first.reason,
        status=first.status,
        count=burst.count,
        first_at=first.at,
        last_at=burst.last_at,
        country=first.country,
        request_user=first.request_user,
        sip_call_id=first.sip_call_id,
        user_agent=first.user_agent,
        trace=first.trace,
    )
