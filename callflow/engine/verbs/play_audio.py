"""Run `<PlayAudio>`."""

from __future__ import annotations

from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.engine.effects import AudioWanted
from callflow.engine.prompt import PromptStep
from callflow.engine.step import Stage


class PlayAudioStep(PromptStep):
    """A sound file that plays."""

    def __init__(self, stage: Stage, verb: PlayAudio) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def make_effect(self, number: int) -> AudioWanted:
        """Return the effect that fetches the file."""
        return audio_wanted(self._stage, self._verb, number)


def audio_wanted(stage: Stage, verb: PlayAudio, number: int) -> AudioWanted:
    """Return the effect that fetches and decodes a file."""
    return AudioWanted(number, stage.resolve(verb.url), verb.username, verb.password, stage.webhook_timeout)
