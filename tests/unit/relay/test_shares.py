"""How a relay gets round to reporting all of its calls."""

from __future__ import annotations

from itertools import chain

import pytest

from mediarelay.adapters.node import MAX_SHARE, REPORT_SHARES, _shares


@pytest.mark.parametrize("count", [0, 1, REPORT_SHARES - 1, REPORT_SHARES, 55, 400, REPORT_SHARES * MAX_SHARE, 5_000])
def test_each_call_has_its_turn_once_in_a_pass_that_is_never_shorter(count: int) -> None:
    calls = [f"c-{number}" for number in range(count)]
    shares = list(_shares(calls))
    assert list(chain(*shares)) == calls
    assert max(map(len, shares)) <= MAX_SHARE
    assert len(shares) >= REPORT_SHARES
