"""Runs of packets, the search for the highest rate without loss, and rounds in which all carriers have their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.child import Child
from bench.media.carriers import FLOWS_PER_CALL, PLAIN, Carrier, Plain
from bench.media.cpu import read_cpu
from bench.media.ends import Ends
from bench.media.figures import Limit, Run, Turn
from bench.media.pacing import Delivery
from bench.signalling.figures import knee_search

# A first step that even a loaded machine passes, and a limit that no Python sender reaches.
FIRST_RATE, MAX_RATE = 8_000, 256_000
# Both ends of a call speak, as a phone does, until all calls are settled, but no faster in all than any carrier passes.
TALK_RATE_EACH, MAX_TALK_RATE, TALK_SECONDS = 50, 6_000, 1.0
SETTLE_SECONDS = 60
WARM_UP_SECONDS, IDLE_SECONDS = 1.0, 3.0
# A run is repeated this often if something else held the sender up; moments that the host took do not count, up
# to the second figure.
MAX_AGAIN, MAX_TRIES = 2, 8
# A rate at which packets wait longer than this fills queues, and loses packets once they are full.
MAX_WAIT_MS = 100
# The number of short runs in each turn at half a carrier's limit.
HALVES = 4
# The most that the first round may lose, at the second try: with more, the comparison is made at a lower rate.
MAX_LOST_SHARE = 0.0005
Start = Callable[[], AbstractContextManager[Carrier]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of flows, seconds of a run and of a step in the search, and the number of rounds."""

    few: int
    many: int
    seconds: float
    search_seconds: float
    rounds: int


class Lossy(Exception):
    """A carrier loses packets at a rate that it should carry."""


