"""Run `<Record>`: record the caller until a digit, silence or the longest duration ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from callflow.audio.silence import is_loud
from callflow.bxml.verbs.record import RecordVerb
from callflow.engine.step import Stage, Step
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import RecordingView


class RecordStep(Step):
    """A recording, and the wait for its file.

    The engine keeps the open recordings, because a file may be complete only after the end of the call.
    """

    begins_lasting: ClassVar[bool] = True

    def __init__(self, stage: Stage, verb: RecordVerb) -> None:
        super().__init__(stage, verb)
        self._end = 0.0
        self._recording_id = ""
        self._stopped = False
        self._verb = verb
        self.wants_audio = bool(verb.silence_timeout)

    def begin(self, now: float) -> None:
        """Start the recording and its timers."""
        stage, form = self._stage, self._verb.form
        stage.set_tag(self._verb.tag)
        form = replace(form, available=form.available and stage.absolute(form.available))
        self._recording_id = stage.recordings.start(form, self._verb.max_duration, now)
        self._end = now + self._verb.max_duration
        self._restart_silence(now)

    def abandon(self, now: float) -> None:
        """Complete the file."""
        self._stop(now)

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Restart the timer of silence if the caller says something."""
        if not self._stopped and is_loud(ulaw):
            self._restart_silence(now)

    def digit_received(self, digit: str, now: float) -> None:
        """Stop at a terminating digit."""
        if digit in self._verb.terminating_digits:
            self._stop(now)

    def handle_timer(self, now: float) -> None:
        """Stop: the longest duration is over, or the caller has been silent for long enough."""
        self._stop(now)

    def recording_over(self, recording: RecordingView, now: float) -> None:
        """Send `recordComplete` and wait for the next document; without a URL run the next verb."""
        if recording.recording_id != self._recording_id:
            return
        webhook = self._verb.complete
        if webhook is None:
            self._stage.verb_done(now)
            return
        body = webhook_bodies.record_complete(self._stage.view(now), recording)
        self._stage.fetch("recordComplete", webhook, body, now)

    def _restart_silence(self, now: float) -> None:
        self.deadline = min(self._end, now + self._verb.silence_timeout) if self._verb.silence_timeout else self._end

    def _stop(self, now: float) -> None:
        if not self._stopped:
            self._stopped = True
            self.deadline = None
            self._stage.recordings.stop(self._recording_id, now)
