"""What the relay's core asks of its shell, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mediarelay.core.addresses import Side

__all__ = ["EndCause", "Event", "LegFigures", "PairReleased", "PairWanted", "SessionEnded", "SessionOpened"]


class EndCause(StrEnum):
    """Why a session is gone."""

    DELETED = "deleted"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class LegFigures:
    """What one side of a session has seen so far."""

    side: Side
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    lost: int
    jitter_ms: float
    payload_type: int | None
    advertised: str
    """`address:port` of the session description, or empty."""
    observed: str
    """`address:port` that the media comes from, or empty."""


@dataclass(frozen=True, slots=True)
class PairWanted:
    """Asks for two bound sockets; answered by `port_bound` or `port_failed` before anything else is fed in."""

    side: Side
    port: int
    """The RTP port; RTCP is the next one."""


@dataclass(frozen=True, slots=True)
class PairReleased:
    """Tells that a pair has left quarantine: its sockets, if there are any, can be closed."""

    side: Side
    port: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """Fired when the first offer of a call id got its ports."""

    call_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Fired when a session is gone; its ports are in quarantine."""

    call_id: str
    cause: EndCause
    figures: tuple[LegFigures, ...]


Event = PairWanted | PairReleased | SessionOpened | SessionEnded
