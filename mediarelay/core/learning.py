"""Learn where a peer's media really comes from (D8).

Theory of operation. A session description says where a peer wants its media; behind NAT that is not where its packets
come from. So the first well-formed packet from a plausible source takes the lock, and media goes where it came from.
Plausible sources have a rank: (1) the address and port of the SDP, (2) the address of the SDP, (3) the address that
the SIP request came from, (4) any public address, only if the application allows it and the SDP address is not
public, and only after ten consecutive packets of one SSRC with an answered payload type and no rival.

Within five seconds a better rank takes the lock over. After that nothing else is accepted, with one exception for NAT
bindings that expire: a new port at the locked address takes over once the old one has been silent for 200 ms and three
packets in sequence have come. A new address needs a new session description. Until there is a lock, media is sent only
where that cannot hurt a third party: to a trusted peer, or to an SDP address that is public and also the SIP source or
in a network that the application names. An address that an offer names earns no lock before the offer is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy, MediaRules

BETTER_RANK_SECONDS = 5.0
SILENCE_SECONDS = 0.2
TAKEOVER_PACKETS = 3
NAT_PACKETS = 10


class Rank(IntEnum):
    """How well a source fits what signalling said; lower is better."""

    EXACT = 1
    SDP_ADDRESS = 2
    SIP_SOURCE = 3
    NAT = 4


@dataclass(frozen=True, slots=True)
class Arrival:
    """What learning must know about one packet; only the source if the stream is not RTP."""

    source: Address
    ssrc: int = 0
    sequence: int | None = None
    payload_type: int = -1


class _Run:
    """Packets of one source in unbroken sequence."""

    __slots__ = ("count", "last")

    def __init__(self, first: Arrival) -> None:
        self.last = first
        self.count = 1

    def add(self, arrival: Arrival) -> bool:
        """Count `arrival` and return True if it continues the run."""
        last = self.last
        if arrival.source != last.source or arrival.ssrc != last.ssrc:
            return False
        if last.sequence is not None and arrival.sequence != (last.sequence + 1) & 0xFFFF:
            return False
        self.last = arrival
        self.count += 1
        return True


class Learner:
    """The endpoint of one stream of one peer: advertised, locked, and where to send; `on_change` is called when one of these changes."""

    __slots__ = (
        "_on_change",
        "_policy",
        "_rules",
        "_run",
        "advertised",
        "carried",
        "last_at",
        "locked_at",
        "nat",
        "payload_types",
        "proposed",
        "rank",
        "refused",
        "signalling",
        "source",
        "target",
    )

    def __init__(self, policy: AddressPolicy, on_change: Callable[[], None]) -> None:
        self._policy = policy
        self._rules = MediaRules()
        self._on_change = on_change
        self.signalling: str | None = None
        """The address that the SIP messages come from."""
        self.nat = False
        """Whether rank 4 can be earned."""
        self._run: _Run | None = None
        self.advertised: Address | None = None
        self.proposed: Address | None = None
        """Where the peer wants its media by an offer that has not been accepted yet."""
        self.payload_types: frozenset[int] = frozenset()
        self.source: Address | None = None
        self.target: Address | None = None
        self.rank: Rank | None = None
        self.locked_at = 0.0
        self.last_at = 0.0
        self.refused: Address | None = None
        """The source of the last well-formed packet that was not accepted."""
        self.carried = False
        """Whether the kernel forwards what the locked source sends: such packets are not seen here."""

    def follow(self, rules: MediaRules) -> None:
        """Apply other rules from now on; what has been learned stays."""
        self._rules = rules
        self._find_nat()

    def describe(self, advertised: Address | None, signalling: str | None) -> None:
        """Take over what a session description and its SIP message say.

        None means that nothing new was said: hold by 0.0.0.0, or no `received-from`. A change opens learning again;
        the old target stays in use until the new one is known.
        """
        advertised = advertised or self.advertised
        signalling = signalling or self.signalling
        if (advertised, signalling) == (self.advertised, self.signalling):
            return
        self.advertised, self.signalling = advertised, signalling
        self._find_nat()
        self.source = self.rank = self._run = None
        if advertised is not None and self._may_send_first(advertised):
            self.target = advertised
        self._on_change()

    @property
    def host(self) -> str | None:
        """The address that media comes from; until that is known, the one that the description names."""
        known = self.source or self.advertised
        return known[0] if known is not None else None

    def admit_rtcp(self, source: Address) -> bool:
        """Return whether RTCP is accepted that comes to the RTP port: from the lock, or before that from the described place.

        It proves the place as a packet of RTP would, so media may go there.
        """
        if source != (self.source or self.advertised) or not self._policy.permits(source):
            return False
        if self.target is None:
            self.target = source
            self._on_change()
        return True

    def admit(self, arrival: Arrival, now: float) -> bool:
        """Return whether a well-formed packet is accepted; takes or moves the lock as the rules say."""
        if arrival.source == self.source:
            return True
        rank = self._rank_of(arrival.source)
        if rank is None or arrival.source == self.proposed or not self._policy.permits(arrival.source):
            self.refused = arrival.source
            return False
        if self.rank is None:
            earned = rank is not Rank.NAT or self._earn_nat(arrival)
        elif rank < self.rank and now - self.locked_at <= BETTER_RANK_SECONDS:
            earned = True
        else:
            earned = self._earn_port(arrival, now)
        if earned:
            self._lock(arrival.source, rank, now)
        return earned

    def _earn_nat(self, arrival: Arrival) -> bool:
        if arrival.payload_type not in self.payload_types:
            return False
        return self._extend_run(arrival, NAT_PACKETS)

    def _earn_port(self, arrival: Arrival, now: float) -> bool:
        """Return whether a new port at the locked address has shown that it replaces the silent old one."""
        if self.source is None or arrival.source[0] != self.source[0]:
            return False
        if self.carried:
            # While the kernel forwards the old port's packets, its silence cannot be seen here.
            self._on_change()
            return False
        if now - self.last_at < SILENCE_SECONDS:
            self._run = None
            return False
        return self._extend_run(arrival, TAKEOVER_PACKETS)

    def _extend_run(self, arrival: Arrival, enough: int) -> bool:
        if self._run is None or not self._run.add(arrival):
            self._run = _Run(arrival)
        return self._run.count >= enough

    def _lock(self, source: Address, rank: Rank, now: float) -> None:
        self.source = self.target = source
        # A new port keeps the rank of its address, and the five seconds do not begin again.
        if self.rank is None:
            self.locked_at = now
        self.rank = rank
        self.last_at = now
        self._run = None
        self._on_change()

    def _may_send_first(self, advertised: Address) -> bool:
        if not self._policy.permits(advertised):
            return False
        return self._policy.trusted or advertised[0] == self.signalling or self._rules.trusts(advertised[0])

    def _find_nat(self) -> None:
        self.nat = self._rules.learn_nat and not (self.advertised is not None and self._policy.counts_as_public(self.advertised[0]))

    def _rank_of(self, source: Address) -> Rank | None:
        if source == self.advertised:
            return Rank.EXACT
        if self.advertised is not None and source[0] == self.advertised[0]:
            return Rank.SDP_ADDRESS
        if source[0] == self.signalling:
            return Rank.SIP_SOURCE
        return Rank.NAT if self.nat else None
