"""One relayed call.

Theory of operation. A session has two parties: the one that made the first offer and the other. Each party lives on a
side of the relay and is known by its SIP tag, so that a later offer from either finds its place. A stream is one media
section: for each party it has a leg, which is a pair of local ports on that party's side. A party sends to its own leg;
what is accepted there leaves from the other party's leg. Hence the description that party A wrote, on its way to B,
gets the ports of B's legs, and what it said about A's address goes to the learner of A's leg.

The first offer acts at once, because there is nothing that it could disturb. Once there has been an answer, an offer
waits for its own, and until then all stays as it was agreed on.

Ports are given once per stream and kept by every later offer. A stream that an accepted description refuses gives its
ports back. Nothing here allocates ports: `missing` says how many pairs an offer needs on each side, and the caller
brings them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import chain

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy, MediaRules, Side
from mediarelay.core.flow import Drop, Flow, RtpFlow
from mediarelay.core.statement import PendingOffers, Statement
from mediarelay.core.stream import Leg, MediaProfile, Stream
from mediarelay.kernel.flow import Plane
from mediarelay.rtp.quality import mean_opinion_score
from mediarelay.sdp.rtcp_mux import MuxOffer
from voiceapps.rules.media_figures import MediaFigures

SCORED_PACKETS = 50
TakePair = Callable[[Side], Address]
"""Hands out one bound pair of a side: its address and RTP port."""


@dataclass(slots=True)
class Party:
    """One end of the call."""

    side: Side
    policy: AddressPolicy
    rules: MediaRules = MediaRules()
    tag: str | None = None
    label: str | None = None
    """A name that the client gave it, shown in `query`."""
    on_hold: bool = False
    listens_only: bool = False
    """Whether it has announced that it sends nothing (`recvonly` or `inactive`)."""


@dataclass(slots=True)
class Session:
    """The parties and streams of one call id."""

    call_id: str
    parties: tuple[Party, Party]
    drops: Counter[Drop]
    created_at: float
    on_change: Callable[[Session, Stream], None]
    """Called when something was learned about a stream."""
    touched_at: float = field(init=False)
    """When the last command came; the timeout looks at this and at the packets."""
    streams: dict[int, Stream] = field(default_factory=dict)
    """Streams by index of the media section; their legs are in the order of `parties`."""
    pending: PendingOffers = field(default_factory=PendingOffers)
    agreed: bool = False
    """Whether an offer has been answered."""
    delete_at: float | None = None
    """When the session ends, if a `delete` has asked for a delay."""
    branches: set[str] = field(default_factory=set)
    """Branches of the INVITE that share the session (`via-branch`)."""
    payload_types: dict[int, frozenset[int]] = field(default_factory=dict)
    """What the last offer named, by index of the media section."""
    _ended: list[Stream] = field(default_factory=list)
    """Streams that a description has ended and whose ports have not been given back yet."""

    def __post_init__(self) -> None:
        self.touched_at = self.created_at

    @property
    def on_hold(self) -> bool:
        """Whether silence is to be expected."""
        return any(party.on_hold for party in self.parties)

    @property
    def plane(self) -> Plane:
        """The plane that forwards: the kernel only if it carries every stream."""
        carried = bool(self.streams) and all(stream.plane is Plane.KERNEL for stream in self.streams.values())
        return Plane.KERNEL if carried else Plane.USERSPACE

    @property
    def answered(self) -> bool:
        """Whether both parties are known."""
        return all(party.tag is not None for party in self.parties)

    def party_of(self, tag: str) -> int | None:
        """Return the index of the party with this tag, or None."""
        known = next((index for index, party in enumerate(self.parties) if party.tag == tag), None)
        return known if known is not None else self.pending.party_of(tag)

    def set_rules(self, speaker: int, *, learn_nat: bool, sources: tuple[IPv4Network, ...]) -> None:
        """Take over what a party's command says of the one outside: the speaker, or else the other; what is not said stays."""
        outside = 1 - speaker if self.parties[speaker].policy.trusted else speaker
        party = self.parties[outside]
        party.rules = MediaRules(learn_nat or party.rules.learn_nat, sources or party.rules.sources)
        for stream in self.every_stream():
            stream.legs[outside].learner.follow(party.rules)

    def missing(self, said: Statement) -> list[Side]:
        """Return the side of each pair that an offer needs beyond those of the session."""
        wanted = [index for index, _ in said.streams if not self._has(index)]
        return [party.side for _ in wanted for party in self.parties]

    def offer(self, offerer: int, said: Statement, take: TakePair, now: float) -> bool:
        """Take an offer; return whether it waits for its answer before it acts."""
        first, second = self.parties
        for index, media in said.streams:
            if not self._has(index):
                self.pending.streams[index] = self._make_stream((take(first.side), take(second.side)), MediaProfile.of(media))
        self.pending.hold(offerer, said, now)
        if self.agreed:
            self._propose(offerer, said)
        else:
            self._accept(offerer)
        return self.agreed

    def add_stream(self, index: int, locals_: tuple[Address, Address], profile: MediaProfile) -> Stream:
        """Begin a stream whose ports are bound."""
        stream = self.streams[index] = self._make_stream(locals_, profile)
        return stream

    def answer(self, answerer: int, said: Statement) -> list[bool | None]:
        """Take an answer, and the offer that it accepts; return for each section whether the offerer is told of RTCP on the RTP port."""
        self._accept(1 - answerer)
        self.agreed = True
        party = self.parties[answerer]
        party.tag, party.label = said.tag or party.tag, said.label or party.label
        told: list[bool | None] = [None] * said.sections
        for index, media in said.streams:
            stream = self.streams.get(index)
            if stream is not None:
                for leg in stream.legs:
                    leg.learner.payload_types = media.payload_types & self.payload_types.get(index, frozenset())
                told[index] = stream.settle_mux(answerer, media.rtcp_mux) if media.is_rtp else None
        self._describe(answerer, said)
        return told

    def withdraw(self, offerer: int, branch: str | None) -> None:
        """Forget the pending offer of a party, if there is one: it was refused."""
        if self.pending.withdraw(offerer, branch):
            self._propose(offerer, None)

    def expire_offers(self, now: float) -> bool:
        """Count pending offers as refused that have waited too long; return whether there were any."""
        expired = self.pending.expire(now)
        for offerer in expired:
            self._propose(offerer, None)
        return bool(expired)

    def ended_streams(self) -> list[Stream]:
        """Return, once, the streams that are no longer needed; their ports can be given back."""
        ended, self._ended = self._ended, []
        return [*ended, *self.pending.unneeded()]

    def covers(self, said: Statement) -> bool:
        """Return whether an answer accepts a stream that was offered, or none at all."""
        return not said.streams or any(self._has(index) for index, _ in said.streams)

    def offered_ports(self, offerer: int, said: Statement) -> list[int]:
        """Return, for each section of an offer, the RTP port to show its receiver, 0 for refused streams."""
        return _ports(self.streams | self.pending.streams, 1 - offerer, said)

    def answered_ports(self, answerer: int, said: Statement) -> list[int]:
        """Return, for each section of an answer, the RTP port to show the offerer, 0 for refused streams."""
        return _ports(self.streams, 1 - answerer, said)

    def pairs(self) -> list[tuple[Side, int]]:
        """Return side and RTP port of every pair."""
        legs = ((party.side, leg) for stream in self.every_stream() for party, leg in zip(self.parties, stream.legs, strict=True))
        return [(side, leg.rtp.local[1]) for side, leg in legs]

    def legs(self, party: int) -> Iterator[Leg]:
        """Yield the legs of one party, in the order of the media sections."""
        return (self.streams[index].legs[party] for index in sorted(self.streams))

    def every_stream(self) -> Iterator[Stream]:
        """Yield every stream, those that are only offered included."""
        return chain(self.streams.values(), self.pending.streams.values())

    def flows(self) -> Iterator[Flow]:
        """Yield every flow."""
        return (flow for stream in self.every_stream() for flow in stream.flows())

    def was_active_after(self, moment: float) -> bool:
        """Return whether a command or an accepted packet has come since."""
        if self.touched_at > moment:
            return True
        for stream in self.streams.values():
            for leg in stream.legs:
                if leg.learner.last_at > moment or leg.reports.last_at > moment:
                    return True
        return False

    def figures(self) -> tuple[MediaFigures, ...]:
        """Return the media figures of both parties."""
        plane = self.plane
        legs = [list(self.legs(index)) for index in (0, 1)]
        return tuple(_figures(party.side, legs[index], legs[1 - index], plane) for index, party in enumerate(self.parties))

    def _has(self, index: int) -> bool:
        return index in self.streams or index in self.pending.streams

    def _make_stream(self, locals_: tuple[Address, Address], profile: MediaProfile) -> Stream:
        first, second = self.parties
        stream = Stream(self.call_id, locals_, profile, (first.policy, second.policy), self.drops, self._stream_changed)
        for party, leg in zip(self.parties, stream.legs, strict=True):
            leg.learner.follow(party.rules)
        return stream

    def _stream_changed(self, stream: Stream) -> None:
        self.on_change(self, stream)

    def _propose(self, offerer: int, said: Statement | None) -> None:
        """Remember which places a party's pending offer names, if it has one: they earn no lock yet."""
        places = {index: said.place_of(media) for index, media in said.streams} if said is not None else {}
        for index, stream in self.streams.items():
            learner = stream.legs[offerer].learner
            place = places.get(index)
            learner.proposed = place if place != learner.advertised else None

    def _accept(self, offerer: int) -> None:
        """Apply the pending offer of a party, if there is one."""
        said = self.pending.take(offerer)
        if said is None:
            return
        self._propose(offerer, None)
        party = self.parties[offerer]
        party.tag, party.label = said.tag or party.tag, said.label or party.label
        for index, media in said.streams:
            self.payload_types[index] = media.payload_types
            stream = self.pending.streams.pop(index, None) or self.streams.get(index)
            if stream is not None:
                self.streams[index] = stream
                stream.retype(MediaProfile.of(media))
                stream.mux = MuxOffer.of(media.rtcp_mux, said.rtcp_mux)
        self._describe(offerer, said)

    def _describe(self, speaker: int, said: Statement) -> None:
        """Take over what a party says of itself; the streams that it refuses end."""
        party = self.parties[speaker]
        party.on_hold = bool(said.streams) and all(media.on_hold for _, media in said.streams)
        party.listens_only = bool(said.streams) and all(media.direction in ("recvonly", "inactive") for _, media in said.streams)
        for index, media in said.streams:
            if index in self.streams:
                self.streams[index].legs[speaker].describe(media, said.place_of(media), said.signalling)
        self._ended += [self.streams.pop(index) for index in list(self.streams) if said.refuses(index)]


