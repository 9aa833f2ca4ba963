"""CPU time of the whole machine, interrupts included, from /proc/stat (proc(5))."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench.signalling.processes import TICKS

# The positions of idle, iowait and steal in a line. The kernel measures them exactly; the busy fields beside them are
# sampled at timer ticks, which a sender that wakes up at even distances would fool.
_UNUSED = (4, 5, 8)


@dataclass(frozen=True, slots=True)
class CpuReading:
    """A moment: `at` in seconds, and the seconds since the start that all cores together did not work."""

    at: float
    cores: int
    unused: float

    @classmethod
    def parse(cls, text: str, at: float) -> CpuReading:
        """Read /proc/stat."""
        lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
        return cls(at, len(lines) - 1, sum(int(lines[0][field]) for field in _UNUSED) / TICKS)

    def busy_until(self, later: CpuReading) -> float:
        """Return the CPU seconds that were used until a later reading."""
        return self.cores * (later.at - self.at) - (later.unused - self.unused)


def read_cpu() -> CpuReading:
    """Return the reading of this moment."""
    return CpuReading.parse(Path("/proc/stat").read_text(), time.monotonic())
