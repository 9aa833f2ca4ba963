from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipproxy.admission.limits import MAX_RATED
from sipproxy.admission.quotas import Quotas
from sipproxy.core.calls import CallBook
from tests.unit.proxy.harness import APP, application
from tests.unit.proxy.test_calls import FACTS
from voiceapps.rules.admission import CallCount, Limits


def test_our_calls_and_those_of_other_nodes_add_up() -> None:
    book = CallBook()
    book.add(FACTS, capped=False, now=0.0)
    asked = application(application_id="app", account_id="account", calls_elsewhere=CallCount(2, 5))
    assert Quotas(book.count).usage(asked, 0.0).up == CallCount(3, 6)


def test_new_calls_are_counted_for_those_that_have_a_rate_and_fade() -> None:
    quotas = Quotas(CallBook().count)
    asked = application(application_limits=Limits(max_calls_per_second=4), account_limits=Limits(max_calls=1))
    for _ in range(3):
        quotas.count(asked, 0.0)
    assert quotas.usage(asked, 0.0).recent == CallCount(3, 0)
    assert quotas.usage(asked, 0.25).recent == CallCount(2, 0)
    assert quotas.usage(asked, 10.0).recent == CallCount(0, 0)
    assert len(quotas) == 1


@given(st.integers(1, 30), st.lists(st.floats(0.0, 1.0), max_size=8))
@example(15, [1.0, 0.3333333333333333])
def test_no_more_than_the_limit_is_admitted_at_once_after_any_pause(limit: int, pauses: list[float]) -> None:
    quotas = Quotas(CallBook().count)
    asked = application(account_limits=Limits(max_calls_per_second=limit))

    def fill(now: float) -> int:
        """Place more calls than the limit admits and return how many were admitted."""
        entered = 0
        for _ in range(limit + 5):
            if quotas.usage(asked, now).recent.account < limit:
                quotas.count(asked, now)
                entered += 1
        return entered

    assert fill(0.0) == limit
    now = 0.0
    for pause in pauses:
        now += pause
        # A pause gives back its share of the limit, and the token that had begun to refill before.
        assert fill(now) <= min(limit, limit * pause + 1)
    assert fill(now + 2.0) == limit


@pytest.mark.parametrize("max_keys", [10, MAX_RATED])
def test_the_tables_are_bounded(max_keys: int) -> None:
    quotas = Quotas(CallBook().count, max_keys=max_keys)
    rate = Limits(max_calls_per_second=1)
    for number in range(max_keys + 10):
        quotas.count(
            application(application_id=f"{APP}{number}", account_id=str(number), application_limits=rate, account_limits=rate), 0.0
        )
    assert len(quotas) == 2 * max_keys
