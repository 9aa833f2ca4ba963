"""The CPU that relaying a packet adds to forwarding it: rtpengine, our userspace plane, our kernel plane.

Three network namespaces in a row: caller, relay, engine. Calls are made over the ng protocol, both ends speak until every
flow is locked, then 172-byte RTP packets go from the caller to the engine, all flows in turn. All carriers have their turn in
each round, one at a time; the cost is the CPU of the whole machine, for each packet delivered, and that of plain IP
forwarding is subtracted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from bench.machine import machine
from bench.media.carriers import CARRIERS, KERNEL, PEER, PLAIN, USERSPACE
from bench.media.ends import ends
from bench.media.figures import Limit, Turn, common_rate
from bench.media.measure import Bench, Lossy, Plan, Rounds
from bench.media.namespaces import NetworkError, network
from bench.media.report import figures, ratios, table
from bench.signalling.figures import spread

RESULT = Path(__file__).parents[1] / "results" / "media.json"
# A relay binds four ports for each call, and has some more files.
FILES_EACH, MORE_FILES = 4, 500
# The comparison is begun so often at most, each time at a rate lower by this factor.
MAX_BEGINNINGS, SLOWER = 3, 0.85
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAMES = {PLAIN: "plain", PEER: "peer", USERSPACE: "userspace", KERNEL: "kernel"}


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    rate: int
    plan: Plan
    modes: list[str]
    workers: int | None
    quick: bool
    logs: Path | None

    @property
    def whole(self) -> bool:
        """Whether everything is measured, so that it is a result to keep."""
        return not self.quick and set(self.modes) == set(CARRIERS)


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--rate", type=int, help="packets a second of the comparison at most (50000; 8000 with --quick)")
    parser.add_argument("--seconds", type=float, help="length of a run (5; 2 with --quick)")
    parser.add_argument("--rounds", type=int, help="turns of each (4; 1 with --quick)")
    parser.add_argument("--search-seconds", type=float, default=2, help="length of a step in the search for the highest rates")
    parser.add_argument("--few", type=int, default=200, help="flows of the comparison")
    parser.add_argument("--many", type=int, default=2_500, help="flows of the other comparison")
    parser.add_argument("--modes", nargs="+", choices=list(CARRIERS), default=list(CARRIERS), help="what to measure; plain always is")
    parser.add_argument("--workers", type=int, help="SIPURI_MEDIA_WORKERS of our relay")
    parser.add_argument("--quick", action="store_true", help="one short round, no search and no delays: to try it")
    parser.add_argument("--logs", type=lambda name: Path(name).resolve(), help="keep the relays' logs in a new folder here")
    given = parser.parse_args(arguments)
    seconds, rounds = (2, 1) if given.quick else (5, 4)
    plan = Plan(given.few, given.many, given.seconds or seconds, given.search_seconds, given.rounds or rounds)
    modes = [name for name in CARRIERS if name == PLAIN or name in given.modes]
    return Options(given.rate or (8_000 if given.quick else 50_000), plan, modes, given.workers, given.quick, given.logs)


def say(text: str) -> None:
    """Tell the person who waits, or print a result."""
    print(text, flush=True)  # noqa: T201  # this program's output


def end(*_: object) -> NoReturn:
    """Remove what was made, and let no second signal disturb that."""
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
    allow_files(FILES_EACH * max(asked.plan.few, asked.plan.many) + MORE_FILES)
    try:
        with ExitStack() as running:
            directory = place_for_logs(running, asked.logs)
            running.enter_context(network())
            bench = Bench(running.enter_context(ends(max(asked.plan.few, asked.plan.many))))
            starts = {name: partial(CARRIERS[name], directory, asked.workers) for name in asked.modes}
            measured = measure(Rounds(bench, starts, asked.plan, say), asked)
    except NetworkError as error:
        sys.exit(str(error))
    result(asked, *measured)


def allow_files(count: int) -> None:
    """Let the programs to come open so many files; exits with a sentence where the system does not."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        sys.exit(f"The relays need {count} open files; 'ulimit -Hn' allows {hard}.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def place_for_logs(running: ExitStack, kept: Path | None) -> Path:
    """Return a new directory; it goes when the run ends, unless it lies where it is to be kept."""
    if kept is None:
        return Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sipuri-bench-")))
    kept.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="media-", dir=kept))


def measure(rounds: Rounds, asked: Options) -> tuple[dict[str, list[Turn]], dict[str, Limit], dict[str, object]]:
    """Return the turns and the highest rate of each carrier, and how the rate of the comparison came about."""
    limits: dict[str, Limit] = {}
    rate, bound = asked.rate, "cap"
    if not asked.quick:
        limits = rounds.limits()
        rate, bound = common_rate(
            asked.rate, limits[PLAIN].rate, {name: limit.rate for name, limit in limits.items() if name != PLAIN and limit.by != "sender"}
        )
    lowered: list[str] = []
    while True:
        say(f"{rate} packets/s (bound: {bound}), {asked.plan.rounds} rounds")
        try:
            turns = rounds.run(rate, limits, strict=len(lowered) < MAX_BEGINNINGS - 1)
        except Lossy as reason:
            say(f"once more, slower: {reason}")
            lowered.append(str(reason))
            rate = int(rate * SLOWER)
        else:
            return turns, limits, {"rate": rate, "rate_bound": bound, "lowered": lowered, "idle_cores": spread(rounds.idle)}


def result(asked: Options, turns: Mapping[str, Sequence[Turn]], limits: Mapping[str, Limit], rate: dict[str, object]) -> None:
    """Print the table and the object; keep the object of a whole run."""
    of_each = {name: figures(turns[name], turns[PLAIN], asked.plan, limits.get(name)) for name in turns}
    of_all = ratios(turns, asked.plan)
    for line in table(of_each, of_all):
        say(line)
    named = {NAMES[name]: value for name, value in of_each.items()}
    found = {
        "bench": "media",
        "ours": {plane: named[plane] for plane in ("kernel", "userspace") if plane in named},
        "peer": named.get("peer", {}),
        "plain": named["plain"],
        "ratios": of_all,
        "run": asdict(asked.plan) | rate | {"cap": asked.rate, "workers": asked.workers, "measured_way": "caller to engine"},
        "machine": machine(),
    }
    if asked.whole:
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))


if __name__ == "__main__":
    main()
