from __future__ import annotations

import pytest

from callflow.engine.rate import Rate


def test_a_bucket_holds_so_many_at_once_and_leaks() -> None:
    rate = Rate(3, 2.0)
    assert [rate.admits(5.0) for _ in range(4)] == [True, True, True, False]
    assert [rate.admits(6.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("per_second", [20, 25, 100])
def test_what_comes_too_fast_for_long_is_admitted_at_the_rate(per_second: int) -> None:
    rate = Rate(100, 20.0)
    minutes = [sum(rate.admits(60.0 * minute + n / per_second) for n in range(60 * per_second)) for minute in range(4)]
    assert minutes[0] == pytest.approx(min(60 * per_second, 1_300), abs=2)
    assert all(admitted == pytest.approx(1_200, abs=101) for admitted in minutes[1:])
    assert minutes[3] == pytest.approx(1_200, abs=2)


def test_a_thing_may_take_several_places_and_what_is_refused_takes_none() -> None:
    rate = Rate(10, 1.0)
    assert rate.admits(0.0, 8)
    assert not rate.admits(0.0, 3)
    assert rate.admits(0.0, 2)
    assert rate.admits(0.0, 0)
    assert not rate.admits(0.0)
