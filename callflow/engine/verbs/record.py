"""Run `<Record>`: record the caller until a digit, silence or the longest duration ends it."""

from __future__ import annotations

from callflow.audio.silence import is_loud
from callflow.bxml.verbs.record import RecordVerb
from callflow.engine.effects import StopRecording
from callflow.engine.step import Stage, Step
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import RecordingView


class RecordStep(Step):
    """A recording, and the wait for its file.

    The engine keeps the open recordings, because a file may be complete only after the end of the call.
    """

    def __init__(self, stage: Stage, verb: RecordVerb) -> None:
        super().__init__(stage, verb)
        self._end = 0.0
        self._recording_id = ""
        self._stopped = False
        self._verb = verb

    def begin(self, now: float) -> None:
        """Start the recording and its timers."""
        self._stage.set_tag(self._verb.tag)
        self._recording_id = self._stage.start_recording(self._verb.available, self._verb.max_duration, now)
        self._end = now + self._verb.max_duration
        self._restart_silence(now)

    def abandon(self) -> None:
        """Complete the file: the call is over."""
        self._stop()

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Restart the timer of silence if the caller says something."""
        if self._verb.silence_timeout and not self._stopped and is_loud(ulaw):
            self._restart_silence(now)

    def digit_received(self, digit: str, now: float) -> None:
        """Stop at a terminating digit."""
        if digit in self._verb.terminating_digits:
            self._stop()

    def handle_timer(self, now: float) -> None:
        """Stop: the longest duration is over, or the caller has been silent for long enough."""
        self._stop()

    def recording_over(self, recording: RecordingView, now: float) -> None:
        """Send `recordComplete` and wait for the next document; without a URL run the next verb."""
        webhook = self._verb.complete
        if webhook is None:
            self._stage.verb_done(now)
            return
        body = webhook_bodies.record_complete(self._stage.view(now), recording)
        self._stage.fetch("recordComplete", webhook, body, now)

    def _restart_silence(self, now: float) -> None:
        self.deadline = min(self._end, now + self._verb.silence_timeout) if self._verb.silence_timeout else self._end

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.deadline = None
            self._stage.emit(StopRecording(self._recording_id))
