"""`<Pause>`: wait in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of `duration` seconds."""

    duration: float
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        duration = reader.number("duration", 1.0, 0.1, MAX_PAUSE_SECONDS)
        reader.finish()
        return cls(duration, reader.line)
