from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipproxy.transactions.timers import Timers


def test_timers_come_up_in_order() -> None:
    timers: Timers[str] = Timers()
    timers.set("b", 2.0)
    timers.set("a", 1.0)
    timers.set("c", 3.0)
    timers.cancel("b")
    timers.cancel("unknown")
    assert timers.next() == 1.0
    assert timers.pop_due(0.5) is None
    assert [timers.pop_due(9.0), timers.pop_due(9.0), timers.pop_due(9.0)] == ["a", "c", None]
    assert timers.next() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 9))), max_size=300))
def test_timers_agree_with_a_dictionary(commands: list[tuple[int, int | None]]) -> None:
    timers: Timers[int] = Timers()
    expected: dict[int, float] = {}
    for key, when in commands:
        if when is None:
            timers.cancel(key)
            expected.pop(key, None)
        else:
            timers.set(key, when)
            expected[key] = when
        assert timers.next() == min(expected.values(), default=None)
    assert len(timers) == len(expected)
    while (due := timers.pop_due(100.0)) is not None:
        assert expected.pop(due) <= min(expected.values(), default=100)
    assert not expected


def test_moved_timers_leave_little_behind() -> None:
    timers: Timers[str] = Timers()
    for count in range(10_000):
        timers.set("a", float(count))
    assert len(timers._heap) < 200
