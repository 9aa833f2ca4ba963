"""What can be ordered of a call that goes on, and what may come of it; one order as the node of the call reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class OrderKind(StrEnum):
    """What is ordered."""

    COMPLETE = "complete"
    """Hang up, or reject what is not answered."""
    REDIRECT = "redirect"
    """Ask a webhook for another document."""
    DOCUMENT = "document"
    """Run another document."""
    RECORDING = "recording"
    """Pause or resume what is being recorded."""


class Outcome(StrEnum):
    """What came of an order."""

    DONE = "done"
    OVER = "over"
    """The call has ended."""
    IDLE = "idle"
    """Nothing is being recorded."""


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One order."""

    number: int
    call_id: str
    kind: OrderKind
    details: Mapping[str, object]
