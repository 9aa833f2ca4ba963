"""`python -m tests.chaos`: a table of faults and their costs, on one host and on two; root is needed for disks and networks.

Both installations are harmed at the same time, each in a process of its own: one after the other they take more than an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import machine
from tests.chaos import line, one_host, two_hosts
from tests.chaos.callers import CALLS_EACH
from tests.chaos.faults import Fault
from tests.chaos.verdict import Allowed, Cost

RESULTS = Path(__file__).parents[2] / "bench" / "results"
HEAD = "hosts  fault                          calls  dead refused  cut open missing doubled  off s back s"


class Setting(NamedTuple):
    """An installation and what may befall it."""

    start: Callable[[Path], AbstractContextManager[tuple[Any, Any]]]
    faults: Mapping[str, tuple[Fault, Allowed]]
    short: tuple[str, ...]


SETTINGS = {
    "one": Setting(one_host.one_host, one_host.FAULTS, one_host.SHORT),
    "two": Setting(two_hosts.two_hosts, two_hosts.FAULTS, tuple(two_hosts.FAULTS)),
}


def told(name: str, cost: Cost) -> str:
    """Return a line of the table."""
    figures = f"{cost.calls:5d} {cost.dead:5d} {cost.refused:7d} {cost.cut:4d} {cost.open_rows:4d} {cost.missing:7d} {cost.doubled:7d}"
    return f"{name:<30} {figures} {cost.seconds_off:6.2f} {cost.recovered_after:6.1f}  {'; '.join(cost.faults) or 'good'}"


async def run(hosts: str, names: tuple[str, ...], times: line.Times, directory: Path) -> dict[str, Cost]:
    """Run lines, print them, and return what each cost."""
    costs = {}
    setting = SETTINGS[hosts]
    with setting.start(directory) as (system, backend):
        for number, name in enumerate(names):
            cost = costs[name] = await line.run(system, backend, *setting.faults[name], times, CALLS_EACH * number)
            print("\n       ".join((f"{hosts:<6} {told(name, cost)}", *cost.examples)), flush=True)
    return costs


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", help="the faults to try; all without any")
    parser.add_argument("--hosts", choices=tuple(SETTINGS), help="on one host or on two; both at the same time without it")
    parser.add_argument("--short", action="store_true", help="faults of two seconds, few calls, and without any line the most telling ones")
    options = parser.parse_args()
    if options.hosts is None:
        print(HEAD, flush=True)
        return _both(sys.argv[1:])
    setting = SETTINGS[options.hosts]
    names = tuple(options.lines) or (setting.short if options.short else tuple(setting.faults))
    with tempfile.TemporaryDirectory(prefix="sipuri-chaos-") as directory:
        costs = asyncio.run(run(options.hosts, names, line.SHORT if options.short else line.FULL, Path(directory)))
    if not options.short and len(costs) == len(setting.faults):
        _keep(options.hosts, costs)
    return 1 if any(cost.faults for cost in costs.values()) else 0


def _keep(hosts: str, costs: Mapping[str, Cost]) -> None:
    result = {"hosts": hosts, "machine": machine(), "lines": {name: asdict(cost) for name, cost in costs.items()}}
    (RESULTS / f"chaos-{hosts}.json").write_text(json.dumps(result, indent=4) + "\n", encoding="ascii")


def _both(arguments: list[str]) -> int:
    commands = [[sys.executable, "-m", "tests.chaos", *arguments, "--hosts", hosts] for hosts in SETTINGS]
    running = [subprocess.Popen(command) for command in commands]
    return max([process.wait() for process in running])


if __name__ == "__main__":
    sys.exit(main())
