"""Limits of applications and accounts, held after admission (D2), and the calls that must not hold them for ever."""

from __future__ import annotations

from dataclasses import replace

from sipproxy.core.limits import SETTLED_SECONDS
from sipproxy.sip import Response
from tests.support.ua import Attempt, Caller
from tests.unit.proxy.world import ALIAS, APP, CONFIG, DOMAIN, URI, World, application
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Limits, Reason

OTHER = "22222222-2222-4333-8444-555555555555"
OTHER_URI = f"sip:{OTHER}@{DOMAIN}"


def open_application(**changes: object) -> AdmissionSnapshot:
    """Return an application that any address may call without a password."""
    return application(password_auth=False, allowed_source_ips=("0.0.0.0/0",), **changes)


def world_of(*applications: AdmissionSnapshot) -> World:
    world = World(replace(CONFIG, max_unacknowledged_per_source=1_000))
    world.applications = list(applications)
    world.service()
    return world


def place(world: World, caller: Caller, uri: str = URI) -> Attempt:
    attempt = caller.call(uri, world.now)
    world.run(0.2)
    return attempt


def reasons(world: World) -> list[Reason]:
    return [refusal.reason for refusal in world.refusals]


def verdicts(world: World) -> dict[str, str]:
    return {result.rule: result.verdict for result in world.refusals[-1].trace}


def refused(caller: Caller) -> Response:
    return next(response for response in reversed(caller.responses) if response.status == 503)


def test_an_application_has_no_more_calls_up_than_it_may() -> None:
    world = world_of(application(application_limits=Limits(max_calls=2)))
    caller = world.caller()
    attempts = [place(world, caller) for _ in range(3)]
    assert [attempt.statuses for attempt in attempts] == [[407, 100, 180, 200], [407, 100, 180, 200], [407, 503]]
    assert refused(caller).header("retry-after") == "5"
    refusal = world.refusals[-1]
    assert (refusal.reason, refusal.status, refusal.application_id, len(world.refusals)) == (Reason.CAPACITY, 503, APP, 1)
    failed = next(result for result in refusal.trace if result.verdict == "failed")
    assert (failed.rule, failed.expected, failed.seen) == ("application_calls", "at most 2 concurrent calls", "2 are up")
    assert [result.rule for result in refusal.trace[8:]] == ["application_calls", "account_calls", "application_rate", "account_rate"]
    assert [verdicts(world)[rule] for rule in ("account_calls", "application_rate", "account_rate")] == ["skipped"] * 3
    # The callers hang up after a second; then there is room again.
    world.run(2)
    assert place(world, caller).statuses[-1] == 200


def test_an_accounts_limit_spans_its_applications() -> None:
    own = open_application(account_limits=Limits(max_calls=1))
    other = open_application(application_id=OTHER, users=frozenset({OTHER}), account_limits=Limits(max_calls=1))
    stranger = replace(other, application_id=ALIAS, account_id="1", users=frozenset({"1"}))
    world = world_of(own, other, stranger)
    caller = world.caller()
    assert place(world, caller).statuses[-1] == 200
    assert place(world, caller, OTHER_URI).statuses == [503]
    assert (reasons(world), verdicts(world)["account_calls"]) == ([Reason.CAPACITY], "failed")
    assert world.refusals[0].application_id == OTHER
    assert place(world, caller, f"sip:1@{DOMAIN}").statuses[-1] == 200


def test_calls_at_other_nodes_count() -> None:
    world = world_of(open_application(application_limits=Limits(max_calls=3), calls_elsewhere=CallCount(2, 2)))
    caller = world.caller()
    assert [place(world, caller).statuses[-1] for _ in range(2)] == [200, 503]


def test_a_call_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    world = world_of(open_application(application_limits=Limits(max_calls=1)))
    world.relay_lives = False
    caller = world.caller()
    assert [place(world, caller).statuses[-1] for _ in range(2)] == [503, 503]
    assert world.refusals == []
    world.relay_lives = True
    assert place(world, caller).statuses[-1] == 200


