from __future__ import annotations

import random
from dataclasses import replace

import pytest

from daemonkit.address import Address
from sipproxy.sip import NameAddr, Request
from sipproxy.transactions.tables import TIMEOUT
from tests.support.ua import sdp
from tests.unit.proxy.harness import (
    APP,
    CALLER,
    CONFIG,
    INSIDE,
    NODE_A,
    NODE_B,
    OUTSIDE,
    RELAY,
    SPARE_RELAY,
    URI,
    ProxyHarness,
    application,
)
from voiceapps.rules.endings import EndReason


def test_a_call_from_challenge_to_bye() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(10)
    assert attempt.statuses == [407, 100, 180, 200]
    assert (attempt.ended, service.ended[attempt.call_id]) == ("local", "remote")
    assert [record.call.application_id for record in harness.admitted] == [APP]
    assert [command[b"command"] for command in harness.commands] == [b"offer", b"answer", b"delete"]
    harness.run(70)
    assert harness.is_empty()
    assert harness.ended == []


def test_the_call_flow_gets_the_facts_but_no_private_headers() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    extra = [
        ("X-Any", "1"),
        ("x-other ".strip(), "2"),
        ("P-Sipuri-Call", "forged"),
        ("Subject", "kept"),
        ("Route", f"<sip:{OUTSIDE[0]};lr>"),
    ]
    caller.call(URI, harness.now, extra=extra)
    harness.run(1)
    invite = service.requests[0]
    assert not {key for key in invite.keys if key.startswith("x-")}
    assert invite.headers("P-Sipuri-Call") == [
        f"{harness.admitted[0].call.call_id};app={APP};account=9900000;source=198.51.100.7:5080;country=US;started=1700000000.030;digest"
    ]
    assert invite.header("Subject") == "kept"
    assert (invite.count("Route"), invite.count("Proxy-Authorization"), invite.max_forwards) == (0, 0, 69)
    assert invite.body == b"v=0 relayed to internal\r\n"
    assert [NameAddr.parse(value).sip_uri.host for value in invite.values("record-route")] == [INSIDE[0]]


def test_the_caller_sees_no_inside_address() -> None:
    harness = ProxyHarness()
    caller = harness.caller()
    harness.service(foreign=True)
    attempt = caller.call(URI, harness.now)
    harness.run(0.5)
    ringing, answer = caller.responses[-2:]
    for response in (ringing, answer):
        assert b"10.0.0." not in bytes(response)
        assert not {key for key in response.keys if key.startswith("p-sipuri-")}
        assert response.count("via") == 1
        assert (response.header("contact") or "").startswith(f"<{URI};sipuri=")
        route = NameAddr.parse(response.values("record-route")[0]).sip_uri
        assert (route.host, route.port, len(route.user or "")) == (OUTSIDE[0], OUTSIDE[1], 64)
    assert answer.body == b"v=0 relayed to external\r\n"
    assert answer.header("x-inside") == "kept"
    assert attempt.leg is not None


def test_record_route_may_show_the_domain() -> None:
    harness = ProxyHarness(replace(CONFIG, record_route_host="sip.example"))
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now)
    harness.run(0.5)
    assert NameAddr.parse(caller.responses[-1].values("record-route")[0]).sip_uri.host == "sip.example"


def test_the_call_flow_hangs_up() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds, service.talk_seconds = None, 60.0
    attempt = caller.call(URI, harness.now)
    harness.run(62)
    assert (attempt.ended, service.ended[attempt.call_id]) == ("remote", "local")
    bye = caller.requests[-1]
    assert (bye.method, bye.count("via"), bye.count("route")) == ("BYE", 1, 0)
    assert b"10.0.0." not in bytes(bye)
    harness.run(70)
    assert harness.is_empty()


def test_a_caller_behind_nat_is_reached_where_it_came_from() -> None:
    harness = ProxyHarness()
    inner: Address = ("192.168.1.20", 5060)
    caller, service = harness.caller(via=inner), harness.service()
    caller.talk_seconds, service.talk_seconds = None, 5.0
    attempt = caller.call(URI, harness.now)
    harness.run(8)
    assert attempt.ended == "remote"
    assert caller.requests[-1].uri.host == inner[0]


