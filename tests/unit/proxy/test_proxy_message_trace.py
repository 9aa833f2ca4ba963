"""The trace of a call: every message that passed the proxy, including those that the transaction layer handles by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipproxy.config import HepConfig
from sipproxy.core import message_trace
from sipproxy.core.events import ProxyEvent
from sipproxy.core.message_trace import MAX_FIRST, MAX_LAST, MAX_STORED
from tests.support.ua import Attempt, Caller
from tests.unit.proxy.harness import ALIAS, CALLER, CONFIG, INTERNAL, NODE_A, NODE_B, UDP, URI, ProxyHarness


def steps(harness: ProxyHarness, leg: str) -> list[str]:
    """Return method or status of the messages of one leg, those that the proxy sent after an arrow."""
    ours = {"{}:{}".format(*listener.address) for listener in (UDP, INTERNAL)}
    return [
        (">" if message.source in ours else "") + message.first_line.split(" ")[message.first_line.startswith("SIP/2.0")]
        for message in harness.ladder
        if message.leg == leg
    ]


def cancelled(harness: ProxyHarness, caller: Caller) -> Attempt:
    attempt = caller.call(URI, harness.now)
    harness.run(0.9)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, harness.now)
    harness.run(60)
    return attempt


def test_the_trace_shows_the_call_and_masks_the_digest() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now)
    harness.run(5)
    assert steps(harness, "caller") == ["INVITE", ">100", ">180", ">200", "ACK", "BYE", ">200"]
    assert steps(harness, "callflow") == [">INVITE", "180", "200", ">ACK", ">BYE", "200"]
    invite = harness.ladder[0].text
    assert 'response="***"' in invite
    assert (harness.ladder[0].source, harness.ladder[0].destination) == ("198.51.100.7:5080", "203.0.113.5:6160")
    assert ALIAS in invite


def test_the_trace_shows_a_cancel_and_its_responses() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 100
    cancelled(harness, caller)
    assert steps(harness, "caller") == ["INVITE", ">100", ">180", "CANCEL", ">200", ">487", "ACK"]
    assert steps(harness, "callflow") == [">INVITE", "180", ">CANCEL", "200", "487", ">ACK"]


def test_the_trace_shows_retransmissions() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.silent = True
    caller.call(URI, harness.now)
    # Two retransmissions before the node is given up, as there is no other.
    harness.run(3)
    assert steps(harness, "callflow").count(">INVITE") >= 2
    (attempt,) = caller.attempts.values()
    for _ in range(2):
        harness.core.receive_datagram(UDP, bytes(attempt.request or b""), CALLER, harness.now)
        harness.drain(harness.now)
    # After its ACK a failure is not sent again.
    assert steps(harness, "caller") == ["INVITE", ">100", ">503", "ACK", "INVITE", "INVITE"]


def test_the_trace_shows_a_late_2xx_that_is_hung_up() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, first, _ = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    first.silent = True
    caller.call(URI, harness.now)
    harness.run(1.3)
    first.silent, first.answer_delay = False, 0.0
    harness.run(10)
    inside = [message for message in harness.ladder if message.leg == "callflow" and NODE_A[0] in (message.source + message.destination)]
    methods = [message.first_line.split(" ")[0] for message in inside if message.source.startswith(INTERNAL.address[0])]
    assert {"INVITE", "CANCEL", "ACK", "BYE"} <= set(methods)


def test_a_peer_cannot_fill_the_trace() -> None:
    harness = ProxyHarness(replace(CONFIG, max_unacknowledged_per_source=1))
    caller = harness.caller()
    harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(0.2)
    for _ in range(MAX_STORED):
        harness.core.receive_datagram(UDP, bytes(attempt.request or b""), CALLER, harness.now)
    harness.drain(harness.now)
    assert len(harness.ladder) == MAX_FIRST


def test_the_first_and_the_last_messages_of_a_call_are_kept() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.leg is not None
    for _ in range(MAX_FIRST // 4 + 20):
        caller.send_inside(attempt.leg, "INFO", harness.now)
        harness.run(0.1)
    assert len(harness.ladder) == MAX_FIRST
    caller.send_inside(attempt.leg, "BYE", harness.now)
    harness.run(1)
    tail = harness.ladder[MAX_FIRST:]
    assert MAX_LAST < len(tail) <= MAX_STORED - MAX_FIRST
    assert [message.first_line.split(" ")[0] for message in tail[-4:]] == ["BYE", "BYE", "SIP/2.0", "SIP/2.0"]
    assert [message.at for message in harness.ladder] == sorted(message.at for message in harness.ladder)


def test_keep_alives_are_folded() -> None:
    harness = ProxyHarness(replace(CONFIG, hep=HepConfig("127.0.0.1", 9060, 1)))
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    before = len(harness.ladder)
    for _ in range(50):
        service.send_inside(service.legs[attempt.call_id], "OPTIONS", harness.now)
        harness.run(25)
    of_options = [message for message in harness.ladder[before:] if "OPTIONS" in message.text]
    assert [message.first_line.split(" ")[0] for message in of_options] == ["OPTIONS", "OPTIONS", "SIP/2.0", "SIP/2.0"]
    service.send_inside(service.legs[attempt.call_id], "BYE", harness.now)
    harness.run(1)
    assert steps(harness, "caller")[-2:] == [">BYE", "200"]


def test_only_so_many_calls_keep_their_last_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_trace, "MAX_FIRST", 1)
    monkeypatch.setattr(message_trace, "MAX_RINGS", 2)
    told: list[ProxyEvent] = []
    trace = message_trace.MessageTrace(CONFIG, wall=lambda now: now, tell=told.append, shows_digits=lambda _: True)
    for number in range(4):
        for _ in range(message_trace.MAX_LAST + 5):
            trace.trace(f"c-{number}", UDP, b"INFO sip:a SIP/2.0\r\n\r\n", 0.0)
    told.clear()
    for number in range(4):
        trace.finish(f"c-{number}")
    assert len(told) == 2 * message_trace.MAX_LAST


def test_without_a_trace_there_are_no_events() -> None:
    harness = ProxyHarness(replace(CONFIG, stores_messages=False))
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 100
    cancelled(harness, caller)
    assert harness.ladder == []