def test_new_calls_a_second_are_limited_and_come_back_with_time() -> None:
    world = world_of(open_application(application_limits=Limits(max_calls_per_second=2)))
    caller = world.caller()
    attempts = [caller.call(URI, world.now) for _ in range(5)]
    world.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [200, 200, 503, 503, 503]
    assert set(reasons(world)) == {Reason.RATE_LIMITED}
    assert refused(caller).header("retry-after") == "5"
    assert verdicts(world)["application_rate"] == "failed"
    world.run(0.5)
    assert [place(world, caller).statuses[-1], place(world, caller).statuses[-1]] == [200, 503]


def test_a_limit_of_zero_lets_nobody_in() -> None:
    world = world_of(open_application(account_limits=Limits(max_calls_per_second=0)))
    assert place(world, world.caller()).statuses == [503]
    world.applications = [open_application(account_limits=Limits(max_calls=0))]
    assert place(world, world.caller(("198.51.100.8", 5080))).statuses == [503]


def test_a_refused_call_uses_up_nothing_of_the_other_limit() -> None:
    account = Limits(max_calls_per_second=3)
    narrow = open_application(application_limits=Limits(max_calls_per_second=1), account_limits=account)
    wide = open_application(application_id=OTHER, users=frozenset({OTHER}), account_limits=account)
    world = world_of(narrow, wide)
    caller = world.caller()
    attempts = [caller.call(uri, world.now) for uri in (URI, URI, URI, URI, OTHER_URI, OTHER_URI, OTHER_URI)]
    world.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [200, 503, 503, 503, 200, 200, 503]


def test_who_does_not_get_in_uses_nothing_up() -> None:
    world = world_of(application(application_limits=Limits(1, 1), account_limits=Limits(1, 1)))
    thief = world.caller(("198.51.100.66", 5060), password="wrong")
    for _ in range(5):
        assert place(world, thief).statuses == [407, 401]
    assert place(world, world.caller()).statuses[-1] == 200


def test_a_call_over_d8s_cap_uses_no_rate_up() -> None:
    world = World(replace(CONFIG, max_unacknowledged_per_source=1))
    world.applications = [open_application(application_limits=Limits(max_calls_per_second=2))]
    world.service().silent = True
    crowded, elsewhere = world.caller(), world.caller(("198.51.100.8", 5080))
    attempts = [crowded.call(URI, world.now), crowded.call(URI, world.now), elsewhere.call(URI, world.now)]
    world.run(0.2)
    assert [attempt.statuses[-1] for attempt in attempts] == [100, 503, 100]
    assert verdicts(world)["capacity"] == "failed"
    assert verdicts(world)["application_rate"] == "passed"


# Calls whose BYE never comes.


def settled(world: World) -> tuple[str, ...]:
    return world.core.settled_calls(world.now)


def test_a_call_that_ended_elsewhere_gives_its_place_back() -> None:
    world = world_of(open_application(application_limits=Limits(max_calls=1)))
    caller = world.caller()
    caller.talk_seconds = None
    place(world, caller)
    world.run(SETTLED_SECONDS - 1)
    assert settled(world) == ()
    world.run(1)
    (call_id,) = settled(world)
    assert place(world, caller).statuses == [503]
    world.core.forget_calls([call_id, "unknown"])
    world.drain(world.now)
    assert (settled(world), world.core.load.calls, world.ended) == ((), 0, [])
    assert place(world, caller).statuses[-1] == 200


def test_a_forgotten_call_may_still_say_good_bye() -> None:
    world = world_of(open_application())
    caller = world.caller()
    caller.talk_seconds = SETTLED_SECONDS + 5
    attempt = place(world, caller)
    world.run(SETTLED_SECONDS + 1)
    world.core.forget_calls(settled(world))
    world.run(60)
    assert attempt.ended == "local"
    assert world.core.load.calls == 0
