"""Simulated calls: what their caller does, and what is told of them. The call flow runs them, the API and the console show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

MAX_LINES = 5_000
MAX_TEXT = 1_000
"""Characters of one line; what is longer is cut."""
MAX_CHARACTERS = 256 * 1024
"""Of all lines of one transcript."""

MAX_TURNS = 100
MAX_DIGITS = 50
MAX_CALLER = 1024
MAX_WORDS = 1_000
MAX_TURN_SECONDS = 600.0
MAX_HANG_UP_SECONDS = 36_000.0
SECONDS_A_WORD = 0.4
"""How long a word takes where nobody says it: a telephone's voice says two and a half of them a second."""
DIGITS = re.compile(rf"[0-9A-D*#]{{0,{MAX_DIGITS}}}")
_TURN_FIELDS = {"digits", "words", "seconds"}
_SCRIPT_FIELDS = {"from", "turns", "hangUpAt"}


class ScriptError(ValueError):
    """A script that breaks a rule; the text names the field and the rule in one sentence."""


class LineKind(StrEnum):
    """What a line of a transcript tells of."""

    ARRIVED = "arrived"
    WEBHOOK = "webhook"
    WEBHOOK_ANSWERED = "webhookAnswered"
    ANSWERED = "answered"
    REJECTED = "rejected"
    VERB = "verb"
    SAYS = "says"
    PLAYS = "plays"
    SENDS_DIGITS = "sendsDigits"
    RECORDED = "recorded"
    STREAM = "stream"
    REFERS = "refers"
    EVENT = "event"
    NOTE = "note"
    CALLER_SAYS = "callerSays"
    CALLER_PRESSES = "callerPresses"
    CALLER_HANGS_UP = "callerHangsUp"
    HUNG_UP = "hungUp"
    ENDED = "ended"
    STOPPED = "stopped"

    @property
    def words(self) -> str:
        """Return it as people read it."""
        return re.sub("([A-Z])", lambda capital: f" {capital[1].lower()}", self.value)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript: when it was, in seconds of the call, what it was, and its details."""

    at: float
    what: LineKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """What was heard, asked and done in a call, and why it failed, None if it did not."""

    transcript: tuple[Line, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What the caller does when it is asked: speak, then press digits; neither is silence."""

    words: str = ""
    seconds: float = 0.0
    """How long it speaks."""
    digits: str = ""

    @classmethod
    def parse(cls, data: object, name: str) -> Self:
        """Read one turn; raises ScriptError."""
        fields = _object(data, name, _TURN_FIELDS)
        words, digits = _text(fields, "words", name, MAX_WORDS), _text(fields, "digits", name, MAX_WORDS).upper()
        if not DIGITS.fullmatch(digits):
            raise ScriptError(f"{name}.digits: May hold at most {MAX_DIGITS} of 0-9, A-D, * and #.")
        spoken = fields.get("seconds", len(words.split()) * SECONDS_A_WORD if words else 0.0)
        return cls(words, _seconds(spoken, f"{name}.seconds", MAX_TURN_SECONDS), digits)


@dataclass(frozen=True, slots=True)
class Script:
    """One caller, and its turns in order; when they are used up, it is silent."""

    caller: str
    turns: tuple[Turn, ...]
    hangs_up_at: float | None
    """Seconds from the call's arrival on."""

    @classmethod
    def parse(cls, data: object) -> Self:
        """Read a script from JSON's values; raises ScriptError."""
        fields = _object(data, "script", _SCRIPT_FIELDS)
        turns = fields.get("turns", [])
        if not isinstance(turns, list) or len(turns) > MAX_TURNS:
            raise ScriptError(f"turns: Must be an array of at most {MAX_TURNS}.")
        hangs_up = fields.get("hangUpAt")
        return cls(
            caller=_text(fields, "from", "", MAX_CALLER) or "sip:caller@simulation.invalid",
            turns=tuple(Turn.parse(turn, f"turns[{number}]") for number, turn in enumerate(turns)),
            hangs_up_at=None if hangs_up is None else _seconds(hangs_up, "hangUpAt", MAX_HANG_UP_SECONDS),
        )

    def as_json(self) -> dict[str, object]:
        """Return the script as `parse` reads it."""
        turns = [{"words": turn.words, "seconds": turn.seconds, "digits": turn.digits} for turn in self.turns]
        return {"from": self.caller, "turns": turns} | ({} if self.hangs_up_at is None else {"hangUpAt": self.hangs_up_at})


def _object(data: object, name: str, known: set[str]) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise ScriptError(f"{name}: Must be an object.")
    unknown = sorted(str(field) for field in data if field not in known)
    if unknown:
        raise ScriptError(f"{name}: There is no {unknown[0][:40]!r}; it may have {', '.join(sorted(known))}.")
    return data


def _text(fields: Mapping[str, object], field: str, name: str, longest: int) -> str:
    value = fields.get(field, "")
    whole = f"{name}.{field}" if name else field
    if not isinstance(value, str) or len(value) > longest:
        raise ScriptError(f"{whole}: Must be a string of at most {longest} characters.")
    return value


def _seconds(value: object, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ScriptError(f"{name}: Must be a number of seconds from 0 to {most:g}.")
    return float(value)
