"""A caller that goes on from another address, and one that follows our Contact instead of our Record-Route."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemonkit.address import Address
from sipproxy.headers.record_route import RouteToken
from sipproxy.sip import NameAddr, Request
from sipproxy.transactions.listener import Listener, Side, Transport
from tests.support.sip import Network, make_request
from tests.support.ua import Attempt, Caller, Leg, Service, sdp
from tests.unit.proxy.harness import APP, CALLER, CONFIG, INSIDE, NODE_A, STREAM, TCP, UDP, URI, ProxyHarness

PRIVATE: Address = ("10.77.1.2", 5060)
NEW: Address = ("198.51.100.99", 40_000)
OTHER_OUTSIDE: Address = ("203.0.113.6", 6160)
OTHER_INSIDE: Address = ("10.0.0.11", 6162)
OTHER = replace(
    CONFIG,
    name="sipproxy-other",
    external=(Listener(Side.EXTERNAL, Transport.UDP, OTHER_OUTSIDE, OTHER_OUTSIDE),),
    internal=Listener(Side.INTERNAL, Transport.UDP, OTHER_INSIDE, OTHER_INSIDE),
)


class TargetService(Service):
    """A call flow that follows target refreshes: what it accepts is where its next requests go."""

    refuses = 0

    def on_request(self, event, now):  # type: ignore[no-untyped-def]  # as in Service
        request: Request = event.request
        if request.to.tag and request.method in ("INVITE", "UPDATE"):
            if self.refuses:
                self.layer.respond(event.key, request.make_response(self.refuses), now)
                return
            contact = request.contact
            assert contact is not None
            self.legs[request.call_id].target = contact.uri
        super().on_request(event, now)


def start(
    harness: ProxyHarness, *, via: Address | None = PRIVATE, to: Listener = UDP, local: Address = CALLER
) -> tuple[Caller, TargetService]:
    caller = harness.caller(local, to=to, via=via)
    caller.talk_seconds = None
    service = TargetService(NODE_A)
    harness.network.add(service, NODE_A)
    return caller, service


def leg_of(attempt: Attempt) -> Leg:
    assert attempt.leg is not None
    return attempt.leg


def move(harness: ProxyHarness, caller: Caller, new: Address = NEW) -> None:
    """Let a caller send from another address; what still goes to the old one is lost."""
    harness.network.places = {address: node for address, node in harness.network.places.items() if node is not caller}
    harness.network.places[new] = caller
    caller.local = new


def refresh(harness: ProxyHarness, caller: Caller, leg: Leg, method: str = "INVITE") -> None:
    contact = [("Contact", f'"Desk" <sip:desk@{caller.via[0]}:{caller.via[1]};ob?x=1>;expires=60')]
    caller.layer.send_request(caller.inside(leg, method, body=sdp(caller.via[0]), extra=contact), leg.peer, harness.now)
    harness.run(1)


def hang_up(harness: ProxyHarness, service: Service, attempt: Attempt) -> None:
    service.send_inside(service.legs[attempt.call_id], "BYE", harness.now)
    harness.run(1)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_caller_that_moved_is_reached_at_its_new_address(method: str) -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    move(harness, caller)
    refresh(harness, caller, leg_of(attempt), method)
    hang_up(harness, service, attempt)
    bye = caller.requests[-1]
    assert (attempt.ended, bye.method) == ("remote", "BYE")
    assert bye.uri_text == "sip:desk@10.77.1.2:5060;ob?x=1"


def test_the_contact_keeps_everything_but_for_the_flow() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    move(harness, caller)
    refresh(harness, caller, leg_of(attempt))
    shown = service.requests[-2]
    text = shown.header("contact") or ""
    assert shown.method == "INVITE"
    assert text.startswith('"Desk" <sip:desk@10.77.1.2:5060;ob;sipuri-flow=')
    assert text.endswith("?x=1>;expires=60")
    assert shown.header("p-sipuri-reach") == "nat"


def test_a_caller_that_has_not_moved_gets_no_parameter() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    refresh(harness, caller, leg_of(attempt))
    assert "sipuri-flow" not in (service.requests[-2].header("contact") or "sipuri-flow")


@pytest.mark.parametrize("status", [488, 491, 500])
def test_a_refused_refresh_leaves_the_old_address(status: int) -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    service.refuses = status
    move(harness, caller)
    refresh(harness, caller, leg_of(attempt))
    move(harness, caller, CALLER)
    hang_up(harness, service, attempt)
    assert attempt.ended == "remote"


def test_a_caller_that_returns_is_reached_where_it_began() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    for place in (NEW, CALLER):
        move(harness, caller, place)
        refresh(harness, caller, leg_of(attempt))
    hang_up(harness, service, attempt)
    assert attempt.ended == "remote"


def test_a_request_that_is_no_refresh_moves_nothing() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    move(harness, caller)
    refresh(harness, caller, leg_of(attempt), "INFO")
    move(harness, caller, CALLER)
    assert not service.requests[-1].count("p-sipuri-reach")
    hang_up(harness, service, attempt)
    assert attempt.ended == "remote"


def test_answers_to_the_call_flow_keep_the_flow_of_the_caller() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    move(harness, caller)
    refresh(harness, caller, leg_of(attempt))
    leg = service.legs[attempt.call_id]
    service.send_inside(leg, "INVITE", harness.now, body=sdp(NODE_A[0]))
    harness.run(1)
    answer = service.responses[-1]
    assert answer.status == 200
    assert not answer.count("contact")
    with_contact = caller.layer.respond

    def respond(key, response, now):  # type: ignore[no-untyped-def]  # as the layer's
        response.append("Contact", "<sip:desk@10.77.1.2:5060>")
        with_contact(key, response, now)

    caller.layer.respond = respond  # type: ignore[method-assign]  # a caller that says where it is
    service.send_inside(leg, "INVITE", harness.now, body=sdp(NODE_A[0]))
    harness.run(1)
    contact = service.responses[-1].contact
    assert contact is not None
    assert NameAddr.parse(f"<{leg.target}>").sip_uri.param("sipuri-flow") == contact.sip_uri.param("sipuri-flow") is not None


def test_a_new_connection_takes_the_place_of_the_old_one() -> None:
    harness = ProxyHarness()
    caller, service = start(harness, to=TCP)
    harness.connected = {(TCP, CALLER)}
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    move(harness, caller)
    harness.connected = {(TCP, NEW)}
    refresh(harness, caller, leg_of(attempt))
    assert service.requests[-2].header("p-sipuri-reach") == "stream"
    hang_up(harness, service, attempt)
    assert attempt.ended == "remote"


def test_a_forged_flow_is_ignored_and_shows_nowhere() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    service.legs[attempt.call_id].target += f";sipuri-flow={'A' * 32}"
    hang_up(harness, service, attempt)
    assert attempt.ended == "remote"
    assert "sipuri-flow" not in caller.requests[-1].uri_text


def fleet() -> tuple[ProxyHarness, ProxyHarness]:
    network = Network()
    one, other = ProxyHarness(network=network), ProxyHarness(OTHER, network=network)
    one.core.replace_proxies((INSIDE, OTHER_INSIDE))
    other.core.replace_proxies((INSIDE, OTHER_INSIDE))
    return one, other


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_the_proxy_that_a_caller_moved_to_sends_for_the_one_that_had_it(method: str) -> None:
    one, other = fleet()
    caller, service = start(one)
    attempt = caller.call(URI, one.now)
    one.run(1)
    move(one, caller)
    leg = leg_of(attempt)
    leg.peer = OTHER_OUTSIDE
    refresh(one, caller, leg)
    body = {"body": sdp(NODE_A[0])} if method == "INVITE" else {}
    service.send_inside(service.legs[attempt.call_id], method, one.now, **body)
    one.run(1)
    got = next(request for request in caller.requests if request.method == method)
    assert (got.top_via.host, got.count("via"), got.count("route")) == (OTHER_OUTSIDE[0], 1, 0)
    assert service.responses[-1].status == 200
    assert service.responses[-1].count("via") == 1
    if method == "INVITE":
        assert got.body == b"v=0 relayed to external\r\n"
        assert caller.requests[-1].method == "ACK"
        assert [command[b"command"] for command in one.commands] == [b"offer", b"answer"]
        hang_up(one, service, attempt)
    assert attempt.ended == "remote"
    assert other.commands[-1][b"command"] == b"delete"
    one.run(70)
    for harness in (one, other):
        assert (harness.core.load.calls, harness.core.load.contexts, harness.core.load.transactions) == (0, 0, 0)


def test_a_proxy_that_is_gone_is_stood_in_for() -> None:
    one, _ = fleet()
    caller, service = start(one)
    attempt = caller.call(URI, one.now)
    one.run(1)
    move(one, caller)
    leg = leg_of(attempt)
    leg.peer = OTHER_OUTSIDE
    refresh(one, caller, leg)
    one.core.replace_proxies(())
    hang_up(one, service, attempt)
    assert attempt.ended == "remote"


def test_inside_only_nodes_and_proxies_are_heard() -> None:
    one, _ = fleet()
    one.core.replace_proxies(())
    options = bytes(make_request("OPTIONS", branch="z9hG4bKa"))
    one.receive(options, OTHER_INSIDE, INSIDE, 0.0)
    assert one.core.drops.strangers_inside == 1


# Clients that ignore Record-Route.


def test_a_client_that_ignores_record_route_finds_its_way() -> None:
    harness = ProxyHarness()
    caller, service = start(harness, via=None)
    caller.talk_seconds = 2.0
    attempt = caller.call(URI, harness.now)
    on_answer = caller.on_answer

    def forgetful(attempt: Attempt, response, now: float) -> None:  # type: ignore[no-untyped-def]  # as on_answer
        response.remove("record-route")
        on_answer(attempt, response, now)

    caller.on_answer = forgetful  # type: ignore[method-assign]  # it keeps no routes
    harness.run(5)
    ack, bye = service.requests[-2:]
    assert (ack.method, ack.uri_text, bye.method, bye.uri_text) == ("ACK", URI, "BYE", URI)
    assert attempt.ended == "local"


def test_the_token_in_our_contact_is_the_one_in_our_route() -> None:
    harness = ProxyHarness()
    caller, _ = start(harness)
    caller.call(URI, harness.now)
    harness.run(1)
    answer = caller.responses[-1]
    contact = answer.contact
    assert contact is not None
    token = contact.sip_uri.param("sipuri") or ""
    assert NameAddr.parse(answer.values("record-route")[0]).sip_uri.user == token
    parsed = RouteToken.parse(token, key=CONFIG.route_key, sip_call_id=answer.call_id, caller_tag=answer.from_.tag)
    assert parsed is not None
    assert contact.sip_uri.user == URI.removeprefix("sip:").partition("@")[0]


def test_requests_of_the_call_flow_keep_our_token_in_their_contact() -> None:
    harness = ProxyHarness()
    caller, service = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = service.legs[attempt.call_id]
    update = service.inside(leg, "UPDATE", extra=[("Contact", f"<{URI}>")])
    service.layer.send_request(update, leg.peer, harness.now)
    harness.run(1)
    assert (caller.requests[-1].header("contact") or "") == f"<{leg_of(attempt).target}>"
    assert ";sipuri=" in leg_of(attempt).target


@pytest.mark.parametrize(("target", "status"), [(f"{URI};sipuri={'A' * 64}", 403), (f"{URI};sipuri=short", 481)])
def test_what_brings_no_token_of_ours_is_refused(target: str, status: int) -> None:
    harness = ProxyHarness()
    caller, _ = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = replace(leg_of(attempt), routes=[], target=target)
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert caller.responses[-1].status == status


def test_a_client_that_brings_nothing_back_is_known_at_its_proxy() -> None:
    harness = ProxyHarness()
    caller, service = start(harness, via=None)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    bare = replace(leg_of(attempt), routes=[], target=URI)
    caller.send_inside(bare, "INFO", harness.now)
    harness.run(1)
    assert (caller.responses[-1].status, service.requests[-1].method) == (200, "INFO")
    caller.send_inside(bare, "BYE", harness.now)
    harness.run(1)
    assert (attempt.ended, service.ended[attempt.call_id]) == ("local", "remote")
    caller.send_inside(bare, "INFO", harness.now)
    harness.run(1)
    assert caller.responses[-1].status == 481


@pytest.mark.parametrize("change", [{"remote": f"<{URI}>;tag=x"}, {"local": "<sip:desk@pbx.example>;tag=x"}, {"call_id": "another"}])
def test_a_dialog_is_known_by_all_its_parts(change: dict[str, Any]) -> None:
    harness = ProxyHarness()
    caller, _ = start(harness, via=None)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    caller.attempts["another"] = attempt
    caller.send_inside(replace(leg_of(attempt), routes=[], target=URI, **change), "BYE", harness.now)
    harness.run(1)
    assert caller.responses[-1].status == 481


def test_a_dialog_is_known_to_its_callers_address_alone() -> None:
    harness = ProxyHarness()
    caller, _ = start(harness, via=None)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    stranger = harness.caller(NEW)
    stranger.attempts[attempt.call_id] = attempt
    stranger.send_inside(replace(leg_of(attempt), routes=[], target=URI), "BYE", harness.now)
    harness.run(1)
    assert stranger.responses[-1].status == 481


def test_a_token_in_a_request_uri_serves_its_own_dialog_only() -> None:
    harness = ProxyHarness()
    caller, _ = start(harness)
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = replace(leg_of(attempt), routes=[], call_id="another")
    caller.attempts["another"] = attempt
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert caller.responses[-1].status == 403


def test_a_static_target_is_found_by_the_contact_alone() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service(foreign=True)
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = replace(leg_of(attempt), routes=[])
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert (service.requests[-1].method, service.requests[-1].uri_text) == ("INFO", f"sip:robot@{NODE_A[0]}:{NODE_A[1]}")


def test_a_static_target_may_change_its_contact() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service(foreign=True)
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = service.legs[attempt.call_id]
    update = service.inside(leg, "UPDATE", extra=[("Contact", "<sip:other@10.0.0.2:7000>")])
    service.layer.send_request(update, leg.peer, harness.now)
    harness.run(1)
    shown = caller.requests[-1]
    assert b"10.0.0." not in bytes(shown)
    contact = shown.contact
    assert contact is not None
    caller.send_inside(replace(leg_of(attempt), target=contact.uri), "INFO", harness.now)
    harness.run(1)
    assert service.requests[-1].uri_text == "sip:other@10.0.0.2:7000"


def test_the_first_invite_tells_how_its_caller_is_reached() -> None:
    for via, to, reach in ((None, UDP, "direct"), (PRIVATE, UDP, "nat"), (STREAM, TCP, "stream")):
        harness = ProxyHarness()
        caller, service = start(harness, via=via, to=to)
        caller.call(URI, harness.now, extra=[("P-Sipuri-Reach", "forged")])
        harness.run(1)
        assert service.requests[0].headers("p-sipuri-reach") == [reach]
        assert harness.admitted[0].call.application_id == APP
