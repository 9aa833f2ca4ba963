from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.media.carriers import PLAIN, Carrier, Plain
from bench.media.figures import Limit, Run
from bench.media.measure import HALVES, MAX_AGAIN, MAX_TRIES, Bench, Lossy, Plan, Rounds, Start
from bench.media.pacing import Delivery

PLAN = Plan(few=200, many=2_500, seconds=5, search_seconds=2, rounds=3)


class PretendedBench(Bench):
    """A bench whose carrier loses as many packets as a rule says, and whose sender has a highest rate."""

    def __init__(self, lost: Callable[[float], int] = lambda _rate: 0, fastest: float = 1e9, wait_ms: float = 0.2) -> None:
        self._lost = lost
        self._fastest = fastest
        self._wait_ms = wait_ms
        self.stalls = 0
        self.stolen = 0.0
        self.asked: list[float] = []

    def measure_idle(self, _seconds: float) -> float:
        return 0.0

    def prepare(self, _carrier: Carrier, _calls: int) -> None:
        pass

    def direct(self, _carrier: Carrier, _calls: int) -> None:
        pass

    def run(self, _carrier: Carrier, calls: int, rate: float, seconds: float) -> Run:
        self.asked.append(rate)
        self.stalls -= 1
        sent, lost = round(min(rate, self._fastest if self.stalls < 0 else 1_000) * seconds), self._lost(rate)
        delay = {"p50": 0.1, "p99": self._wait_ms}
        return Run(calls, rate, seconds, Delivery(sent, sent - lost, lost, 0), 0, 1.0, {}, delay, self.stolen)


def rounds(bench: PretendedBench) -> tuple[Rounds, list[str]]:
    """Return rounds of three carriers, and the list of those started."""
    order: list[str] = []

    def start(name: str) -> Start:
        @contextmanager
        def carry() -> Iterator[Carrier]:
            order.append(name)
            yield Plain()

        return carry

    return Rounds(bench, {name: start(name) for name in (PLAIN, "b", "c")}, PLAN, lambda _text: None), order


@pytest.mark.parametrize("edge", [500, 9_000, 55_000, 250_000])
def test_the_limit_is_near_the_first_loss_and_below_it(edge: int) -> None:
    found = PretendedBench(lambda rate: rate >= edge).limit(Plain(), 200, 2)
    assert 0.85 * edge <= found.rate < edge
    assert found.by == "loss"


def test_a_sender_that_cannot_send_faster_is_named() -> None:
    found = PretendedBench(fastest=60_000).limit(Plain(), 200, 2)
    assert 0.9 * 60_000 <= found.rate <= 60_000
    assert found.by == "sender"


def test_a_sender_that_was_held_up_tries_again() -> None:
    bench = PretendedBench(lambda rate: rate > 20_000)
    bench.stalls = 2
    assert bench.limit(Plain(), 200, 2).by == "loss"
    assert bench.asked[:4] == [8_000, 8_000, 8_000, 16_000]


@pytest.mark.parametrize(("stolen", "tries"), [(0.0, 1 + MAX_AGAIN), (0.4, 1 + MAX_TRIES)])
def test_a_moment_that_the_host_took_says_nothing(stolen: float, tries: int) -> None:
    bench = PretendedBench(fastest=500)
    bench.stolen = stolen
    bench.fair_run(Plain(), 200, 1_000, 2)
    assert len(bench.asked) == tries


def test_a_rate_that_fills_queues_does_not_pass() -> None:
    assert PretendedBench(wait_ms=150).limit(Plain(), 200, 2) == Limit(0.0, "queue")


def test_each_step_is_tried_twice_before_it_fails() -> None:
    bench = PretendedBench(lambda rate: len(bench.asked) == 1 or rate > 20_000)
    assert bench.limit(Plain(), 200, 2).rate > 18_000
    assert bench.asked[:2] == [8_000, 8_000]
    assert bench.asked.count(16_000) == 1


def test_each_carrier_begins_a_round() -> None:
    made, order = rounds(PretendedBench())
    turns = made.run(1_000, {}, strict=True)
    assert order == [PLAIN, "b", "c", "b", "c", PLAIN, "c", PLAIN, "b"]
    assert {name: len(of_one) for name, of_one in turns.items()} == {PLAIN: 3, "b": 3, "c": 3}
    assert set(turns["c"][0].runs) == {200, 2_500}


def test_the_delay_is_measured_at_half_the_limit_beside_plain() -> None:
    bench = PretendedBench()
    made, _ = rounds(bench)
    turns = made.run(1_000, {PLAIN: Limit(9_000, "loss"), "b": Limit(6_000, "loss")}, strict=True)
    assert bench.asked.count(3_000) == 2 * HALVES * PLAN.rounds
    assert [len(turn.halves) for turn in (turns[PLAIN][0], turns["b"][0], turns["c"][0])] == [0, HALVES, 0]


@pytest.mark.parametrize("bench", [PretendedBench(lambda _rate: 10), PretendedBench(fastest=900)])
def test_a_rate_that_is_too_high_ends_the_first_round(bench: PretendedBench) -> None:
    made, _ = rounds(bench)
    with pytest.raises(Lossy, match="1000 packets/s"):
        made.run(1_000, {}, strict=True)


def test_later_losses_and_those_of_the_last_try_are_kept() -> None:
    made, _ = rounds(PretendedBench(lambda _rate: 10))
    turns = made.run(1_000, {}, strict=False)
    assert turns["b"][2].runs[200].delivery.lost == 10
