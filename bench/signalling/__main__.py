"""Our proxy stack compared with Kamailio, rtpengine and PostgreSQL: CPU per call, the knee, set-up times, memory.

Both sides take the same calls from the same sipp, turn by turn: INVITE, 407, INVITE with digest, 100, 180, 200 with SDP, ACK, BYE.
Both rewrite the addresses of the audio and write one row for each call. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import machine
from bench.program import place_for_logs, say
from bench.signalling.checks import check
from bench.signalling.figures import spread
from bench.signalling.kamailio import kamailio
from bench.signalling.load import RINGING_MS, Load, Plan
from bench.signalling.measure import Bench
from bench.signalling.ours import STORE_DAYS, Ours, ours
from bench.signalling.postgres import Postgres
from bench.signalling.report import Figures, Side, ratios, table
from bench.signalling.stack import Stack

RESULT = Path(__file__).parents[1] / "results" / "signalling.json"
CORES = os.cpu_count() or 1
WARM_UP_SECONDS, IDLE_SECONDS = 4, 6
FIRST_RATE = 50
# As many as Debian's own configuration has: more than cores, as each waits for the database and the relay.
WORKERS = 8


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    cpu_rate: int
    seconds: float
    rounds: int
    knee_seconds: float
    knee_rounds: int
    ports: int
    kamailio_workers: int
    quick: bool
    ours_only: bool
    profile_dir: Path | None
    logs: Path | None

    @property
    def plan(self) -> Plan:
        """The run by which CPU per call is measured."""
        return Plan(self.cpu_rate, self.seconds, self.ports)

    @property
    def whole(self) -> bool:
        """Whether everything is measured, so that the result is worth keeping."""
        return not self.quick and not self.ours_only


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.signalling", description=__doc__)
    parser.add_argument("--cpu-rate", type=int, default=50, help="calls a second while CPU is measured: below both knees")
    parser.add_argument("--seconds", type=float, help="length of such a run (15; 5 with --quick)")
    parser.add_argument("--rounds", type=int, help="runs of each side (5; 1 with --quick or --ours-only)")
    parser.add_argument("--knee-seconds", type=float, default=8, help="length of a run in the search for the knee")
    parser.add_argument("--knee-rounds", type=int, default=3, help="searches for each side's knee")
    parser.add_argument("--ports", type=int, default=4 * CORES, help="sipp processes that call, each from one source port")
    parser.add_argument("--kamailio-workers", type=int, default=WORKERS, help="its processes for its socket")
    parser.add_argument("--quick", action="store_true", help="one short round and no knee: to try it")
    parser.add_argument("--ours-only", action="store_true", help="rounds of our side alone")
    parser.add_argument(
        "--profile-dir", type=lambda name: Path(name).resolve(), help="with --ours-only: run our daemons under cProfile, profiles go here"
    )
    parser.add_argument("--logs", type=lambda name: Path(name).resolve(), help="keep all logs, those of sipp too, in a new folder here")
    given = parser.parse_args()
    if given.profile_dir and not given.ours_only:
        parser.error("--profile-dir needs --ours-only")
    given.seconds = given.seconds or (5 if given.quick else 15)
    given.rounds = given.rounds or (1 if given.quick or given.ours_only else 5)
    return Options(**vars(given))


def main() -> None:
    """Start everything, measure, end everything, print."""
    asked = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with ExitStack() as running:
        directory = place_for_logs(running, asked.logs, "run-")
        postgres = running.enter_context(Postgres())
        our_side = running.enter_context(ours(postgres, directory / "ours", profile_dir=asked.profile_dir))
        stacks: list[Stack] = [our_side]
        if not asked.ours_only:
            stacks.append(running.enter_context(kamailio(postgres, directory / "peer", workers=asked.kamailio_workers)))
        bench = Bench(stacks, postgres, Load(directory))
        sides = measure(bench, our_side, asked)
    result(sides, asked)


def measure(bench: Bench, our_side: Ours, asked: Options) -> dict[str, Side]:
    """Return the measurements by the stack's name."""
    for stack in bench.stacks:
        say(f"{stack.name}: one call, one wrong password")
        check(stack, bench.load)
        bench.run(stack, Plan(asked.cpu_rate, WARM_UP_SECONDS, asked.ports))
    bench.measure_idle(IDLE_SECONDS)
    rows = {stack.name: stack.rows() for stack in bench.stacks}
    say(f"CPU per call at {asked.cpu_rate} calls/s: {asked.rounds} × {asked.seconds:g} s each")
    rounds = bench.rounds(asked.plan, asked.rounds)
    sides = {}
    for stack in bench.stacks:
        sides[stack.name] = Side(rounds[stack.name], bench.idle(stack), bench.memory(stack), stack.rows() - rows[stack.name])
    if asked.whole:
        find_knees(bench, sides, asked)
        sides[our_side.name].extra = beside(bench, our_side, asked)
    return sides


def find_knees(bench: Bench, sides: dict[str, Side], asked: Options) -> None:
    """Search for the knees, and time the answers at half of each."""
    starts = dict.fromkeys(sides, FIRST_RATE)
    for number in range(asked.knee_rounds):
        for name, rate in bench.knees(starts, asked.knee_seconds, asked.ports).items():
            say(f"knee {number + 1}, {name}: {rate} calls/s")
            sides[name].knees.append(rate)
            # Half of the last knee: the next search begins where calls most likely pass.
            starts[name] = max(FIRST_RATE, rate // 2)
    for stack in bench.stacks:
        side = sides[stack.name]
        plan = Plan(max(1, int(statistics.median(side.knees) / 2)), asked.knee_seconds, asked.ports)
        side.half_knee = plan, bench.measured(stack, plan)


def beside(bench: Bench, our_side: Ours, asked: Options) -> Figures:
    """Return how a single source port, and how the message store, change our figures."""
    say("ours: one source port, then with the message store")
    one_port = Plan(asked.cpu_rate, asked.seconds, 1)
    cpu = bench.one_round(our_side, one_port).cpu
    knee = bench.knees({our_side.name: FIRST_RATE}, asked.knee_seconds, 1)[our_side.name]
    costs = [with_store(bench, our_side, asked) for _ in range(asked.rounds)]
    return {
        "one_port": {"cpu_ms_per_call": round(cpu, 4), "knee": knee},
        "message_store": {"cost_ms_per_call": spread(costs)},
    }


def with_store(bench: Bench, our_side: Ours, asked: Options) -> float:
    """Return what storing messages adds to a call's CPU, by two rounds beside each other."""
    warm_up = Plan(asked.cpu_rate, WARM_UP_SECONDS, asked.ports)
    bench.run(our_side, warm_up)
    plain = bench.one_round(our_side, asked.plan).cpu
    with our_side.without(STORE_DAYS):
        bench.run(our_side, warm_up)
        return bench.one_round(our_side, asked.plan).cpu - plain


def result(sides: dict[str, Side], asked: Options) -> None:
    """Print the table and the object; keep the object of a complete run."""
    figures = {name: side.figures() for name, side in sides.items()}
    of_both = ratios(sides["ours"], sides["peer"]) if "peer" in sides else {}
    for line in table(figures, of_both):
        say(line)
    run = {name: value for name, value in asdict(asked).items() if name not in {"quick", "ours_only", "profile_dir", "logs"}}
    found = {"bench": "signalling", **figures, "ratios": of_both, "run": run | {"ringing_ms": RINGING_MS}, "machine": machine()}
    if asked.whole:
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))


if __name__ == "__main__":
    main()
