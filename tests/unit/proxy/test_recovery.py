"""A proxy that dies during the set-up of a call and restarts with nothing in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipproxy.core.events import Datagram
from sipproxy.sip import Request, Response, parse_message
from sipproxy.transactions.listener import Listener
from tests.support.ua import Caller, Service
from tests.unit.proxy.harness import CALLER, CONFIG, INSIDE, INTERNAL, NODE_A, NODE_B, OUTSIDE, TCP, UDP, URI, ProxyHarness

STATIC = replace(CONFIG, callflow_targets=(NODE_A,))


def die_while_it_rings(harness: ProxyHarness, caller: Caller, service: Service) -> None:
    service.answer_delay = 0.5
    caller.call(URI, harness.now)
    harness.run(0.3)
    harness.restart()
    # The state of the dead process is gone; the relay's session is not.
    assert harness.core.load.calls == 0


@pytest.mark.parametrize("config", [CONFIG, STATIC], ids=["call flow", "static target"])
@pytest.mark.parametrize("offer", [None, b""], ids=["offer", "late offer"])
def test_a_ringing_call_is_answered_after_the_restart(config: object, offer: bytes | None) -> None:
    harness = ProxyHarness(config)  # type: ignore[arg-type]  # one of the two above
    caller, service = harness.caller(), harness.service(foreign=config is STATIC)
    service.answer_delay = 0.5
    attempt = caller.call(URI, harness.now, body=offer)
    harness.run(0.3)
    harness.restart()
    harness.run(10)
    assert attempt.statuses == [407, 100, 180, 200]
    assert attempt.answer == b"v=0 relayed to external\r\n"
    assert (attempt.ended, service.ended[attempt.call_id]) == ("local", "remote")
    answer = next(response for response in caller.responses if response.status == 200)
    assert NODE_A[0].encode() not in bytes(answer)
    harness.run(70)
    assert harness.is_empty()


def test_over_a_stream_it_goes_back_on_its_connection() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(to=TCP), harness.service()
    harness.connected.add((TCP, CALLER))
    die_while_it_rings(harness, caller, service)
    harness.run(10)
    assert [attempt.ended for attempt in caller.attempts.values()] == ["local"]


def test_a_call_that_no_node_has_seen_is_retransmitted_by_its_caller() -> None:
    harness = ProxyHarness()
    harness.hold_relay = True
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(0.2)
    assert (attempt.statuses, service.requests) == ([407], [])
    harness.restart()
    harness.held.clear()
    harness.hold_relay = False
    harness.run(10)
    # Its nonce is unknown to another process: it is stale, so the phone answers without asking for the password again.
    assert attempt.statuses == [407, 407, 100, 180, 200]
    assert attempt.ended == "local"


def answers_to(harness: ProxyHarness, listener: Listener, change: tuple[bytes, bytes]) -> list[Datagram]:
    """Return what a restarted proxy sends when it gets a node's 200 with one change."""
    caller, service = harness.caller(), harness.service()
    die_while_it_rings(harness, caller, service)
    _, _, final = next(iter(service._invites.values()))
    assert change[0] in bytes(final)
    harness.core.receive_datagram(listener, bytes(final).replace(*change), CALLER if listener is UDP else NODE_A, harness.now)
    harness.drain(harness.now)
    return harness.core.datagrams_to_send()


NOTHING = (b"SIP/2.0", b"SIP/2.0")


@pytest.mark.parametrize("change", [NOTHING, (b"\r\nVia: SIP/2.0/UDP 198", b", SIP/2.0/UDP 198")], ids=["two Vias", "one line of Vias"])
def test_it_is_sent_where_the_invite_came_from(change: tuple[bytes, bytes]) -> None:
    (sent,) = answers_to(ProxyHarness(), INTERNAL, change)
    assert (sent.listener, sent.address) == (UDP, CALLER)
    message = parse_message(sent.data)
    assert message.headers("record-route")[0].endswith(f"@{OUTSIDE[0]}:{OUTSIDE[1]};lr>")
    assert (message.header("contact") or "").startswith(f"<{URI};sipuri=")
    assert message.count("via") == 1
    assert INSIDE[0].encode() not in sent.data


