"""Histograms of durations: what is read from the buckets is true of the durations."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.histogram import BOUNDS_MS, BUCKETS, added, from_cumulated, percentile

durations = st.lists(st.integers(0, 30_000), min_size=1, max_size=200)
shares = st.floats(0.01, 1.0)


def bucket_of(duration: int) -> int:
    return next((number for number, bound in enumerate(BOUNDS_MS) if duration <= bound), len(BOUNDS_MS))


def counted(values: list[int]) -> tuple[int, ...]:
    numbers = [bucket_of(value) for value in values]
    return tuple(numbers.count(number) for number in range(BUCKETS))


@given(durations)
def test_cumulated_counts_become_buckets(values: list[int]) -> None:
    at_most = [sum(value <= bound for value in values) for bound in BOUNDS_MS]
    assert from_cumulated(at_most, len(values)) == counted(values)
    assert tuple(accumulate(counted(values))) == (*at_most, len(values))


@given(durations, shares)
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[int], share: float) -> None:
    true = sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
    read = percentile(counted(values), share)
    assert read is not None
    number = bucket_of(true)
    if number == len(BOUNDS_MS):
        assert read == math.inf
    else:
        assert (BOUNDS_MS[number - 1] if number else 0) <= read <= BOUNDS_MS[number]


@given(durations, shares, shares)
def test_a_larger_share_is_never_shorter(values: list[int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    first, second = percentile(counted(values), low), percentile(counted(values), high)
    assert first is not None
    assert second is not None
    assert first <= second


@given(durations, durations)
def test_the_sum_is_the_histogram_of_both(one: list[int], other: list[int]) -> None:
    assert added([counted(one), counted(other)]) == counted(one + other)


def test_nothing_has_no_percentile() -> None:
    assert percentile(added([]), 0.95) is None


@pytest.mark.parametrize(("values", "share", "expected"), [([10] * 100, 0.5, 10.0), ([150] * 10, 1.0, 200.0), ([25_000], 0.95, math.inf)])
def test_durations_lie_evenly_in_their_bucket(values: list[int], share: float, expected: float) -> None:
    assert percentile(counted(values), share) == pytest.approx(expected)
