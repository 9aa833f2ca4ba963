"""Put RTP packets back into the order in which they were sent."""

from __future__ import annotations

from mediarelay.rtp.packet import RtpPacket

HELD_FRAMES = 3
"""Packets that wait for a missing one; with one more it is taken as lost."""
HELD_SECONDS = 0.06
MAX_STEP = 100
"""A larger step of the sequence number is taken as a restart of the sender."""


class ReorderBuffer:
    """The packets that came too early, held for at most three packets or 60 ms; duplicates and late packets are dropped."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._ssrc: int | None = None
        self._held: dict[int, RtpPacket] = {}
        self._held_until: float | None = None

    def push(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Add a packet and return those that are in order now."""
        if packet.ssrc != self._ssrc or self._next is None:
            return self._restart(packet)
        ahead = (packet.sequence - self._next) & 0xFFFF
        if not ahead and not self._held:
            self._next = (self._next + 1) & 0xFFFF
            return [packet]
        if ahead >= 0x10000 - MAX_STEP:
            return []
        if ahead > MAX_STEP:
            return self._restart(packet)
        self._held[packet.sequence] = packet
        if self._held_until is None:
            self._held_until = now + HELD_SECONDS
        return self._release() if len(self._held) <= HELD_FRAMES else self._skip()

    def get_timer(self) -> float | None:
        """Return when the wait for a missing packet ends, or None."""
        return self._held_until

    def handle_timer(self, now: float) -> list[RtpPacket]:
        """Return the packets whose wait for a missing one is over."""
        return self._skip() if self._held_until is not None and now >= self._held_until else []

    def _release(self) -> list[RtpPacket]:
        """Return the packets that are in order; the others remain held."""
        ready = []
        while self._next is not None and (packet := self._held.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        if not self._held:
            self._held_until = None
        return ready

    def _restart(self, packet: RtpPacket) -> list[RtpPacket]:
        before = [self._held[sequence] for sequence in sorted(self._held, key=self._distance)]
        self._held.clear()
        self._held_until = None
        self._ssrc, self._next = packet.ssrc, (packet.sequence + 1) & 0xFFFF
        return [*before, packet]

    def _skip(self) -> list[RtpPacket]:
        """Take the missing packets as lost, and continue with the earliest one held."""
        self._held_until = None
        self._next = min(self._held, key=self._distance, default=self._next)
        return self._release()

    def _distance(self, sequence: int) -> int:
        return (sequence - (self._next or 0)) & 0xFFFF
