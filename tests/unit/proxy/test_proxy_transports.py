"""The proxy core behind streams, strict routers and multipart bodies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemonkit.address import Address
from sipproxy.headers.call_headers import CALL_HEADER
from sipproxy.headers.record_route import MAX_INNER, InnerRoute
from sipproxy.seal import DialogSeal
from sipproxy.sip import NameAddr, Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener, Transport
from tests.support.ua import Leg
from tests.unit.proxy.harness import CALLER, CONFIG, NODE_A, NODE_B, STREAM, TCP, TLS, UDP, URI, ProxyHarness, application
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_settings import SecureMedia


@pytest.mark.parametrize("listener", [TCP, TLS])
def test_a_call_over_a_stream_comes_back_along_its_connection(listener: Listener) -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(to=listener), harness.service()
    harness.connected.add((listener, CALLER))
    caller.talk_seconds, service.talk_seconds = None, 5.0
    attempt = caller.call(URI, harness.now)
    harness.run(10)
    assert attempt.statuses == [407, 100, 180, 200]
    assert attempt.ended == "remote"
    bye = caller.requests[-1]
    assert bye.top_via.transport == listener.transport.value
    entry = NameAddr.parse(caller.responses[-1].values("record-route")[0]).sip_uri
    assert (entry.port, entry.param("transport")) == (listener.address[1], listener.transport.value.lower())
    harness.run(70)
    assert harness.is_empty()


@pytest.mark.parametrize(
    ("listener", "setting", "word"),
    [
        (TLS, SecureMedia.OPTIONAL, ";media=optional"),
        (TLS, SecureMedia.REQUIRED, ";media=required"),
        (TCP, SecureMedia.REQUIRED, ";media=impossible"),
        (TCP, SecureMedia.OPTIONAL, ""),
        (TLS, SecureMedia.OFF, ""),
    ],
)
def test_the_node_is_told_how_secure_the_audio_is(listener: Listener, setting: SecureMedia, word: str) -> None:
    harness = ProxyHarness()
    harness.applications = [application(secure_media=setting)]
    caller, service = harness.caller(to=listener), harness.service()
    harness.connected.add((listener, CALLER))
    caller.call(URI, harness.now)
    harness.run(1)
    told = service.requests[0].header(CALL_HEADER) or ""
    assert told.endswith(f";digest{word}")


def test_over_a_stream_nothing_is_retransmitted() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(to=TCP), harness.service()
    service.silent = True
    sent: list[bytes] = []
    take = harness.take

    def listen() -> list[tuple[Address, bytes, Address]]:
        taken = take()
        sent.extend(data for place, data, _ in taken if place == STREAM)
        return taken

    harness.take = listen  # type: ignore[method-assign]  # the test listens
    caller.password = "wrong"  # noqa: S105  # of no value
    caller.call(URI, harness.now)
    harness.run(40)
    assert [data.split(b" ")[1] for data in sent] == [b"407", b"401"]
    assert harness.is_empty()


def test_a_lost_connection_ends_the_requests_that_went_along_it() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(to=TCP), harness.service()
    harness.connected.add((TCP, CALLER))
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    del harness.network.places[CALLER]
    service.send_inside(service.legs[attempt.call_id], "UPDATE", harness.now)
    harness.run(0.1)
    assert harness.core.load.contexts == 1 + 1
    harness.core.connection_failed(TCP, CALLER, harness.now)
    harness.run(0.1)
    assert harness.core.load.contexts == 1


def test_without_its_connection_a_public_contact_is_tried() -> None:
    public: Address = ("8.8.4.4", 5070)
    harness = ProxyHarness()
    caller, service = harness.caller(public, to=TCP), harness.service()
    caller.talk_seconds, service.talk_seconds = None, 2.0
    harness.applications = [replace(harness.applications[0], allowed_regions=())]
    attempt = caller.call(URI, harness.now)
    harness.run(5)
    assert (TCP, public) not in harness.connected
    assert attempt.ended == "remote"


def test_the_contact_may_name_another_transport() -> None:
    public: Address = ("8.8.4.4", 5070)
    harness = ProxyHarness()
    caller, service = harness.caller(public), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = service.legs[attempt.call_id]
    leg.target = f"sip:desk@{public[0]}:{public[1]};transport=tcp"
    service.send_inside(leg, "BYE", harness.now)
    harness.run(1)
    assert caller.requests[-1].top_via.transport == "TCP"


def test_a_strict_router_in_front_is_understood() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = attempt.leg
    assert leg is not None
    ours, target = NameAddr.parse(leg.routes[0]).uri, leg.target
    leg.routes, leg.target = [f"<{target}>"], ours
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    info = service.requests[-1]
    assert (info.method, info.uri_text, info.count("route")) == ("INFO", URI, 0)
    assert caller.responses[-1].status == 200


def test_a_request_uri_of_ours_without_a_route_is_no_strict_router() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = attempt.leg
    assert leg is not None
    leg.target, leg.routes = NameAddr.parse(leg.routes[0]).uri, []
    # From another address, from which this proxy remembers no dialog.
    stranger = harness.caller(("198.51.100.99", 40_000))
    stranger.attempts[attempt.call_id] = attempt
    stranger.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert stranger.responses[-1].status == 481


def test_only_the_description_of_a_multipart_body_is_changed() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    body = b"--b\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n"
    request = Request.build("INVITE", URI, [], body)
    caller.call(URI, harness.now, body=b"", extra=[("Content-Type", "multipart/mixed;boundary=b")])
    attempt = caller.attempts["call-1@198.51.100.7"]
    assert attempt.request is not None
    attempt.request.set_body(request.body)
    harness.run(2)
    invite = service.requests[0]
    assert invite.body == body.replace(b"v=0\r\n", b"v=0 relayed to internal\r\n")
    assert invite.header("content-length") == str(len(invite.body))


def test_messages_of_one_call_keep_their_order() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = attempt.leg
    assert leg is not None
    harness.hold_relay = True
    caller.send_inside(leg, "UPDATE", harness.now, body=b"v=0\r\n")
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(0.2)
    assert [request.method for request in service.requests[-2:]] == ["INVITE", "ACK"]
    harness.release_relay(harness.now)
    harness.run(0.2)
    assert [request.method for request in service.requests[-2:]] == ["UPDATE", "INFO"]


def test_the_description_in_a_failure_does_not_reach_the_caller() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.status = 488
    service.ring_body = b""
    answer = service.on_invite

    def with_body(key: Key, request: Request, now: float) -> None:
        answer(key, request, now)
        for _, _, final in service._invites.values():  # noqa: SLF001  # the service's own answer gets a body
            final.set_body(b"v=0\r\nc=IN IP4 10.0.0.2\r\n", "application/sdp")

    service.on_invite = with_body  # type: ignore[method-assign]  # the test adds a body
    caller.call(URI, harness.now)
    harness.run(2)
    assert caller.responses[-1].status == 488
    assert (caller.responses[-1].body, caller.responses[-1].header("content-type")) == (b"", None)


def test_a_description_that_no_relay_supports_is_488() -> None:
    harness = ProxyHarness()
    harness.relay_refuses, harness.relay_reason = {"offer"}, b"The media address is IPv6, which is not supported."
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 488]
    assert [(record.reason, record.sip_status) for record in harness.ended] == [(EndReason.UNSUPPORTED_MEDIA, 488)]
    assert service.requests == []


@pytest.mark.parametrize("reason", [b"Ran out of ports.", b"Too many sessions.", b"draining", b"Parallel session limit reached"])
def test_a_full_relay_is_503(reason: bytes) -> None:
    harness = ProxyHarness()
    harness.relay_refuses, harness.relay_reason = {"offer"}, reason
    attempt = harness.caller().call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 503]


def test_the_route_behind_a_static_target_travels_with_the_dialog() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service(foreign=True)
    caller.talk_seconds = None
    behind = "<sip:10.0.0.2:6161;lr;ftag=1>"
    respond = service.layer.respond

    def record_route(key: Key, response: Response, now: float) -> None:
        if response.count("record-route") and behind not in response.values("record-route"):
            response.prepend("Record-Route", f"<sip:10.0.0.77;lr>, {behind}")
        respond(key, response, now)

    service.layer.respond = record_route  # type: ignore[method-assign]  # a proxy before the service
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    leg = attempt.leg
    assert leg is not None
    assert len(leg.routes) == 1
    assert leg.target.startswith(f"{URI};sipuri=")
    assert not any(b"10.0.0." in bytes(response) for response in caller.responses)
    ack = next(request for request in service.requests if request.method == "ACK")
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    for request in (ack, service.requests[-1]):
        assert request.uri_text == "sip:robot@10.0.0.2:6161"
        assert request.values("route") == [behind, "<sip:10.0.0.77;lr>"]
    leg.routes, leg.target = [leg.routes[0].replace(";in=", ";in=A")], leg.target.replace(";in=", ";in=A")
    caller.send_inside(leg, "INFO", harness.now)
    harness.run(1)
    assert (service.requests[-1].uri_text, service.requests[-1].count("route")) == (URI, 0)


def test_a_route_that_is_too_long_does_not_travel() -> None:
    seal = DialogSeal((b"k",), "c", "t")
    inner = InnerRoute("sip:" + "a" * MAX_INNER)
    assert inner.sign(seal) == ""
    inner = InnerRoute("sip:robot@10.0.0.2", ("<sip:10.0.0.3;lr>",))
    text = inner.sign(seal)
    assert InnerRoute.parse(text, seal) == inner
    for key, call_id, tag in ((b"l", "c", "t"), (b"k", "d", "t"), (b"k", "c", "u")):
        assert InnerRoute.parse(text, DialogSeal((key,), call_id, tag)) is None
    assert InnerRoute.parse("A" * 3 * MAX_INNER, seal) is None
    assert InnerRoute.parse("", seal) is None
    assert InnerRoute.parse("§", seal) is None


def test_a_node_without_tls_answers_a_token_of_one_that_has_it() -> None:
    config = replace(CONFIG, external=(UDP, TCP))
    assert config.external_listener(Transport.TLS, 3) is UDP
    assert config.external_listener(Transport.TCP, 3) is TCP


@pytest.mark.parametrize(("late", "role"), [(False, b"offer"), (True, b"answer")])
def test_a_prack_answers_a_late_offer_and_offers_otherwise(late: bool, role: bytes) -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.ring_body, service.answer_delay = b"v=0\r\n", 30.0
    attempt = caller.call(URI, harness.now, body=b"" if late else None)
    harness.run(1)
    ringing = caller.responses[-1]
    assert ringing.status == 180
    assert harness.commands[-1][b"command"] == (b"offer" if late else b"answer")
    request = attempt.request
    assert request is not None
    routes = list(reversed(ringing.values("record-route")))
    early = Leg(attempt.call_id, request.header("from") or "", ringing.header("to") or "", URI, routes, caller.proxy, request.cseq.number)
    caller.send_inside(early, "PRACK", harness.now, body=b"v=0\r\n")
    harness.run(1)
    assert service.requests[-1].method == "PRACK"
    prack = next(command for command in reversed(harness.commands) if command.get(b"direction") == [b"external", b"internal"])
    assert prack[b"command"] == role


def test_a_bye_in_the_early_dialog_ends_the_call() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 30.0
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    ringing, request = caller.responses[-1], attempt.request
    assert request is not None
    routes = list(reversed(ringing.values("record-route")))
    early = Leg(attempt.call_id, request.header("from") or "", ringing.header("to") or "", URI, routes, caller.proxy, request.cseq.number)
    service.legs[attempt.call_id] = early
    caller.send_inside(early, "BYE", harness.now)
    harness.run(1)
    assert [(record.reason, record.sip_status, record.answered_at) for record in harness.ended] == [(EndReason.CALLER_CANCELLED, 487, None)]


def test_a_fault_of_ours_is_answered_with_500_but_an_ack_never() -> None:
    harness = ProxyHarness()
    invite = caller_invite()
    harness.core.answer_failure(UDP, invite, CALLER)
    harness.core.answer_failure(UDP, invite.replace(b"INVITE", b"ACK"), CALLER)
    harness.core.answer_failure(UDP, b"noise", CALLER)
    assert [item.data.split(b"\r\n")[0] for item in harness.core.datagrams_to_send()] == [b"SIP/2.0 500 Server Internal Error"]


def caller_invite() -> bytes:
    harness = ProxyHarness()
    attempt = harness.caller().call(URI, 0.0)
    assert attempt.request is not None
    return bytes(attempt.request)


def test_a_node_that_was_passed_over_cannot_end_the_call_of_another() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, first, second = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    caller.talk_seconds = None
    first.silent, first.answer_delay = True, 0.0
    attempt = caller.call(URI, harness.now)
    harness.run(1.2)
    assert second.requests
    first.silent = False
    harness.run(1)
    leg = first.legs[attempt.call_id]
    deletes = sum(command[b"command"] == b"delete" for command in harness.commands)
    first.send_inside(leg, "BYE", harness.now)
    harness.run(1)
    assert first.responses[-1].status == 481
    assert sum(command[b"command"] == b"delete" for command in harness.commands) == deletes
    assert attempt.statuses[-1] == 200
    assert not attempt.ended