def test_a_caller_with_a_public_address_is_reached_there() -> None:
    harness = ProxyHarness()
    public: Address = ("8.8.4.4", 5060)
    caller, service = harness.caller(public), harness.service()
    caller.talk_seconds, service.talk_seconds = None, 2.0
    harness.applications = [application(allowed_regions=())]
    attempt = caller.call(URI, harness.now)
    harness.run(5)
    assert attempt.ended == "remote"


def test_a_late_offer_reverses_the_roles() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now, body=b"")
    harness.run(5)
    assert attempt.ended == "local"
    assert attempt.answer == b"v=0 relayed to external\r\n"
    ack = next(request for request in service.requests if request.method == "ACK")
    assert ack.body == b"v=0 relayed to internal\r\n"
    assert [command[b"command"] for command in harness.commands] == [b"offer", b"answer", b"delete"]
    offer, answer = harness.commands[:2]
    assert offer[b"direction"] == [b"internal", b"external"]
    assert answer[b"direction"] == [b"external", b"internal"]
    assert offer[b"from-tag"] == answer[b"from-tag"]
    assert answer[b"received-from"] == [b"IP4", CALLER[0].encode()]
    assert b"received-from" not in offer


def test_reinvites_of_both_sides_pass_the_relay() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    del harness.commands[:]
    assert attempt.leg is not None
    key = caller.send_inside(attempt.leg, "INVITE", harness.now, body=sdp(CALLER[0]))
    assert key
    harness.run(1)
    assert [command[b"command"] for command in harness.commands] == [b"offer", b"answer"]
    assert harness.commands[0][b"to-tag"] == f"t-{attempt.call_id}".encode()
    leg = service.legs[attempt.call_id]
    service.send_inside(leg, "INVITE", harness.now, body=sdp(NODE_A[0]))
    harness.run(1)
    assert [command[b"direction"] for command in harness.commands[2:]] == [[b"internal", b"external"], [b"external", b"internal"]]
    service.send_inside(leg, "OPTIONS", harness.now)
    harness.run(1)
    assert [request.method for request in caller.requests] == ["INVITE", "ACK", "OPTIONS"]
    assert caller.requests[0].body == b"v=0 relayed to external\r\n"
    assert service.responses[-1].cseq.method == "OPTIONS"
    assert service.responses[-1].status == 200


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("late", [False, True])
def test_an_offer_after_its_calls_end_opens_no_session(method: str, late: bool) -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(3)
    assert attempt.ended == "local"
    assert attempt.leg is not None
    if late:
        harness.run(TIMEOUT)
    key = caller.send_inside(attempt.leg, method, harness.now, body=sdp(CALLER[0]))
    assert key
    harness.run(1)
    assert caller.responses[-1].status == (200 if late else 481)
    reached = any(request.method == method and request.to.tag for request in service.requests)
    assert (reached, bool(harness.sessions)) == (late, late)


def test_an_answer_in_a_provisional_response_is_rewritten_once() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.ring_body = sdp(NODE_A[0], 6000)
    attempt = caller.call(URI, harness.now)
    harness.run(5)
    assert attempt.statuses == [407, 100, 180, 200]
    assert [command[b"command"] for command in harness.commands] == [b"offer", b"answer", b"delete"]


def test_ip_only_calls_need_no_digest() -> None:
    harness = ProxyHarness()
    harness.applications = [application(password_auth=False, allowed_source_ips=("198.51.100.0/24",))]
    caller = harness.caller()
    harness.service()
    attempt = caller.call(f"sip:{APP}@{OUTSIDE[0]}", harness.now)
    harness.run(5)
    assert attempt.statuses == [100, 180, 200]


def test_cancel_reaches_the_call_flow() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 100
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, harness.now)
    harness.run(2)
    assert attempt.statuses == [407, 100, 180, 487]
    assert service.ended[attempt.call_id] == "cancelled"
    harness.run(70)
    assert harness.is_empty()


def test_cancel_before_the_node_has_answered() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.silent = True
    attempt = caller.call(URI, harness.now)
    harness.run(0.5)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 487]
    assert [record.reason for record in harness.ended] == [EndReason.CALLER_CANCELLED]
    service.silent = False
    harness.run(70)
    assert service.ended.get(attempt.call_id) in {"cancelled", None}
    assert harness.is_empty()


