"""One engine under a number of calls: its CPU and memory, and what the callers hear meanwhile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.child import Child
from bench.media.cpu import read_cpu
from bench.signalling.figures import percentile
from bench.signalling.processes import resident_kib, trees
from bench.voice import hostile
from bench.voice.backend import RAW
from bench.voice.documents import FETCHING, MESSAGES_A_SECOND, SCENARIOS
from bench.voice.engines import Engine, Start, on_core
from bench.voice.recordings import read_recordings
from tests.support.fleet import ROOT, until

CALLS_A_SECOND = 20
SETTLE_SECONDS, WARM_UP_SECONDS, IDLE_SECONDS = 2.0, 1.0, 3.0
PATIENCE_SECONDS = 30.0
FETCHING_TURNS = 2
"""The first one is not counted: it opens connections and loads what is loaded once."""
Figures = dict[str, float]


class CallsFailed(Exception):
    """Not every call was answered, or one ended by itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls, the number that an engine has to bear, and for how many seconds they are measured."""

    calls: int
    crowd: int
    seconds: float

    def calls_of(self, scenario: str) -> int:
        """Return the calls of a scenario."""
        return self.crowd if SCENARIOS[scenario].crowd else self.calls

    @property
    def longest_call(self) -> float:
        """How many seconds one of `calls` lasts at most."""
        return self.calls / CALLS_A_SECOND + SETTLE_SECONDS + self.seconds + PATIENCE_SECONDS


class Bench:
    """The callers and the backend, which all engines share."""

    def __init__(self, generator: Child, backend: str, plan: Plan) -> None:
        self._backend = backend
        self._generator = generator
        self._plan = plan

    def run(self, start: Start, scenario: str, directory: Path) -> Figures:
        """Measure a scenario at an engine; raises CallsFailed."""
        with start(directory) as engine:
            try:
                figures = self._measure(engine, scenario)
            finally:
                self._generator.ask("forget")
        if engine.recordings and SCENARIOS[scenario].recorded:
            recorded = read_recordings(engine.recordings)
            # The call that warmed it up left one, too.
            figures["recordings_missing"] = self._plan.calls_of(scenario) + 1 - recorded.files
            figures["recorded_holes"] = recorded.holes
        if engine.recordings:
            shutil.rmtree(engine.recordings, ignore_errors=True)
        return figures

    def fetch(self, start: Start, core: int, directory: Path) -> Figures:
        """Return how long our call flow and a plain client take from a document to the next request, at the median, in milliseconds."""
        with start(directory) as engine:
            for _ in range(FETCHING_TURNS):
                self._figures()
                self._place(engine, FETCHING, 1)
                try:
                    self._await({"refused": 1}, PATIENCE_SECONDS)
                finally:
                    self._generator.ask("forget")
            ours = self._turn_ms("call")
        for _ in range(FETCHING_TURNS):
            self._figures()
            command = [*on_core(core), sys.executable, "-m", "bench.voice.raw", self._backend]
            subprocess.run(command, cwd=ROOT, timeout=PATIENCE_SECONDS, check=True)
        raw = self._turn_ms(RAW)
        return {"turn_ms": ours, "raw_turn_ms": raw, "overhead_ms": ours - raw}

    def _measure(self, engine: Engine, scenario: str) -> Figures:
        calls = self._plan.calls_of(scenario)
        self._place(engine, scenario, 1)
        self._await({"up": 1}, PATIENCE_SECONDS)
        time.sleep(WARM_UP_SECONDS)
        self._end_calls(1)
        before, idle = _memory_kb(engine), _idle_percent(engine)
        self._place(engine, scenario, calls)
        self._await({"up": calls}, calls / CALLS_A_SECOND + PATIENCE_SECONDS)
        time.sleep(SETTLE_SECONDS)
        figures = self._observe(engine, scenario, calls) | {"idle_cpu_percent": idle, "kb_a_call": (_memory_kb(engine) - before) / calls}
        if tracks := SCENARIOS[scenario].tracks:
            streamed = figures["messages_a_call"] / tracks / MESSAGES_A_SECOND * 100
            figures |= {"stream_drops": engine.dropped(), "unstreamed_percent": max(0.0, 100 - streamed)}
        self._end_calls(calls)
        return figures

    def _observe(self, engine: Engine, scenario: str, calls: int) -> Figures:
        """Return what the calls cost, and what was heard, in the seconds of the plan."""
        streamed, machine = self._figures(), read_cpu()
        self._generator.ask("begin")
        began, cpu = time.monotonic(), _cpu(engine)
        if SCENARIOS[scenario].besieged:
            self._besiege(engine)
        time.sleep(max(0.0, began + self._plan.seconds - time.monotonic()))
        cpu, seconds = _cpu(engine) - cpu, time.monotonic() - began
        heard: Figures = self._generator.ask("end")
        stolen, streamed_after = machine.stolen_until(read_cpu()), self._figures()
        messages = (streamed_after["messages"] - streamed["messages"]) / (streamed_after["at"] - streamed["at"])
        return {
            "calls": calls,
            "cpu_percent": cpu / seconds / calls * 100,
            "generator_cpu_percent": heard.pop("cpu_seconds") / seconds * 100,
            **heard,
            "messages_a_call": messages / calls,
            "stolen_percent": stolen * 100,
        }

    def _besiege(self, engine: Engine) -> None:
        """Place hostile calls for half of the time."""
        for kind in hostile.CALLS:
            self._place(engine, kind, 1)
            time.sleep(self._plan.seconds / 2 / len(hostile.CALLS))

    def _place(self, engine: Engine, scenario: str, count: int) -> None:
        target = engine.target
        told = {"host": target.host, "port": target.port, "application_id": target.application_id, "key": target.key}
        self._generator.ask("place", target=told, scenario=scenario, count=count, rate=CALLS_A_SECOND)

    def _end_calls(self, calls: int) -> None:
        self._await({"up": 0, "leaving": 0}, calls / CALLS_A_SECOND + PATIENCE_SECONDS, first="hang_up")
        self._generator.ask("forget")

    def _await(self, wanted: dict[str, int], seconds: float, first: str = "states") -> None:
        """Wait until the calls are in their states; raises CallsFailed if they are not in time. Each look asks for `first` before."""
        states: dict[str, int] = {}

        def reached() -> bool:
            self._generator.ask(first)
            states.update(self._generator.ask("states"))
            return all(states[name] == count for name, count in wanted.items())

        try:
            until(reached, seconds=seconds, what="the calls", every=0.1)
        except AssertionError:
            raise CallsFailed(f"Of the calls {states} instead of {wanted}.") from None

    def _turn_ms(self, kind: str) -> float:
        turns: Sequence[float] = self._figures()["turns"].get(kind, ())
        return percentile(turns, 50) * 1000

    def _figures(self) -> dict[str, Any]:
        """Return what the backend has seen since it was asked last."""
        with urllib.request.urlopen(f"{self._backend}/figures", timeout=10) as answer:  # noqa: S310  # our own page
            found: dict[str, Any] = json.load(answer)
            return found


def _cpu(engine: Engine) -> float:
    return sum(stat.cpu for stat in trees({"engine": engine.pid})["engine"])


def _idle_percent(engine: Engine) -> float:
    """Return what it uses without calls, in percent of a core: nothing is subtracted, but it tells what a call's share is made of."""
    began, cpu = time.monotonic(), _cpu(engine)
    time.sleep(IDLE_SECONDS)
    return (_cpu(engine) - cpu) / (time.monotonic() - began) * 100


def _memory_kb(engine: Engine) -> float:
    """Return its resident memory; shares of what other programs use, too, would change with those."""
    return sum(resident_kib(stat.pid) for stat in trees({"engine": engine.pid})["engine"]) * 1024 / 1000
