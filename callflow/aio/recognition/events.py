"""What a recogniser's process says, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass

LENGTH_OCTETS = 4
"""Before each message to the process."""
MAX_TEXT = 4_000
"""Characters of one utterance, or of the words that are lacking: more than a minute of speech has."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks, or something sounds like it."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """What sounded like speech is over, and held no words."""


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """An utterance is over; times are in seconds of the audio."""

    text: str
    confidence: float
    """From 0 to 1."""
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class WordsLacking:
    """Words of the phrases that the recogniser does not know, and does not listen for."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more comes."""

    sentence: str | None
    """What went wrong, None if nothing did."""
    is_taken: bool = False
    """Whether another account needed its place."""


Event = SpeechBegan | SpeechEnded | WordsHeard | WordsLacking | Over


def parse_event(line: bytes) -> Event:
    """Read one line; raises ValueError."""
    try:
        said = json.loads(line)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error
    if not isinstance(said, dict):
        raise ValueError("An event is an object.")
    match said.get("event"):
        case "began":
            return SpeechBegan()
        case "ended":
            return SpeechEnded()
        case "words":
            return WordsHeard(_text(said.get("text")), min(_number(said, "confidence"), 1.0), _number(said, "start"), _number(said, "end"))
        case "lacking":
            return WordsLacking(tuple(_text(said.get("words")).split()))
        case "over":
            return Over(None)
    raise ValueError("There is no such event.")


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise ValueError(f"A text has 1 to {MAX_TEXT} characters.")
    return value


def _number(said: dict[str, object], name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} is no number.")
    return float(value)
