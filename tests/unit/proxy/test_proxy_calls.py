from __future__ import annotations

import random
from dataclasses import replace

import pytest

from daemonkit.address import Address
from sipproxy.sip import NameAddr, Request
from sipproxy.transactions.tables import TIMEOUT
from tests.support.ua import sdp
from tests.unit.proxy.world import APP, CALLER, CONFIG, INSIDE, NODE_A, NODE_B, OUTSIDE, URI, World, application
from voiceapps.rules.endings import EndReason


def test_a_call_from_challenge_to_bye() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    attempt = caller.call(URI, world.now)
    world.run(10)
    assert attempt.statuses == [407, 100, 180, 200]
    assert (attempt.ended, service.ended[attempt.call_id]) == ("local", "remote")
    assert [record.call.application_id for record in world.admitted] == [APP]
    assert [command[b"command"] for command in world.commands] == [b"offer", b"answer", b"delete"]
    world.run(70)
    assert world.is_empty()
    assert world.ended == []


def test_the_call_flow_gets_the_facts_and_nothing_private() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    extra = [
        ("X-Any", "1"),
        ("x-other ".strip(), "2"),
        ("P-Sipuri-Call", "forged"),
        ("Subject", "kept"),
        ("Route", f"<sip:{OUTSIDE[0]};lr>"),
    ]
    caller.call(URI, world.now, extra=extra)
    world.run(1)
    invite = service.requests[0]
    assert not {key for key in invite.keys if key.startswith("x-")}
    assert invite.headers("P-Sipuri-Call") == [
        f"{world.admitted[0].call.call_id};app={APP};account=9900000;source=198.51.100.7:5080;country=US;started=1700000000.030"
    ]
    assert invite.header("Subject") == "kept"
    assert (invite.count("Route"), invite.count("Proxy-Authorization"), invite.max_forwards) == (0, 0, 69)
    assert invite.body == b"v=0 relayed to internal\r\n"
    assert [NameAddr.parse(value).sip_uri.host for value in invite.values("record-route")] == [INSIDE[0]]


def test_the_caller_sees_nothing_of_the_inside() -> None:
    world = World()
    caller = world.caller()
    world.service(foreign=True)
    attempt = caller.call(URI, world.now)
    world.run(0.5)
    ringing, answer = caller.responses[-2:]
    for response in (ringing, answer):
        assert b"10.0.0." not in bytes(response)
        assert not {key for key in response.keys if key.startswith("p-sipuri-")}
        assert response.count("via") == 1
        assert response.header("contact") == f"<{URI}>"
        route = NameAddr.parse(response.values("record-route")[0]).sip_uri
        assert (route.host, route.port, len(route.user or "")) == (OUTSIDE[0], OUTSIDE[1], 64)
    assert answer.body == b"v=0 relayed to external\r\n"
    assert answer.header("x-inside") == "kept"
    assert attempt.leg is not None


def test_record_route_may_show_the_domain() -> None:
    world = World(replace(CONFIG, record_route_host="sip.example"))
    caller = world.caller()
    world.service()
    caller.call(URI, world.now)
    world.run(0.5)
    assert NameAddr.parse(caller.responses[-1].values("record-route")[0]).sip_uri.host == "sip.example"


def test_the_call_flow_hangs_up() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    caller.talk_seconds, service.talk_seconds = None, 60.0
    attempt = caller.call(URI, world.now)
    world.run(62)
    assert (attempt.ended, service.ended[attempt.call_id]) == ("remote", "local")
    bye = caller.requests[-1]
    assert (bye.method, bye.count("via"), bye.count("route")) == ("BYE", 1, 0)
    assert b"10.0.0." not in bytes(bye)
    world.run(70)
    assert world.is_empty()


def test_a_caller_behind_nat_is_reached_where_it_came_from() -> None:
    world = World()
    inner: Address = ("192.168.1.20", 5060)
    caller, service = world.caller(via=inner), world.service()
    caller.talk_seconds, service.talk_seconds = None, 5.0
    attempt = caller.call(URI, world.now)
    world.run(8)
    assert attempt.ended == "remote"
    assert caller.requests[-1].uri.host == inner[0]


