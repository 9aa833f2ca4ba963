"""Run `<SendDtmf>`."""

from __future__ import annotations

from callflow.bxml.verbs.send_dtmf import SendDtmf
from callflow.engine.effects import SendDigits, StopPlaying
from callflow.engine.step import Stage, Step


class SendDtmfStep(Step):
    """Digits that are sent."""

    def __init__(self, stage: Stage, verb: SendDtmf) -> None:
        super().__init__(stage, verb)
        self._number = stage.new_number()
        self._verb = verb

    def begin(self, now: float) -> None:
        """Send them."""
        verb = self._verb
        self._stage.emit(SendDigits(self._number, verb.digits, round(verb.tone_duration), round(verb.tone_interval)))

    def abandon(self, now: float) -> None:
        """Send no more of them."""
        self._stage.emit(StopPlaying())

    def playback_finished(self, number: int, now: float) -> None:
        """Go on with the next verb."""
        if number == self._number:
            self._stage.verb_done(now)
