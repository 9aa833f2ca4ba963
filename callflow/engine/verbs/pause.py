"""Run `<Pause>`."""

from __future__ import annotations

from callflow.bxml.verbs.pause import Pause
from callflow.engine.step import Stage, Step


class PauseStep(Step):
    """A wait in silence."""

    def __init__(self, stage: Stage, verb: Pause) -> None:
        super().__init__(stage, verb)
        self._seconds = verb.duration

    def begin(self, now: float) -> None:
        """Set the timer of the wait."""
        self.deadline = now + self._seconds

    def handle_timer(self, now: float) -> None:
        """Go on with the next verb."""
        self._stage.verb_done(now)
