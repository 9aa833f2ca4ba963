"""The CPU that relaying a packet adds to forwarding it: rtpengine, our userspace plane, our kernel plane.

Three network namespaces in a row: caller, relay, engine. Calls are made over the ng protocol, two flows each, both ends
speak until every flow is locked, then 172-byte RTP packets go from the caller to the engine, all calls in turn. Each of our
planes is compared with rtpengine at the highest rate that both carry. In a comparison plain forwarding, rtpengine and ours
have their turn in each round, one at a time; the cost is the CPU of the whole machine, for each packet delivered, and that
of plain IP forwarding is subtracted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from bench.machine import machine
from bench.media.carriers import CARRIERS, FLOWS_PER_CALL, KERNEL, PEER, PLAIN, USERSPACE
from bench.media.ends import ends
from bench.media.figures import Limit, Turn, common_rate
from bench.media.measure import Bench, Lossy, Plan, Rounds, Start
from bench.media.namespaces import NetworkError, network
from bench.media.report import Figures, figures, ratios, table
from bench.program import place_for_logs, say
from bench.signalling.figures import spread

RESULT = Path(__file__).parents[1] / "results" / "media.json"
# A relay binds four ports for each call, ours connects two sockets more, and it has some other files.
FILES_EACH, MORE_FILES = 6, 500
# The comparison is started at most this often, each time at a rate lower by this factor.
MAX_BEGINNINGS, SLOWER = 3, 0.85
# As many as the threads that rtpengine starts by default: one for each core, and no more than the setting allows.
WORKERS = min(os.cpu_count() or 1, 16)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIDES = {PLAIN: "plain", PEER: "peer"}
PLANES = {KERNEL: "kernel", USERSPACE: "userspace"}


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    rate: float
    plan: Plan
    modes: list[str]
    workers: int
    quick: bool
    logs: Path | None

    @property
    def whole(self) -> bool:
        """Whether everything is measured, so that the result is worth keeping."""
        return not self.quick and set(self.modes) == set(CARRIERS)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured of one plane and of what it is compared with; `run` says how the rate was chosen."""

    turns: Mapping[str, Sequence[Turn]]
    limits: Mapping[str, Limit]
    run: Mapping[str, object]

    def figures(self, plan: Plan) -> dict[str, Figures]:
        """Return the figures of each carrier."""
        return {name: figures(turns, self.turns[PLAIN], plan, self.limits.get(name)) for name, turns in self.turns.items()}


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--rate", type=int, help="packets a second of the comparisons at most (8000 with --quick)")
    parser.add_argument("--seconds", type=float, help="length of a run (5; 2 with --quick)")
    parser.add_argument("--rounds", type=int, help="turns of each (4; 1 with --quick)")
    parser.add_argument("--search-seconds", type=float, default=2, help="length of a step in the search for the highest rates")
    parser.add_argument("--few", type=int, default=200, help="flows installed, two a call")
    parser.add_argument("--many", type=int, default=2_500, help="flows installed the other time")
    parser.add_argument(
        "--modes",
        nargs="+",
        choices=list(CARRIERS),
        default=list(CARRIERS),
        help="what to measure; plain always is, and one of ours has to be",
    )
    parser.add_argument("--workers", type=int, default=WORKERS, help="SIPURI_MEDIA_WORKERS in userspace (one for each core)")
    parser.add_argument("--quick", action="store_true", help="one short round, no search and no delays: to try it")
    parser.add_argument("--logs", type=lambda name: Path(name).resolve(), help="keep the relays' logs in a new folder here")
    given = parser.parse_args(arguments)
    seconds, rounds = (2, 1) if given.quick else (5, 4)
    plan = Plan(given.few, given.many, given.seconds or seconds, given.search_seconds, given.rounds or rounds)
    modes = [name for name in CARRIERS if name == PLAIN or name in given.modes]
    if not PLANES.keys() & set(modes):
        parser.error("argument --modes: one of ours has to be among them")
    return Options(given.rate or (8_000 if given.quick else math.inf), plan, modes, given.workers, given.quick, given.logs)


def end(*_: object) -> NoReturn:
    """Remove what was made, and ignore a second signal meanwhile."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit("ended by a signal")


def main() -> None:
    """Build the network, measure, remove it, print."""
    asked = options()
    if os.geteuid() != 0:
        sys.exit("bench-media makes network namespaces, so it needs root.")
    for number in ENDING:
        signal.signal(number, end)
    calls = max(asked.plan.few, asked.plan.many) // FLOWS_PER_CALL
    allow_files(FILES_EACH * calls + MORE_FILES)
    try:
        with ExitStack() as running:
            directory = place_for_logs(running, asked.logs, "media-")
            running.enter_context(network())
            bench = Bench(running.enter_context(ends()))
            starts = {name: partial(CARRIERS[name], directory, asked.workers) for name in asked.modes}
            measured = measure(bench, starts, asked)
    except NetworkError as error:
        sys.exit(str(error))
    result(asked, measured)


def allow_files(count: int) -> None:
    """Raise the limit of open files for the programs to come; exits with a sentence if the system does not allow it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        sys.exit(f"The relays need {count} open files; 'ulimit -Hn' allows {hard}.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def compare(bench: Bench, starts: Mapping[str, Start], limits: Mapping[str, Limit], asked: Options) -> Comparison:
    """Return the turns of some carriers at a rate that all of them carry."""
    rounds = Rounds(bench, starts, asked.plan, say)
    rate, bound = common_rate(asked.rate, limits)
    lowered: list[str] = []
    while True:
        say(f"{', '.join(starts)}: {rate} packets/s (bound: {bound}), {asked.plan.rounds} rounds")
        try:
            turns = rounds.run(rate, limits, strict=len(lowered) < MAX_BEGINNINGS - 1)
        except Lossy as reason:
            say(f"once more, slower: {reason}")
            lowered.append(str(reason))
            rate = int(rate * SLOWER)
        else:
            return Comparison(turns, limits, {"rate": rate, "bound": bound, "lowered": lowered, "idle_cores": spread(rounds.idle)})


def measure(bench: Bench, starts: Mapping[str, Start], asked: Options) -> dict[str, Comparison]:
    """Return the comparison of each of our planes, by its name."""
    limits = {} if asked.quick else Rounds(bench, starts, asked.plan, say).limits()
    found = {}
    for ours, plane in PLANES.items():
        if ours in starts:
            of_this = {name: start for name, start in starts.items() if name == ours or name not in PLANES}
            found[plane] = compare(bench, of_this, {name: limits[name] for name in of_this if name in limits}, asked)
    return found


def result(asked: Options, measured: Mapping[str, Comparison]) -> None:
    """Print the tables and the object; keep the object of a complete run."""
    sides: dict[str, dict[str, object]] = {"ours": {}, "peer": {}, "plain": {}}
    of_all: dict[str, object] = {}
    for plane, comparison in measured.items():
        of_each, of_these = comparison.figures(asked.plan), ratios(comparison.turns, plane, asked.plan)
        for line in table(of_each, of_these):
            say(line)
        for name, value in of_each.items():
            sides[SIDES.get(name, "ours")][plane] = value
        of_all |= of_these
    found = {
        "bench": "media",
        **sides,
        "ratios": of_all,
        "run": asdict(asked.plan)
        | {plane: comparison.run for plane, comparison in measured.items()}
        | {"workers": asked.workers, "measured_way": "caller to engine"},
        "machine": machine(),
    }
    if asked.whole:
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))


if __name__ == "__main__":
    main()