@pytest.mark.parametrize(
    ("listener", "change"),
    [
        pytest.param(UDP, NOTHING, id="from outside"),
        pytest.param(INTERNAL, (b"Call-ID: call-1", b"Call-ID: call-2"), id="another dialog's token"),
        pytest.param(INTERNAL, (b"Record-Route: <sip:", b"Record-Route: <sip:A"), id="no token"),
        pytest.param(INTERNAL, (b"Record-Route: <sip:", b"Record-Route: <nothing"), id="no URI"),
        pytest.param(INTERNAL, (b"Record-Route: <sip:", b'Record-Route: , "<sip:'), id="not to be taken apart"),
        pytest.param(INTERNAL, (b"198.51.100.7:5080;branch", b"198.51.100.7:508x;branch"), id="a Via that leads nowhere"),
        pytest.param(INTERNAL, (b"SIP/2.0 200", b"SIP/2.0 486"), id="a failure"),
    ],
)
def test_a_2xx_without_a_token_of_ours_is_dropped(listener: Listener, change: tuple[bytes, bytes]) -> None:
    assert answers_to(ProxyHarness(), listener, change) == []


def test_without_the_relay_the_2xx_waits_for_its_retransmission() -> None:
    harness = ProxyHarness()
    harness.relay_refuses = {"answer"}
    assert answers_to(harness, INTERNAL, NOTHING) == []


def test_a_2xx_of_a_node_that_was_left_is_dropped() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, first, second = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    second.answer_delay = 60.0
    held: list[Request] = []

    def keep(message: Request | Response) -> None:
        assert isinstance(message, Request)
        held.append(message)

    first.receive = lambda data, source, local, now: keep(parse_message(data))  # type: ignore[method-assign]  # it never answers
    caller.call(URI, harness.now)
    harness.run(2)
    assert second.requests
    answer = held[0].make_response(200, to_tag="late")
    answer.replace_values("Record-Route", held[0].headers("record-route"))
    for branch, sent in ((held[0].top_via.branch, [NODE_A, NODE_A]), ("z9hG4bKgone", [])):
        data = bytes(answer).replace(held[0].top_via.branch.encode(), branch.encode())
        harness.core.receive_datagram(INTERNAL, data, NODE_A, harness.now)
        harness.drain(harness.now)
        # While its transaction lives it is hung up (ACK and BYE); afterwards it does not reach its caller either.
        assert [datagram.address for datagram in harness.core.datagrams_to_send()] == sent


@pytest.mark.parametrize(
    "change", [(b"Record-Route: <sip:", b'Record-Route: , "<sip:'), (b"Contact: <sip:", b"Contact: <<sip:")], ids=["route", "contact"]
)
def test_a_2xx_that_cannot_be_forwarded_raises_nothing(change: tuple[bytes, bytes]) -> None:
    harness = ProxyHarness(STATIC)
    caller, service = harness.caller(), harness.service(foreign=True)
    service.answer_delay = 60.0
    attempt = caller.call(URI, harness.now)
    harness.run(0.3)
    _, _, final = service._invites[attempt.call_id]
    harness.core.receive_datagram(INTERNAL, bytes(final).replace(*change), NODE_A, harness.now)
    harness.drain(harness.now)
    assert [datagram.address for datagram in harness.core.datagrams_to_send()] == ([] if b"Record" in change[0] else [CALLER])


def test_a_bye_that_comes_before_the_nodes_are_known_waits_for_them() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.leg is not None
    harness.start_unaware()
    caller.send_inside(attempt.leg, "BYE", harness.now)
    harness.run(3)
    assert attempt.call_id not in service.ended
    assert caller.responses[-1].cseq.method == "INVITE", "a 481 would end the call at the caller alone"
    assert harness.core.drops.early > 1
    harness.core.replace_nodes(harness.nodes, harness.nodes)
    harness.run(5)
    assert attempt.ended == "local"
    assert caller.responses[-1].status == 200
    assert service.ended[attempt.call_id] == "remote"
