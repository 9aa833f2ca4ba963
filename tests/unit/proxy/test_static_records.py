"""The records of calls at a static target, which the proxy alone can write: also of those that it does not remember."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.ua import Attempt, Caller, Service
from tests.unit.proxy.harness import CONFIG, NODE_A, URI, ProxyHarness
from voiceapps.rules.endings import EndReason

STATIC = replace(CONFIG, callflow_targets=(NODE_A,))
EPOCH = 1_700_000_000


def talking(config: object = STATIC) -> tuple[ProxyHarness, Caller, Service, Attempt]:
    """Return a call that is up."""
    harness = ProxyHarness(config)  # type: ignore[arg-type]  # one of the two
    caller, service = harness.caller(), harness.service(foreign=config is STATIC)
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(2)
    assert service.acked
    return harness, caller, service, attempt


def hang_up(harness: ProxyHarness, agent: Caller | Service, attempt: Attempt) -> float:
    """Have an end say BYE, and return when."""
    leg = agent.legs[attempt.call_id] if isinstance(agent, Service) else attempt.leg
    assert leg is not None
    now = harness.now
    agent.send_inside(leg, "BYE", now)
    harness.run(1)
    return now


def test_the_ack_of_a_call_is_told_once() -> None:
    harness, _, service, attempt = talking()
    (answered,) = harness.answered
    assert (answered.call, answered.node) == (harness.admitted[0].call, STATIC.name)
    assert 0 < answered.at - EPOCH < 1
    key, _, final = service._invites[attempt.call_id]
    service.layer.respond(key, final, harness.now)
    harness.run(1)
    assert len(harness.answered) == 1


def test_our_own_call_flow_tells_that_by_itself() -> None:
    harness, caller, _, attempt = talking(CONFIG)
    harness.restart()
    hang_up(harness, caller, attempt)
    assert (harness.answered, harness.hung_up) == ([], [])


@pytest.mark.parametrize(("by_caller", "reason"), [(True, EndReason.CALLER_HANGUP), (False, EndReason.APPLICATION_HANGUP)])
def test_a_proxy_that_began_anew_tells_the_end_of_a_call_once(by_caller: bool, reason: EndReason) -> None:
    harness, caller, service, attempt = talking()
    harness.restart()
    at = hang_up(harness, caller if by_caller else service, attempt)
    (told,) = harness.hung_up
    assert (told.call_id, told.node, told.reason) == (harness.admitted[0].call.call_id, STATIC.name, reason)
    assert told.at - EPOCH == pytest.approx(at, abs=0.5)
    assert harness.ended == []
    hang_up(harness, caller, attempt)
    assert len(harness.hung_up) == 1
    harness.run(40)
    assert harness.is_empty()


def test_a_call_that_is_known_has_one_end() -> None:
    harness, caller, service, attempt = talking()
    for agent in (caller, service):
        hang_up(harness, agent, attempt)
    assert (len(harness.ended), harness.hung_up) == (1, [])
