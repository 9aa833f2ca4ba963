"""A caller that goes on from another address, and one that follows our Contact instead of our Record-Route."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemonkit.address import Address
from sipproxy.headers.record_route import RouteToken
from sipproxy.sip import NameAddr, Request, Response
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
STATIC = replace(CONFIG, callflow_targets=(NODE_A,))


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


class Talk:
    """A call that is up through one proxy."""

    def __init__(
        self, harness: ProxyHarness | None = None, *, via: Address | None = PRIVATE, to: Listener = UDP, forgets_routes: bool = False
    ) -> None:
        self.harness = harness or ProxyHarness()
        self.harness.connected = {(to, CALLER)}
        self.caller = self.harness.caller(CALLER, to=to, via=via)
        self.caller.talk_seconds = None
        self.service = TargetService(NODE_A, foreign=self.harness.config.has_static_targets)
        self.harness.network.add(self.service, NODE_A)
        if forgets_routes:
            self.caller.on_answer = self._answer_without_routes  # type: ignore[method-assign]  # a client that keeps none
        self.attempt = self.caller.call(URI, self.harness.now, extra=[("P-Sipuri-Reach", "forged")])
        self.harness.run(1)

    @property
    def leg(self) -> Leg:
        """The caller's side of the dialog."""
        assert self.attempt.leg is not None
        return self.attempt.leg

    @property
    def inner_leg(self) -> Leg:
        """The call flow's side of the dialog."""
        return self.service.legs[self.attempt.call_id]

    def move(self, new: Address = NEW) -> None:
        """Let the caller send from another address; what still goes to the old one is lost."""
        network = self.harness.network
        network.places = {address: node for address, node in network.places.items() if node is not self.caller}
        network.places[new] = self.caller
        self.caller.local = new

    def refresh(self, method: str = "INVITE") -> None:
        """Let the caller tell where it is, as a telephone does."""
        via = self.caller.via
        contact = [("Contact", f'"Desk" <sip:desk@{via[0]}:{via[1]};ob?x=1>;expires=60')]
        request = self.caller.inside(self.leg, method, body=sdp(via[0]), extra=contact)
        self.caller.layer.send_request(request, self.leg.peer, self.harness.now)
        self.harness.run(1)

    def send(self, method: str, **change: Any) -> None:
        """Let the caller send a request inside the dialog, or one of which parts differ from the dialog's."""
        self.leg.number += 1
        self.caller.send_inside(replace(self.leg, **change), method, self.harness.now)
        self.harness.run(1)

    def _answer_without_routes(self, attempt: Attempt, response: Response, now: float) -> None:
        response.remove("record-route")
        Caller.on_answer(self.caller, attempt, response, now)

    def send_back(self, method: str, **parts: Any) -> None:
        """Let the call flow send a request inside the dialog."""
        self.service.send_inside(self.inner_leg, method, self.harness.now, **parts)
        self.harness.run(1)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_caller_that_moved_is_reached_at_its_new_address(method: str) -> None:
    talk = Talk()
    talk.move()
    talk.refresh(method)
    talk.send_back("BYE")
    bye = talk.caller.requests[-1]
    assert (talk.attempt.ended, bye.method) == ("remote", "BYE")
    assert bye.uri_text == "sip:desk@10.77.1.2:5060;ob?x=1"


def test_the_contact_keeps_everything_but_for_the_flow() -> None:
    talk = Talk()
    talk.move()
    talk.refresh()
    shown = talk.service.requests[-2]
    text = shown.header("contact") or ""
    assert shown.method == "INVITE"
    assert text.startswith('"Desk" <sip:desk@10.77.1.2:5060;ob;sipuri-flow=')
    assert text.endswith("?x=1>;expires=60")
    assert shown.header("p-sipuri-reach") == "nat"


def test_a_caller_that_has_not_moved_gets_no_parameter() -> None:
    talk = Talk()
    talk.refresh()
    assert "sipuri-flow" not in (talk.service.requests[-2].header("contact") or "sipuri-flow")


@pytest.mark.parametrize("status", [488, 491, 500])
def test_a_refused_refresh_leaves_the_old_address(status: int) -> None:
    talk = Talk()
    talk.service.refuses = status
    talk.move()
    talk.refresh()
    talk.move(CALLER)
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"


def test_a_caller_that_returns_is_reached_where_it_began() -> None:
    talk = Talk()
    for place in (NEW, CALLER):
        talk.move(place)
        talk.refresh()
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"


