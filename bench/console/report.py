"""The figures as a table of a document: each page by the question that took longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Figures = Mapping[str, float]
Pages = Mapping[str, Figures]
"""By the name of a question."""
LIVE = "live part"


def lines(ours: Mapping[str, Pages]) -> Iterator[str]:
    """Yield the lines of the table of what was measured, by database."""
    yield f"| page | questions | {' | '.join(f'{vendor}: p50 / p95, CPU, ms' for vendor in ours)} |"
    yield f"|---|---|{'---|' * len(ours)}"
    for page, names in _by_page(next(iter(ours.values()))).items():
        figures = " | ".join(_slowest([pages[name] for name in names]) for pages in ours.values())
        yield f"| {page} | {len(names)} | {figures} |"


def _by_page(pages: Pages) -> dict[str, list[str]]:
    """Return the names of questions by their page; parts that live are pages of their own."""
    found: dict[str, list[str]] = {}
    for name in pages:
        page = name.partition(",")[0]
        found.setdefault(f"{page}, {LIVE}" if LIVE in name else page, []).append(name)
    return found


def _slowest(asked: list[Figures]) -> str:
    worst = max(asked, key=lambda figures: figures["p95_ms"])
    return f"{worst['p50_ms']:.0f} / {worst['p95_ms']:.0f}, {worst['cpu_ms']:.0f}"