class Bench:
    """Two ends, and what the machine uses when they are idle."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._idle = 0.0

    def measure_idle(self, seconds: float) -> float:
        """Measure how many cores are busy when nothing is sent and no relay runs, and return it."""
        before = read_cpu()
        time.sleep(seconds)
        after = read_cpu()
        self._idle = before.busy_until(after) / (after.at - before.at)
        return self._idle

    def prepare(self, carrier: Carrier, calls: int) -> None:
        """Make the calls, and let both ends speak until each hears the other; raises RuntimeError."""
        self.direct(carrier, calls)
        deadline = time.monotonic() + SETTLE_SECONDS
        while problem := self._talk(calls) or carrier.unsettled(calls):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Not ready within {SETTLE_SECONDS} s: {problem}.")

    def direct(self, carrier: Carrier, calls: int) -> None:
        """Let both ends send to a carrier from now on."""
        for end, way in zip((self._ends.caller, self._ends.engine), carrier.ways(calls), strict=True):
            end.ask("direct", host=way.host, ports=way.ports)

    def run(self, carrier: Carrier, calls: int, rate: float, seconds: float) -> Run:
        """Send from the caller to the engine."""
        caller, engine = self._ends.caller, self._ends.engine
        relay_cpu = carrier.cpu()
        engine.ask("receive", calls=calls)
        before = read_cpu()
        sent = caller.ask("send", calls=calls, rate=rate, seconds=seconds)
        engine.tell("delays")
        got = engine.answer()
        after = read_cpu()
        return Run(
            calls=calls,
            asked=rate,
            seconds=sent["seconds"],
            delivery=Delivery.count(sent["sent"], got["received"]),
            strays=got["strays"],
            cpu=before.busy_until(after) - self._idle * (after.at - before.at),
            cpu_of={"sender": sent["cpu"], "receiver": got["cpu"], "relay": carrier.cpu() - relay_cpu},
            delay=engine.answer(),
            stolen=before.stolen_until(after),
        )

    def fair_run(self, carrier: Carrier, calls: int, rate: float, seconds: float) -> Run:
        """Run once more if packets are lost, and again if the sender was held up.

        A moment in which the machine had other work says nothing about the carrier.
        """
        best = self.run(carrier, calls, rate, seconds)
        again = 0
        for _ in range(MAX_TRIES):
            if best.clean or again == MAX_AGAIN or (best.held and again):
                break
            run = self.run(carrier, calls, rate, seconds)
            again += run.calm
            best = min(best, run, key=lambda run: (not run.clean, not run.held, run.lost_share))
        return best

    def limit(self, carrier: Carrier, calls: int, seconds: float) -> Limit:
        """Search for the highest rate without loss, and without queues that grow until there is loss."""
        steps = knee_search(FIRST_RATE, MAX_RATE)
        rate, best, by = next(steps), 0.0, "search"
        while True:
            run = self.fair_run(carrier, calls, rate, seconds)
            passed = run.clean and run.delay["p99"] <= MAX_WAIT_MS
            if passed:
                best = max(best, run.rate)
            elif not run.complete:
                by = "loss"
            else:
                by = "queue" if run.held else "sender"
            try:
                rate = steps.send(passed)
            except StopIteration:
                return Limit(best, by)

    def _talk(self, calls: int) -> str:
        """Let both ends speak for a while; return in one sentence who did not hear whom."""
        rate = min(TALK_RATE_EACH * calls, MAX_TALK_RATE)
        seconds = max(TALK_SECONDS, 2 * calls / rate)
        both = {"caller": self._ends.caller, "engine": self._ends.engine}
        for end in both.values():
            end.tell("send", calls=calls, rate=rate, seconds=seconds)
        for end in both.values():
            end.answer()
        deaf = {name: self._heard(end, calls).count(0) for name, end in both.items()}
        return ", ".join(f"the {name} hears nothing on {count} of {calls} calls" for name, count in deaf.items() if count)

    def _heard(self, end: Child, calls: int) -> list[int]:
        """Return how many packets wait in each call."""
        end.ask("receive", calls=calls)
        end.tell("delays")
        received: list[int] = end.answer()["received"]
        end.answer()
        return received


class Rounds:
    """All carriers in turn, in a number of rounds, over a few flows and over many."""

    def __init__(self, bench: Bench, starts: Mapping[str, Start], plan: Plan, say: Callable[[str], None]) -> None:
        self._bench = bench
        self._starts = starts
        self._plan = plan
        self._say = say
        self.idle: list[float] = []
        """Cores that were busy before each round, when they should not have been."""

    def limits(self) -> dict[str, Limit]:
        """Search for the highest rate of each carrier."""
        found = {}
        for name, start in self._starts.items():
            with start() as carrier:
                calls = self._plan.few // FLOWS_PER_CALL
                self._bench.prepare(carrier, calls)
                found[name] = self._bench.limit(carrier, calls, self._plan.search_seconds)
            self._say(f"{name}: {found[name].rate:.0f} packets/s without loss, then {found[name].by}")
        return found

    def run(self, rate: float, limits: Mapping[str, Limit], *, strict: bool) -> dict[str, list[Turn]]:
        """Return the turns of each carrier; if `strict`, raises Lossy if one loses too much in the first round."""
        turns: dict[str, list[Turn]] = {name: [] for name in self._starts}
        self.idle = []
        names = list(self._starts)
        for number in range(self._plan.rounds):
            self.idle.append(self._bench.measure_idle(IDLE_SECONDS))
            self._say(f"round {number + 1}: {self.idle[-1]:.3f} cores are busy before anything is sent")
            # Each carrier goes first in one round: the machine is not the same for the first as for the last.
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                turns[name].append(self._turn(name, rate, limits, strict=strict and number == 0))
        return turns

    def _turn(self, name: str, rate: float, limits: Mapping[str, Limit], *, strict: bool) -> Turn:
        turn = Turn()
        with self._starts[name]() as carrier:
            for flows in (self._plan.few, self._plan.many):
                calls = flows // FLOWS_PER_CALL
                self._bench.prepare(carrier, calls)
                self._bench.run(carrier, calls, rate, WARM_UP_SECONDS)
                run = turn.runs[flows] = self._bench.fair_run(carrier, calls, rate, self._plan.seconds)
                self._say(f"  {name}, {flows} flows: {run.cost:.2f} µs a packet, {run.delivery.lost} of {run.delivery.sent} lost")
                if strict and (run.lost_share > MAX_LOST_SHARE or not run.held):
                    raise Lossy(f"{name}, {flows} flows: {run.rate:.0f} of {rate:.0f} packets/s sent, {run.lost_share:.1%} lost")
                if flows == self._plan.few and name in limits and name != PLAIN:
                    turn.halves = self._halves(carrier, calls, limits[name].rate / 2)
        return turn

    def _halves(self, carrier: Carrier, calls: int, rate: float) -> list[tuple[Run, Run]]:
        """Return runs of a carrier, each followed by one of plain forwarding: a delay depends mostly on the moment."""
        found = []
        for _ in range(HALVES):
            both = []
            for way in (carrier, Plain()):
                self._bench.direct(way, calls)
                both.append(self._bench.run(way, calls, rate, self._plan.search_seconds))
            found.append((both[0], both[1]))
            mine, plain = (f"{run.delay['p99']:.2f} ms ({run.stolen:.1%} stolen)" for run in both)
            self._say(f"  at {rate:.0f} packets/s 99 of 100 packets take {mine}, plain forwarding's {plain}")
        return found
