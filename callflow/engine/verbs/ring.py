"""Run `<Ring>`."""

from __future__ import annotations

from callflow.audio.tones import Ringback
from callflow.bxml.verbs.ring import Ring
from callflow.engine.effects import Alert, Play, StopPlaying
from callflow.engine.step import Stage, Step


class RingStep(Step):
    """Ringing: our sound where the caller hears us, else what its telephone makes of the 180 that an unanswered call has got."""

    def __init__(self, stage: Stage, verb: Ring) -> None:
        super().__init__(stage, verb)
        self._plays = False
        self._seconds = verb.duration

    @classmethod
    def wants_answer(cls, verb: Ring) -> bool:
        """Return whether the document wants the call answered for it."""
        return verb.answer_call

    def begin(self, now: float) -> None:
        """Ring, and set the timer of its end."""
        self.deadline = now + self._seconds
        if self._stage.is_heard:
            self.early_media_opened(now)
        else:
            self._stage.emit(Alert())

    def early_media_opened(self, now: float) -> None:
        """Let the caller hear the rest of the ringing."""
        if self.deadline is not None:
            self._plays = True
            self._stage.emit(Play(self._stage.new_number(), Ringback(self.deadline - now)))

    def abandon(self, now: float) -> None:
        """Stop the ringing."""
        if self._plays:
            self._stage.emit(StopPlaying())

    def handle_timer(self, now: float) -> None:
        """Go on with the next verb."""
        self.abandon(now)
        self._stage.verb_done(now)