def test_a_caller_with_a_public_address_is_reached_there() -> None:
    world = World()
    public: Address = ("8.8.4.4", 5060)
    caller, service = world.caller(public), world.service()
    caller.talk_seconds, service.talk_seconds = None, 2.0
    world.applications = [application(allowed_regions=())]
    attempt = caller.call(URI, world.now)
    world.run(5)
    assert attempt.ended == "remote"


def test_a_late_offer_turns_the_roles_round() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    attempt = caller.call(URI, world.now, body=b"")
    world.run(5)
    assert attempt.ended == "local"
    assert attempt.answer == b"v=0 relayed to external\r\n"
    ack = next(request for request in service.requests if request.method == "ACK")
    assert ack.body == b"v=0 relayed to internal\r\n"
    assert [command[b"command"] for command in world.commands] == [b"offer", b"answer", b"delete"]
    offer, answer = world.commands[:2]
    assert offer[b"direction"] == [b"internal", b"external"]
    assert answer[b"direction"] == [b"external", b"internal"]
    assert offer[b"from-tag"] == answer[b"from-tag"]
    assert answer[b"received-from"] == [b"IP4", CALLER[0].encode()]
    assert b"received-from" not in offer


def test_reinvites_of_both_sides_pass_the_relay() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, world.now)
    world.run(1)
    del world.commands[:]
    assert attempt.leg is not None
    key = caller.send_inside(attempt.leg, "INVITE", world.now, body=sdp(CALLER[0]))
    assert key
    world.run(1)
    assert [command[b"command"] for command in world.commands] == [b"offer", b"answer"]
    assert world.commands[0][b"to-tag"] == f"t-{attempt.call_id}".encode()
    leg = service.legs[attempt.call_id]
    service.send_inside(leg, "INVITE", world.now, body=sdp(NODE_A[0]))
    world.run(1)
    assert [command[b"direction"] for command in world.commands[2:]] == [[b"internal", b"external"], [b"external", b"internal"]]
    service.send_inside(leg, "OPTIONS", world.now)
    world.run(1)
    assert [request.method for request in caller.requests] == ["INVITE", "ACK", "OPTIONS"]
    assert caller.requests[0].body == b"v=0 relayed to external\r\n"
    assert service.responses[-1].cseq.method == "OPTIONS"
    assert service.responses[-1].status == 200


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("late", [False, True])
def test_an_offer_that_its_calls_end_overtook_opens_no_session(method: str, late: bool) -> None:
    world = World()
    caller, service = world.caller(), world.service()
    attempt = caller.call(URI, world.now)
    world.run(3)
    assert attempt.ended == "local"
    assert attempt.leg is not None
    if late:
        world.run(TIMEOUT)
    key = caller.send_inside(attempt.leg, method, world.now, body=sdp(CALLER[0]))
    assert key
    world.run(1)
    assert caller.responses[-1].status == (200 if late else 481)
    reached = any(request.method == method and request.to.tag for request in service.requests)
    assert (reached, bool(world.sessions)) == (late, late)


def test_an_answer_in_the_ringing_is_asked_for_once() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.ring_body = sdp(NODE_A[0], 6000)
    attempt = caller.call(URI, world.now)
    world.run(5)
    assert attempt.statuses == [407, 100, 180, 200]
    assert [command[b"command"] for command in world.commands] == [b"offer", b"answer", b"delete"]


def test_ip_only_calls_need_no_digest() -> None:
    world = World()
    world.applications = [application(password_auth=False, allowed_source_ips=("198.51.100.0/24",))]
    caller = world.caller()
    world.service()
    attempt = caller.call(f"sip:{APP}@{OUTSIDE[0]}", world.now)
    world.run(5)
    assert attempt.statuses == [100, 180, 200]


def test_cancel_reaches_the_call_flow() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.answer_delay = 100
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, world.now)
    world.run(2)
    assert attempt.statuses == [407, 100, 180, 487]
    assert service.ended[attempt.call_id] == "cancelled"
    world.run(70)
    assert world.is_empty()