def test_a_request_that_is_no_refresh_moves_nothing() -> None:
    talk = Talk()
    talk.move()
    talk.refresh("INFO")
    talk.move(CALLER)
    assert not talk.service.requests[-1].count("p-sipuri-reach")
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"


def test_answers_to_the_call_flow_keep_the_flow_of_the_caller() -> None:
    talk = Talk()
    talk.move()
    talk.refresh()
    talk.send_back("INVITE", body=sdp(NODE_A[0]))
    answer = talk.service.responses[-1]
    assert answer.status == 200
    assert not answer.count("contact")
    with_contact = talk.caller.layer.respond

    def respond(key, response, now):  # type: ignore[no-untyped-def]  # as the layer's
        response.append("Contact", "<sip:desk@10.77.1.2:5060>")
        with_contact(key, response, now)

    talk.caller.layer.respond = respond  # type: ignore[method-assign]  # a caller that says where it is
    talk.send_back("INVITE", body=sdp(NODE_A[0]))
    contact = talk.service.responses[-1].contact
    assert contact is not None
    assert NameAddr.parse(f"<{talk.inner_leg.target}>").sip_uri.param("sipuri-flow") == contact.sip_uri.param("sipuri-flow") is not None


def test_a_new_connection_takes_the_place_of_the_old_one() -> None:
    talk = Talk(to=TCP)
    talk.move()
    talk.harness.connected = {(TCP, NEW)}
    talk.refresh()
    assert talk.service.requests[-2].header("p-sipuri-reach") == "stream"
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"


def test_a_forged_flow_is_ignored_and_shows_nowhere() -> None:
    talk = Talk()
    talk.inner_leg.target += f";sipuri-flow={'A' * 32}"
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"
    assert "sipuri-flow" not in talk.caller.requests[-1].uri_text


def fleet() -> tuple[ProxyHarness, ProxyHarness]:
    network = Network()
    one, other = ProxyHarness(network=network), ProxyHarness(OTHER, network=network)
    one.core.replace_proxies((INSIDE, OTHER_INSIDE))
    other.core.replace_proxies((INSIDE, OTHER_INSIDE))
    return one, other


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_the_proxy_that_a_caller_moved_to_sends_for_the_one_that_had_it(method: str) -> None:
    one, other = fleet()
    talk = Talk(one)
    talk.move()
    talk.leg.peer = OTHER_OUTSIDE
    talk.refresh()
    body = {"body": sdp(NODE_A[0])} if method == "INVITE" else {}
    talk.send_back(method, **body)
    got = next(request for request in talk.caller.requests if request.method == method)
    assert (got.top_via.host, got.count("via"), got.count("route")) == (OTHER_OUTSIDE[0], 1, 0)
    assert talk.service.responses[-1].status == 200
    assert talk.service.responses[-1].count("via") == 1
    if method == "INVITE":
        assert got.body == b"v=0 relayed to external\r\n"
        assert talk.caller.requests[-1].method == "ACK"
        assert [command[b"command"] for command in one.commands] == [b"offer", b"answer"]
        talk.send_back("BYE")
    assert talk.attempt.ended == "remote"
    assert other.commands[-1][b"command"] == b"delete"
    one.run(70)
    for harness in (one, other):
        assert (harness.core.load.calls, harness.core.load.contexts, harness.core.load.transactions) == (0, 0, 0)


def test_a_proxy_that_is_gone_is_stood_in_for() -> None:
    one, _ = fleet()
    talk = Talk(one)
    talk.move()
    talk.leg.peer = OTHER_OUTSIDE
    talk.refresh()
    one.core.replace_proxies(())
    talk.send_back("BYE")
    assert talk.attempt.ended == "remote"


def test_inside_only_nodes_and_proxies_are_heard() -> None:
    one, _ = fleet()
    one.core.replace_proxies(())
    options = bytes(make_request("OPTIONS", branch="z9hG4bKa"))
    one.receive(options, OTHER_INSIDE, INSIDE, 0.0)
    assert one.core.drops.strangers_inside == 1


# Clients that ignore Record-Route.


def test_a_client_that_ignores_record_route_finds_its_way() -> None:
    talk = Talk(via=None, forgets_routes=True)
    talk.send("BYE")
    ack, bye = talk.service.requests[-2:]
    assert (ack.method, ack.uri_text, bye.method, bye.uri_text) == ("ACK", URI, "BYE", URI)
    assert talk.attempt.ended == "local"


