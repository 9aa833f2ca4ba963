"""What failed logins cost: a source is stopped, a name is only slower."""

from __future__ import annotations

import pytest

from voiceapps.rules.people.lockout import (
    FREE_OF_NAME,
    MAX_CODE_WAIT,
    MAX_DELAY,
    MAX_OF_PAIR,
    MAX_OF_SOURCE,
    WINDOW,
    Decision,
    Kind,
    code_wait,
    decide,
    source_of,
)


@pytest.mark.parametrize(
    ("pair", "source", "name", "decision"),
    [
        (0, 0, 0, Decision()),
        (MAX_OF_PAIR - 1, MAX_OF_PAIR - 1, MAX_OF_PAIR - 1, Decision()),
        (MAX_OF_PAIR, MAX_OF_PAIR, MAX_OF_PAIR, Decision(locked_for=WINDOW - 60)),
        (1, MAX_OF_SOURCE - 1, 1, Decision()),
        (1, MAX_OF_SOURCE, 1, Decision(locked_for=WINDOW - 60)),
        (0, 0, FREE_OF_NAME, Decision(delay=0.25)),
        (0, 0, FREE_OF_NAME + 2, Decision(delay=1.0)),
        (0, 0, 1_000_000, Decision(delay=MAX_DELAY)),
    ],
)
def test_each_count_has_its_price(pair: int, source: int, name: int, decision: Decision) -> None:
    failures = {Kind.PAIR: pair, Kind.SOURCE: source, Kind.NAME: name}
    assert decide(failures, dict.fromkeys(Kind, 60.0)) == decision


def test_the_longer_of_two_locks_counts() -> None:
    failures = {Kind.PAIR: MAX_OF_PAIR, Kind.SOURCE: MAX_OF_SOURCE}
    assert decide(failures, {Kind.PAIR: 800.0, Kind.SOURCE: 100.0}).locked_for == WINDOW - 100


def test_a_lock_that_ends_now_still_tells_a_second() -> None:
    assert decide({Kind.PAIR: MAX_OF_PAIR}, {Kind.PAIR: WINDOW - 0.1}).locked_for == 1


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (3, 0), (4, 2), (5, 4), (8, 32), (20, MAX_CODE_WAIT), (10**6, MAX_CODE_WAIT)])
def test_wrong_codes_cost_twice_as_long_each(failures: int, seconds: int) -> None:
    assert code_wait(failures) == seconds


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("", ""),
    ],
)
def test_a_customer_with_ipv6_is_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
