"""What one side of a relayed call has sent and received: the same value from the relay's core to the console."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """The figures of one side, over all of its streams."""

    side: Literal["external", "internal", "callflow"]
    """The relay's sides; `callflow` is the caller of an encrypted call as the call flow sees it, which alone can read its reports."""
    packets_in: int
    bytes_in: int
    packets_out: int
    lost: int
    """Packets that this side sent and the observer (the relay, or the call flow) did not get."""
    jitter_ms: float
    rtt_ms: float | None
    """From the observer to this side and back, where its RTCP tells."""
    mos: float | None
    """How what this side sends sounds there (E-model), from 1 to 4.4; None before there is enough of it."""
    ssrc_changes: int
    plane: str
    """Who forwards: `userspace`, or `kernel` where it carries all streams; empty at the call flow, where nobody does."""
    payload_type: int | None
    advertised: str
    """`address:port` of the session description, or empty."""
    observed: str
    """`address:port` that the media comes from, or empty."""


FIGURE_NAMES = tuple(field.name for field in fields(MediaFigures) if field.name != "side")
"""What the figures are called, here and in the table that keeps them."""
