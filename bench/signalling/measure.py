"""CPU per call and the knee, stack by stack, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.signalling.figures import knee_search
from bench.signalling.load import Load, Outcome, Plan
from bench.signalling.postgres import Postgres, database_of
from bench.signalling.processes import ProcessStat, command, memory_mib, trees
from bench.signalling.stack import Stack

DATABASE, SHARED = "postgres", "postgres, for all"
# Rows and statistics are written in batches; they belong to the run that caused them.
SETTLE_SECONDS = 1.0
# Transactions are forgotten long after their call (RFC 3261's timers); the last round, too, waits for the cost of that.
LINGER_SECONDS = 17.0
# After too much load a stack works off its queues before the next run, until it uses less than this part of a core.
REST_SHARE, MAX_REST_SECONDS = 0.1, 10.0
MAX_RATE = 3_000


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds that each part has used so far, and when."""

    at: float
    cpu: dict[str, float]


@dataclass(slots=True)
class Round:
    """One run of one stack: CPU milliseconds per call of each part, and what sipp saw."""

    outcome: Outcome
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """CPU milliseconds per call of all parts."""
        return sum(self.parts.values())


class NoCallsError(Exception):
    """No call went through, so there is nothing to measure."""


class Bench:
    """The stacks under one load, beside one database."""

    def __init__(self, stacks: Sequence[Stack], postgres: Postgres, load: Load) -> None:
        self.stacks = stacks
        self._idle: dict[str, float] = {}
        self._postgres = postgres
        self.load = load

    def run(self, stack: Stack, plan: Plan) -> Outcome:
        """Run one plan and wait until its rows are written; after too much load, until the stack is idle."""
        outcome = self.load.run(stack.caller, plan)
        time.sleep(SETTLE_SECONDS)
        if not outcome.clean:
            self._rest(stack)
        return outcome

    def measured(self, stack: Stack, plan: Plan) -> Outcome:
        """Run one plan for figures that need calls; raises NoCallsError if there were none."""
        outcome = self.run(stack, plan)
        if not outcome.setup or not outcome.challenge:
            raise NoCallsError(f"{stack.name}: no call succeeded at {plan.rate} calls/s; --logs keeps what tells why")
        return outcome

    def _rest(self, stack: Stack) -> None:
        deadline = time.monotonic() + MAX_REST_SECONDS
        busy = 1.0
        while busy > REST_SHARE and time.monotonic() < deadline:
            before = self._read()
            time.sleep(1)
            after = self._read()
            busy = sum(self._busy(name, before, after) for name in stack.parts())

    def measure_idle(self, seconds: float) -> None:
        """Measure which share of a core each part uses when there are no calls."""
        before = self._read()
        time.sleep(seconds)
        after = self._read()
        self._idle = {name: (after.cpu[name] - before.cpu[name]) / (after.at - before.at) for name in after.cpu}

    def idle(self, stack: Stack) -> dict[str, float]:
        """Return that share of each part of a stack."""
        return {name: self._idle[_key(stack, name)] for name in (*stack.parts(), DATABASE)}

    def rounds(self, plan: Plan, count: int) -> dict[str, list[Round]]:
        """Run all stacks in turn, for a number of rounds.

        A stack's processes are read again only when its next turn comes, so what they do late counts as theirs. Of the database processes
        that serve all, such as the one that writes the log, only what they do within the run counts.
        """
        turns = [stack for _ in range(count) for stack in self.stacks]
        readings, made = [self._read()], []
        for stack in turns:
            made.append(Round(self.measured(stack, plan)))
            readings.append(self._read())
        time.sleep(LINGER_SECONDS)
        readings.append(self._read())
        for number, (stack, turn) in enumerate(zip(turns, made, strict=True)):
            began, ended = readings[number], readings[number + 1]
            late = readings[min(number + len(self.stacks), len(readings) - 1)]
            turn.parts = self._per_call(stack, (began, ended, late), turn.outcome.calls)
        return {stack.name: made[number :: len(self.stacks)] for number, stack in enumerate(self.stacks)}

    def one_round(self, stack: Stack, plan: Plan) -> Round:
        """Run one stack once."""
        began = self._read()
        turn = Round(self.measured(stack, plan))
        ended = self._read()
        turn.parts = self._per_call(stack, (began, ended, ended), turn.outcome.calls)
        return turn

    def knees(self, starts: dict[str, int], seconds: float, ports: int) -> dict[str, int]:
        """Search for the knee of the stacks that `starts` names, in turn."""
        searches = {name: knee_search(start, MAX_RATE) for name, start in starts.items()}
        rates = {name: next(search) for name, search in searches.items()}
        found: dict[str, int] = {}
        while len(found) < len(searches):
            for stack in self.stacks:
                if stack.name not in searches or stack.name in found:
                    continue
                outcome = self.run(stack, Plan(rates[stack.name], seconds, ports))
                try:
                    rates[stack.name] = searches[stack.name].send(outcome.clean)
                except StopIteration as end:
                    found[stack.name] = end.value
        return found

    def memory(self, stack: Stack) -> dict[str, float]:
        """Return the MiB of each part; of the database only the processes that serve this stack."""
        found = self._processes()
        return {name: memory_mib(stat.pid for stat in found[_key(stack, name)]) for name in (*stack.parts(), DATABASE)}

    def _processes(self) -> dict[str, list[ProcessStat]]:
        """Return the processes of each part; those of the database are divided by whom they serve."""
        roots = {DATABASE: self._postgres.pid}
        for stack in self.stacks:
            roots |= stack.parts()
        found = trees(roots)
        served: dict[str, list[ProcessStat]] = {SHARED: [], **{_key(stack, DATABASE): [] for stack in self.stacks}}
        for stat in found.pop(DATABASE):
            name = f"{DATABASE} {database_of(command(stat.pid))}"
            served[name if name in served else SHARED].append(stat)
        return found | served

    def _read(self) -> Reading:
        return Reading(time.monotonic(), {name: sum(stat.cpu for stat in stats) for name, stats in self._processes().items()})

    def _per_call(self, stack: Stack, readings: tuple[Reading, Reading, Reading], calls: int) -> dict[str, float]:
        began, ended, late = readings
        used = {name: self._busy(_key(stack, name), began, late) for name in (*stack.parts(), DATABASE)}
        used[DATABASE] += self._busy(SHARED, began, ended)
        return {name: seconds * 1000 / calls for name, seconds in used.items()}

    def _busy(self, part: str, began: Reading, ended: Reading) -> float:
        """Return the CPU seconds of a part beyond what it uses when idle."""
        return ended.cpu[part] - began.cpu[part] - self._idle.get(part, 0.0) * (ended.at - began.at)


def _key(stack: Stack, part: str) -> str:
    """Return a part's name among those of all stacks."""
    return f"{DATABASE} {stack.database}" if part == DATABASE else part
