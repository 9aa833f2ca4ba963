"""What a client of the relay may ask for about RTP and RTCP on one port (RFC 5761)."""

from __future__ import annotations

from enum import StrEnum


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
