from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.media.pacing import BURST_SECONDS, MAX_BEHIND_SECONDS, TICK_SECONDS, Delivery, Pacer

RATE = 50_000


def ticks(seconds: float) -> list[float]:
    return [number * TICK_SECONDS for number in range(1, round(seconds / TICK_SECONDS) + 1)]


@pytest.mark.parametrize("rate", [100, 999, 8_000, RATE, 256_000])
def test_a_second_of_ticks_sends_the_rate(rate: int) -> None:
    pacer = Pacer(rate)
    counts = [pacer.due(at) for at in ticks(1)]
    assert sum(counts) == pacer.sent == rate
    assert max(counts) <= math.ceil(rate * TICK_SECONDS) + 1


def test_nothing_is_due_at_the_beginning() -> None:
    assert Pacer(RATE).due(0.0) == 0


def test_lost_time_is_caught_up_without_a_burst() -> None:
    pacer = Pacer(RATE)
    counts = [pacer.due(0.010 + at) for at in ticks(0.1)]
    assert max(counts) == RATE * BURST_SECONDS
    assert (pacer.sent, pacer.skipped) == (round(0.110 * RATE), 0)


def test_what_is_long_overdue_is_never_sent() -> None:
    pacer = Pacer(RATE)
    sent = sum(pacer.due(1 + at) for at in ticks(0.1))
    assert pacer.skipped == pytest.approx((1 + TICK_SECONDS - MAX_BEHIND_SECONDS) * RATE, abs=1)
    assert sent + pacer.skipped == round(1.1 * RATE)


@given(st.floats(1, 300_000), st.lists(st.floats(0, 0.1), min_size=1, max_size=200))
def test_no_pace_makes_a_burst_or_sends_more_than_the_rate(rate: float, pauses: list[float]) -> None:
    pacer, elapsed = Pacer(rate), 0.0
    for pause in pauses:
        elapsed += pause
        assert 0 <= pacer.due(elapsed) <= math.ceil(rate * BURST_SECONDS)
        assert pacer.sent + pacer.skipped <= elapsed * rate


@pytest.mark.parametrize(
    ("sent", "received", "expected"),
    [
        (10, [4, 3, 3], (10, 10, 0, 0)),
        (10, [3, 3, 3], (10, 9, 1, 0)),
        (2, [1, 1, 0], (2, 2, 0, 0)),
        (3, [0, 0, 0], (3, 0, 3, 0)),
        (0, [0, 0], (0, 0, 0, 0)),
    ],
)
def test_losses_are_counted_flow_by_flow(sent: int, received: list[int], expected: tuple[int, int, int, int]) -> None:
    assert Delivery.count(sent, received) == Delivery(*expected)


def test_a_packet_too_many_does_not_hide_a_lost_one() -> None:
    assert Delivery.count(9, [4, 3, 2]) == Delivery(sent=9, received=9, lost=1, surplus=1)


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_what_arrives_as_it_was_sent_is_complete(sent: int, flows: int) -> None:
    received = [0] * flows
    for number in range(sent):
        received[number % flows] += 1
    assert Delivery.count(sent, received) == Delivery(sent, sent, 0, 0)