def test_cancel_during_the_lookup() -> None:
    harness = ProxyHarness()
    harness.answer_lookups = False
    caller = harness.caller()
    attempt = caller.call(URI, harness.now)
    harness.run(0.1)
    assert attempt.key is not None
    # Without a provisional response a regular caller waits with its CANCEL; this one does not.
    request = attempt.request
    assert request is not None
    cancel = Request.build(
        "CANCEL",
        URI,
        [("Via", str(request.top_via)), *[(name, request.header(name) or "") for name in ("From", "To", "Call-ID")], ("CSeq", "1 CANCEL")],
    )
    caller.layer.send_stateless(bytes(cancel), OUTSIDE)
    harness.run(1)
    assert attempt.statuses == [487]
    harness.answer_lookup(harness.now)
    harness.run(70)
    assert harness.is_empty()


def test_a_silent_node_is_passed_over_and_rests() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, first, second = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    first.silent = True
    attempt = caller.call(URI, harness.now)
    harness.run(1.5)
    assert attempt.statuses == [407, 100, 180, 200]
    again = caller.call(URI, harness.now)
    harness.run(0.3)
    assert again.statuses == [407, 100, 180, 200]
    assert len([request for request in second.requests if request.method == "INVITE"]) == 2
    harness.run(80)
    assert harness.is_empty()


def test_the_only_node_takes_calls_again_as_soon_as_it_answers() -> None:
    harness = ProxyHarness()
    caller, only = harness.caller(), harness.service(NODE_A)
    only.silent = True
    lost = caller.call(URI, harness.now)
    harness.run(1.3)
    assert lost.statuses == [407, 100, 503]
    only.silent = False
    attempt = caller.call(URI, harness.now)
    harness.run(0.3)
    assert attempt.statuses == [407, 100, 180, 200]
    harness.run(80)
    assert harness.is_empty()


def test_a_node_that_answers_503_is_tried_once_for_a_call() -> None:
    harness = ProxyHarness()
    caller, only = harness.caller(), harness.service(NODE_A)
    only.status, only.answer_delay = 503, 0.0
    only.on_invite = lambda key, request, now: only.layer.respond(key, request.make_response(503, to_tag="x"), now)  # type: ignore[method-assign]  # no ringing first
    for number in (1, 2):
        attempt = caller.call(URI, harness.now)
        harness.run(1)
        assert attempt.statuses == [407, 100, 503]
        assert len([request for request in only.requests if request.method == "INVITE"]) == number


def test_a_late_2xx_of_a_silent_node_is_hung_up() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, late, second = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    harness.network.run(0.01)
    late.silent = True
    caller.talk_seconds = 20
    attempt = caller.call(URI, harness.now)
    harness.run(1.3)
    late.silent = False
    late.answer_delay = 0.0
    harness.run(30)
    assert attempt.ended == "local"
    assert second.ended[attempt.call_id] == "remote"
    assert late.ended.get(attempt.call_id) in {"cancelled", "remote"}
    harness.run(70)
    assert harness.is_empty()


def test_no_node_is_503() -> None:
    harness = ProxyHarness(nodes=())
    caller = harness.caller()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 503]
    assert caller.responses[-1].header("Retry-After") == "5"
    assert [record.reason for record in harness.ended] == [EndReason.NO_CALLFLOW]
    assert harness.commands[-1][b"command"] == b"delete"
    harness.run(70)
    assert harness.is_empty()


def test_a_node_that_drains_is_passed_over() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    caller, first, second = harness.caller(), harness.service(NODE_A), harness.service(NODE_B, prefix="n")
    first.status, first.answer_delay = 503, 0.0
    first.on_invite = lambda key, request, now: first.layer.respond(key, request.make_response(503, to_tag="x"), now)  # type: ignore[method-assign]  # no ringing first
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 180, 200]
    assert second.legs


@pytest.mark.parametrize(("lives", "refuses", "answers"), [(False, set(), True), (True, {"offer"}, True), (True, set(), False)])
def test_no_relay_is_503(lives: bool, refuses: set[str], answers: bool) -> None:
    harness = ProxyHarness()
    harness.relay_lives, harness.relay_refuses, harness.relay_answers = lives, refuses, answers
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 503]
    assert service.requests == []
    assert [record.reason for record in harness.ended] == [EndReason.NO_MEDIA_RELAY]


