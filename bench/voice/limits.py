"""What the calls may cost, and what must never happen: the one table of limits, and what was missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Spread = Mapping[str, float]
"""A figure's `median`, `min` and `max` over the rounds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a figure of some scenarios may be; `goal` is what we want beyond that."""

    scenarios: tuple[str, ...]
    figure: str
    most: float
    goal: float | None = None
    in_each_round: bool = False
    """Whether it holds for each round, instead of the median."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit, and what was found."""

    scenario: str
    limit: Limit
    found: float

    @property
    def kept(self) -> bool:
        """Whether the limit was kept; what is no number keeps none."""
        return self.found <= self.limit.most

    def __str__(self) -> str:
        goal = "" if self.limit.goal is None else f", goal {self.limit.goal:g}"
        words = f"{self.scenario}: {self.limit.figure.replace('_', ' ')} {self.found:.4g}, limit {self.limit.most:g}{goal}"
        return words if self.kept else f"{words}  MISSED"


_STREAMED = ("stream", "stream both")
_MEASURED = ("play", "record", "play and record", *_STREAMED, "play, encrypted")
_ALL = (*_MEASURED, "crowd", "besieged")
_RECORDED = ("record", "play and record")
LIMITS = (
    Limit(("play",), "cpu_percent", 0.2, goal=0.12),
    Limit(("record",), "cpu_percent", 0.25, goal=0.15),
    Limit(("stream",), "cpu_percent", 0.25),
    Limit(("play, encrypted",), "added_cpu_percent", 0.1),
    Limit(("webhook",), "overhead_ms", 3.0),
    Limit(_MEASURED, "pacing_p99_ms", 5.0),
    Limit(_MEASURED, "kb_a_call", 250.0),
    *(Limit(_ALL, figure, 0, in_each_round=True) for figure in ("lost", "gaps", "cut")),
    # Silence that could not be sent in time is never made up for, and "record" sends nothing else.
    Limit(tuple(name for name in _ALL if name != "record"), "skipped", 0, in_each_round=True),
    Limit(("play, encrypted",), "unencrypted", 0, in_each_round=True),
    *(Limit(_RECORDED, figure, 0, in_each_round=True) for figure in ("recordings_missing", "recorded_holes")),
    Limit(_STREAMED, "stream_drops", 0, in_each_round=True),
    Limit(_STREAMED, "unstreamed_percent", 1.0),
)


def judge(figures: Mapping[str, Mapping[str, Spread]]) -> Iterator[Verdict]:
    """Yield a verdict for each limit of each scenario that was measured."""
    for limit in LIMITS:
        for scenario in limit.scenarios:
            found = figures.get(scenario, {}).get(limit.figure)
            if found is not None:
                yield Verdict(scenario, limit, found["max" if limit.in_each_round else "median"])
