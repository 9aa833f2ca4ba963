"""Put the rounds into figures, ratios and a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.signalling.figures import pairwise_ratios, spread

Rounds = Mapping[str, Sequence[Mapping[str, float]]]
"""By what was measured, the figures of each round."""
PLAIN, ENCRYPTED = "play", "play, encrypted"
PEER_OF = {"play": "baresip", "play and record": "baresip, recording"}
"""What does the same as one of our scenarios."""
COLUMNS = {
    "calls": ("calls", "{:.0f}"),
    "cpu_percent": ("CPU a call, %", "{:.3f}"),
    "pacing_p99_ms": ("pacing p99, ms", "{:.2f}"),
    "longest_pause_ms": ("longest pause, ms", "{:.0f}"),
    "lost": ("lost", "{:.0f}"),
    "skipped": ("skipped", "{:.0f}"),
    "gaps": ("gaps", "{:.0f}"),
    "kb_a_call": ("kB a call", "{:.0f}"),
}
COUNTS = frozenset({"calls", "lost", "skipped", "gaps"})
WIDTH, FIRST_WIDTH = 23, 20


def figures(rounds: Rounds) -> dict[str, dict[str, dict[str, float]]]:
    """Return the spread of each figure over the rounds; what encryption adds is compared round by round."""
    found = {name: {figure: spread([each[figure] for each in of_one]) for figure in of_one[0]} for name, of_one in rounds.items()}
    if PLAIN in rounds and ENCRYPTED in rounds:
        both = zip(_cpu(rounds, ENCRYPTED), _cpu(rounds, PLAIN), strict=True)
        found[ENCRYPTED]["added_cpu_percent"] = spread([secret - plain for secret, plain in both])
    return found


def ratios(rounds: Rounds) -> dict[str, dict[str, float]]:
    """Return the CPU of our calls divided by the peer's, round by round."""
    pairs = {name: peer for name, peer in PEER_OF.items() if name in rounds and peer in rounds}
    return {name: spread(pairwise_ratios(_cpu(rounds, name), _cpu(rounds, peer))) for name, peer in pairs.items()}


def table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """Yield the lines of the table: one for each scenario, with medians and their spread."""
    yield f"{'':{FIRST_WIDTH}}" + "".join(f"{title:>{WIDTH}}" for title, _ in COLUMNS.values())
    for name, of_one in found.items():
        if "calls" in of_one:
            cells = (_cell(of_one[figure], figure) for figure in COLUMNS)
            yield f"{name:{FIRST_WIDTH}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def _cell(values: Mapping[str, float], figure: str) -> str:
    form = COLUMNS[figure][1]
    low, middle, high = (form.format(values[name]) for name in ("min", "median", "max"))
    return high if figure in COUNTS else f"{middle} ({low}…{high})"


def _cpu(rounds: Rounds, name: str) -> list[float]:
    return [each["cpu_percent"] for each in rounds[name]]
