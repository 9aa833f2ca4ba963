"""Run `<SpeakSentence>`."""

from __future__ import annotations

from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.engine.effects import SpeechWanted
from callflow.engine.prompt import PromptStep
from callflow.engine.step import Stage


class SpeakSentenceStep(PromptStep):
    """A sentence that is spoken."""

    def __init__(self, stage: Stage, verb: SpeakSentence) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Ask for the sentence, and tell if another voice speaks it."""
        self._stage.note(self._verb.note, now)
        super().begin(now)

    def make_effect(self, number: int) -> SpeechWanted:
        """Return the effect that synthesises the sentence."""
        return speech_wanted(self._verb, number)


def speech_wanted(verb: SpeakSentence, number: int) -> SpeechWanted:
    """Return the effect that synthesises a sentence."""
    return SpeechWanted(number, verb.markup, verb.voice)
