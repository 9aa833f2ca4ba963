"""One relayed call.

Theory of operation. A session has two parties: the one that made the first offer and the other. Each party lives on a
side of the relay and is known by its SIP tag, so that a later offer from either finds its place. A stream is one media
section: for each party it has a leg, which is a pair of local ports on that party's side. A party sends to its own leg;
what is accepted there leaves from the other party's leg. Hence the description that party A wrote, on its way to B,
gets the ports of B's legs, and what it said about A's address goes to the learner of A's leg.

Ports are given once per stream and kept by every later offer. A stream whose answer says port 0 gives its ports back.
Nothing here allocates ports: `missing` says how many pairs an offer needs on each side, and the caller brings them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mediarelay.core.addresses import AddressPolicy, Side
from mediarelay.core.config import Address
from mediarelay.core.events import LegFigures
from mediarelay.core.flow import Drop, Flow, PlainFlow, RtcpFlow, RtpFlow
from mediarelay.core.learning import Learner
from mediarelay.sdp.description import Media, SessionDescription

__all__ = ["Leg", "Party", "Session", "TakePair"]

TakePair = Callable[[Side], Address]
"""Hands out one bound pair of a side: its address and RTP port."""


@dataclass(slots=True)
class Party:
    """One end of the call."""

    side: Side
    policy: AddressPolicy
    tag: str | None = None
    on_hold: bool = False


class Leg:
    """One party's end of one stream: two local ports and what was learned about the far ones."""

    def __init__(self, local: Address, media: Media, policy: AddressPolicy, drops: Counter[Drop]) -> None:
        self.learner = Learner(policy)
        self.rtp = self._media_flow(local, media, drops)
        self.rtcp = RtcpFlow((local[0], local[1] + 1), self.learner, drops, policy)

    def describe(self, media: Media, signalling: str | None, *, nat: bool) -> None:
        """Take over what the party's own description says about where it listens."""
        connection = media.connection
        address = connection.address if connection is not None and not connection.unspecified else None
        self.learner.describe((address, media.port) if address else None, signalling, nat=nat)
        if media.rtcp is not None and address:
            self.rtcp.describe((media.rtcp.address or address, media.rtcp.port))

    def join(self, other: Leg) -> None:
        """Let what comes in here leave there, and the other way round."""
        self.rtp.peer, other.rtp.peer = other.rtp, self.rtp
        self.rtcp.peer, other.rtcp.peer = other.rtcp, self.rtcp

    def flows(self) -> tuple[Flow, Flow]:
        """Return the RTP and the RTCP flow."""
        return self.rtp, self.rtcp

    def retype(self, media: Media) -> None:
        """Follow a stream that turns from voice to fax or back; ports, lock and counts stay."""
        old = self.rtp
        if media.is_rtp == isinstance(old, RtpFlow):
            return
        self.rtp = self._media_flow(old.local, media, old.drops)
        self.rtp.packets_in, self.rtp.bytes_in = old.packets_in, old.bytes_in
        self.rtp.packets_out, self.rtp.bytes_out = old.packets_out, old.bytes_out

    def _media_flow(self, local: Address, media: Media, drops: Counter[Drop]) -> RtpFlow | PlainFlow:
        if media.is_rtp:
            return RtpFlow(local, self.learner, drops, media.clock_rate)
        return PlainFlow(local, self.learner, drops)


