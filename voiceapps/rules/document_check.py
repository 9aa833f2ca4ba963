"""What a check of a BXML document finds; the call flow makes it, the API and webhook tests show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerbLine:
    """A verb as it stands in the document."""

    name: str
    line: int
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that the document breaks; the line is None where it is about the whole of it."""

    line: int | None
    description: str


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """The verbs that a call would run, in their order, and what is wrong with the others."""

    verbs: tuple[VerbLine, ...]
    faults: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        """Tell whether a call would take the document."""
        return not self.faults


CheckDocument = Callable[[bytes], DocumentCheck]
"""Returns what a document holds and every fault of it; never raises."""
