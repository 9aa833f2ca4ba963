"""A BYE that may have been sent while the proxy was away tells so to the call flow, and to nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemonkit.presence import REPEATED_SECONDS
from sipproxy.headers.call_headers import AGE_HEADER, LATE_HEADER
from sipproxy.sip import Request
from tests.unit.proxy.harness import CONFIG, NODE_A, URI, ProxyHarness


def hung_up(harness: ProxyHarness, *, by_caller: bool = True, talk_seconds: float = 1.0) -> Request:
    """Have a call and return the BYE as the other side gets it."""
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds, service.talk_seconds = (talk_seconds, None) if by_caller else (None, talk_seconds)
    caller.call(URI, harness.now)
    harness.run(talk_seconds + 3)
    return next(request for request in (service if by_caller else caller).requests if request.method == "BYE")


def test_a_present_proxy_says_nothing() -> None:
    assert hung_up(ProxyHarness()).count(LATE_HEADER) == 0


def test_one_that_has_just_begun_says_so() -> None:
    harness = ProxyHarness()
    harness.presence.tell(harness.now)
    assert hung_up(harness).headers(LATE_HEADER) == ["1"]


def test_the_caller_is_told_nothing() -> None:
    harness = ProxyHarness()
    harness.presence.tell(harness.now)
    assert hung_up(harness, by_caller=False).count(LATE_HEADER) == 0


@pytest.mark.parametrize("was_away", [False, True])
def test_one_that_is_back_for_long_says_nothing(was_away: bool) -> None:
    harness = ProxyHarness()
    began = harness.now
    for step in range(round(2 * REPEATED_SECONDS / 0.3)):
        harness.presence.tell(began + step * 0.3 - 2 * REPEATED_SECONDS)
    harness.presence.tell(began)
    # Nobody tells it the time while this call is up, as if it stood still.
    assert hung_up(harness, talk_seconds=1.0 if was_away else 0.2).count(LATE_HEADER) == was_away


@pytest.mark.parametrize("static", [False, True])
def test_one_that_could_not_reach_its_node_says_for_how_long(static: bool) -> None:
    """A static target is told nothing of ours."""
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)) if static else CONFIG)
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds, service.talk_seconds = 5.0, None
    caller.call(URI, harness.now)
    harness.run(4)
    del harness.network.places[NODE_A]
    harness.run(3)
    harness.network.places[NODE_A] = service
    harness.run(10)
    byes = [request for request in service.requests if request.method == "BYE"]
    ages = [float(value) for bye in byes for value in bye.headers(AGE_HEADER)]
    assert byes
    assert len(ages) == (0 if static else 1)
    assert all(age in (1.5, 3.5) for age in ages)
