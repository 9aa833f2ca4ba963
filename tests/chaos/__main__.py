"""`python -m tests.chaos`: a table of faults and their costs; root is needed for the disk that fills up."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos import line
from tests.chaos.one_host import FAULTS, SHORT, OneHost, small_disk
from tests.chaos.verdict import Cost
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet
from tests.support.hanging import HangingBackend

DISK_MEGABYTES = 96
CALLS_EACH = 10_000
"""Numbers of calls that a line has for itself."""
DOCUMENT = '<Response><Pause duration="600"/></Response>'
HEAD = "fault                          calls  dead refused  cut open missing doubled  off s back s"


@contextmanager
def one_host(directory: Path) -> Iterator[tuple[OneHost, TestBackend]]:
    """Start everything on a small disk, with a customer and another one whose status URL hangs."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(directory, DISK_MEGABYTES))
        backend, hanging = TestBackend({"/initiate": DOCUMENT}), HangingBackend()
        stack.callback(backend.close)
        stack.callback(hanging.close)
        fleet = Fleet(disk / "state", environment={"SIPURI_GUARD_TRUSTED": "127.0.0.1/32"}, drain_seconds=20)
        stack.callback(fleet.stop)
        fleet.start()
        called = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
        silent = fleet.application(callback=f"{backend.url}/initiate", status=hanging.url)
        yield OneHost(fleet, called, silent, disk), backend


def told(name: str, cost: Cost) -> str:
    """Return a line of the table."""
    figures = f"{cost.calls:5d} {cost.dead:5d} {cost.refused:7d} {cost.cut:4d} {cost.open_rows:4d} {cost.missing:7d} {cost.doubled:7d}"
    return f"{name:<30} {figures} {cost.seconds_off:6.2f} {cost.recovered_after:6.1f}  {'; '.join(cost.faults) or 'good'}"


async def run(names: list[str], times: line.Times, directory: Path) -> bool:
    """Run lines on one host, print them, and return whether all are good."""
    good = True
    print(HEAD, flush=True)
    with one_host(directory) as (host, backend):
        for number, name in enumerate(names):
            cost = await line.run(host, backend, *FAULTS[name], times, CALLS_EACH * number)
            print(told(name, cost), flush=True)
            good = good and not cost.faults
    return good


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", help="the faults to try; all without any")
    parser.add_argument("--short", action="store_true", help="faults of two seconds, few calls, and without any line the most telling ones")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipuri-chaos-") as directory:
        names = options.lines or list(SHORT if options.short else FAULTS)
        good = asyncio.run(run(names, line.SHORT if options.short else line.FULL, Path(directory) / "disk"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