def test_cancel_before_the_node_said_anything() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.silent = True
    attempt = caller.call(URI, world.now)
    world.run(0.5)
    assert attempt.key is not None
    caller.layer.cancel(attempt.key, world.now)
    world.run(1)
    assert attempt.statuses == [407, 100, 487]
    assert [record.reason for record in world.ended] == [EndReason.CALLER_CANCELLED]
    service.silent = False
    world.run(70)
    assert service.ended.get(attempt.call_id) in {"cancelled", None}
    assert world.is_empty()


def test_cancel_during_the_lookup() -> None:
    world = World()
    world.answer_lookups = False
    caller = world.caller()
    attempt = caller.call(URI, world.now)
    world.run(0.1)
    assert attempt.key is not None
    # No provisional response came, so the caller itself would wait: its impatient cousin does not.
    request = attempt.request
    assert request is not None
    cancel = Request.build(
        "CANCEL",
        URI,
        [("Via", str(request.top_via)), *[(name, request.header(name) or "") for name in ("From", "To", "Call-ID")], ("CSeq", "1 CANCEL")],
    )
    caller.layer.send_stateless(bytes(cancel), OUTSIDE)
    world.run(1)
    assert attempt.statuses == [487]
    world.answer_lookup(world.now)
    world.run(70)
    assert world.is_empty()


def test_a_silent_node_is_passed_over_and_rests() -> None:
    world = World(nodes=(NODE_A, NODE_B))
    caller, first, second = world.caller(), world.service(NODE_A), world.service(NODE_B, prefix="n")
    first.silent = True
    attempt = caller.call(URI, world.now)
    world.run(1.5)
    assert attempt.statuses == [407, 100, 180, 200]
    again = caller.call(URI, world.now)
    world.run(0.3)
    assert again.statuses == [407, 100, 180, 200]
    assert len([request for request in second.requests if request.method == "INVITE"]) == 2
    world.run(80)
    assert world.is_empty()


def test_the_only_node_takes_calls_again_as_soon_as_it_answers() -> None:
    world = World()
    caller, only = world.caller(), world.service(NODE_A)
    only.silent = True
    lost = caller.call(URI, world.now)
    world.run(1.3)
    assert lost.statuses == [407, 100, 503]
    only.silent = False
    attempt = caller.call(URI, world.now)
    world.run(0.3)
    assert attempt.statuses == [407, 100, 180, 200]
    world.run(80)
    assert world.is_empty()


def test_a_node_that_says_503_is_tried_once_for_a_call() -> None:
    world = World()
    caller, only = world.caller(), world.service(NODE_A)
    only.status, only.answer_delay = 503, 0.0
    only.on_invite = lambda key, request, now: only.layer.respond(key, request.make_response(503, to_tag="x"), now)  # type: ignore[method-assign]  # no ringing first
    for number in (1, 2):
        attempt = caller.call(URI, world.now)
        world.run(1)
        assert attempt.statuses == [407, 100, 503]
        assert len([request for request in only.requests if request.method == "INVITE"]) == number


def test_a_node_that_wakes_late_is_hung_up() -> None:
    world = World(nodes=(NODE_A, NODE_B))
    caller, late, second = world.caller(), world.service(NODE_A), world.service(NODE_B, prefix="n")
    world.network.run(0.01)
    late.silent = True
    caller.talk_seconds = 20
    attempt = caller.call(URI, world.now)
    world.run(1.3)
    late.silent = False
    late.answer_delay = 0.0
    world.run(30)
    assert attempt.ended == "local"
    assert second.ended[attempt.call_id] == "remote"
    assert late.ended.get(attempt.call_id) in {"cancelled", "remote"}
    world.run(70)
    assert world.is_empty()


def test_no_node_is_503() -> None:
    world = World(nodes=())
    caller = world.caller()
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 503]
    assert caller.responses[-1].header("Retry-After") == "5"
    assert [record.reason for record in world.ended] == [EndReason.NO_CALLFLOW]
    assert world.commands[-1][b"command"] == b"delete"
    world.run(70)
    assert world.is_empty()


def test_a_node_that_drains_is_passed_over() -> None:
    world = World(nodes=(NODE_A, NODE_B))
    caller, first, second = world.caller(), world.service(NODE_A), world.service(NODE_B, prefix="n")
    first.status, first.answer_delay = 503, 0.0
    first.on_invite = lambda key, request, now: first.layer.respond(key, request.make_response(503, to_tag="x"), now)  # type: ignore[method-assign]  # no ringing first
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 100, 180, 200]
    assert second.legs


