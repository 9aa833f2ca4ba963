"""What a call's audio costs: 200 calls that play, record, stream or are encrypted, 400 that play, and baresip beside them.

The callers speak and hear all the time, 20 ms of µ-law in each packet. The engine has a core of its own, whichever engine it is; callers,
backend and this program share another. In each round every engine and scenario has its turn, each time in a new process. Ours is
`manage.py runcallflow`, called as by one of our proxies. The last line is one JSON object; the exit code is 1 if a limit was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from bench.child import Child
from bench.machine import machine
from bench.program import place_for_logs, say
from bench.voice.documents import SCENARIOS
from bench.voice.engines import Ours, baresip
from bench.voice.limits import judge
from bench.voice.measure import Bench, CallsFailed, Figures, Plan
from bench.voice.report import PEER_OF, figures, ratios, table

RESULT = Path(__file__).parents[1] / "results" / "voice.json"
WEBHOOK = "webhook"
MEASURABLE = (*SCENARIOS, WEBHOOK, *PEER_OF.values())
TOLD = ("cpu_percent", "idle_cpu_percent", "pacing_p99_ms", "lost", "gaps", "overhead_ms", "generator_cpu_percent", "stolen_percent")


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    plan: Plan
    rounds: int
    wanted: tuple[str, ...]
    profile_dir: Path | None
    logs: Path | None

    @property
    def whole(self) -> bool:
        """Whether everything is measured as it should be, so that the result is worth keeping."""
        return replace(self, logs=None) == options([])


@dataclass(frozen=True, slots=True)
class Found:
    """The figures of each round, by what was measured, and of what could not be measured why."""

    rounds: dict[str, list[Figures]]
    failed: dict[str, str]


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.voice", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="calls at once")
    parser.add_argument("--crowd", type=int, default=400, help="calls at once that an engine has to bear")
    parser.add_argument("--seconds", type=float, default=20, help="how long they are measured")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine and scenario")
    parser.add_argument("--only", nargs="+", choices=MEASURABLE, default=MEASURABLE, help="what to measure")
    parser.add_argument("--profile-dir", type=_folder, help="run our daemon under cProfile, profiles go here: then its CPU is no figure")
    parser.add_argument("--logs", type=_folder, help="keep all logs in a new folder here")
    given = parser.parse_args(arguments)
    plan = Plan(given.calls, given.crowd, given.seconds)
    return Options(plan, given.rounds, tuple(name for name in MEASURABLE if name in given.only), given.profile_dir, given.logs)


def _folder(name: str) -> Path:
    return Path(name).resolve()


def main() -> int:
    """Start what all share, measure, end it, print."""
    asked = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as running:
        directory = place_for_logs(running, asked.logs, "voice-")
        found = measure(running, directory, asked)
    return result(asked, found)


def measure(running: ExitStack, directory: Path, asked: Options) -> Found:
    """Return what was found of each round."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    generator = _child(running, "generator")
    backend = f"http://127.0.0.1:{_child(running, 'backend').answer()['port']}"
    bench = Bench(generator, backend, asked.plan)
    turns = _turns(bench, Ours(directory, backend, cores[-1], asked.profile_dir), cores[-1], asked)
    found = Found({name: [] for name in turns}, {})
    for number in range(asked.rounds):
        # Each goes first in one round: the machine is not the same for the first as for the last.
        names = list(turns)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            if name not in found.failed:
                take_turn(number + 1, name, turns[name], directory, found)
    return found


def take_turn(number: int, name: str, turn: Callable[[Path], Figures], directory: Path, found: Found) -> None:
    """Measure once; what fails is not measured again, and the others go on."""
    try:
        figures_of_it = turn(directory / f"{number}-{name.replace(', ', '-').replace(' ', '-')}")
    except CallsFailed as error:
        found.failed[name] = str(error)
        del found.rounds[name]
        say(f"round {number}, {name}: {error}")
    else:
        found.rounds[name].append(figures_of_it)
        say(f"round {number}, {name}: {_shortly(figures_of_it)}")


def _turns(bench: Bench, ours: Ours, core: int, asked: Options) -> dict[str, Callable[[Path], Figures]]:
    """Return what runs each turn in a directory that does not exist yet."""
    seconds = asked.plan.longest_call
    turns: dict[str, Callable[[Path], Figures]] = {}
    for name in SCENARIOS:
        turns[name] = partial(bench.run, ours.running, name)
    turns[WEBHOOK] = partial(bench.fetch, ours.running, core)
    for recording in (False, True):
        name = PEER_OF["play and record" if recording else "play"]
        turns[name] = partial(bench.run, partial(baresip, core, seconds, recording=recording), "play")
    return {name: turns[name] for name in asked.wanted}


def _child(running: ExitStack, name: str) -> Child:
    child = Child(f"The {name}", [sys.executable, "-m", f"bench.voice.{name}"])
    running.callback(child.close)
    return child


def _shortly(found: Figures) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {found[name]:.4g}" for name in TOLD if name in found)


def result(asked: Options, measured: Found) -> int:
    """Print tables and object, keep the object of a complete run, and return the exit code."""
    of_each, of_both = figures(measured.rounds), ratios(measured.rounds)
    verdicts = list(judge(of_each))
    failed = [f"{name}: {reason}  FAILED" for name, reason in measured.failed.items()]
    for line in (*table(of_each), "", *map(str, verdicts), *failed):
        say(line)
    for name, ratio in of_both.items():
        say(f"CPU of a call, ours / baresip, {name}: {ratio['median']:.3g} ({ratio['min']:.3g}…{ratio['max']:.3g}), goal 1")
    peers = set(PEER_OF.values())
    found = {
        "bench": "voice",
        "ours": {name: values for name, values in of_each.items() if name not in peers},
        "peer": {name: values for name, values in of_each.items() if name in peers},
        "ratios": {"cpu_a_call": of_both},
        "missed": [*failed, *(str(verdict) for verdict in verdicts if not verdict.kept)],
        "run": asdict(asked.plan) | {"rounds": asked.rounds},
        "machine": machine(),
    }
    if asked.whole:
        RESULT.write_text(json.dumps(found, indent=4, ensure_ascii=False) + "\n")
    say(json.dumps(found, ensure_ascii=False))
    return 1 if found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
