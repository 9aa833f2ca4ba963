"""`make fuzz`: a million inputs, seeded, on two cores."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from math import ceil

from tests.fuzz.engine import SLOW_SECONDS, Outcome, run_share, save
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Return 0 if nothing broke and no input was slow."""
    options = _options()
    names = tuple(options.target or TARGETS)
    print(f"seed {options.seed}, {options.inputs} inputs, {options.processes} processes", flush=True)
    begun = time.monotonic()
    outcomes = _run(options.seed, options.inputs, options.processes, names)
    bad = sum(_report(name, outcome) for name, outcome in outcomes.items())
    total = sum(outcome.inputs for outcome in outcomes.values())
    print(f"{total} inputs in {time.monotonic() - begun:.0f} s, {bad} findings")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many inputs in all")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="repeats a run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be given more than once")
    return parser.parse_args()


def _run(seed: int, inputs: int, processes: int, names: tuple[str, ...]) -> dict[str, Outcome]:
    outcomes = {name: Outcome() for name in names}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        shares = [pool.submit(run_share, seed * 100 + number, ceil(inputs / processes), names) for number in range(processes)]
        for share in shares:
            _add(outcomes, share.result())
    return outcomes


def _add(outcomes: dict[str, Outcome], share: Mapping[str, Outcome]) -> None:
    for name, outcome in share.items():
        outcomes[name].add(outcome)


def _report(name: str, outcome: Outcome) -> int:
    """Print the results of a target, save the inputs that broke it, and return their number."""
    each = 1e6 * outcome.seconds / max(1, outcome.inputs)
    slowest = f"slowest {1e3 * outcome.slowest:.1f} ms ({len(outcome.slowest_input)} octets)"
    print(f"{name:12} {outcome.inputs:8} inputs {each:7.0f} us each, {outcome.kept:5} kept for their signature, {slowest}")
    for text, data in outcome.findings.items():
        print(f"  {text}\n  {save(name, data)}")
    if outcome.slowest > SLOW_SECONDS:
        print(f"  too slow\n  {save(name, outcome.slowest_input)}")
    return len(outcome.findings) + (outcome.slowest > SLOW_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
