"""Run `<StartTranscription>` and `<StopTranscription>`.

Nobody here recognises speech: a transcription is rejected, which its URL is told, and the document goes on.
"""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.transcription import StartTranscription
from callflow.engine import reports
from callflow.engine.effects import WriteReport
from callflow.engine.step import Stage, Step
from voiceapps.rules.webhook_bodies import TranscriptionView

NO_RECOGNITION = "This system does not recognise speech."


class StartTranscriptionStep(Step):
    """A transcription that does not begin."""

    answers_call: ClassVar[bool] = False

    def __init__(self, stage: Stage, verb: StartTranscription) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Say so, and go on."""
        verb, stage = self._verb, self._stage
        stage.note(f"<StartTranscription>: {NO_RECOGNITION}", now)
        if verb.events is not None:
            number = f"t-{stage.new_uuid()}"
            view = TranscriptionView(number, verb.name or number, verb.tracks, verb.destination, verb.stabilized)
            events = stage.absolute(verb.events)
            stage.emit(WriteReport(reports.transcription_rejected(stage.view(now), view, events, NO_RECOGNITION)))
        stage.verb_done(now)


class StopTranscriptionStep(Step):
    """The end of transcriptions that never began."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """Go on."""
        self._stage.verb_done(now)