@pytest.mark.parametrize(("lives", "refuses", "answers"), [(False, set(), True), (True, {"offer"}, True), (True, set(), False)])
def test_no_relay_is_503(lives: bool, refuses: set[str], answers: bool) -> None:
    world = World()
    world.relay_lives, world.relay_refuses, world.relay_answers = lives, refuses, answers
    caller, service = world.caller(), world.service()
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 503]
    assert service.requests == []
    assert [record.reason for record in world.ended] == [EndReason.NO_MEDIA_RELAY]


def test_a_relay_that_refuses_the_answer_ends_the_call() -> None:
    world = World()
    world.relay_refuses = {"answer"}
    caller, service = world.caller(), world.service()
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 100, 180, 503]
    assert service.ended[attempt.call_id] == "remote"
    world.run(70)
    assert world.is_empty()


def test_the_call_flow_refuses() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.status = 603
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 100, 180, 603]
    assert world.ended == []
    world.run(70)
    assert world.is_empty()


def test_a_redirection_does_not_leave() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.status = 302
    attempt = caller.call(URI, world.now)
    world.run(1)
    assert attempt.statuses == [407, 100, 180, 480]


def test_timer_c_ends_what_rings_for_ever() -> None:
    world = World()
    caller, service = world.caller(), world.service()
    service.answer_delay = 1000
    attempt = caller.call(URI, world.now)
    world.run(183)
    assert attempt.statuses == [407, 100, 180, 408]
    assert service.ended[attempt.call_id] == "cancelled"
    world.run(70)
    assert world.is_empty()


@pytest.mark.parametrize(("caller_ends", "reason"), [(True, EndReason.CALLER_HANGUP), (False, EndReason.APPLICATION_HANGUP)])
def test_static_targets_leave_the_record_to_the_proxy(caller_ends: bool, reason: EndReason) -> None:
    world = World(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = world.caller(), world.service(foreign=True)
    caller.talk_seconds, service.talk_seconds = (2.0, None) if caller_ends else (None, 2.0)
    attempt = caller.call(URI, world.now)
    world.run(5)
    assert attempt.ended
    record = world.ended[0]
    assert (record.reason, len(world.ended), record.sip_status) == (reason, 1, 200)
    assert record.answered_at is not None
    assert record.at - record.answered_at == pytest.approx(2.0, abs=0.2)
    if not caller_ends:
        assert b"10.0.0." not in bytes(caller.requests[-1])


def test_a_static_target_that_refuses() -> None:
    world = World(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller, service = world.caller(), world.service()
    service.status = 486
    caller.call(URI, world.now)
    world.run(1)
    assert [(record.reason, record.sip_status) for record in world.ended] == [(EndReason.TARGET_REFUSED, 486)]


@pytest.mark.parametrize("seed", range(4))
def test_three_hundred_calls_over_a_bad_network(seed: int) -> None:
    dice = random.Random(seed)

    def fate() -> list[float]:
        copies = dice.choices([0, 1, 2], [8, 84, 8])[0]
        return [dice.uniform(0.001, 0.3) for _ in range(copies)]

    world = World(nodes=(NODE_A, NODE_B))
    world.network.fate = fate
    caller, services = world.caller(), [world.service(NODE_A), world.service(NODE_B, prefix="n")]
    caller.talk_seconds = None
    for service in services:
        service.answer_delay = 0.3
    attempts = []
    for number in range(75):
        for service in services:
            service.talk_seconds = 3.0
        attempts.append(caller.call(URI, world.now))
        if number % 3 == 0:
            caller.talk_seconds = 2.0
        world.run(dice.uniform(0, 0.5))
        caller.talk_seconds = None
    world.run(140)
    answered = [attempt for attempt in attempts if attempt.leg is not None]
    assert len(answered) > 60
    assert all(attempt.statuses[-1] >= 200 for attempt in attempts)
    assert world.network.lost > 50
    assert world.is_empty()
    assert len(caller.layer) == 0
