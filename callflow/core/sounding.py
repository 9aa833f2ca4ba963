"""Run `<SpeakSentence>`, `<PlayAudio>` and `<Pause>`."""

from __future__ import annotations

from callflow.bxml.verbs.pause import Pause
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.core.step import Prompt, Stage, Step


class SoundStep(Step):
    """Play one sound and go on."""

    def __init__(self, stage: Stage, verb: SpeakSentence | PlayAudio) -> None:
        super().__init__(stage)
        self._prompt = Prompt(stage)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Ask for the sound."""
        self._prompt.begin(self._verb)

    def abandon(self) -> None:
        """Cut the sound off."""
        self._prompt.stop()

    def playback_finished(self, number: int, now: float) -> None:
        """Go on with the next verb."""
        if self._prompt.over(number):
            self._stage.verb_done(now)

    def sound_ready(self, number: int, ulaw: bytes) -> None:
        """Play it."""
        self._prompt.play(ulaw)

    def wants_sound(self, number: int) -> bool:
        """Tell whether it is this step's sound."""
        return self._prompt.wants(number)


class PauseStep(Step):
    """Wait and go on."""

    def __init__(self, stage: Stage, verb: Pause) -> None:
        super().__init__(stage)
        self._seconds = verb.duration

    def begin(self, now: float) -> None:
        """Set the timer."""
        self.deadline = now + self._seconds

    def handle_timer(self, now: float) -> None:
        """Go on with the next verb."""
        self._stage.verb_done(now)
