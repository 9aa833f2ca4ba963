"""Calls that our own phone places to an application, so that somebody hears what a caller hears: what it does, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.rules.whole_numbers import whole_number

MAX_SECONDS = 60
MAX_GROUPS = 10
MAX_DIGITS = 50
"""Of one group."""
MAX_LINES = 100
_LOOK = "The call's record or the refused attempts of the application say why."
_NO_ENTRY = (
    "The call came from this host: if the application takes calls from certain addresses or regions only, this host is none of them. "
    "Its refused attempts say which rule it was."
)
_WHY_NOT = {
    401: _NO_ENTRY,
    403: _NO_ENTRY,
    407: _NO_ENTRY,
    408: "Nobody answered in time. Does the application's callback answer with a document?",
    480: "A limit of the account or the application was reached, or the application is not there now.",
    488: "The application takes encrypted audio only; this phone calls by UDP, without it.",
}
_NO_AUDIO = "The call flow answered, and nothing came through the relay. Is the relay's external address one that this host reaches?"
_GROUP = re.compile(rf"[0-9A-D*#]{{1,{MAX_DIGITS}}}")


class DiallingError(ValueError):
    """What the phone is to do breaks a rule; the text names the field and the rule in one sentence."""


@dataclass(frozen=True, slots=True)
class Dialling:
    """What the phone does once it is answered: it presses a group of digits at each silence, and stays for so many seconds at most."""

    digits: tuple[str, ...] = ()
    seconds: int = 30

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> Self:
        """Read `digits`, groups with spaces between them, and `seconds`; raises DiallingError."""
        groups = data.get("digits", "").upper().split()
        if len(groups) > MAX_GROUPS or not all(map(_GROUP.fullmatch, groups)):
            raise DiallingError(
                f"Digits: at most {MAX_GROUPS} groups of 0-9, A-D, * and #, each of {MAX_DIGITS} at most, with spaces between them."
            )
        seconds = whole_number(data.get("seconds", "").strip() or str(cls().seconds), len(str(MAX_SECONDS)))
        if seconds is None or not 1 <= seconds <= MAX_SECONDS:
            raise DiallingError(f"Seconds: a whole number from 1 to {MAX_SECONDS}.")
        return cls(tuple(groups), seconds)

    def as_form(self) -> dict[str, str]:
        """Return what `parse` reads."""
        return {"digits": " ".join(self.digits), "seconds": str(self.seconds)}


@dataclass(frozen=True, slots=True)
class SipLine:
    """The first line of a message, in seconds of the trial."""

    at: float
    direction: str
    """`out` or `in`."""
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A call's outcome in words: how bad it is, what happened, and what to do."""

    level: Level
    title: str
    hint: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    proxy: str = ""
    """The address and port at which the phone called."""
    source: str = ""
    """The phone's own."""
    status: int = 0
    """The final response to its INVITE; 0 if none could be sent."""
    reason: str = ""
    answered_after: float | None = None
    """In seconds."""
    lasted: float = 0.0
    """Seconds from the answer to the end."""
    ended_by: str = ""
    """`remote` or `local`; empty if it was not answered."""
    first_sound: float | None = None
    """Seconds from the answer to the first sound; None if there was only silence."""
    packets: int = 0
    """Of audio, received."""
    lost: int = 0
    lines: tuple[SipLine, ...] = ()
    problem: str | None = None
    """Why no call could be placed."""
    heard: bytes = field(default=b"", repr=False)
    """µ-law at 8 kHz."""

    @property
    def finding(self) -> Finding:
        """Return what came of it in words: an answer alone says nothing of its audio."""
        if self.problem is not None:
            return Finding(Level.BAD, "The call could not be placed", self.problem)
        if self.answered_after is None:
            return Finding(Level.BAD, f"The call was not answered: {self.status} {self.reason}", _WHY_NOT.get(self.status, _LOOK))
        if not self.packets:
            return Finding(Level.BAD, "Answered, but no audio came", _NO_AUDIO)
        if self.first_sound is None:
            return Finding(
                Level.DOUBTFUL,
                "Answered, but only silence was heard",
                "Does the document speak or play? The call's Webhooks & BXML tab shows it.",
            )
        return Finding(Level.GOOD, "Answered, and the application was heard", "")

    def dump(self) -> str:
        """Return all but the audio as JSON."""
        return json.dumps(asdict(replace(self, heard=b"")) | {"heard": None})

    @classmethod
    def load(cls, text: str, heard: bytes = b"") -> Self:
        """Return what `dump` wrote."""
        values = json.loads(text)
        lines = tuple(SipLine(**line) for line in values.pop("lines"))
        return cls(**values | {"lines": lines, "heard": heard})
