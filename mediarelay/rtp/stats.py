"""What a receiver can say about a stream: loss and jitter (RFC 3550 appendices A.1, A.3 and A.8).

One object follows one flow. A new SSRC, or a jump that two packets in a row confirm, begins a new count; the loss of
earlier counts is kept.

If the kernel forwards a flow, only samples of its packets come here, and now and then the number of packets. A sample's
sequence number shows how many packets had been sent by then; how many had arrived is interpolated between the two
counts around it. So the loss of such a flow may be off by a packet or two at any moment, and by no more after an hour.
"""

from __future__ import annotations

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_NO_SEQUENCE = -1
_STATE = (
    "ssrc",
    "ssrc_changes",
    "_received_before",
    "_lost_before",
    "_jitter",
    "_base",
    "_highest",
    "_cycles",
    "_received",
    "_carried_lost",
)


class ReceiveStats:
    """Loss and jitter of one received stream; `clock_rate` is its timestamp units a second."""

    __slots__ = (
        "_base",
        "_carried_lost",
        "_cycles",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_lost_before",
        "_rate",
        "_received",
        "_received_before",
        "_received_prior",
        "_retry",
        "_sampled",
        "_transit",
        "ssrc",
        "ssrc_changes",
    )

    def __init__(self, clock_rate: int = 8000) -> None:
        self.ssrc: int | None = None
        self.ssrc_changes = 0
        """How often another source has taken the place of the last one."""
        self._rate = clock_rate
        self._lost_before = 0
        self._jitter = 0.0
        self._base = self._highest = self._cycles = 0
        self._received = self._received_prior = self._expected_prior = self._received_before = 0
        self._retry = _NO_SEQUENCE
        self._transit: int | None = None
        self._sampled: tuple[float, int] | None = None
        self._carried_lost: int | None = None

    @property
    def received(self) -> int:
        """Packets since the beginning."""
        return self._received_before + self._received

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
        return self._lost_before + (self._lost_now() if self._carried_lost is None else self._carried_lost)

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
        self._carried_lost = None
        if ssrc != self.ssrc:
            self._restart(ssrc, sequence)
        elif sequence == self._highest + 1:
            # Nearly all packets: the next in order.
            self._highest = sequence
        elif not self._advance(sequence):
            return
        self._received += 1
        # The same as `_measure`, without a call.
        transit = int(now * self._rate) - timestamp
        if self._transit is not None:
            step = (transit - self._transit) & 0xFFFF_FFFF
            self._jitter += ((step if step < 0x8000_0000 else 0x1_0000_0000 - step) - self._jitter) / 16
        self._transit = transit

    def sample(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """Take one of many packets as a sample; `count_carried` counts it."""
        if ssrc != self.ssrc:
            self._restart(ssrc, sequence)
        if self._advance(sequence):
            self._measure(timestamp, now)
            self._sampled = now, self._expected()

    def count_carried(self, packets: int, since: float, now: float) -> None:
        """Count packets that came between two moments, of which at most samples were seen."""
        if self._sampled is not None and since <= self._sampled[0] <= now:
            at, expected = self._sampled
            come = self._received + packets * (at - since) / (now - since) if now > since else self._received
            self._carried_lost = max(0, round(expected - come))
        self._received += packets

    def state(self) -> list[float | int | None]:
        """Return what `resume` needs, as numbers."""
        return [getattr(self, name) for name in _STATE]

    def resume(self, state: list[float | int | None]) -> None:
        """Go on from a state that `state` has returned."""
        for name, value in zip(_STATE, state, strict=True):
            setattr(self, name, value)

    def _advance(self, sequence: int) -> bool:
        """Follow the sequence number; return False if it jumps and a second packet has to confirm that."""
        step = (sequence - self._highest) & 0xFFFF
        if step < _MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 0x10000
            self._highest = sequence
        elif step <= 0x10000 - _MAX_MISORDER:
            if sequence != self._retry:
                self._retry = (sequence + 1) & 0xFFFF
                return False
            self._restart(self.ssrc, sequence)
        return True

    def _measure(self, timestamp: int, now: float) -> None:
        """Update the jitter (A.8)."""
        transit = int(now * self._rate) - timestamp
        if self._transit is not None:
            step = (transit - self._transit) & 0xFFFF_FFFF
            self._jitter += ((step if step < 0x8000_0000 else 0x1_0000_0000 - step) - self._jitter) / 16
        self._transit = transit

    def _expected(self) -> int:
        return self._cycles + self._highest - self._base + 1 if self.ssrc is not None else 0

    def _lost_now(self) -> int:
        return max(0, self._expected() - self._received)

    def _restart(self, ssrc: int | None, sequence: int) -> None:
        self._lost_before += self._lost_now() if self._carried_lost is None else self._carried_lost
        self._carried_lost = None
        self.ssrc_changes += self.ssrc is not None and ssrc != self.ssrc
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._received_before += self._received
        self._cycles = self._received = self._received_prior = self._expected_prior = 0
        self._retry = _NO_SEQUENCE
        self._transit = None
