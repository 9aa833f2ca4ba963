"""Run `<StartTranscription>` and `<StopTranscription>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.transcription import StartTranscription, StopTranscription
from callflow.engine.step import Stage, Step


class StartTranscriptionStep(Step):
    """The beginning of a transcription, which goes on in the background."""

    answers_call: ClassVar[bool] = False
    begins_lasting: ClassVar[bool] = True

    def __init__(self, stage: Stage, verb: StartTranscription) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Start it and go on."""
        stage, events = self._stage, self._verb.events
        stage.transcriptions.start(self._verb, events and stage.absolute(events), now, answered=stage.answered)
        stage.verb_done(now)


class StopTranscriptionStep(Step):
    """The end of one transcription, or of all."""

    answers_call: ClassVar[bool] = False

    def __init__(self, stage: Stage, verb: StopTranscription) -> None:
        super().__init__(stage, verb)
        self._name = verb.name

    def begin(self, now: float) -> None:
        """Stop it and go on."""
        if self._name:
            self._stage.transcriptions.stop(self._name)
        else:
            self._stage.transcriptions.stop_all()
        self._stage.verb_done(now)
