"""An offer that is refused, cancelled or not answered leaves the relay as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipproxy.core.limits import MAX_MEDIA_SOURCES
from sipproxy.sip import Request
from sipproxy.transactions.events import Key, NewRequest
from tests.support.ua import Attempt, Caller, Leg, Service, sdp
from tests.unit.proxy.harness import NODE_A, URI, ProxyHarness, application

Names = list[bytes]
AGREED: Names = [b"offer", b"answer"]


class StubbornService(Service):
    """A call flow that does with offers inside a dialog what a test says."""

    does: Callable[[NewRequest, float], None] | None = None

    def on_request(self, event: NewRequest, now: float) -> None:
        if self.does is not None and event.request.to.tag and event.request.method != "BYE":
            self.does(event, now)
        else:
            super().on_request(event, now)


def start(*, ours: bool = True) -> tuple[ProxyHarness, Caller, StubbornService, Leg]:
    harness = ProxyHarness()
    harness.relay_is_ours = ours
    caller, service = harness.caller(), StubbornService(NODE_A)
    harness.network.add(service, NODE_A)
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    return harness, caller, service, leg_of(attempt)


def leg_of(attempt: Attempt) -> Leg:
    assert attempt.leg is not None
    return attempt.leg


def names(harness: ProxyHarness) -> Names:
    return [command[b"command"] for command in harness.commands]  # type: ignore[misc]  # they are octets


def refusing(service: StubbornService, status: int) -> None:
    service.does = lambda event, now: service.layer.respond(event.key, event.request.make_response(status), now)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
@pytest.mark.parametrize("status", [405, 488, 491, 500])
def test_a_refused_offer_is_taken_back(method: str, status: int) -> None:
    harness, caller, service, leg = start()
    refusing(service, status)
    caller.send_inside(leg, method, harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert caller.responses[-1].status == status
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]
    withdrawn = harness.commands[-1]
    assert withdrawn[b"from-tag"] == b"f-1"
    assert withdrawn[b"call-id"] == harness.commands[0][b"call-id"]


def test_an_offer_that_is_accepted_stays() -> None:
    harness, caller, _, leg = start()
    caller.send_inside(leg, "INVITE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"answer"]


def test_a_refused_request_without_an_offer_concerns_no_relay() -> None:
    harness, caller, service, leg = start()
    refusing(service, 488)
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert names(harness) == AGREED


def test_an_offer_that_the_relay_refused_is_not_taken_back() -> None:
    harness, caller, _, leg = start()
    harness.relay_refuses = {"offer"}
    harness.relay_reason = b"Cannot parse."
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert caller.responses[-1].status == 488
    assert names(harness) == [*AGREED, b"offer"]


def test_an_offer_of_the_call_flow_is_taken_back_by_its_own_tag() -> None:
    harness, caller, service, leg = start()
    caller.on_request = lambda event, now: caller.layer.respond(event.key, event.request.make_response(488), now)  # type: ignore[method-assign]
    service.send_inside(service.legs[leg.call_id], "UPDATE", harness.now, body=sdp(NODE_A[0]))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]
    assert harness.commands[-1][b"from-tag"] == service.legs[leg.call_id].local.rpartition("tag=")[2].encode()


def test_a_cancelled_offer_is_taken_back() -> None:
    harness, caller, service, leg = start()
    held: list[tuple[Key, Request]] = []

    def ring(event: NewRequest, now: float) -> None:
        held.append((event.key, event.request))
        service.layer.respond(event.key, event.request.make_response(180), now)

    service.does = ring
    service.on_cancelled = lambda key, now: service.layer.respond(key, held[0][1].make_response(487), now)  # type: ignore[method-assign]
    key = caller.send_inside(leg, "INVITE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    caller.layer.cancel(key, harness.now)
    harness.run(1)
    assert caller.responses[-1].status == 487
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]


def test_an_offer_that_is_cancelled_while_the_relay_thinks_is_taken_back() -> None:
    harness, caller, _, leg = start()
    harness.hold_relay = True
    key = caller.send_inside(leg, "INVITE", harness.now, body=sdp("192.0.2.9"))
    harness.run(0.1)
    caller.layer.cancel(key, harness.now)
    harness.run(0.1)
    harness.release_relay(harness.now)
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]


def test_an_offer_that_nobody_answers_is_taken_back() -> None:
    harness, caller, service, leg = start()
    service.silent = True
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(40)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_2xx_without_an_answer_agrees_on_nothing(method: str) -> None:
    harness, caller, service, leg = start()
    refusing(service, 200)
    caller.send_inside(leg, method, harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]


def test_an_ack_without_an_answer_agrees_on_nothing() -> None:
    harness, caller, service, leg = start()
    offering(service)
    caller.on_answer = lambda attempt, response, now: caller.layer.send_stateless(  # type: ignore[method-assign]  # no answer in its ACK
        bytes(caller.inside(leg, "ACK", number=response.cseq.number)), leg.peer
    )
    caller.send_inside(leg, "INVITE", harness.now)
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]
    assert harness.commands[-1][b"from-tag"] == harness.commands[-2][b"from-tag"] != b"f-1"


def test_an_ack_with_an_answer_agrees() -> None:
    harness, caller, service, leg = start()
    offering(service)
    caller.attempts[leg.call_id].request = caller.inside(leg, "INVITE")
    caller.send_inside(leg, "INVITE", harness.now)
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"answer"]


def offering(service: StubbornService) -> None:
    def offer(event: NewRequest, now: float) -> None:
        response = event.request.make_response(200)
        response.set_body(sdp(NODE_A[0]), "application/sdp")
        service.layer.respond(event.key, response, now)

    service.does = offer


def test_a_first_late_offer_without_an_answer_needs_no_way_back() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.on_answer = lambda attempt, response, now: None  # type: ignore[method-assign]  # it never acknowledges
    attempt = caller.call(URI, harness.now, body=b"")
    harness.run(1)
    route = caller.responses[-1].values("record-route")
    assert attempt.request is not None
    leg = Leg(attempt.call_id, attempt.request.header("from") or "", caller.responses[-1].header("to") or "", URI, route, caller.proxy)
    caller.layer.send_stateless(bytes(caller.inside(leg, "ACK", number=2)), caller.proxy)
    harness.run(1)
    assert names(harness) == [b"offer"]
    assert harness.standing == []


def test_withdrawing_keeps_its_place_among_the_messages_of_the_call() -> None:
    harness, caller, service, leg = start()
    refusing(service, 491)
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(0.045)
    service.does = None
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.10"))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw", b"offer", b"answer"]


# Other relays.


def test_another_relay_gets_what_was_agreed_before_once_more() -> None:
    harness, caller, service, leg = start(ours=False)
    refusing(service, 488)
    caller.send_inside(leg, "INVITE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    first, second, _, again, answer = harness.commands
    assert (again, answer) == (first, second)
    assert harness.standing == []


def test_what_was_agreed_last_is_what_comes_again() -> None:
    harness, caller, service, leg = start(ours=False)
    caller.send_inside(leg, "INVITE", harness.now, body=sdp("192.0.2.8"))
    harness.run(1)
    refusing(service, 488)
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert harness.commands[5:] == harness.commands[2:4]


def test_messages_of_the_call_wait_until_the_relay_is_back() -> None:
    harness, caller, service, leg = start(ours=False)
    refusing(service, 488)
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(0.025)
    harness.hold_relay = True
    harness.run(1)
    assert names(harness)[3:] == [b"offer"]
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.10"))
    harness.run(0.1)
    assert names(harness)[3:] == [b"offer"]
    harness.hold_relay = False
    harness.release_relay(harness.now)
    harness.run(1)
    assert names(harness)[3:] == [b"offer", b"answer", b"offer", *names(harness)[6:]]


def test_a_worker_that_does_not_know_what_was_agreed_says_so() -> None:
    harness, caller, service, leg = start(ours=False)
    harness.restart()
    refusing(service, 488)
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer"]
    assert [event.call_id for event in harness.standing] == [harness.admitted[0].call.call_id]


def test_our_relay_needs_nothing_of_what_was_agreed() -> None:
    harness, caller, service, leg = start()
    harness.restart()
    refusing(service, 488)
    caller.send_inside(leg, "UPDATE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert names(harness) == [*AGREED, b"offer", b"sipuri-withdraw"]


# What an application says of its media.


def test_the_relay_is_told_from_where_media_may_come() -> None:
    harness = ProxyHarness()
    harness.applications = [
        application(allowed_source_ips=("0.0.0.0/0", "198.51.100.0/24"), media_source_ips=("203.0.113.0/25",), media_learning="nat")
    ]
    caller = harness.caller()
    harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    for command in harness.commands:
        assert command[b"flags"] == [b"sipuri-learn-nat"]
        assert command[b"sipuri-media-sources"] == [b"198.51.100.0/24", b"203.0.113.0/25"]
    caller.send_inside(leg_of(attempt), "INVITE", harness.now, body=sdp("192.0.2.9"))
    harness.run(1)
    assert not {b"flags", b"sipuri-media-sources"} & set(harness.commands[-1])


def test_a_first_offer_in_the_answer_carries_it_as_well() -> None:
    harness = ProxyHarness()
    harness.applications = [application(media_source_ips=("203.0.113.0/25",))]
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now, body=b"")
    harness.run(0.5)
    assert harness.commands[0][b"sipuri-media-sources"] == [b"203.0.113.0/25"]


def test_an_application_without_wishes_adds_nothing() -> None:
    harness, *_ = start()
    assert not {b"flags", b"sipuri-media-sources"} & set(harness.commands[0])


def test_only_so_many_ranges_are_told() -> None:
    harness = ProxyHarness()
    harness.applications = [application(media_source_ips=tuple(f"198.51.{number}.0/24" for number in range(MAX_MEDIA_SOURCES + 9)))]
    harness.caller().call(URI, harness.now)
    harness.service()
    harness.run(0.5)
    told = harness.commands[0][b"sipuri-media-sources"]
    assert isinstance(told, list)
    assert len(told) == MAX_MEDIA_SOURCES
