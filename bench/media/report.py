"""Put the measurements into one object and into a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.media.carriers import KERNEL, PEER, PLAIN, USERSPACE
from bench.media.figures import Limit, Run, Turn, added, added_delays, calm_halves, costs
from bench.media.measure import Plan
from bench.signalling.figures import pairwise_ratios, spread

Figures = dict[str, Any]
PLANES = {"kernel": KERNEL, "userspace": USERSPACE}
PERCENTILES = ("p50", "p99")


def figures(turns: Sequence[Turn], plain: Sequence[Turn], plan: Plan, limit: Limit | None) -> Figures:
    """Return a carrier's figures by name: CPU in microseconds for each packet, delays in milliseconds, rates in packets per second."""
    found: Figures = {}
    for flows in (plan.few, plan.many):
        found[f"{flows}_flows"] = _over_flows([turn.runs[flows] for turn in turns])
        if turns is not plain:
            found[f"{flows}_flows"]["added_cpu_us"] = spread(added(turns, plain, flows))
    if limit:
        found["highest_rate_without_loss"] = round(limit.rate)
        found["stopped_by"] = limit.by
    pairs = [pair for turn in turns for pair in turn.halves]
    if pairs:
        found["at_half_of_it"] = _at_half(pairs, calm_halves(turns))
    return found


def _at_half(pairs: Sequence[tuple[Run, Run]], calm: Sequence[tuple[Run, Run]]) -> Figures:
    """Return the delays of the calm pairs, if there are any, and those of all pairs."""
    kept = calm or pairs
    return {
        "rate": round(statistics.median(mine.rate for mine, _ in pairs)),
        "lost": sum(mine.delivery.lost for mine, _ in pairs),
        "pairs": len(pairs),
        "calm_pairs": len(calm),
        "delay_ms": {name: spread([mine.delay[name] for mine, _ in kept]) for name in PERCENTILES},
        "added_delay_ms": {name: spread(added_delays(kept, name)) for name in PERCENTILES},
        "added_delay_ms_of_all_pairs": {name: spread(added_delays(pairs, name)) for name in PERCENTILES},
    }


def _over_flows(runs: Sequence[Run]) -> Figures:
    return {
        "cpu_us": spread([run.cost for run in runs]),
        "cpu_us_of": {name: spread([run.per_packet(run.cpu_of[name]) for run in runs]) for name in runs[0].cpu_of},
        "rate": round(statistics.median(run.rate for run in runs)),
        "sent": sum(run.delivery.sent for run in runs),
        "lost": sum(run.delivery.lost for run in runs),
        "strays": sum(run.strays for run in runs),
        "delay_ms": {name: spread([run.delay[name] for run in runs]) for name in PERCENTILES},
    }


def ratios(turns: Mapping[str, Sequence[Turn]], plane: str, plan: Plan) -> Figures:
    """Return a plane's added CPU divided by rtpengine's, and its cost with many flows divided by that with few, and plain's."""
    found: Figures = {}
    plain, ours = turns[PLAIN], turns[PLANES[plane]]
    if PEER in turns:
        for flows, suffix in ((plan.few, ""), (plan.many, f"_{plan.many}_flows")):
            both = added(ours, plain, flows), added(turns[PEER], plain, flows)
            found[f"{plane}_cpu_per_packet{suffix}"] = spread(pairwise_ratios(*both))
    more = f"{plan.many}_to_{plan.few}_flows"
    found[f"{plane}_cost_{more}"] = spread(pairwise_ratios(costs(ours, plan.many), costs(ours, plan.few)))
    found[f"{plane}_plain_cost_{more}"] = spread(pairwise_ratios(costs(plain, plan.many), costs(plain, plan.few)))
    return found


def table(sides: Mapping[str, Figures], of_all: Figures) -> Iterator[str]:
    """Yield the lines of the table: a figure, then each carrier's median and its spread."""
    yield f"{'':40}" + "".join(f"{name:>26}" for name in sides)
    rows = [dict(_lines(side)) for side in sides.values()]
    for label in dict.fromkeys(label for row in rows for label in row):
        yield f"{label:40}" + "".join(f"{row.get(label, ''):>26}" for row in rows)
    for label, value in _lines(of_all):
        yield f"{label:40}{value:>26}"


def _lines(values: Figures, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield label and text of each figure, at any depth."""
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict) and "median" in value:
            yield label, f"{value['median']:.4g} ({value['min']:.4g}…{value['max']:.4g})"
        elif isinstance(value, dict):
            yield from _lines(value, f"{label}, ")
        else:
            yield label, str(value)
