"""The events that the relay's core emits: what it asks of its shell, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mediarelay.core.addresses import Side
from mediarelay.kernel.events import KernelEvent
from voiceapps.rules.media_figures import MediaFigures


class EndCause(StrEnum):
    """Why a session has ended."""

    DELETED = "deleted"
    TIMEOUT = "timeout"
    LOST = "lost"
    """Its ports could not be bound again after a restart."""


@dataclass(frozen=True, slots=True)
class PairWanted:
    """Asks for two bound sockets; answered by `port_bound` or `port_failed` before anything else is fed in."""

    side: Side
    port: int
    """The RTP port; RTCP is the next one."""


@dataclass(frozen=True, slots=True)
class PairReleased:
    """Fired when a pair leaves quarantine: its sockets, if there are any, can be closed."""

    side: Side
    port: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Fired when a session has ended; its ports are in quarantine."""

    call_id: str
    cause: EndCause
    figures: tuple[MediaFigures, ...]


@dataclass(frozen=True, slots=True)
class OneWayAudio:
    """Fired when one side of a stream is silent though the other is not, and when it is heard again."""

    call_id: str
    side: Side
    """The side that is silent."""
    stream: int
    """Index of the media section."""
    silent: bool
    source: str
    """The `address:port` that its audio comes from, or should come from; empty if neither is known."""
    local: str
    """Our `address:port`, to which its audio should come."""
    cause: str
    """The likely cause, in one sentence; empty when the side is heard again."""


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """Fired when a session's present state is to be journalled, or, if it has ended, removed from the journal."""

    call_id: str


Event = PairWanted | PairReleased | SessionEnded | SessionChanged | OneWayAudio | KernelEvent
