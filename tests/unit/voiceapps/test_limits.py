from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.voiceapps.test_admission import APPLICATION, FACTS
from voiceapps.rules.admission import CallCount, Decision, DigestState, Limits, Outcome, Reason, decide
from voiceapps.rules.limits import Usage, apply_limits

RULES = ["application_calls", "account_calls", "application_rate", "account_rate"]


def limited(application: Limits, account: Limits, usage: Usage, *, digest: DigestState = DigestState.VALID) -> Decision:
    snapshot = replace(APPLICATION, application_limits=application, account_limits=account)
    decision = decide(replace(FACTS, digest=digest), request_application=snapshot, to_application=snapshot)
    return apply_limits(decision, snapshot, usage)


def test_without_limits_the_decision_stays_and_all_four_are_skipped() -> None:
    decision = limited(Limits(), Limits(), Usage(CallCount(9, 9), CallCount(9, 9)))
    assert decision.outcome is Outcome.ADMIT
    assert [(result.rule, result.verdict) for result in decision.trace[-4:]] == [(rule, "skipped") for rule in RULES]


@pytest.mark.parametrize(
    ("application", "account", "up", "recent", "failed", "reason"),
    [
        (Limits(max_calls=5), Limits(), CallCount(5, 0), CallCount(), "application_calls", Reason.CAPACITY),
        (Limits(), Limits(max_calls=5), CallCount(0, 5), CallCount(), "account_calls", Reason.CAPACITY),
        (Limits(max_calls_per_second=2), Limits(), CallCount(), CallCount(2, 0), "application_rate", Reason.RATE_LIMITED),
        (Limits(), Limits(max_calls_per_second=2), CallCount(), CallCount(0, 2), "account_rate", Reason.RATE_LIMITED),
    ],
)
def test_a_limit_that_is_reached_is_a_480_with_its_reason(  # noqa: PLR0913  # the table's columns
    application: Limits, account: Limits, up: CallCount, recent: CallCount, failed: str, reason: Reason
) -> None:
    decision = limited(application, account, Usage(up, recent))
    assert (decision.outcome, decision.status, decision.reason) == (Outcome.REFUSE, 480, reason)
    assert [result.rule for result in decision.trace if result.verdict == "failed"] == [failed]
    below = Usage(CallCount(max(up.application - 1, 0), max(up.account - 1, 0)), CallCount(1, 1))
    assert limited(application, account, below).outcome is Outcome.ADMIT


def test_the_trace_shows_limit_and_usage() -> None:
    decision = limited(Limits(5, 1), Limits(1, 20), Usage(CallCount(5, 1), CallCount(0, 7)))
    assert [(result.expected, result.seen) for result in decision.trace[-4:]] == [
        ("at most 5 concurrent calls", "5 are up"),
        ("at most 1 concurrent call", "1 is up"),
        ("at most 1 new call a second", "0 in the last second"),
        ("at most 20 new calls a second", "7 in the last second"),
    ]


def test_concurrent_calls_are_checked_before_rates() -> None:
    full = Limits(1, 1)
    assert limited(full, full, Usage(CallCount(1, 1), CallCount(1, 1))).reason is Reason.CAPACITY


@pytest.mark.parametrize(
    ("digest", "outcome", "status"), [(DigestState.STALE, Outcome.CHALLENGE, 407), (DigestState.WRONG, Outcome.REFUSE, 401)]
)
def test_a_refusal_by_admission_precedes_any_limit(digest: DigestState, outcome: Outcome, status: int) -> None:
    decision = limited(Limits(1), Limits(), Usage(CallCount(1), CallCount()), digest=digest)
    assert (decision.outcome, decision.status, decision.stale) == (outcome, status, digest is DigestState.STALE)
    assert [result.rule for result in decision.trace[-4:]] == RULES


amounts = st.integers(0, 3)
counts = st.builds(CallCount, amounts, amounts)
limits = st.builds(Limits, st.none() | amounts, st.none() | amounts)


@given(limits, limits, st.builds(Usage, counts, counts))
def test_a_call_is_admitted_if_and_only_if_every_limit_has_room(application: Limits, account: Limits, usage: Usage) -> None:
    pairs = [
        (application.max_calls, usage.up.application),
        (account.max_calls, usage.up.account),
        (application.max_calls_per_second, usage.recent.application),
        (account.max_calls_per_second, usage.recent.account),
    ]
    room = all(limit is None or used < limit for limit, used in pairs)
    assert (limited(application, account, usage).outcome is Outcome.ADMIT) is room