@dataclass(slots=True)
class Session:
    """The parties and streams of one call id."""

    call_id: str
    parties: tuple[Party, Party]
    drops: Counter[Drop]
    touched_at: float
    """When a command last came; with the packets this is what the timeout looks at."""
    streams: dict[int, tuple[Leg, Leg]] = field(default_factory=dict)
    """Legs by index of the media section, in the order of `parties`."""
    payload_types: dict[int, frozenset[int]] = field(default_factory=dict)
    """What the last offer named, by index of the media section."""

    @property
    def on_hold(self) -> bool:
        """Whether silence is to be expected."""
        return any(party.on_hold for party in self.parties)

    @property
    def answered(self) -> bool:
        """Whether both parties are known."""
        return all(party.tag is not None for party in self.parties)

    def party_of(self, tag: str) -> int | None:
        """Return the index of the party with this tag, or None."""
        return next((index for index, party in enumerate(self.parties) if party.tag == tag), None)

    def missing(self, description: SessionDescription) -> list[Side]:
        """Return the side of each pair that an offer needs beyond those of the session."""
        wanted = [index for index, media in enumerate(description.media) if media.live and index not in self.streams]
        return [party.side for _ in wanted for party in self.parties]

    def offer(self, offerer: int, description: SessionDescription, signalling: str | None, *, nat: bool, take: TakePair) -> list[int]:
        """Take over an offer and return the RTP ports that its receiver is to see, 0 for dead streams."""
        for index, media in enumerate(description.media):
            self.payload_types[index] = media.payload_types
            if media.live and index not in self.streams:
                self._add_stream(index, media, take)
            elif media.live:
                self._retype_stream(index, media)
        return self._describe(offerer, description, signalling, nat=nat)

    def answer(self, answerer: int, description: SessionDescription, signalling: str | None, *, nat: bool) -> list[int]:
        """Take over an answer and return the RTP ports that the offerer is to see, 0 for dead streams."""
        for index, media in enumerate(description.media):
            legs = self.streams.get(index)
            if legs is not None:
                answered = media.payload_types & self.payload_types.get(index, frozenset())
                for leg in legs:
                    leg.learner.payload_types = answered
        return self._describe(answerer, description, signalling, nat=nat)

    def covers(self, description: SessionDescription) -> bool:
        """Tell whether every live stream of an answer was offered."""
        return all(index in self.streams for index, media in enumerate(description.media) if media.live)

    def drop_dead_streams(self, description: SessionDescription) -> list[tuple[Leg, Leg]]:
        """Remove and return the streams that an answer refused or ended."""
        dead = [index for index, media in enumerate(description.media) if not media.live and index in self.streams]
        return [self.streams.pop(index) for index in dead]

    def legs(self, party: int) -> Iterator[Leg]:
        """Yield the legs of one party, in the order of the media sections."""
        return (self.streams[index][party] for index in sorted(self.streams))

    def flows(self) -> Iterator[Flow]:
        """Yield every flow."""
        return (flow for legs in self.streams.values() for leg in legs for flow in leg.flows())

    def last_activity(self) -> float:
        """Return when a command or an accepted packet last came."""
        packets = (max(leg.learner.last_at, leg.rtcp.last_at) for legs in self.streams.values() for leg in legs)
        return max(self.touched_at, max(packets, default=0.0))

    def figures(self) -> tuple[LegFigures, ...]:
        """Return what both parties' legs have seen."""
        return tuple(_figures(party.side, list(self.legs(index))) for index, party in enumerate(self.parties))

    def _add_stream(self, index: int, media: Media, take: TakePair) -> None:
        first, second = (Leg(take(party.side), media, party.policy, self.drops) for party in self.parties)
        first.join(second)
        self.streams[index] = (first, second)

    def _retype_stream(self, index: int, media: Media) -> None:
        first, second = self.streams[index]
        first.retype(media)
        second.retype(media)
        first.join(second)

    def _describe(self, speaker: int, description: SessionDescription, signalling: str | None, *, nat: bool) -> list[int]:
        party = self.parties[speaker]
        live = [media for media in description.media if media.live]
        party.on_hold = bool(live) and all(media.on_hold for media in live)
        ports = []
        for index, media in enumerate(description.media):
            legs = self.streams.get(index) if media.live else None
            if legs is not None:
                legs[speaker].describe(media, signalling, nat=nat)
            ports.append(legs[1 - speaker].rtp.local[1] if legs is not None else 0)
        return ports


def _figures(side: Side, legs: list[Leg]) -> LegFigures:
    media = [leg.rtp for leg in legs]
    rtp = [flow for flow in media if isinstance(flow, RtpFlow)]
    first = legs[0].learner if legs else None
    return LegFigures(
        side=side,
        packets_in=sum(flow.packets_in for flow in media),
        bytes_in=sum(flow.bytes_in for flow in media),
        packets_out=sum(flow.packets_out for flow in media),
        bytes_out=sum(flow.bytes_out for flow in media),
        lost=sum(flow.stats.lost for flow in rtp),
        jitter_ms=rtp[0].stats.jitter_ms if rtp else 0.0,
        payload_type=rtp[0].payload_type if rtp else None,
        advertised=_text(first.advertised if first else None),
        observed=_text(first.source if first else None),
    )


def _text(address: Address | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
