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

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy, Side
from mediarelay.core.flow import Drop, Flow, RtpFlow
from mediarelay.core.stream import Leg, MediaProfile, MuxOffer, Stream
from mediarelay.kernel.flow import Plane
from mediarelay.rtp.quality import mean_opinion_score
from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rtcp_mux import RtcpMux
from voiceapps.rules.media_figures import MediaFigures

SCORED_PACKETS = 50
TakePair = Callable[[Side], Address]
"""Hands out one bound pair of a side: its address and RTP port."""


@dataclass(slots=True)
class Party:
    """One end of the call."""

    side: Side
    policy: AddressPolicy
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
    touched_at: float
    """When the last command came; the timeout looks at this and at the packets."""
    on_change: Callable[[Session, Stream], None]
    """Called when something was learned about a stream."""
    streams: dict[int, Stream] = field(default_factory=dict)
    """Streams by index of the media section; their legs are in the order of `parties`."""
    delete_at: float | None = None
    """When the session ends, if a `delete` has asked for a delay."""
    branches: set[str] = field(default_factory=set)
    """Branches of the INVITE that share the session (`via-branch`)."""
    payload_types: dict[int, frozenset[int]] = field(default_factory=dict)
    """What the last offer named, by index of the media section."""

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
        return next((index for index, party in enumerate(self.parties) if party.tag == tag), None)

    def missing(self, description: SessionDescription) -> list[Side]:
        """Return the side of each pair that an offer needs beyond those of the session."""
        wanted = [index for index, media in enumerate(description.media) if media.live and index not in self.streams]
        return [party.side for _ in wanted for party in self.parties]

    def offer(
        self, offerer: int, description: SessionDescription, signalling: str | None, *, nat: bool, sip_source: bool, take: TakePair
    ) -> list[int]:
        """Take over an offer; return the RTP ports to show its receiver, 0 for dead streams."""
        first, second = self.parties
        for index, media in enumerate(description.media):
            self.payload_types[index] = media.payload_types
            if media.live and index not in self.streams:
                self.add_stream(index, (take(first.side), take(second.side)), MediaProfile.of(media))
            elif media.live:
                self.streams[index].retype(MediaProfile.of(media))
        return self._describe(offerer, description, signalling, nat=nat, sip_source=sip_source)

    def add_stream(self, index: int, locals_: tuple[Address, Address], profile: MediaProfile) -> Stream:
        """Begin a stream whose ports are bound."""
        first, second = self.parties
        stream = Stream(self.call_id, locals_, profile, (first.policy, second.policy), self.drops, self._stream_changed)
        self.streams[index] = stream
        return stream

    def answer(self, answerer: int, description: SessionDescription, signalling: str | None, *, nat: bool, sip_source: bool) -> list[int]:
        """Take over an answer; return the RTP ports to show the offerer, 0 for dead streams."""
        for index, media in enumerate(description.media):
            stream = self.streams.get(index)
            if stream is not None:
                answered = media.payload_types & self.payload_types.get(index, frozenset())
                for leg in stream.legs:
                    leg.learner.payload_types = answered
        return self._describe(answerer, description, signalling, nat=nat, sip_source=sip_source)

    def covers(self, description: SessionDescription) -> bool:
        """Return whether every live stream of an answer was offered."""
        return all(index in self.streams for index, media in enumerate(description.media) if media.live)

    def offer_mux(self, description: SessionDescription, wishes: frozenset[RtcpMux]) -> list[bool | None]:
        """Take over what an offer says of rtcp-mux (RFC 5761); return, for each section, whether to show it to the receiver.

        None leaves the section as it came.
        """
        shown: list[bool | None] = []
        for index, media in enumerate(description.media):
            stream = self.streams.get(index)
            if stream is None or not media.is_rtp:
                shown.append(None)
                continue
            stream.mux = MuxOffer.of(media.rtcp_mux, wishes)
            shown.append(stream.mux.shown)
        return shown

    def settle_mux(self, answerer: int, description: SessionDescription) -> list[bool | None]:
        """Take over what an answer says of rtcp-mux; return, for each section, whether to show it to the offerer."""
        shown: list[bool | None] = []
        for index, media in enumerate(description.media):
            stream = self.streams.get(index)
            shown.append(stream.settle_mux(answerer, media.rtcp_mux) if stream is not None and media.is_rtp else None)
        return shown

    def pairs(self) -> list[tuple[Side, int]]:
        """Return side and RTP port of every pair."""
        legs = ((party.side, leg) for stream in self.streams.values() for party, leg in zip(self.parties, stream.legs, strict=True))
        return [(side, leg.rtp.local[1]) for side, leg in legs]

    def drop_dead_streams(self, description: SessionDescription) -> list[Stream]:
        """Remove and return the streams that an answer refused or ended."""
        dead = [index for index, media in enumerate(description.media) if not media.live and index in self.streams]
        return [self.streams.pop(index) for index in dead]

    def legs(self, party: int) -> Iterator[Leg]:
        """Yield the legs of one party, in the order of the media sections."""
        return (self.streams[index].legs[party] for index in sorted(self.streams))

    def flows(self) -> Iterator[Flow]:
        """Yield every flow."""
        return (flow for stream in self.streams.values() for flow in stream.flows())

    def was_active_after(self, moment: float) -> bool:
        """Return whether a command or an accepted packet has come since."""
        if self.touched_at > moment:
            return True
        for stream in self.streams.values():
            for leg in stream.legs:
                if leg.learner.last_at > moment or leg.rtcp.last_at > moment:
                    return True
        return False

    def figures(self) -> tuple[MediaFigures, ...]:
        """Return the media figures of both parties."""
        plane = self.plane
        legs = [list(self.legs(index)) for index in (0, 1)]
        return tuple(_figures(party.side, legs[index], legs[1 - index], plane) for index, party in enumerate(self.parties))

    def _stream_changed(self, stream: Stream) -> None:
        self.on_change(self, stream)

    def _describe(self, speaker: int, description: SessionDescription, signalling: str | None, *, nat: bool, sip_source: bool) -> list[int]:
        party = self.parties[speaker]
        live = [media for media in description.media if media.live]
        party.on_hold = bool(live) and all(media.on_hold for media in live)
        party.listens_only = bool(live) and all(media.direction in ("recvonly", "inactive") for media in live)
        ports = []
        for index, media in enumerate(description.media):
            stream = self.streams.get(index) if media.live else None
            if stream is not None:
                stream.legs[speaker].describe(media, signalling, nat=nat, sip_source=sip_source)
            ports.append(stream.legs[1 - speaker].rtp.local[1] if stream is not None else 0)
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
