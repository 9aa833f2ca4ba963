"""Prompts: what verbs that make a sound share with verbs that nest such verbs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from callflow.audio.octets import Octets
from callflow.engine.effects import AudioWanted, Play, SpeechWanted, StopPlaying
from callflow.engine.step import Stage, Step
from mediarelay.rtp.g711 import ULAW_SILENCE

SILENT_FRAME = bytes([ULAW_SILENCE]) * 160

MakeEffect = Callable[[int], SpeechWanted | AudioWanted]
"""Takes a number and returns the effect that makes a prompt's sound under it."""


class Prompt:
    """One prompt, from its request to its end; numbers tell its answers from those of prompts that were stopped."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._playing: int | None = None
        self._wanted: int | None = None

    def begin(self, make_effect: MakeEffect) -> None:
        """Ask for the prompt's sound."""
        self._wanted = self._stage.new_number()
        self._stage.emit(make_effect(self._wanted))

    def over(self, number: int) -> bool:
        """Return whether the playback that ended was this prompt's."""
        if number != self._playing:
            return False
        self._playing = None
        return True

    def play(self, ulaw: Octets) -> None:
        """Play the sound. An empty one becomes one silent frame, so that its end is reported too."""
        self._wanted, self._playing = None, self._stage.new_number()
        self._stage.emit(Play(self._playing, ulaw or SILENT_FRAME))

    def stop(self) -> None:
        """Stop the prompt, or ignore its sound when it comes."""
        if self._playing is not None:
            self._stage.emit(StopPlaying())
        self._wanted = self._playing = None

    def wants(self, number: int) -> bool:
        """Return whether the prompt waits for this sound."""
        return number == self._wanted


class PromptStep(Step):
    """A verb that plays one sound."""

    def __init__(self, stage: Stage, verb: Any) -> None:
        super().__init__(stage, verb)
        self._prompt = Prompt(stage)

    @abstractmethod
    def make_effect(self, number: int) -> SpeechWanted | AudioWanted:
        """Return the effect that makes the sound."""

    def begin(self, now: float) -> None:
        """Ask for the verb's sound."""
        self._prompt.begin(self.make_effect)

    def abandon(self, now: float) -> None:
        """Stop the sound."""
        self._prompt.stop()

    def playback_finished(self, number: int, now: float) -> None:
        """Go on with the next verb."""
        if self._prompt.over(number):
            self._stage.verb_done(now)

    def sound_ready(self, number: int, ulaw: Octets) -> None:
        """Play the sound."""
        self._prompt.play(ulaw)

    def wants_sound(self, number: int) -> bool:
        """Return whether this step waits for the sound."""
        return self._prompt.wants(number)
