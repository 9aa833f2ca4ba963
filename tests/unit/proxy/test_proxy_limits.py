"""The limits of applications and accounts, and the calls that must not count for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipproxy.core.limits import SETTLED_SECONDS
from sipproxy.sip import Response
from tests.support.ua import Attempt, Caller
from tests.unit.proxy.harness import ALIAS, APP, CONFIG, DOMAIN, URI, ProxyHarness, application
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Limits, Reason

OTHER = "22222222-2222-4333-8444-555555555555"
OTHER_URI = f"sip:{OTHER}@{DOMAIN}"


def open_application(**changes: object) -> AdmissionSnapshot:
    """Return an application that any address may call without a password."""
    return application(password_auth=False, allowed_source_ips=("0.0.0.0/0",), **changes)


def world_of(*applications: AdmissionSnapshot) -> ProxyHarness:
    harness = ProxyHarness(replace(CONFIG, max_unacknowledged_per_source=1_000))
    harness.applications = list(applications)
    harness.service()
    return harness


def place(harness: ProxyHarness, caller: Caller, uri: str = URI) -> Attempt:
    attempt = caller.call(uri, harness.now)
    harness.run(0.2)
    return attempt


def reasons(harness: ProxyHarness) -> list[Reason]:
    return [refusal.reason for refusal in harness.refusals]


def verdicts(harness: ProxyHarness) -> dict[str, str]:
    return {result.rule: result.verdict for result in harness.refusals[-1].trace}


def refused(caller: Caller) -> Response:
    return next(response for response in reversed(caller.responses) if response.status == 480)


def test_an_applications_concurrent_calls_are_limited() -> None:
    harness = world_of(application(application_limits=Limits(max_calls=2)))
    caller = harness.caller()
    attempts = [place(harness, caller) for _ in range(3)]
    assert [attempt.statuses for attempt in attempts] == [[407, 100, 180, 200], [407, 100, 180, 200], [407, 480]]
    assert refused(caller).header("retry-after") == "5"
    refusal = harness.refusals[-1]
    assert (refusal.reason, refusal.status, refusal.application_id, len(harness.refusals)) == (Reason.CAPACITY, 480, APP, 1)
    failed = next(result for result in refusal.trace if result.verdict == "failed")
    assert (failed.rule, failed.expected, failed.seen) == ("application_calls", "at most 2 concurrent calls", "2 are up")
    assert [result.rule for result in refusal.trace[-4:]] == ["application_calls", "account_calls", "application_rate", "account_rate"]
    assert [verdicts(harness)[rule] for rule in ("account_calls", "application_rate", "account_rate")] == ["skipped"] * 3
    # The callers hang up after a second; then further calls are admitted.
    harness.run(2)
    assert place(harness, caller).statuses[-1] == 200


def test_an_accounts_limit_spans_its_applications() -> None:
    own = open_application(account_limits=Limits(max_calls=1))
    other = open_application(application_id=OTHER, users=frozenset({OTHER}), account_limits=Limits(max_calls=1))
    stranger = replace(other, application_id=ALIAS, account_id="1", users=frozenset({"1"}))
    harness = world_of(own, other, stranger)
    caller = harness.caller()
    assert place(harness, caller).statuses[-1] == 200
    assert place(harness, caller, OTHER_URI).statuses == [480]
    assert (reasons(harness), verdicts(harness)["account_calls"]) == ([Reason.CAPACITY], "failed")
    assert harness.refusals[0].application_id == OTHER
    assert place(harness, caller, f"sip:1@{DOMAIN}").statuses[-1] == 200


def test_calls_at_other_nodes_count() -> None:
    harness = world_of(open_application(application_limits=Limits(max_calls=3), calls_elsewhere=CallCount(2, 2)))
    caller = harness.caller()
    assert [place(harness, caller).statuses[-1] for _ in range(2)] == [200, 480]


def test_a_call_that_fails_or_is_cancelled_no_longer_counts() -> None:
    harness = world_of(open_application(application_limits=Limits(max_calls=1)))
    harness.relay_lives = False
    caller = harness.caller()
    assert [place(harness, caller).statuses[-1] for _ in range(2)] == [503, 503]
    assert harness.refusals == []
    harness.relay_lives = True
    assert place(harness, caller).statuses[-1] == 200


def test_new_calls_per_second_are_limited() -> None:
    harness = world_of(open_application(application_limits=Limits(max_calls_per_second=2)))
    caller = harness.caller()
    attempts = [caller.call(URI, harness.now) for _ in range(5)]
    harness.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [200, 200, 480, 480, 480]
    assert set(reasons(harness)) == {Reason.RATE_LIMITED}
    assert refused(caller).header("retry-after") == "5"
    assert verdicts(harness)["application_rate"] == "failed"
    harness.run(0.5)
    assert [place(harness, caller).statuses[-1], place(harness, caller).statuses[-1]] == [200, 480]


AUTHENTICATION: dict[str, dict[str, object]] = {
    "password": {},
    "address": {"password_auth": False, "allowed_source_ips": ("0.0.0.0/0",)},
    "both": {"allowed_source_ips": ("198.51.100.0/24",), "allowed_regions": ("US",)},
}
LIMIT_OF_ONE = {
    "application_calls": {"application_limits": Limits(max_calls=1)},
    "account_calls": {"account_limits": Limits(max_calls=1)},
    "application_rate": {"application_limits": Limits(max_calls_per_second=1)},
    "account_rate": {"account_limits": Limits(max_calls_per_second=1)},
}


@pytest.mark.parametrize("authentication", AUTHENTICATION)
@pytest.mark.parametrize("rule", LIMIT_OF_ONE)
def test_each_limit_answers_480_and_when_to_come_again(authentication: str, rule: str) -> None:
    harness = world_of(application(**AUTHENTICATION[authentication], **LIMIT_OF_ONE[rule]))
    caller = harness.caller()
    attempts = [caller.call(URI, harness.now) for _ in range(2)]
    harness.run(0.2)
    assert sorted(attempt.statuses[-1] for attempt in attempts) == [200, 480]
    assert refused(caller).header("retry-after") == "5"
    assert verdicts(harness)[rule] == "failed"


@pytest.mark.parametrize("authentication", AUTHENTICATION)
@pytest.mark.parametrize("trouble", ["no relay", "no node", "full", "draining", "no database"])
def test_trouble_of_our_own_answers_503_whatever_the_limits(authentication: str, trouble: str) -> None:
    harness = world_of(application(**AUTHENTICATION[authentication], application_limits=Limits(1, 1), account_limits=Limits(1, 1)))
    caller = harness.caller()
    harness.relay_lives = trouble != "no relay"
    harness.directory_lives = trouble != "no database"
    if trouble == "no node":
        harness.core.replace_nodes((), ())
    elif trouble == "full":
        harness.max_calls = 0
        harness.restart()
    elif trouble == "draining":
        harness.core.set_draining(True)
    assert place(harness, caller).statuses[-1] == 503
    assert caller.responses[-1].header("retry-after") == "5"


def test_a_proxy_that_resumes_admits_calls() -> None:
    harness = world_of(application())
    caller = harness.caller()
    harness.core.set_draining(True)
    assert place(harness, caller).statuses == [503]
    harness.core.set_draining(False)
    assert place(harness, caller).statuses[-1] == 200


def test_a_limit_of_zero_admits_no_call() -> None:
    harness = world_of(open_application(account_limits=Limits(max_calls_per_second=0)))
    assert place(harness, harness.caller()).statuses == [480]
    harness.applications = [open_application(account_limits=Limits(max_calls=0))]
    assert place(harness, harness.caller(("198.51.100.8", 5080))).statuses == [480]


def test_a_call_refused_by_one_limit_does_not_count_for_the_other() -> None:
    account = Limits(max_calls_per_second=3)
    narrow = open_application(application_limits=Limits(max_calls_per_second=1), account_limits=account)
    wide = open_application(application_id=OTHER, users=frozenset({OTHER}), account_limits=account)
    harness = world_of(narrow, wide)
    caller = harness.caller()
    attempts = [caller.call(uri, harness.now) for uri in (URI, URI, URI, URI, OTHER_URI, OTHER_URI, OTHER_URI)]
    harness.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [200, 480, 480, 480, 200, 200, 480]


def test_a_refused_call_does_not_count() -> None:
    harness = world_of(application(application_limits=Limits(1, 1), account_limits=Limits(1, 1)))
    thief = harness.caller(("198.51.100.66", 5060), password="wrong")
    for _ in range(5):
        assert place(harness, thief).statuses == [407, 401]
    assert place(harness, harness.caller()).statuses[-1] == 200


def test_a_call_over_the_cap_on_unacknowledged_calls_does_not_count() -> None:
    harness = ProxyHarness(replace(CONFIG, max_unacknowledged_per_source=1))
    harness.applications = [open_application(application_limits=Limits(max_calls_per_second=2))]
    harness.service().silent = True
    crowded, elsewhere = harness.caller(), harness.caller(("198.51.100.8", 5080))
    attempts = [crowded.call(URI, harness.now), crowded.call(URI, harness.now), elsewhere.call(URI, harness.now)]
    harness.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [100, 503, 100]
    assert verdicts(harness)["capacity"] == "failed"
    assert verdicts(harness)["application_rate"] == "passed"


# Calls whose BYE never comes.


def settled(harness: ProxyHarness) -> tuple[str, ...]:
    return harness.core.settled_calls(harness.now)


def test_a_call_that_ended_elsewhere_no_longer_counts() -> None:
    harness = world_of(open_application(application_limits=Limits(max_calls=1)))
    caller = harness.caller()
    caller.talk_seconds = None
    place(harness, caller)
    harness.run(SETTLED_SECONDS - 1)
    assert settled(harness) == ()
    harness.run(1)
    (call_id,) = settled(harness)
    assert place(harness, caller).statuses == [480]
    harness.core.forget_calls([call_id, "unknown"])
    harness.drain(harness.now)
    assert (settled(harness), harness.core.load.calls, harness.ended) == ((), 0, [])
    assert place(harness, caller).statuses[-1] == 200


def test_a_forgotten_call_can_still_send_its_bye() -> None:
    harness = world_of(open_application())
    caller = harness.caller()
    caller.talk_seconds = SETTLED_SECONDS + 5
    attempt = place(harness, caller)
    harness.run(SETTLED_SECONDS + 1)
    harness.core.forget_calls(settled(harness))
    harness.run(60)
    assert attempt.ended == "local"
    assert harness.core.load.calls == 0
