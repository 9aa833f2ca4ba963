"""No call's row stays open: where a node refuses an INVITE, the proxy writes the record if the node does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipproxy.core import call_end
from sipproxy.core.limits import OWED_SECONDS
from tests.unit.proxy.harness import CONFIG, NODE_A, URI, ProxyHarness
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallEnded


def refused(status: int, *, delay: float = 0.05) -> ProxyHarness:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.status, service.answer_delay = status, delay
    caller.call(URI, harness.now)
    harness.run(1)
    return harness


@pytest.mark.parametrize("status", [403, 420, 422, 482, 488, 500])
def test_a_refusal_is_recorded_after_the_node_had_its_time(status: int) -> None:
    harness = refused(status)
    assert harness.ended == []
    harness.run(OWED_SECONDS + 1)
    (record,) = harness.ended
    assert (record.reason, record.sip_status, record.call) == (EndReason.TARGET_REFUSED, status, harness.admitted[0].call)
    # It ended when it was refused, not when that was written.
    assert record.at < harness.sources.wall(2.0)
    harness.run(OWED_SECONDS)
    assert len(harness.ended) == 1
    assert harness.is_empty()


def test_a_cancelled_call_is_recorded_as_such() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 20.0
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, harness.now)
    harness.run(OWED_SECONDS + 2)
    assert [record.reason for record in harness.ended] == [EndReason.CALLER_CANCELLED]


def test_an_answered_call_is_the_nodes_to_record() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now)
    harness.run(2 * OWED_SECONDS)
    assert harness.ended == []


def test_what_the_proxy_knows_alone_is_recorded_at_once() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service()
    service.status = 482
    caller.call(URI, harness.now)
    harness.run(1)
    assert [record.sip_status for record in harness.ended] == [482]
    harness.run(2 * OWED_SECONDS)
    assert len(harness.ended) == 1


def test_a_process_that_ends_writes_what_it_owes() -> None:
    harness = refused(482)
    harness.core.settle()
    harness.drain(harness.now)
    assert [record.sip_status for record in harness.ended] == [482]
    harness.run(2 * OWED_SECONDS)
    assert len(harness.ended) == 1


def test_too_many_owed_records_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_end, "MAX_OWED", 1)
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.status = 486
    for _ in range(2):
        caller.call(URI, harness.now)
        harness.run(1)
    told: list[CallEnded] = harness.ended
    assert [record.call for record in told] == [harness.admitted[1].call]
