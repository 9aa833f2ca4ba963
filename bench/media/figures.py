"""What is computed from the runs: cost, added cost, added delay, the rate to compare at; nothing here reads a clock or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.media.carriers import PLAIN
from bench.media.pacing import Delivery

# The rate of the comparison is at most this part of what plain forwarding carries, and of what each other carrier carries.
PLAIN_SHARE, WAY_SHARE = 0.8, 0.9
# A sender that sends less than this part of what it was asked for has not shown that the rate passes.
HELD_SHARE = 0.98
# If the host took more than this part of the cores during a run, the run's delays show how long packets wait for the host.
CALM_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class Run:
    """Packets from the caller to the engine, over a number of calls in turn, for a number of seconds."""

    calls: int
    asked: float
    seconds: float
    delivery: Delivery
    strays: int
    """Packets that came to a call that was not theirs, or changed."""
    cpu: float
    """CPU seconds of the whole machine, beyond what it uses when idle."""
    cpu_of: Mapping[str, float]
    """CPU seconds of the processes; what the kernel does for no process in particular is not included."""
    delay: Mapping[str, float]
    """Milliseconds from the caller's program to the engine's."""
    stolen: float = 0.0
    """The part of the cores' time that the host took for other guests."""

    @property
    def rate(self) -> float:
        """Packets actually sent per second."""
        return self.delivery.sent / self.seconds

    @property
    def held(self) -> bool:
        """Whether the caller could send at the rate it was asked for."""
        return self.rate >= HELD_SHARE * self.asked

    @property
    def complete(self) -> bool:
        """Whether each packet arrived once, unchanged, and nothing else did."""
        return not self.delivery.lost and not self.delivery.surplus and not self.strays

    @property
    def clean(self) -> bool:
        """Whether the rate passes."""
        return self.held and self.complete

    @property
    def calm(self) -> bool:
        """Whether the host left the cores to us."""
        return self.stolen <= CALM_SHARE

    @property
    def lost_share(self) -> float:
        """The part of the packets that did not arrive."""
        return self.delivery.lost / max(1, self.delivery.sent)

    def per_packet(self, cpu: float) -> float:
        """Return CPU seconds as microseconds for each packet delivered."""
        return cpu * 1e6 / self.delivery.received

    @property
    def cost(self) -> float:
        """CPU microseconds of the machine for each packet delivered."""
        return self.per_packet(self.cpu)


@dataclass(slots=True)
class Turn:
    """One carrier in one round: a run for each number of flows; some at half its highest rate, each paired with plain forwarding."""

    runs: dict[int, Run] = field(default_factory=dict)
    halves: list[tuple[Run, Run]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Limit:
    """The highest rate, in packets per second, that a carrier passed without loss, and what stopped it: loss, a queue or the sender."""

    rate: float
    by: str


def costs(turns: Sequence[Turn], flows: int) -> list[float]:
    """Return the cost of a packet in each round."""
    return [turn.runs[flows].cost for turn in turns]


def added(turns: Sequence[Turn], plain: Sequence[Turn], flows: int) -> list[float]:
    """Return what a carrier's packet costs above a plainly forwarded one, round by round."""
    return [mine - base for mine, base in zip(costs(turns, flows), costs(plain, flows), strict=True)]


def calm_halves(turns: Sequence[Turn]) -> list[tuple[Run, Run]]:
    """Return the pairs in which the host left the cores to us."""
    return [pair for turn in turns for pair in turn.halves if all(run.calm for run in pair)]


def added_delays(pairs: Sequence[tuple[Run, Run]], percentile: str) -> list[float]:
    """Return the milliseconds above plain forwarding at the same rate, pair by pair."""
    return [mine.delay[percentile] - plain.delay[percentile] for mine, plain in pairs]


def common_rate(cap: float, limits: Mapping[str, Limit]) -> tuple[int, str]:
    """Return the rate to compare at and what bounds it: the cap, plain forwarding, or the carrier with the lowest limit."""
    bounds = {name: (PLAIN_SHARE if name == PLAIN else WAY_SHARE) * limit.rate for name, limit in limits.items()} | {"cap": cap}
    bound = min(bounds, key=lambda name: bounds[name])
    return int(bounds[bound]), bound
