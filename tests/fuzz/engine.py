"""Feed targets, keep what is new, time everything, save what breaks.

The feedback is the signature that a target returns: which refusal, or which shape was read. An input with a new
signature joins the seeds. That is coarser than branch coverage and costs nothing.
"""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS, Target

CRASHES = Path(__file__).parents[1] / "data" / "crashes"
MAX_SEEDS = 4_000
MAX_FINDINGS = 20  # of one target in one run
HANG_SECONDS = 20.0
SLOW_SECONDS = 0.25  # CPU of one input; 64 KiB through the slowest target take some 10 ms
ARM_EVERY = 64  # inputs under one alarm clock


@dataclass(slots=True)
class Outcome:
    """The results of one target."""

    inputs: int = 0
    seconds: float = 0.0
    kept: int = 0
    slowest: float = 0.0
    slowest_input: bytes = b""
    findings: dict[str, bytes] = field(default_factory=dict)
    """Problems by their text, each with an input that shows it."""

    def add(self, other: Outcome) -> None:
        """Add another process's share."""
        self.inputs += other.inputs
        self.seconds += other.seconds
        self.kept += other.kept
        self.findings |= other.findings
        if other.slowest > self.slowest:
            self.slowest, self.slowest_input = other.slowest, other.slowest_input


class HangError(Exception):
    """An input ran into the time limit."""


def run_share(seed: int, inputs: int, names: tuple[str, ...]) -> dict[str, Outcome]:
    """Run one process's share of inputs through the named targets."""
    signal.signal(signal.SIGVTALRM, _on_alarm)
    total = sum(TARGETS[name].share for name in names)
    return {name: run_target(TARGETS[name], Random(f"{seed} {name}"), ceil(inputs * TARGETS[name].share / total)) for name in names}


def run_target(target: Target, random: Random, inputs: int) -> Outcome:
    """Run a number of inputs through one target."""
    outcome = Outcome()
    seeds = list(target.seeds)
    seen: set[Hashable] = set()
    for number in range(inputs):
        if number % ARM_EVERY == 0:
            signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS)
        data = mutate(seeds, random) if number >= len(target.seeds) else target.seeds[number]
        signature = _run_one(target, data, outcome)
        if signature is not None and signature not in seen and len(seeds) < MAX_SEEDS:
            seen.add(signature)
            seeds.append(data)
            outcome.kept += 1
        if len(outcome.findings) >= MAX_FINDINGS:
            break
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return outcome


def _run_one(target: Target, data: bytes, outcome: Outcome) -> Hashable:
    start = time.thread_time()
    signature: Hashable = None
    try:
        signature = target.run(data)
    except Exception as error:  # noqa: BLE001  whatever leaves a target is the finding
        outcome.findings.setdefault(_describe(error), data)
    spent = time.thread_time() - start
    outcome.inputs += 1
    outcome.seconds += spent
    if spent > outcome.slowest:
        outcome.slowest, outcome.slowest_input = spent, data
    return signature


def _describe(error: Exception) -> str:
    """Name a problem by its kind and the line that raised it, so that two inputs with one cause are one finding."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:120]}"


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise HangError(f"more than {HANG_SECONDS:.0f} s of CPU")


def save(target: str, data: bytes) -> Path:
    """Save an input where a unit test replays it."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    path = CRASHES / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path


def saved() -> list[tuple[str, Path]]:
    """Return the inputs that once broke something, as target and file."""
    return [(path.name.rpartition("-")[0], path) for path in sorted(CRASHES.glob("*.bin"))]
