"""`<Ring>`: let the caller hear ringing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Ring:
    """Ringing of `duration` seconds, for which an unanswered call is answered or not."""

    duration: float
    answer_call: bool
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        ring = cls(reader.number("duration", 5.0, 0.1, MAX_PAUSE_SECONDS), reader.flag("answerCall", True), reader.line)
        reader.finish()
        return ring