@pytest.mark.parametrize(("refuses", "answers"), [({"offer"}, True), (set(), False)])
def test_a_call_goes_on_with_the_next_relay(refuses: set[str], answers: bool) -> None:
    harness = ProxyHarness()
    harness.relays.append(SPARE_RELAY)
    harness.relay_refuses, harness.relay_answers = refuses, answers
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 180, 200]
    assert service.legs
    harness.run(70)
    # What a silent relay may have opened is ended.
    assert list(dict.fromkeys(harness.asked)) == [
        *[(RELAY, "offer"), (RELAY, "delete")],
        *[(SPARE_RELAY, "offer"), (SPARE_RELAY, "answer"), (SPARE_RELAY, "delete")],
    ]
    assert harness.is_empty()


def test_no_other_relay_is_asked_for_a_description_that_none_can_serve() -> None:
    harness = ProxyHarness()
    harness.relays.append(SPARE_RELAY)
    harness.relay_refuses, harness.relay_reason = {"offer"}, b"The media address is IPv6, which is not supported."
    harness.service()
    attempt = harness.caller().call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 488]
    assert {relay for relay, _ in harness.asked} == {RELAY}


def test_a_relay_that_refuses_the_answer_ends_the_call() -> None:
    harness = ProxyHarness()
    harness.relay_refuses = {"answer"}
    caller, service = harness.caller(), harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 180, 503]
    assert service.ended[attempt.call_id] == "remote"
    harness.run(70)
    assert harness.is_empty()


def test_the_call_flow_refuses() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.status = 603
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 180, 603]
    assert harness.ended == []
    harness.run(70)
    assert harness.is_empty()


def test_a_redirection_does_not_reach_the_caller() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.status = 302
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.statuses == [407, 100, 180, 480]


def test_timer_c_ends_an_invite_without_a_final_response() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    service.answer_delay = 1000
    attempt = caller.call(URI, harness.now)
    harness.run(183)
    assert attempt.statuses == [407, 100, 180, 408]
    assert service.ended[attempt.call_id] == "cancelled"
    harness.run(70)
    assert harness.is_empty()


@pytest.mark.parametrize(("caller_ends", "reason"), [(True, EndReason.CALLER_HANGUP), (False, EndReason.APPLICATION_HANGUP)])
def test_static_targets_leave_the_record_to_the_proxy(caller_ends: bool, reason: EndReason) -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service(foreign=True)
    caller.talk_seconds, service.talk_seconds = (2.0, None) if caller_ends else (None, 2.0)
    attempt = caller.call(URI, harness.now)
    harness.run(5)
    assert attempt.ended
    record = harness.ended[0]
    assert (record.reason, len(harness.ended), record.sip_status) == (reason, 1, 200)
    assert record.answered_at is not None
    assert record.at - record.answered_at == pytest.approx(2.0, abs=0.2)
    if not caller_ends:
        assert b"10.0.0." not in bytes(caller.requests[-1])


def test_a_static_target_that_refuses() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = harness.caller(), harness.service()
    service.status = 486
    caller.call(URI, harness.now)
    harness.run(1)
    assert [(record.reason, record.sip_status) for record in harness.ended] == [(EndReason.TARGET_REFUSED, 486)]


@pytest.mark.parametrize("seed", range(4))
def test_three_hundred_calls_over_a_bad_network(seed: int) -> None:
    dice = random.Random(seed)

    def fate() -> list[float]:
        copies = dice.choices([0, 1, 2], [8, 84, 8])[0]
        return [dice.uniform(0.001, 0.3) for _ in range(copies)]

    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    harness.network.fate = fate
    caller, services = harness.caller(), [harness.service(NODE_A), harness.service(NODE_B, prefix="n")]
    caller.talk_seconds = None
    for service in services:
        service.answer_delay = 0.3
    attempts = []
    for number in range(75):
        for service in services:
            service.talk_seconds = 3.0
        attempts.append(caller.call(URI, harness.now))
        if number % 3 == 0:
            caller.talk_seconds = 2.0
        harness.run(dice.uniform(0, 0.5))
        caller.talk_seconds = None
    harness.run(140)
    answered = [attempt for attempt in attempts if attempt.leg is not None]
    assert len(answered) > 60
    assert all(attempt.statuses[-1] >= 200 for attempt in attempts)
    assert harness.network.lost > 50
    assert harness.is_empty()
    assert len(caller.layer) == 0
