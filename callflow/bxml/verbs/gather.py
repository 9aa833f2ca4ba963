"""`<Gather>`: collect digits, with prompts that stop at the first digit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import (
    MAX_DIGIT_TIMEOUT_SECONDS,
    MAX_GATHER_DIGITS,
    MAX_GATHER_PROMPTS,
    MAX_GATHER_VERBS,
)
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.bxml.webhook import Webhook

# These tune speech recognition, and have no effect where nobody recognises speech.
_SPEECH_ATTRIBUTES = (
    "hints",
    "language",
    "partialResultCallback",
    "partialResultCallbackMethod",
    "profanityFilter",
    "speechModel",
    "speechTimeout",
)


@dataclass(frozen=True, slots=True)
class Gather:
    """Which digits end the collection, how long to wait for them and where they go; times are in seconds."""

    takes_digits: bool
    """False if only words are wanted."""
    wants_words: bool
    webhook: Webhook | None
    tag: str | None
    terminating_digits: str
    max_digits: int
    inter_digit_timeout: float
    first_digit_timeout: float
    repeat_count: int
    prompts: tuple[SpeakSentence | PlayAudio, ...]
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element and the prompts in it; raises BxmlError."""
        wanted = reader.choice("input", "dtmf", ("dtmf", "speech", "dtmf_speech"))
        for name in _SPEECH_ATTRIBUTES:
            reader.optional(name)
        gather = cls(
            takes_digits=wanted != "speech",
            wants_words=wanted != "dtmf",
            webhook=reader.webhook("gather"),
            tag=reader.tag(),
            terminating_digits=reader.digits("terminatingDigits", ""),
            max_digits=reader.whole("maxDigits", MAX_GATHER_DIGITS, 1, MAX_GATHER_DIGITS),
            inter_digit_timeout=reader.number("interDigitTimeout", 5.0, 1, MAX_DIGIT_TIMEOUT_SECONDS),
            first_digit_timeout=reader.number("firstDigitTimeout", 5.0, 0, MAX_DIGIT_TIMEOUT_SECONDS),
            repeat_count=reader.whole("repeatCount", 1, 1, MAX_GATHER_PROMPTS),
            prompts=_read_prompts(reader),
            line=reader.line,
        )
        reader.finish(leaf=False)
        if gather.repeat_count * len(gather.prompts) > MAX_GATHER_PROMPTS:
            rule = f"times the {len(gather.prompts)} nested verbs must be at most {MAX_GATHER_PROMPTS}"
            reader.refuse("repeatCount", rule)
        return gather


def _read_prompts(reader: ElementReader) -> tuple[SpeakSentence | PlayAudio, ...]:
    if len(reader.element) > MAX_GATHER_VERBS:
        reader.fail(f"can hold at most {MAX_GATHER_VERBS} verbs")
    return tuple(_read_prompt(reader, ElementReader(child)) for child in reader.element)


def _read_prompt(gather: ElementReader, child: ElementReader) -> SpeakSentence | PlayAudio:
    if child.name == "SpeakSentence":
        return SpeakSentence.parse(child)
    if child.name == "PlayAudio":
        return PlayAudio.parse(child)
    gather.fail(f"can hold only <SpeakSentence> and <PlayAudio>, not <{child.name}>")
