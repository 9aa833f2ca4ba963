"""The REFERs of a call: each belongs to the verb that wants it, its *referrer*, and one counts at a time.

A verb that is left, by an order of the API or by the end of the call, waits no longer. The REFER goes on meanwhile, as it cannot be
taken back, and what comes of it is dropped, as nobody waits for its number any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from callflow.engine.effects import Effect, ReferCaller
from voiceapps.rules.webhook_bodies import ReferView


class Referrer(Protocol):
    """A verb that waits for what comes of its REFER."""

    def refer_over(self, outcome: ReferView, now: float) -> None:
        """Take what came of it."""


class Referrals:
    """The REFERs of one call; `emit` queues what the shell has to do."""

    def __init__(self, emit: Callable[[Effect], None], new_number: Callable[[], int]) -> None:
        self._emit = emit
        self._new_number = new_number
        self._number = 0
        """The one that is waited for."""
        self._referrer: Referrer | None = None

    # What verbs want.

    def start(self, referrer: Referrer, target: str) -> None:
        """Ask the caller's telephone to call a SIP URI."""
        self._number, self._referrer = self._new_number(), referrer
        self._emit(ReferCaller(self._number, target))

    def leave(self) -> None:
        """Wait no longer."""
        self._referrer = None

    # What the SIP side reports.

    def over(self, number: int, outcome: ReferView, now: float) -> None:
        """Take what came of a REFER."""
        referrer = self._referrer
        if referrer is not None and number == self._number:
            self._referrer = None
            referrer.refer_over(outcome, now)
