"""What the RTCP that passes through says of a call: round trips, and how one party hears the other (RFC 3550 section 6.4).

The relay is in the middle. The time between a sender report that went to a party and the report block by which that
party answers it, less the delay that the party states, is the round trip from the relay to the party.
"""

from __future__ import annotations

from collections import OrderedDict

from mediarelay.rtp.quality import QualityLog, mean_opinion_score
from mediarelay.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, parse_compound

MAX_SENDER_REPORTS = 8
"""Sender reports that wait for their answers; they come every few seconds."""
MAX_RTT_SECONDS = 10.0
_UNITS = 65_536
"""Units per second of the times in reports."""


class Reports:
    """What one party has reported; `clock_rate` is that of the stream that it hears."""

    __slots__ = ("_sent", "clock_rate", "encrypted", "jitter_ms", "last_at", "lost", "peer", "quality", "rtt_ms")

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.peer: Reports | None = None
        self.encrypted = False
        """Whether this party's reports are for the other one's eyes, if that one has keys, too."""
        self.last_at = 0.0
        """When RTCP last came from this party, at either port."""
        self.rtt_ms: float | None = None
        """The round trip to this party by its last report."""
        self.lost: int | None = None
        """The packets that it reports as lost since the beginning."""
        self.jitter_ms = 0.0
        self.quality = QualityLog()
        """How the other party sounds to this one."""
        self._sent: OrderedDict[int, float] = OrderedDict()

    def receive(self, datagram: bytes, now: float) -> None:
        """Read RTCP that this party has sent; what is in datagrams that cannot be read is ignored."""
        self.last_at = now
        if self.encrypted and self.peer is not None and self.peer.encrypted:
            return
        try:
            packets = parse_compound(datagram)
        except ValueError:
            return
        for packet in packets:
            if isinstance(packet, SenderReport) and self.peer is not None:
                self.peer._note_sender_report(packet.ntp >> 16 & 0xFFFF_FFFF, now)
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.blocks:
                    self._note_block(block, now)

    def _note_sender_report(self, middle: int, now: float) -> None:
        self._sent[middle] = now
        while len(self._sent) > MAX_SENDER_REPORTS:
            self._sent.popitem(last=False)

    def _note_block(self, block: ReportBlock, now: float) -> None:
        sent_at = self._sent.get(block.last_sr) if block.last_sr else None
        if sent_at is not None:
            seconds = now - sent_at - block.delay_since_last_sr / _UNITS
            # A party that states an impossible delay has no round trip.
            if 0 <= seconds <= MAX_RTT_SECONDS:
                self.rtt_ms = 1000 * seconds
        self.lost = max(0, block.packets_lost)
        self.jitter_ms = 1000 * block.jitter / self.clock_rate
        self.quality.add(mean_opinion_score(100 * block.fraction_lost / 256, self.jitter_ms, self.rtt_ms or 0.0))
