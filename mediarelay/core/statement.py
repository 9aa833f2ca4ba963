"""What a party says of itself, and the offers that wait for their answers (RFC 3264 section 8).

Theory of operation. An offer acts when it is accepted. So what a party has said is a value: it is held until the answer,
and only then applied. Nothing has to be undone if the offer is refused: the value is forgotten. The streams that only
such an offer names have ports already, because the receiver must be shown some, but they know no address and pass nothing.

An offer that got no answer for 40 seconds counts as refused and its streams are given back, but it is remembered: a proxy
that has no word for a refusal may also be slow, and an answer that comes late still says that the offer was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from daemonkit.address import Address
from mediarelay.core.limits import MAX_STREAMS
from mediarelay.core.stream import Stream
from mediarelay.sdp.description import Media, SessionDescription
from mediarelay.sdp.rtcp_mux import MuxOffer, RtcpMux

PENDING_SECONDS = 40.0
"""How long an offer may wait for its answer: longer than a transaction without a provisional response (64·T1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one party says by an offer or an answer, and how its SIP message came."""

    sections: int
    """The number of media sections in the description."""
    streams: tuple[tuple[int, Media], ...]
    """Index and section of each stream that the party wants and that is served; it refuses all others."""
    tag: str | None = None
    label: str | None = None
    branch: str | None = None
    """The branch of the SIP request."""
    signalling: str | None = None
    """The IPv4 address that the SIP message came from."""
    sip_source: bool = False
    """Whether media is expected from there, at the ports of the description."""
    rtcp_mux: frozenset[RtcpMux] = frozenset()

    def refuses(self, index: int) -> bool:
        """Return whether the party refuses or ends the stream of a section, if only by leaving it out."""
        return all(index != named for named, _ in self.streams)

    def place_of(self, media: Media) -> Address | None:
        """Return where the party listens for a stream, or None if it does not say."""
        connection = media.connection
        host = connection.address if connection is not None and not connection.unspecified else None
        if self.sip_source and host and self.signalling:
            host = self.signalling
        return (host, media.port) if host else None

    def mux_shown(self) -> list[bool | None]:
        """Return for each section whether the offer is shown with RTCP on the RTP port; None leaves it as it came."""
        shown: list[bool | None] = [None] * self.sections
        for index, media in self.streams:
            if media.is_rtp:
                shown[index] = MuxOffer.of(media.rtcp_mux, self.rtcp_mux).shown
        return shown


def served_streams(description: SessionDescription) -> tuple[tuple[int, Media], ...]:
    """Return index and section of the streams of a description that are served; of too many, audio before the others."""
    live = [(index, media) for index, media in enumerate(description.media) if media.live]
    first = sorted(live, key=lambda stream: stream[1].kind.lower() != "audio")[:MAX_STREAMS]
    return tuple(sorted(first, key=lambda stream: stream[0]))


@dataclass(slots=True)
class _Pending:
    """An offer that waits for its answer."""

    said: Statement
    until: float | None
    """When it counts as refused; None once it does."""


class PendingOffers:
    """The offers of a session that wait for their answers, at most one of each party."""

    def __init__(self) -> None:
        self._by_party: dict[int, _Pending] = {}
        self.streams: dict[int, Stream] = {}
        """The streams that only these offers name, by index of the media section."""

    def hold(self, party: int, said: Statement, now: float) -> None:
        """Let a party's offer wait; it takes the place of an earlier one."""
        self._by_party[party] = _Pending(said, now + PENDING_SECONDS)

    def take(self, party: int) -> Statement | None:
        """Return the offer of a party, which is no longer pending, or None."""
        offer = self._by_party.pop(party, None)
        return offer.said if offer is not None else None

    def withdraw(self, party: int, branch: str | None) -> bool:
        """Forget a party's offer, unless it came by another branch; return whether there was one."""
        offer = self._by_party.get(party)
        if offer is None or None not in (branch, offer.said.branch) and branch != offer.said.branch:
            return False
        del self._by_party[party]
        return True

    def expire(self, now: float) -> list[int]:
        """Count offers as refused that have waited too long; return their parties."""
        expired = [party for party, offer in self._by_party.items() if offer.until is not None and now >= offer.until]
        for party in expired:
            self._by_party[party].until = None
        return expired

    def party_of(self, tag: str) -> int | None:
        """Return the party whose offer came with a tag, or None."""
        return next((party for party, offer in self._by_party.items() if offer.said.tag == tag), None)

    def unneeded(self) -> Iterator[Stream]:
        """Remove and yield the streams that no offer names any more."""
        named = {index for offer in self._by_party.values() if offer.until is not None for index, _ in offer.said.streams}
        for index in self.streams.keys() - named:
            yield self.streams.pop(index)
