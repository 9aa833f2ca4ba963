"""What offer and answer agreed on for a call's audio."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from callflow.secure.sdes import Keys
from daemonkit.address import Address


class Codec(Enum):
    """The codecs; the value is the static payload type."""

    PCMU = 0
    PCMA = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """One stream as the last offer and answer left it."""

    remote: Address | None
    """Where the far end receives RTP; None if its description names no address (hold by 0.0.0.0)."""
    codec: Codec
    """The codec that we send; both are understood."""
    payload_type: int
    """The number by which the far end knows that codec."""
    event_payload_type: int | None
    """The payload type of telephone events; None if the far end takes none."""
    sends: bool = True
    """Whether the far end wants audio; RTCP is sent all the same."""
    keys: Keys | None = None
    """What encrypts both directions; None if nothing does."""
