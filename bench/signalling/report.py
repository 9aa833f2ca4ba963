"""Put the measurements into one object and into a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.signalling.figures import pairwise_ratios, percentiles, spread
from bench.signalling.load import Outcome, Plan
from bench.signalling.measure import Round

Figures = dict[str, Any]


@dataclass(slots=True)
class Side:
    """All measurements of one stack."""

    rounds: list[Round]
    idle: dict[str, float]
    memory: dict[str, float]
    rows: int
    knees: list[int] = field(default_factory=list)
    half_knee: tuple[Plan, Outcome] | None = None
    extra: Figures = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Calls of the rounds."""
        return sum(turn.outcome.calls for turn in self.rounds)

    def figures(self) -> Figures:
        """Return the figures by name; times in milliseconds (a set-up with its ringing), memory in MiB, idle CPU in per cent of a core."""
        parts = {name: spread([turn.parts[name] for turn in self.rounds]) for name in self.rounds[0].parts}
        figures: Figures = {
            "cpu_ms_per_call": spread([turn.cpu for turn in self.rounds]),
            "cpu_ms_per_call_of": parts,
            "set_up_ms": _times([turn.outcome.setup for turn in self.rounds]),
            "challenge_ms": _times([turn.outcome.challenge for turn in self.rounds]),
            "idle_cpu_percent": {name: round(self.idle[name] * 100, 2) for name in parts},
            "memory_mib": {name: round(value, 1) for name, value in self.memory.items()} | {"all": round(sum(self.memory.values()), 1)},
            "calls": self.calls,
            "rows": self.rows,
            "failed": sum(turn.outcome.failed for turn in self.rounds),
            "retransmissions": sum(turn.outcome.retransmissions for turn in self.rounds),
            "sipp_cpu_ms_per_call": spread([turn.outcome.sipp_cpu * 1000 / turn.outcome.calls for turn in self.rounds]),
        }
        if self.knees:
            figures["knee"] = spread(self.knees)
        if self.half_knee:
            plan, outcome = self.half_knee
            times = {"challenge_ms": percentiles(outcome.challenge), "set_up_ms": percentiles(outcome.setup)}
            figures["at_half_the_knee"] = {"rate": plan.rate, **times}
        return figures | self.extra


def _times(rounds: Sequence[Sequence[float]]) -> Figures:
    """Return the spread over the rounds of each percentile."""
    each = [percentiles(values) for values in rounds]
    return {name: spread([values[name] for values in each]) for name in each[0]}


def ratios(ours: Side, peer: Side) -> Figures:
    """Return ours divided by the peer's, pair by pair."""
    found = {"cpu_per_call": spread(pairwise_ratios([turn.cpu for turn in ours.rounds], [turn.cpu for turn in peer.rounds]))}
    if ours.knees and peer.knees:
        found["knee"] = spread(pairwise_ratios(ours.knees, peer.knees))
    return found


def table(sides: Mapping[str, Figures], of_both: Figures) -> Iterator[str]:
    """Yield the lines of the table: a figure, then each side's median and its spread."""
    yield f"{'':36}" + "".join(f"{name:>30}" for name in sides)
    rows = [dict(_lines(figures)) for figures in sides.values()]
    for label in dict.fromkeys(label for row in rows for label in row):
        yield f"{label:36}" + "".join(f"{row.get(label, ''):>30}" for row in rows)
    for label, ratio in _lines(of_both):
        yield f"ours / peer: {label:23}{ratio:>30}"


def _lines(figures: Figures, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield label and text of each figure, at any depth."""
    for name, value in figures.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict) and "median" in value:
            yield label, f"{value['median']:g} ({value['min']:g}…{value['max']:g})"
        elif isinstance(value, dict):
            yield from _lines(value, f"{label}, ")
        else:
            yield label, f"{value:g}"
