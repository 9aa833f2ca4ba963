"""A nonce that comes back to another worker, or another proxy, than the one that made it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from sipproxy.admission.limits import NONCE_SECONDS
from sipproxy.core.limits import CLAIM_SECONDS
from sipproxy.sip import Challenge, Response
from sipproxy.transactions.messages import make_cancel
from tests.support.ua import Attempt, Caller
from tests.unit.proxy.harness import CALLER, CONFIG, INTERNAL, OUTSIDE, URI, ProxyHarness, application

MARK = b"store1"


class LateCaller(Caller):
    """A caller whose answer to the challenge goes where a test says, when it says."""

    challenge: Response | None = None

    def answer_challenge(self, attempt: Attempt, response: Response, now: float) -> None:
        self.challenge = response


def workers() -> tuple[ProxyHarness, ProxyHarness]:
    """Return two workers of one node, each in a network of its own: the address is one."""
    return ProxyHarness(replace(CONFIG, workers=2)), ProxyHarness(replace(CONFIG, worker=1, workers=2))


def caller_of(harness: ProxyHarness) -> LateCaller:
    made = LateCaller(CALLER, OUTSIDE)
    made.talk_seconds = None
    harness.network.add(made, CALLER)
    harness.service()
    return made


def challenged(harness: ProxyHarness) -> Response:
    caller = caller_of(harness)
    caller.call(URI, harness.now)
    harness.run(0.1)
    assert caller.challenge is not None
    return caller.challenge


def answered(harness: ProxyHarness, challenge: Response, *, seconds: float = 0.1, burnt: int = 5) -> Attempt:
    """Let a caller of this worker answer a challenge that another one sent."""
    caller = caller_of(harness)
    # Its branches are others than those of a caller at the other proxy, whose tokens begin alike.
    for _ in range(burnt):
        caller.layer.new_branch()
    attempt = caller.call(URI, harness.now)
    harness.run(0.1)
    Caller.answer_challenge(caller, attempt, challenge, harness.now)
    harness.run(seconds)
    return attempt


def is_stale(harness: ProxyHarness) -> bool:
    caller = harness.network.places[CALLER]
    assert isinstance(caller, LateCaller)
    return Challenge.parse(caller.responses[-1].header("proxy-authenticate") or "").stale


def grant(harness: ProxyHarness, *, of: ProxyHarness | None = None, granted: bool | None = None) -> bool | None:
    """Answer the claim that waits: as another worker does, or as a test says."""
    event = harness.claims.pop()
    if of is not None:
        granted = of.core.grant(event.claim, of.now)
    harness.core.claim_answered(event.key, granted, harness.now)
    harness.drain(harness.now)
    harness.run(1)
    return granted


def test_a_nonce_of_a_sibling_lets_its_caller_in() -> None:
    one, other = workers()
    attempt = answered(other, challenged(one))
    assert attempt.statuses == [407]
    assert other.claims[0].claim.worker == 0
    assert grant(other, of=one) is True
    assert attempt.statuses == [407, 100, 180, 200]
    assert len(other.admitted) == 1


@pytest.mark.parametrize("burnt", [5, 9], ids=["the same branch", "another branch"])
def test_a_replay_at_a_sibling_is_stale(burnt: int) -> None:
    one, other = workers()
    challenge = challenged(one)
    assert answered(one, challenge).statuses[-1] == 200
    attempt = answered(other, challenge, burnt=burnt)
    assert grant(other, of=one) is False
    assert attempt.statuses == [407, 407]
    assert is_stale(other)
    assert other.admitted == []


@pytest.mark.parametrize("granted", [False, None])
def test_what_is_not_granted_gets_a_new_nonce(granted: bool | None) -> None:
    one, other = workers()
    attempt = answered(other, challenged(one))
    grant(other, granted=granted)
    assert attempt.statuses == [407, 407]
    assert is_stale(other)


def test_a_claim_that_nobody_answers_is_not_granted() -> None:
    one, other = workers()
    attempt = answered(other, challenged(one), seconds=CLAIM_SECONDS + 0.5)
    assert attempt.statuses == [407, 407]
    assert is_stale(other)
    grant(other, granted=True)
    assert other.admitted == []


def test_a_caller_may_cancel_while_a_claim_waits() -> None:
    one, other = workers()
    attempt = answered(other, challenged(one))
    assert attempt.request is not None
    other.receive(bytes(make_cancel(attempt.request)), CALLER, OUTSIDE, other.now)
    other.run(0.2)
    assert attempt.statuses == [407, 487]
    grant(other, granted=True)
    assert other.admitted == []


def test_a_caller_that_is_refused_anyway_claims_nothing() -> None:
    one, other = workers()
    challenge = challenged(one)
    other.applications = [application(allowed_source_ips=("192.0.2.0/24",))]
    attempt = answered(other, challenge)
    assert attempt.statuses == [401, 401]
    assert other.claims == []


def test_a_wrong_password_is_refused_without_a_claim() -> None:
    one, other = workers()
    challenge = challenged(one)
    caller = caller_of(other)
    caller.password = "wrong"  # noqa: S105  # as it says
    attempt = caller.call(URI, other.now)
    other.run(0.1)
    Caller.answer_challenge(caller, attempt, challenge, other.now)
    other.run(0.1)
    assert attempt.statuses == [407, 401]
    assert other.claims == []


# The fleet.


def test_another_proxy_claims_in_the_store() -> None:
    one, other = ProxyHarness(), ProxyHarness(replace(CONFIG, internal=replace(INTERNAL, address=("10.0.0.11", 6162))))
    for proxy in (one, other):
        proxy.core.share_nonces(MARK)
    challenge = challenged(one)
    attempt = answered(other, challenge)
    assert other.claims[0].claim.worker is None
    grant(other, granted=True)
    assert attempt.statuses == [407, 100, 180, 200]


def test_the_issuer_claims_in_the_store_as_well() -> None:
    one = ProxyHarness()
    one.core.share_nonces(MARK)
    attempt = answered(one, challenged(one))
    grant(one, granted=False)
    assert attempt.statuses == [407, 407]
    assert one.admitted == []


def test_without_a_store_another_proxy_asks_for_new_credentials() -> None:
    one, other = ProxyHarness(), ProxyHarness()
    # A process of its own has a mark of its own.
    other.seed = count(1_000)
    other.restart()
    attempt = answered(other, challenged(one))
    assert attempt.statuses == [407, 407]
    assert is_stale(other)
    assert other.claims == []


def test_a_store_that_goes_away_leaves_no_nonce_of_its_own_good() -> None:
    one = ProxyHarness()
    one.core.share_nonces(MARK)
    challenge = challenged(one)
    one.core.share_nonces(None)
    attempt = answered(one, challenge)
    assert attempt.statuses == [407, 407]
    assert answered(one, one_more(one)).statuses[-1] == 200


def one_more(harness: ProxyHarness) -> Response:
    harness.run(NONCE_SECONDS)
    return challenged(harness)
