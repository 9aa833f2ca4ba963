"""Run `<Record>`: record the caller until a digit, silence or the longest duration ends it."""

from __future__ import annotations

from typing import ClassVar

from callflow.audio.silence import is_loud
from callflow.bxml.verbs.record import RecordVerb
from callflow.engine.step import Stage, Step
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import RecordingView

ROUNDING_SECONDS = 0.001
SHORTEST_SECONDS = 0.02
"""Between two looks at a recording that is paused just before its end."""


class RecordStep(Step):
    """A recording, and the wait for its file.

    The engine keeps the open recordings, because a file may be complete only after the end of the call.
    """

    begins_lasting: ClassVar[bool] = True

    def __init__(self, stage: Stage, verb: RecordVerb) -> None:
        super().__init__(stage, verb)
        self._heard_at = 0.0
        """When the caller last said something, in seconds of the recording."""
        self._recording_id = ""
        self._stopped = False
        self._verb = verb
        self.wants_audio = bool(verb.silence_timeout)

    def begin(self, now: float) -> None:
        """Start the recording and its timers."""
        stage, form = self._stage, self._verb.form.absolute(self._stage.absolute)
        stage.set_tag(self._verb.tag)
        self._recording_id = stage.recordings.start(form, self._verb.max_duration, now)
        self._arm(now)

    def abandon(self, now: float) -> None:
        """Complete the file."""
        self._stop(now)

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Restart the timer of silence if the caller says something."""
        if self.wants_audio and not self._stopped and is_loud(ulaw):
            self._heard_at = self._recorded(now)
            self._arm(now)

    def digit_received(self, digit: str, now: float) -> None:
        """Stop at a terminating digit."""
        if digit in self._verb.terminating_digits:
            self._stop(now)

    def handle_timer(self, now: float) -> None:
        """Stop if the longest duration is over, or the caller has been silent for long enough; pauses count for neither."""
        if self._left(now) > ROUNDING_SECONDS:
            self._arm(now)
        else:
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

    def _arm(self, now: float) -> None:
        self.deadline = now + max(self._left(now), SHORTEST_SECONDS)

    def _left(self, now: float) -> float:
        """Return how much longer it goes on unless the caller says something, in seconds of the recording."""
        recorded = self._recorded(now)
        left = self._verb.max_duration - recorded
        return min(left, self._heard_at + self._verb.silence_timeout - recorded) if self._verb.silence_timeout else left

    def _recorded(self, now: float) -> float:
        return self._stage.recordings.recorded_seconds(self._recording_id, now)

    def _stop(self, now: float) -> None:
        if not self._stopped:
            self._stopped = True
            self.deadline = None
            self._stage.recordings.stop(self._recording_id, now)
