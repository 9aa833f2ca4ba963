"""The packet path: one object for each local port, and what it does with one datagram.

`receive` returns the flow through which the datagram leaves, or None if it is dropped; the shell then sends the same
octets from `flow.local` to `flow.target`. The common case, a plain RTP header from the locked source, is decided by
four comparisons. Everything else takes the slow path through `_inspect`.

Whether somebody speaks is looked at only while it matters (`listen`): silence that is sent to keep a stream alive is no
speech. The wish to look hides in the comparison of payload types, so it costs other packets nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from enum import StrEnum
from struct import Struct

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy
from mediarelay.core.learning import Arrival, Learner
from mediarelay.core.reports import Reports
from mediarelay.rtp.packet import Kind, classify, is_silence, is_well_formed
from mediarelay.rtp.stats import ReceiveStats

Buffer = bytes | bytearray | memoryview

RTCP_SILENCE_SECONDS = 10.0

_HEADER = Struct("!BBHII")
_NO_HEADER = (0, 0, 0, 0, 0)
_RTCP_HEADER = Struct("!BBH")
_ANY_TYPE = -1


class Drop(StrEnum):
    """Why a datagram was not relayed."""

    MALFORMED = "malformed"
    STUN = "stun"
    DTLS = "dtls"
    STRANGER = "stranger"
    """Neither from the locked source nor from one that could become it."""
    NO_TARGET = "no_target"
    """Nothing is known yet of where the far end listens."""
    LATE = "late"
    """For a port whose session has ended."""


_DROP_OF_KIND = {Kind.STUN: Drop.STUN, Kind.DTLS: Drop.DTLS, Kind.OTHER: Drop.MALFORMED}


class Flow(ABC):
    """One local port: counters, and the flow on the other side that it feeds."""

    __slots__ = ("bytes_in", "drops", "learner", "local", "packets_in", "packets_unsent", "peer", "rtcp_peer")

    def __init__(self, local: Address, learner: Learner, drops: Counter[Drop]) -> None:
        self.local = local
        self.learner = learner
        self.drops = drops
        self.peer: Flow | None = None
        self.rtcp_peer: Flow | None = None
        """The flow by which RTCP leaves that arrives at an RTP port."""
        self.packets_in = self.bytes_in = 0
        self.packets_unsent = 0
        """Packets dropped because the far end was not known yet; all other accepted ones have left at the other side."""

    @property
    def target(self) -> Address | None:
        """Where datagrams of this flow go."""
        return self.learner.target

    @abstractmethod
    def receive(self, data: Buffer, size: int, source: Address, now: float) -> Flow | None:
        """Judge the first `size` octets of `data`; return the flow to send them from, or None."""

    def receive_carried(self, packets: int, octets: int, since: float, now: float) -> None:
        """Count what the kernel has forwarded from this port between two moments."""
        self.packets_in += packets
        self.bytes_in += octets
        self.learner.last_at = now

    def _drop(self, reason: Drop) -> None:
        self.drops[reason] += 1

    def _pass(self, size: int) -> Flow | None:
        """Count an accepted datagram and choose the flow by which it leaves."""
        self.packets_in += 1
        self.bytes_in += size
        peer = self.peer
        if peer is None or peer.target is None:
            self._keep()
            return None
        return peer

    def _keep(self) -> None:
        self.packets_unsent += 1
        self._drop(Drop.NO_TARGET)


class RtpFlow(Flow):
    """An RTP port; RTCP that shares it (RFC 5761) is relayed, too."""

    __slots__ = ("_expected", "_listens", "is_dtls", "payload_type", "payload_types", "reports", "rtcp", "spoke_at", "stats")

    def __init__(self, local: Address, learner: Learner, drops: Counter[Drop], clock_rate: int, reports: Reports, *, is_dtls: bool) -> None:
        super().__init__(local, learner, drops)
        self.reports = reports
        self.stats = ReceiveStats(clock_rate)
        self.payload_type: int | None = None
        """The payload type of the last packet that was looked at."""
        self.payload_types: set[int] = set()
        """The payload types of all packets that were looked at."""
        self.spoke_at = 0.0
        """When a packet that was looked at last held something else than digital silence."""
        self._listens = False
        self._expected = _ANY_TYPE
        """The payload type of packets that need no look."""
        self.is_dtls = is_dtls
        """Whether the ends negotiate their keys here (RFC 5764): their DTLS handshake passes unchanged."""
        self.rtcp = 0
        """RTCP datagrams received on this port."""

    def receive(self, data: Buffer, size: int, source: Address, now: float) -> Flow | None:
        """Relay RTP from the locked source; see `Flow.receive`."""
        learner = self.learner
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data) if size >= 12 else _NO_HEADER
        if first != 0x80 or source != learner.source or 192 <= second <= 223:
            kind = self._inspect(data, size, source, now)
            if kind is None:
                return None
            if kind is Kind.RTCP:
                self.rtcp += 1
                self.reports.receive(bytes(data[:size]), now)
                return _towards(self.rtcp_peer)
            if kind is Kind.DTLS:
                return _towards(self.peer)
        learner.last_at = now
        if second & 0x7F != self._expected:
            self._look(data, size, second & 0x7F, now)
        self.stats.update(ssrc, sequence, timestamp, now)
        # The same as `_pass`, without a call.
        self.packets_in += 1
        self.bytes_in += size
        peer = self.peer
        if peer is None or peer.learner.target is None:
            self._keep()
            return None
        return peer

    def receive_carried(self, packets: int, octets: int, since: float, now: float) -> None:
        """Count it in the statistics, too; see `Flow.receive_carried`."""
        super().receive_carried(packets, octets, since, now)
        self.stats.count_carried(packets, since, now)

    def sample(self, packet: Buffer, now: float) -> None:
        """Look at a copy of a packet that the kernel has forwarded."""
        if len(packet) < 12:
            return
        _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
        self._note_packet(packet, len(packet), second & 0x7F, now)
        self.stats.sample(ssrc, sequence, timestamp, now)

    def listen(self) -> None:
        """Look at packets until one holds speech; `spoke_at` then tells when."""
        self._listens, self._expected = True, _ANY_TYPE

    def _look(self, data: Buffer, size: int, payload_type: int, now: float) -> None:
        self._note_packet(data, size, payload_type, now)
        self._listens = self._listens and self.spoke_at != now
        self._expected = _ANY_TYPE if self._listens else payload_type

    def _note_packet(self, data: Buffer, size: int, payload_type: int, now: float) -> None:
        self.payload_type = payload_type
        self.payload_types.add(payload_type)
        if not is_silence(data, size):
            self.spoke_at = now

    def _inspect(self, data: Buffer, size: int, source: Address, now: float) -> Kind | None:
        """Return the kind of an uncommon datagram that may pass; else drop it and return None."""
        kind = classify(data, size)
        if kind is Kind.RTP and is_well_formed(data, size):
            _, second, sequence, _, ssrc = _HEADER.unpack_from(data)
            if self.learner.admit(Arrival(source, ssrc, sequence, second & 0x7F), now):
                return kind
            self._drop(Drop.STRANGER)
        elif kind is Kind.RTCP and _is_rtcp(data, size):
            if self.learner.admit_rtcp(source):
                return kind
            self._drop(Drop.STRANGER)
        elif kind is Kind.DTLS and self.is_dtls:
            if self.learner.admit(Arrival(source), now):
                return kind
            self._drop(Drop.STRANGER)
        else:
            self._drop(_DROP_OF_KIND.get(kind, Drop.MALFORMED))
        return None


class PlainFlow(Flow):
    """A port of a stream that is not RTP, such as T.38 over UDPTL: sources are checked, contents are not."""

    __slots__ = ()

    def receive(self, data: Buffer, size: int, source: Address, now: float) -> Flow | None:
        """Relay what the locked source sends; see `Flow.receive`."""
        if not size or not self.learner.admit(Arrival(source), now):
            self._drop(Drop.STRANGER if size else Drop.MALFORMED)
            return None
        self.learner.last_at = now
        return self._pass(size)


class RtcpFlow(Flow):
    """The RTCP port beside an RTP port: it believes the address that RTP has locked, and before that the described one."""

    __slots__ = ("_policy", "advertised", "last_at", "reports", "source")

    def __init__(self, local: Address, learner: Learner, drops: Counter[Drop], policy: AddressPolicy, reports: Reports) -> None:
        super().__init__(local, learner, drops)
        self.reports = reports
        self._policy = policy
        self.source: Address | None = None
        """Where RTCP comes from."""
        self.last_at = 0.0
        self.advertised: Address | None = None
        """The address that `a=rtcp` names, if any."""

    @property
    def target(self) -> Address | None:
        """Where RTCP comes from; else the port that SDP names, at the address of the media; else the port above RTP's."""
        media = self.learner.target
        if media is None:
            return self.source if self.source is not None and self.source[0] == self.learner.host else None
        for known in (self.source, self.advertised):
            if known is not None and known[0] == media[0]:
                return known
        below = (media[0], media[1] + 1)
        return below if self._policy.permits(below) else None

    def describe(self, advertised: Address | None) -> None:
        """Take over the RTCP address of a session description."""
        self.advertised = advertised if advertised is not None and self._policy.permits(advertised) else None

    def receive(self, data: Buffer, size: int, source: Address, now: float) -> Flow | None:
        """Relay RTCP from the address that the media comes from; see `Flow.receive`."""
        if not _is_rtcp(data, size):
            kind = classify(data, size)
            self._drop(_DROP_OF_KIND.get(kind, Drop.MALFORMED))
            return None
        if not self._admit(source, now):
            self._drop(Drop.STRANGER)
            return None
        self.last_at = now
        self.reports.receive(bytes(data[:size]), now)
        return self._pass(size)

    def _admit(self, source: Address, now: float) -> bool:
        host, known = self.learner.host, self.source
        # Until a new description has led to a new lock, the old source still counts, as the old target does.
        is_old = source == known and self.learner.source is None
        if not (is_old or source[0] == host) or not self._policy.permits(source):
            return False
        if known is not None and known != source and known[0] == host and now - self.last_at < RTCP_SILENCE_SECONDS:
            return False
        self.source = source
        return True


def _towards(peer: Flow | None) -> Flow | None:
    return peer if peer is not None and peer.target is not None else None


def _is_rtcp(data: Buffer, size: int) -> bool:
    """Return whether the length of the first packet of a compound datagram fits it."""
    if size < 8 or classify(data, size) is not Kind.RTCP:
        return False
    words: int = _RTCP_HEADER.unpack_from(data)[2]
    return 4 + 4 * words <= size
