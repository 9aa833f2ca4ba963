"""The table of the console's figures."""

from __future__ import annotations

from bench.console.report import lines


def figures(p50: float, p95: float) -> dict[str, float]:
    return {"p50_ms": p50, "p95_ms": p95, "cpu_ms": 1.4, "limit_ms": 300.0}


def test_each_page_stands_by_its_slowest_question() -> None:
    pages = {
        "calls, of a day": figures(10, 20),
        "calls, bound": figures(9, 30.6),
        "live": figures(5, 6),
        "live, live part": figures(1, 2),
        "live, live part, bound": figures(1, 3),
    }
    assert list(lines({"SQLite": pages, "PostgreSQL": {name: figures(7, 8) for name in pages}})) == [
        "| page | questions | SQLite: p50 / p95, CPU, ms | PostgreSQL: p50 / p95, CPU, ms |",
        "|---|---|---|---|",
        "| calls | 2 | 9 / 31, 1 | 7 / 8, 1 |",
        "| live | 1 | 5 / 6, 1 | 7 / 8, 1 |",
        "| live, live part | 2 | 1 / 3, 1 | 7 / 8, 1 |",
    ]
