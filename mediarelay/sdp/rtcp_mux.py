"""What a client may wish about RTP and RTCP on one port (RFC 5761)."""

from __future__ import annotations

from enum import StrEnum


class RtcpMux(StrEnum):
    """A wish, by the name that ng commands use for it."""

    OFFER = "offer"
    """Offer it, also where the offerer did not."""
    REQUIRE = "require"
    """Offer it as if it were agreed already."""
    DEMUX = "demux"
    """Do not offer it, but accept it towards the offerer."""
    ACCEPT = "accept"
    """Accept it towards the offerer, whatever the other party says."""
    REJECT = "reject"
    """Refuse it towards the offerer; unless `offer` says otherwise, do not offer it either."""