def test_the_token_in_our_contact_is_the_one_in_our_route() -> None:
    answer = Talk().caller.responses[-1]
    contact = answer.contact
    assert contact is not None
    token = contact.sip_uri.param("sipuri") or ""
    assert NameAddr.parse(answer.values("record-route")[0]).sip_uri.user == token
    parsed = RouteToken.parse(token, CONFIG.seal(answer.call_id, answer.from_.tag))
    assert parsed is not None
    assert contact.sip_uri.user == URI.removeprefix("sip:").partition("@")[0]


def test_requests_of_the_call_flow_keep_our_token_in_their_contact() -> None:
    talk = Talk()
    talk.send_back("UPDATE", extra=[("Contact", f"<{URI}>")])
    assert (talk.caller.requests[-1].header("contact") or "") == f"<{talk.leg.target}>"
    assert ";sipuri=" in talk.leg.target


@pytest.mark.parametrize(("target", "status"), [(f"{URI};sipuri={'A' * 64}", 403), (f"{URI};sipuri=short", 481)])
def test_what_brings_no_token_of_ours_is_refused(target: str, status: int) -> None:
    talk = Talk()
    talk.send("INFO", routes=[], target=target)
    assert talk.caller.responses[-1].status == status


def test_a_client_that_brings_nothing_back_is_known_at_its_proxy() -> None:
    talk = Talk(via=None)
    bare: dict[str, Any] = {"routes": [], "target": URI}
    talk.send("INFO", **bare)
    assert (talk.caller.responses[-1].status, talk.service.requests[-1].method) == (200, "INFO")
    talk.send("BYE", **bare)
    assert (talk.attempt.ended, talk.service.ended[talk.attempt.call_id]) == ("local", "remote")
    talk.send("INFO", **bare)
    assert talk.caller.responses[-1].status == 481


@pytest.mark.parametrize("change", [{"remote": f"<{URI}>;tag=x"}, {"local": "<sip:desk@pbx.example>;tag=x"}, {"call_id": "another"}])
def test_a_dialog_is_known_by_all_its_parts(change: dict[str, Any]) -> None:
    talk = Talk(via=None)
    talk.caller.attempts["another"] = talk.attempt
    talk.send("BYE", routes=[], target=URI, **change)
    assert talk.caller.responses[-1].status == 481


def test_a_dialog_is_known_to_its_callers_address_alone() -> None:
    talk = Talk(via=None)
    stranger = talk.harness.caller(NEW)
    stranger.attempts[talk.attempt.call_id] = talk.attempt
    stranger.send_inside(replace(talk.leg, routes=[], target=URI), "BYE", talk.harness.now)
    talk.harness.run(1)
    assert stranger.responses[-1].status == 481


def test_a_token_in_a_request_uri_serves_its_own_dialog_only() -> None:
    talk = Talk()
    talk.caller.attempts["another"] = talk.attempt
    talk.send("INFO", routes=[], call_id="another")
    assert talk.caller.responses[-1].status == 403


def test_a_static_target_is_found_by_the_contact_alone() -> None:
    talk = Talk(ProxyHarness(STATIC))
    talk.send("INFO", routes=[])
    assert (talk.service.requests[-1].method, talk.service.requests[-1].uri_text) == ("INFO", f"sip:robot@{NODE_A[0]}:{NODE_A[1]}")


def test_a_static_target_may_change_its_contact() -> None:
    talk = Talk(ProxyHarness(STATIC))
    talk.send_back("UPDATE", extra=[("Contact", "<sip:other@10.0.0.2:7000>")])
    shown = talk.caller.requests[-1]
    assert b"10.0.0." not in bytes(shown)
    contact = shown.contact
    assert contact is not None
    talk.send("INFO", target=contact.uri)
    assert talk.service.requests[-1].uri_text == "sip:other@10.0.0.2:7000"


def test_the_first_invite_tells_how_its_caller_is_reached() -> None:
    for via, to, reach in ((None, UDP, "direct"), (PRIVATE, UDP, "nat"), (STREAM, TCP, "stream")):
        talk = Talk(via=via, to=to)
        assert talk.service.requests[0].headers("p-sipuri-reach") == [reach]
        assert talk.harness.admitted[0].call.application_id == APP
