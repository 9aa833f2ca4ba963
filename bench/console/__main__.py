"""`python -m bench.console`: every page of the console where there are a million calls, on SQLite and on PostgreSQL.

Each page is asked of the real web role by an operator who has logged in; live parts are asked as the page asks them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.console import report
from bench.console.operator import Browser, Taken
from bench.console.questions import ADMIN, BOUND, VIEWER, Question, questions
from bench.machine import machine
from bench.program import say
from bench.signalling.figures import percentile
from tests.support.fleet import ROOT, Fleet
from tests.support.postgres_server import PostgresServer

RESULT = Path(__file__).parent.parent / "results" / "console.json"
CALLS, EVENTS, DELIVERIES = 1_000_000, 10_000_000, 1_000_000
PAGE_LIMIT_MS, LIVE_LIMIT_MS = 300.0, 20.0
TURNS = 20
VENDORS = ("SQLite", "PostgreSQL")
PASSWORD = "operator"  # noqa: S105  # of a database that is thrown away
Figures = dict[str, float]


@contextmanager
def environment(vendor: str) -> Iterator[dict[str, str]]:
    """Start what a database needs, and give the setting that names it."""
    if vendor == "SQLite":
        yield {}
        return
    server = PostgresServer()
    server.start()
    try:
        yield {"SIPURI_DATABASE_URL": server.url}
    finally:
        server.stop()
        server.remove()


def run(vendor: str, sizes: tuple[int, int, int]) -> dict[str, Figures]:
    """Fill a database, ask for every page, and return the figures of each."""
    with tempfile.TemporaryDirectory(prefix="sipuri-bench-") as directory, environment(vendor) as settings:
        fleet = Fleet(Path(directory) / "state", ("web",), environment=settings)
        fleet.prepare()
        subprocess.run([sys.executable, "-m", "bench.console.rows", *map(str, sizes)], cwd=ROOT, env=fleet.env, check=True)  # noqa: S603  # our own program
        try:
            fleet.spawn("web")
            fleet.wait_ready()
            known = fleet.python("from bench.console.rows.known import known\nresult = known()")
            browser = partial(Browser, fleet.http, password=PASSWORD, web=fleet.processes["web"].pid)
            browsers = {name: browser(name=name) for name in (ADMIN, BOUND, VIEWER)}
            return {
                asked.name: _told(vendor, asked, browsers[asked.who].measure(asked.url(known), TURNS, is_live=asked.is_live))
                for asked in questions()
            }
        finally:
            fleet.stop()


def _told(vendor: str, asked: Question, taken: Taken) -> Figures:
    found = {f"p{percent}_ms": round(percentile(taken.turns, percent), 1) for percent in (50, 95)}
    found |= {"cpu_ms": round(taken.cpu, 1), "limit_ms": LIVE_LIMIT_MS if asked.is_live else PAGE_LIMIT_MS}
    over = "  over its limit" if found["p95_ms"] > found["limit_ms"] else ""
    say(f"{vendor:10} {asked.name:50} {found['p50_ms']:8.1f} {found['p95_ms']:8.1f} ms, CPU {found['cpu_ms']:6.1f} ms{over}")
    return found


def main() -> int:
    """Measure, print the figures, and keep those of a whole run; the exit code is 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--deliveries", type=int, default=DELIVERIES)
    parser.add_argument("--only", choices=VENDORS, help="one database; the figures are not kept")
    wanted = parser.parse_args()
    sizes = wanted.calls, wanted.events, wanted.deliveries
    ours = {vendor: run(vendor, sizes) for vendor in VENDORS if wanted.only in (None, vendor)}
    if wanted.only is None and sizes == (CALLS, EVENTS, DELIVERIES):
        found = {"bench": "console", "ours": ours, "run": {"rows": sizes, "turns": TURNS}, "machine": machine()}
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say("\n".join(report.lines(ours)))
    over = [(vendor, name) for vendor, pages in ours.items() for name, one in pages.items() if one["p95_ms"] > one["limit_ms"]]
    say(f"Over their limit: {over}" if over else "Every page is within its limit.")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
