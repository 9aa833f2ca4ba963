"""What a receiver can say about a stream: loss and jitter (RFC 3550 appendices A.1, A.3 and A.8).

One object follows one flow. A new SSRC, or a jump that two packets in a row confirm, begins a new count; the loss of
the counts before it is kept.
"""

from __future__ import annotations

__all__ = ["ReceiveStats"]

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_NO_SEQUENCE = -1


class ReceiveStats:
    """Loss and jitter of one received stream; `clock_rate` is its timestamp units a second."""

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_lost_before",
        "_rate",
        "_received",
        "_received_prior",
        "_retry",
        "_transit",
        "received",
        "ssrc",
    )

    def __init__(self, clock_rate: int = 8000) -> None:
        self.ssrc: int | None = None
        self.received = 0
        self._rate = clock_rate
        self._lost_before = 0
        self._jitter = 0.0
        self._base = self._highest = self._cycles = 0
        self._received = self._received_prior = self._expected_prior = 0
        self._retry = _NO_SEQUENCE
        self._transit: int | None = None

    @property
    def jitter(self) -> int:
        """The interarrival jitter in timestamp units, as a report block carries it."""
        return int(self._jitter)

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter in milliseconds."""
        return self._jitter * 1000 / self._rate

    @property
    def highest_sequence(self) -> int:
        """The extended highest sequence number: 16 bits of cycles, 16 bits of sequence."""
        return (self._cycles + self._highest) & 0xFFFF_FFFF

    @property
    def lost(self) -> int:
        """Packets expected and not received since the beginning; duplicates do not make it negative."""
        return self._lost_before + self._lost_now()

    def fraction_lost(self) -> int:
        """Return the loss since the last call as a share of 256, and begin the next interval (A.3)."""
        expected = self._expected() - self._expected_prior
        received = self._received - self._received_prior
        self._expected_prior += expected
        self._received_prior += received
        lost = expected - received
        return min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0

    def update(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """Count one packet that arrived at `now` (monotonic seconds)."""
        self.received += 1
        if ssrc != self.ssrc:
            self._restart(ssrc, sequence)
        step = (sequence - self._highest) & 0xFFFF
        if step < _MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 0x10000
            self._highest = sequence
        elif step <= 0x10000 - _MAX_MISORDER:
            if sequence != self._retry:
                self._retry = (sequence + 1) & 0xFFFF
                self.received -= 1
                return
            self._restart(ssrc, sequence)
        self._received += 1
        transit = int(now * self._rate) - timestamp
        if self._transit is not None:
            step = (transit - self._transit) & 0xFFFF_FFFF
            if step >> 31:
                step = 0x1_0000_0000 - step
            self._jitter += (step - self._jitter) / 16
        self._transit = transit

    def _expected(self) -> int:
        return self._cycles + self._highest - self._base + 1 if self.ssrc is not None else 0

    def _lost_now(self) -> int:
        return max(0, self._expected() - self._received)

    def _restart(self, ssrc: int, sequence: int) -> None:
        self._lost_before += self._lost_now()
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._cycles = self._received = self._received_prior = self._expected_prior = 0
        self._retry = _NO_SEQUENCE
        self._transit = None
