"""How many calls there were, how many of them were answered, and for how long they talked, in the words of ITU-T E.411."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """The calls that began within some time. A refused attempt is none of them: it never seized anything (E.411)."""

    calls: int = 0
    decided: int = 0
    """Calls that were answered or are over: of the others nobody knows yet."""
    answered: int = 0
    talked: int = 0
    """Answered calls that are over, and so have a duration."""
    talk_ms: int = 0

    @property
    def answer_ratio(self) -> float | None:
        """The answer-seizure ratio (ASR): the share of calls that were answered, of those of which it is known. None without any."""
        return self.answered / self.decided if self.decided else None

    @property
    def average_talk(self) -> float | None:
        """The average call duration (ACD) in seconds, of the answered calls that are over. None without any."""
        return self.talk_ms / 1000 / self.talked if self.talked else None


def added(parts: Iterable[Traffic]) -> Traffic:
    """Return the sum of parts."""
    calls = decided = answered = talked = talk_ms = 0
    for part in parts:
        calls += part.calls
        decided += part.decided
        answered += part.answered
        talked += part.talked
        talk_ms += part.talk_ms
    return Traffic(calls, decided, answered, talked, talk_ms)
