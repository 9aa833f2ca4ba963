"""The result of checking a BXML document, which the call flow does and the API and webhook tests show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerbLine:
    """A verb of the document."""

    name: str
    line: int
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that the document breaks; the line is None if it concerns the whole document."""

    line: int | None
    description: str


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """The verbs that a call would run, in order, and the faults of the others."""

    verbs: tuple[VerbLine, ...]
    faults: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        """True if a call would run the document."""
        return not self.faults


CheckDocument = Callable[[bytes, str], DocumentCheck]
"""Returns the verbs and every fault of a document with the character set of its Content-Type; never raises."""
