"""RTP and RTCP on one port (RFC 5761): what a client of the relay may ask for, and what is offered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class RtcpMux(StrEnum):
    """One such option, by its name in ng commands."""

    OFFER = "offer"
    """Offer it, even if the offerer did not."""
    REQUIRE = "require"
    """Offer it as if it were agreed on already."""
    DEMUX = "demux"
    """Do not offer it, but accept it towards the offerer."""
    ACCEPT = "accept"
    """Accept it towards the offerer, whatever the answerer says."""
    REJECT = "reject"
    """Refuse it towards the offerer; do not offer it either, unless `offer` is given, too."""


@dataclass(frozen=True, slots=True)
class MuxOffer:
    """What was offered about RTP and RTCP on one port (RFC 5761)."""

    wanted: bool
    """Whether the offerer wants it."""
    shown: bool
    """Whether the answerer is asked for it."""
    accepted: bool | None
    """Whether the offerer is told yes or no, whatever the answer says; None if the answer decides."""

    @classmethod
    def of(cls, wanted: bool, wishes: frozenset[RtcpMux]) -> Self:
        """Combine an offer and a client's wishes, as rtpengine reads them."""
        shown = wanted and not wishes & {RtcpMux.DEMUX, RtcpMux.REJECT}
        shown = shown or bool(wishes & {RtcpMux.OFFER, RtcpMux.REQUIRE})
        accepted = None
        if RtcpMux.REJECT in wishes:
            accepted = False
        elif wishes & {RtcpMux.DEMUX, RtcpMux.ACCEPT}:
            accepted = True
        return cls(wanted, shown, accepted)
