"""`<Hangup>`: end the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader


@dataclass(frozen=True, slots=True)
class Hangup:
    """The end of the call, or its rejection if it is not answered yet."""

    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        reader.finish()
        return cls(reader.line)
