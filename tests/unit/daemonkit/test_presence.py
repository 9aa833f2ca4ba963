"""Presence: whether something may have been sent while a process was away."""

from __future__ import annotations

import pytest

from daemonkit.presence import AWAY_SECONDS, REPEATED_SECONDS, Presence


def told(*times: float) -> Presence:
    presence = Presence()
    for now in times:
        presence.tell(now)
    return presence


def test_one_that_is_never_told_the_time_counts_as_present() -> None:
    assert not Presence().is_late(100.0)


@pytest.mark.parametrize(("after", "late"), [(0.1, True), (REPEATED_SECONDS - 1, True), (REPEATED_SECONDS + 0.1, False)])
def test_what_comes_soon_after_a_start_may_be_late(after: float, late: bool) -> None:
    steps = [100 + 0.3 * step for step in range(int(after / 0.3) + 1)]
    assert told(*steps).is_late(100 + after) is late


def test_what_comes_after_a_pause_may_be_late_before_and_after_the_clock_is_told() -> None:
    steps = [100 + 0.3 * step for step in range(200)]
    presence = told(*steps)
    assert not presence.is_late(steps[-1] + AWAY_SECONDS - 0.1)
    assert presence.is_late(steps[-1] + AWAY_SECONDS + 0.1)
    presence.tell(steps[-1] + 10)
    assert presence.is_late(steps[-1] + 10.1)
