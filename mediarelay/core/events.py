"""What the relay's core asks of its shell, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mediarelay.core.addresses import Side
from mediarelay.kernel.events import KernelEvent
from voiceapps.rules.media_figures import MediaFigures


class EndCause(StrEnum):
    """Why a session is gone."""

    DELETED = "deleted"
    TIMEOUT = "timeout"
    LOST = "lost"
    """Its ports could not be had again after a restart."""


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
class SessionEnded:
    """Fired when a session is gone; its ports are in quarantine."""

    call_id: str
    cause: EndCause
    figures: tuple[MediaFigures, ...]


@dataclass(frozen=True, slots=True)
class OneWayAudio:
    """Fired when one side of a stream is not heard though the other is, and when it is heard again."""

    call_id: str
    side: Side
    """The side that is silent."""
    stream: int
    """Index of the media section."""
    silent: bool
    source: str
    """`address:port` that its audio comes from or should, empty where neither is known."""
    local: str
    """`address:port` of ours that it should come to."""
    cause: str
    """What the likely cause is, a sentence; empty when the side is heard again."""


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """Fired when a session is to be written down as it is now, or forgotten where it is gone."""

    call_id: str


Event = PairWanted | PairReleased | SessionEnded | SessionChanged | OneWayAudio | KernelEvent