def _ports(streams: dict[int, Stream], receiver: int, said: Statement) -> list[int]:
    ports = [0] * said.sections
    for index, _ in said.streams:
        if index in streams:
            ports[index] = streams[index].legs[receiver].rtp.local[1]
    return ports


def _score(leg: Leg) -> float | None:
    """Return the MOS of what a leg receives, or None for the first second of packets."""
    rtp = leg.rtp
    if not isinstance(rtp, RtpFlow) or rtp.packets_in < SCORED_PACKETS:
        return None
    lost = rtp.stats.lost
    return mean_opinion_score(100 * lost / (lost + rtp.packets_in), rtp.stats.jitter_ms, leg.reports.rtt_ms or 0.0)


def _figures(side: Side, legs: list[Leg], others: list[Leg], plane: Plane) -> MediaFigures:
    media, from_others = [leg.rtp for leg in legs], [leg.rtp for leg in others]
    rtp = [flow for flow in media if isinstance(flow, RtpFlow)]
    first = legs[0].learner if legs else None
    return MediaFigures(
        side=side.value,
        packets_in=sum(flow.packets_in for flow in media),
        bytes_in=sum(flow.bytes_in for flow in media),
        packets_out=sum(flow.packets_in - flow.packets_unsent for flow in from_others),
        lost=sum(flow.stats.lost for flow in rtp),
        jitter_ms=rtp[0].stats.jitter_ms if rtp else 0.0,
        rtt_ms=legs[0].reports.rtt_ms if legs else None,
        mos=_score(legs[0]) if legs else None,
        ssrc_changes=sum(flow.stats.ssrc_changes for flow in rtp),
        payload_type=rtp[0].payload_type if rtp else None,
        plane=plane.value,
        advertised=_text(first.advertised if first else None),
        observed=_text(first.source if first else None),
    )


def _text(address: Address | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
