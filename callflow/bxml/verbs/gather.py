"""`<Gather>`: collect digits or words, with prompts that stop at the first of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import (
    MAX_DIGIT_TIMEOUT_SECONDS,
    MAX_GATHER_DIGITS,
    MAX_GATHER_HINT_LENGTH,
    MAX_GATHER_HINTS,
    MAX_GATHER_PROMPTS,
    MAX_GATHER_VERBS,
    MAX_LANGUAGE_LENGTH,
    MAX_SPEECH_TIMEOUT_SECONDS,
)
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.bxml.webhook import Webhook

# These tune the vendor's recogniser, and have no effect on ours.
_WITHOUT_EFFECT = ("partialResultCallback", "partialResultCallbackMethod", "profanityFilter", "speechModel")


@dataclass(frozen=True, slots=True)
class Gather:
    """Which digits end the collection, how long to wait for them and where they go; times are in seconds."""

    takes_digits: bool
    """False if only words are wanted."""
    wants_words: bool
    phrases: tuple[str, ...]
    """What may be said; whatever it is if there are none."""
    language: str
    speech_timeout: float
    """How long more words may take."""
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
        for name in _WITHOUT_EFFECT:
            reader.optional(name)
        gather = cls(
            takes_digits=wanted != "speech",
            wants_words=wanted != "dtmf",
            phrases=_read_hints(reader),
            language=reader.limited("language", "", MAX_LANGUAGE_LENGTH) or "en-US",
            speech_timeout=reader.number("speechTimeout", 5.0, 1, MAX_SPEECH_TIMEOUT_SECONDS),
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


def _read_hints(reader: ElementReader) -> tuple[str, ...]:
    """Return the phrases of a list with commas, each once."""
    phrases = dict.fromkeys(phrase.strip() for phrase in (reader.optional("hints") or "").split(","))
    hints = tuple(phrase for phrase in phrases if phrase)
    if len(hints) > MAX_GATHER_HINTS:
        reader.refuse("hints", f"holds more than {MAX_GATHER_HINTS} phrases")
    if any(len(phrase) > MAX_GATHER_HINT_LENGTH for phrase in hints):
        reader.refuse("hints", f"holds a phrase of more than {MAX_GATHER_HINT_LENGTH} characters")
    return hints


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
