"""Send and read RTCP for one stream: an SR or RR with the CNAME every five seconds (RFC 3550 section 6)."""

from __future__ import annotations

from mediarelay.rtp.rtcp import (
    CNAME,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_compound,
    ntp_from_seconds,
    parse_compound,
)
from mediarelay.rtp.stats import ReceiveStats

REPORT_SECONDS = 5.0
MAX_RTT_SECONDS = 10.0
_UNITS = 65_536
"""Units per second of the times in reports."""


class Reporter:
    """The RTCP side of a session; `due_at` is when the next report is due."""

    def __init__(self, ssrc: int, stats: ReceiveStats) -> None:
        self._ssrc = ssrc
        self._stats = stats
        self._reported_packets = 0
        self._last_sr: tuple[int, float] | None = None
        self.due_at: float | None = None
        self.rtt_ms: float | None = None
        """To the far end and back, by the last of its reports that tells."""

    def start(self, now: float) -> None:
        """Start the interval of reports."""
        self.due_at = now + REPORT_SECONDS

    def receive(self, data: bytes, now: float) -> None:
        """Take the far end's RTCP, and keep its last sender report; raises ValueError."""
        for packet in parse_compound(data):
            if isinstance(packet, SenderReport):
                self._last_sr = (_middle(packet.ntp), now)
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.blocks:
                    self._note_round_trip(block, now)

    def _note_round_trip(self, block: ReportBlock, now: float) -> None:
        """Take the round trip of a block that answers a sender report of ours (RFC 3550 section 6.4.1)."""
        if block.ssrc != self._ssrc or not block.last_sr:
            return
        since = _middle(ntp_from_seconds(now)) - block.last_sr - block.delay_since_last_sr
        seconds = ((since + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000) / _UNITS
        # Who rounds its delay up on a fast network seems to have answered before it was asked.
        if -1.0 <= seconds <= MAX_RTT_SECONDS:
            self.rtt_ms = max(0.0, 1000 * seconds)

    def handle_timer(self, now: float, rtp_timestamp: int, packets: int, octets: int) -> bytes | None:
        """Return the report that is due, or None."""
        if self.due_at is None or now < self.due_at:
            return None
        self.due_at += REPORT_SECONDS * (1 + (now - self.due_at) // REPORT_SECONDS)
        blocks = self._blocks(now)
        report: RtcpPacket = ReceiverReport(self._ssrc, blocks)
        if packets > self._reported_packets:
            self._reported_packets = packets
            report = SenderReport(self._ssrc, ntp_from_seconds(now), rtp_timestamp, packets & 0xFFFF_FFFF, octets & 0xFFFF_FFFF, blocks)
        name = b"%08x@sipuri" % self._ssrc
        return build_compound((report, SourceDescription(((self._ssrc, ((CNAME, name),)),))))

    def _blocks(self, now: float) -> tuple[ReportBlock, ...]:
        stats = self._stats
        if stats.ssrc is None:
            return ()
        last_sr, at = self._last_sr or (0, now)
        delay = int((now - at) * 65_536) & 0xFFFF_FFFF
        return (ReportBlock(stats.ssrc, stats.fraction_lost(), stats.lost, stats.highest_sequence, stats.jitter, last_sr, delay),)


def _middle(ntp: int) -> int:
    """Return the middle 32 bits of a 64-bit timestamp."""
    return ntp >> 16 & 0xFFFF_FFFF
