"""The calls between admission and their end: for the gauges, the cap of D8 and, with static targets, the call record.

Nothing here routes: a request inside a dialog follows its token, at this proxy or at any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sipproxy.core.limits import CALL_SECONDS, MAX_CALLS
from sipproxy.core.timers import Timers
from voiceapps.rules.records import CallFacts


@dataclass(slots=True)
class Call:
    """Hold one call; times are monotonic seconds."""

    facts: CallFacts
    "What its records carry."
    capped: bool
    "Whether it still counts against its source until the ACK."
    answered_at: float | None = None
    "When the caller's ACK came."


class CallBook:
    """Hold calls by internal call id."""

    def __init__(self, *, max_calls: int = MAX_CALLS) -> None:
        self._max = max_calls
        self._calls: dict[str, Call] = {}
        self._waiting: Counter[str] = Counter()
        self._timers: Timers[str] = Timers()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """Tell whether no call more has room."""
        return len(self._calls) >= self._max

    def unacknowledged(self, source_ip: str) -> int:
        """Return how many calls without a password wait for this source's ACK."""
        return self._waiting[source_ip]

    def add(self, facts: CallFacts, *, capped: bool, now: float) -> None:
        """Remember an admitted call."""
        self._calls[facts.call_id] = Call(facts, capped)
        if capped:
            self._waiting[facts.source_ip] += 1
        self._timers.set(facts.call_id, now + CALL_SECONDS)

    def touch(self, call_id: str, now: float) -> None:
        """Note that a call's parties still speak."""
        if call_id in self._calls:
            self._timers.set(call_id, now + CALL_SECONDS)

    def acknowledge(self, call_id: str, now: float) -> None:
        """Note the caller's ACK; the first one counts."""
        call = self._calls.get(call_id)
        if call is not None and call.answered_at is None:
            call.answered_at = now
            self._release(call)

    def remove(self, call_id: str) -> Call | None:
        """Forget a call; None where it is unknown, at another proxy or forgotten before."""
        call = self._calls.pop(call_id, None)
        self._timers.cancel(call_id)
        if call is not None:
            self._release(call)
        return call

    def get_timer(self) -> float | None:
        """Return when the next call is to be given up."""
        return self._timers.next()

    def pop_silent(self, now: float) -> str | None:
        """Return the id of a call that nobody has spoken in for too long; it stays until it is removed."""
        return self._timers.pop_due(now)

    def _release(self, call: Call) -> None:
        if call.capped:
            call.capped = False
            self._waiting[call.facts.source_ip] -= 1
            self._waiting += Counter()  # drops the sources that wait for nothing
