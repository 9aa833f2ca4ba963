"""Run `<StartRecording>`, `<PauseRecording>`, `<ResumeRecording>` and `<StopRecording>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.background_recording import StartRecordingVerb
from callflow.engine.limits import MAX_BACKGROUND_RECORDING_SECONDS
from callflow.engine.step import Stage, Step


class StartRecordingStep(Step):
    """The beginning of a recording in the background."""

    answers_call: ClassVar[bool] = False
    begins_lasting: ClassVar[bool] = True

    def __init__(self, stage: Stage, verb: StartRecordingVerb) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Start it, unless one runs already, and go on."""
        stage, form = self._stage, self._verb.form.absolute(self._stage.absolute)
        stage.set_tag(self._verb.tag)
        stage.recordings.start_background(form, MAX_BACKGROUND_RECORDING_SECONDS, now, answered=stage.answered)
        stage.verb_done(now)


class PauseRecordingStep(Step):
    """A pause of what is being recorded."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """Pause and go on."""
        self._stage.recordings.pause(now)
        self._stage.verb_done(now)


class ResumeRecordingStep(Step):
    """The end of the pause."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """Resume and go on."""
        self._stage.recordings.resume(now)
        self._stage.verb_done(now)


class StopRecordingStep(Step):
    """The end of the recording in the background."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """Stop it and go on."""
        self._stage.recordings.stop_background(now)
        self._stage.verb_done(now)
