"""Celery's schedule, which a clock that is set back does not stop."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler, ScheduleEntry

log = structlog.get_logger(__name__)


class SteadyScheduler(PersistentScheduler):
    """The schedule, which distrusts a last run in the future: the next one would wait until the clock has caught up."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Start what is due and return the seconds until the next look."""
        ahead = [entry for entry in self.schedule.values() if _ran_later(entry)]
        if ahead:
            log.warning("clock_set_back", tasks=len(ahead))
            for entry in ahead:
                entry.last_run_at = entry.default_now()
            # It holds when each task is due by the clock of before; the next tick computes it anew.
            self._heap = None
        seconds: float = super().tick(*args, **options)
        return seconds


def _ran_later(entry: ScheduleEntry) -> bool:
    return entry.last_run_at is not None and entry.last_run_at > entry.default_now()
