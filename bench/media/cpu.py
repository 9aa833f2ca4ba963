"""CPU time of the whole machine, interrupts included, from /proc/stat (proc(5))."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench.signalling.processes import TICKS

# Positions in a line: steal, the time that the host took for other guests, and all time without work: idle, iowait, steal. The
# kernel measures these exactly; the busy fields beside them are sampled at timer ticks, which a sender that wakes up at even
# intervals would fool.
_STOLEN = 8
_UNUSED = (4, 5, _STOLEN)


@dataclass(frozen=True, slots=True)
class CpuReading:
    """A reading: `at` in seconds, and the seconds since boot that all cores together spent without work, stolen ones included."""

    at: float
    cores: int
    unused: float
    stolen: float

    @classmethod
    def parse(cls, text: str, at: float) -> CpuReading:
        """Read /proc/stat."""
        lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
        return cls(at, len(lines) - 1, sum(int(lines[0][field]) for field in _UNUSED) / TICKS, int(lines[0][_STOLEN]) / TICKS)

    def busy_until(self, later: CpuReading) -> float:
        """Return the CPU seconds used between this reading and a later one."""
        return self.cores * (later.at - self.at) - (later.unused - self.unused)

    def stolen_until(self, later: CpuReading) -> float:
        """Return the part of all cores' time that was stolen until a later reading."""
        return (later.stolen - self.stolen) / (self.cores * (later.at - self.at))


def read_cpu() -> CpuReading:
    """Return the current reading."""
    return CpuReading.parse(Path("/proc/stat").read_text(), time.monotonic())
