"""Calls whose INVITE brings no offer, and whose relay serves nothing when the offer comes from inside: the next one gets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.sip import Response, parse_message
from sipproxy.transactions.tables import TIMEOUT
from tests.support.ua import Attempt, Caller, Service, sdp
from tests.unit.proxy.harness import CALLER, CONFIG, INTERNAL, NODE_A, OUTSIDE, RELAY, SPARE_RELAY, URI, ProxyHarness
from tests.unit.proxy.test_moving_dialogs import NEW, OTHER_OUTSIDE, TargetService, fleet

STATIC = replace(CONFIG, callflow_targets=(NODE_A,))


class LateCall:
    """A call without an offer, for which the relay that it was given to serves nothing."""

    def __init__(
        self,
        harness: ProxyHarness | None = None,
        *,
        config: SipProxyConfig = CONFIG,
        silent: bool = False,
        ring_body: bytes = b"",
        spare: bool = True,
    ) -> None:
        self.harness = harness or ProxyHarness(config)
        if spare:
            self.harness.relays.append(SPARE_RELAY)
        self.harness.relay_answers = not silent
        self.harness.relay_refuses = set() if silent else {"offer"}
        self.caller: Caller = self.harness.caller()
        self.caller.talk_seconds = None
        self.service: Service = TargetService(NODE_A, foreign=config.has_static_targets)
        self.service.ring_body = ring_body
        self.harness.network.add(self.service, NODE_A)
        self.attempt: Attempt = self.caller.call(URI, self.harness.now, body=b"")
        self.harness.run(1)

    def send(self, method: str, **parts: Any) -> None:
        assert self.attempt.leg is not None
        self.caller.send_inside(self.attempt.leg, method, self.harness.now, **parts)
        self.harness.run(1)

    def send_back(self, method: str, **parts: Any) -> None:
        self.service.send_inside(self.service.legs[self.attempt.call_id], method, self.harness.now, **parts)
        self.harness.run(1)

    @property
    def asked(self) -> list[tuple[Address, str]]:
        """What which relay was asked since the last time."""
        asked, self.harness.asked = self.harness.asked, []
        return asked


MOVED = [(RELAY, "offer"), (RELAY, "delete"), (SPARE_RELAY, "offer"), (SPARE_RELAY, "answer")]


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("config", [CONFIG, STATIC], ids=["call flow", "static target"])
def test_the_next_relay_gets_a_late_offer(config: SipProxyConfig, silent: bool) -> None:
    call = LateCall(config=config, silent=silent)
    assert call.attempt.statuses == [407, 100, 180, 200]
    assert call.attempt.answer == b"v=0 relayed to external\r\n"
    assert call.asked == MOVED
    ack = next(request for request in call.service.requests if request.method == "ACK")
    assert ack.body == b"v=0 relayed to internal\r\n"
    call.send("BYE")
    assert (call.attempt.ended, call.service.ended[call.attempt.call_id]) == ("local", "remote")
    assert call.asked == [(SPARE_RELAY, "delete")]
    call.harness.run(70)
    assert call.harness.is_empty()


@pytest.mark.parametrize("config", [CONFIG, STATIC], ids=["call flow", "static target"])
def test_requests_of_both_sides_find_it(config: SipProxyConfig) -> None:
    call = LateCall(config=config)
    del call.harness.asked[:]
    call.send("UPDATE", body=sdp(CALLER[0]), extra=[("Contact", f"<sip:desk@{CALLER[0]}:{CALLER[1]}>")])
    call.send_back("INVITE", body=sdp(NODE_A[0]))
    assert call.asked == [(SPARE_RELAY, "offer"), (SPARE_RELAY, "answer")] * 2
    call.send_back("BYE")
    assert (call.attempt.ended, call.asked) == ("remote", [(SPARE_RELAY, "delete")])
    call.harness.run(70)
    assert call.harness.is_empty()


def test_a_contact_of_the_call_flow_names_it_too() -> None:
    call = LateCall()
    answer = call.caller.responses[-1]
    assert answer.contact is not None
    token = answer.contact.sip_uri.param("sipuri") or ""
    assert f"<sip:{token}@{OUTSIDE[0]}:{OUTSIDE[1]};lr>" in answer.headers("record-route")
    call.send_back("UPDATE", extra=[("Contact", f"<{URI}>")])
    shown = call.caller.requests[-1].contact
    assert shown is not None
    assert shown.sip_uri.param("sipuri") == token


def test_an_early_offer_moves_as_well_and_once() -> None:
    call = LateCall(ring_body=sdp(NODE_A[0], 6000))
    ringing = next(response for response in call.caller.responses if response.status == 180)
    assert ringing.body == call.attempt.answer == b"v=0 relayed to external\r\n"
    assert call.asked == MOVED


def test_an_offer_that_a_relay_has_taken_stays_there() -> None:
    harness = ProxyHarness()
    harness.relays.append(SPARE_RELAY)
    caller, service = harness.caller(), harness.service()
    service.ring_body, service.answer_delay = sdp(NODE_A[0], 7000), 1.0
    attempt = caller.call(URI, harness.now, body=b"")
    harness.run(0.5)
    assert attempt.statuses == [407, 100, 180]
    # The caller sends to it already.
    harness.relay_refuses = {"offer"}
    harness.run(2)
    assert attempt.statuses[3:] == [503]
    assert {relay for relay, _ in harness.asked} == {RELAY}


@pytest.mark.parametrize(("spare", "reason"), [(False, b"The relay is draining."), (True, b"The media address is IPv6.")])
def test_where_no_other_relay_helps_the_call_ends(spare: bool, reason: bytes) -> None:
    harness = ProxyHarness()
    harness.relay_reason = reason
    call = LateCall(harness, spare=spare)
    assert call.attempt.statuses == [407, 100, 180, 503]
    assert call.service.ended[call.attempt.call_id] == "remote"
    assert call.asked == [(RELAY, "offer"), (RELAY, "delete")]
    call.harness.run(70)
    assert call.harness.is_empty()


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_the_proxy_that_a_caller_moved_to_learns_of_it(method: str) -> None:
    one, other = fleet()
    other.relays.append(SPARE_RELAY)
    call = LateCall(one)
    leg = call.attempt.leg
    assert leg is not None
    places = one.network.places
    places[NEW] = places.pop(CALLER)
    call.caller.local, leg.peer = NEW, OTHER_OUTSIDE
    call.send("UPDATE", body=sdp(CALLER[0]), extra=[("Contact", f"<sip:desk@{CALLER[0]}:{CALLER[1]}>")])
    call.send_back(method, **({"body": sdp(NODE_A[0])} if method == "INVITE" else {}))
    assert call.service.responses[-1].status == 200
    assert {relay for relay, _ in other.asked} == {SPARE_RELAY}
    wanted = ["offer", "answer"] * 2 if method == "INVITE" else ["offer", "answer", "delete"]
    assert [name for _, name in other.asked] == wanted


def test_an_answer_without_a_transaction_names_it() -> None:
    call = LateCall()
    call.harness.run(TIMEOUT + 5)
    assert call.harness.core.load.transactions == 0
    _, _, final = call.service._invites[call.attempt.call_id]
    call.harness.core.receive_datagram(INTERNAL, bytes(final), NODE_A, call.harness.now)
    call.harness.drain(call.harness.now)
    (sent,) = call.harness.core.datagrams_to_send()
    answer = parse_message(sent.data)
    assert isinstance(answer, Response)
    assert answer.headers("record-route") == call.caller.responses[-1].headers("record-route")
    assert call.asked == [*MOVED, (SPARE_RELAY, "offer")]
