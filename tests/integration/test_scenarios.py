"""The running proxy between two sipp processes: transactions, refusals and what shows of whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kamailio import EVERY_TRANSPORT
from tests.support.sipp import ANSWER, INSIDE, OFFER, OUTSIDE, Party, Scene, Stage, callee, has, never_says, says, scene

TRANSPORTS = ("udp", "tcp") if EVERY_TRANSPORT else ("udp",)
# Without sipp's own repeats, and with every repeat of the proxy as a message of its own.
AS_IT_COMES = ("-nr",)
OUR_RESPONSE_BYTES = 1_300


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture(params=TRANSPORTS)
def stage(here: Scene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(tmp_path, here.fleet.sip, request.param)
    yield made
    made.close()


def answering() -> Party:
    return callee().gets("INVITE", INSIDE).answers(180).answers(200, body=ANSWER).gets("ACK")


def calling(here: Scene) -> Party:
    return here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, OUTSIDE)


# Requests that leave nothing behind: first, while the proxy is idle.


def test_other_requests_outside_a_dialog_are_not_allowed_and_leave_nothing(here: Scene, stage: Stage) -> None:
    party = here.caller()
    for method in ("REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "NOTIFY", "INFO", "REFER", "UPDATE", "FROB"):
        party.sends(method).gets(405, has("Allow", "INVITE"))
    before = here.fleet.gauge("sipproxy", "sipuri_sip_transactions")
    stage.call(party)
    assert here.fleet.gauge("sipproxy", "sipuri_sip_transactions") <= before


def test_our_own_responses_fit_a_datagram(here: Scene, stage: Stage) -> None:
    password = here.fleet.application().sip_uri
    party = here.caller().sends("OPTIONS").gets(200, says("200 Keepalive")).sends("REGISTER").gets(405)
    party.sends("INVITE", to_uri=password, body=OFFER).gets(100, optional=True).gets(403)
    party.sends("BYE", to_tag=";tag=x").gets(481).sends("OPTIONS", hops="0").gets(200).sends("MESSAGE", hops="0").gets(483)
    log = stage.call(party)
    received = [int(size) for size in re.findall(r"message received \[(\d+)\] bytes", log)]
    assert len(received) >= 6
    assert max(received) < OUR_RESPONSE_BYTES


# CANCEL.


def test_a_silent_callee_is_cancelled_when_it_speaks(here: Scene, stage: Stage) -> None:
    late = callee().gets("INVITE").waits(400).answers(180).gets("CANCEL").answers(200).answers(487, to="INVITE").gets("ACK")
    party = here.caller().sends("INVITE", body=OFFER).gets(100).waits(200).cancels().gets(200).gets(487).acks(failure=True)
    stage.call(party, (here.port, late))
    assert here.end_of(stage) == ["client_error", "caller_cancelled", 487]


def test_a_ringing_callee_is_cancelled_hop_by_hop(here: Scene, stage: Stage) -> None:
    rung = callee().gets("INVITE").answers(180).gets("CANCEL", never_says("Route:")).answers(200).answers(487, to="INVITE").gets("ACK")
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).cancels().gets(200, has("CSeq", "CANCEL")).gets(487)
    stage.call(party.acks(failure=True), (here.port, rung))
    assert here.end_of(stage) == ["client_error", "caller_cancelled", 487]


def test_a_callee_that_answers_a_cancel_with_200_is_talked_to(here: Scene, stage: Stage) -> None:
    quick = callee().gets("INVITE").answers(180).gets("CANCEL").answers(200).answers(200, to="INVITE", body=ANSWER).gets("ACK")
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).cancels().gets(200, has("CSeq", "CANCEL"))
    party.gets(200, has("CSeq", "INVITE"), OUTSIDE, of="INVITE").acks().sends("BYE").gets(200)
    stage.call(party, (here.port, quick.gets("BYE").answers(200)))
    assert here.end_of(stage) == ["success", "caller_hangup", 200]


def test_a_cancel_after_the_answer_changes_nothing(here: Scene, stage: Stage) -> None:
    party = calling(here).cancels().gets(200, has("CSeq", "CANCEL")).acks().sends("BYE").gets(200)
    stage.call(party, (here.port, answering().gets("BYE").answers(200)))
    assert here.end_of(stage) == ["success", "caller_hangup", 200]


# Repeats; a caller makes them only where the transport may lose what it sent.


@pytest.mark.parametrize("stage", ["udp"], indirect=True)
def test_a_repeated_invite_meets_the_last_response_and_no_callee(here: Scene, stage: Stage) -> None:
    slow = callee().gets("INVITE").waits(200).answers(180).answers(200, body=ANSWER).gets("ACK").gets("BYE").answers(200)
    party = here.caller().sends("INVITE", body=OFFER).gets(100).repeats().gets(100).repeats().gets(100).gets(180).gets(200)
    stage.call(party.acks().sends("BYE").gets(200), (here.port, slow), options=AS_IT_COMES)


def test_a_repeated_answer_and_each_ack_pass(here: Scene, stage: Stage) -> None:
    party = calling(here).acks().gets(200, OUTSIDE, of="INVITE").acks().gets(200, OUTSIDE, of="INVITE").acks().sends("BYE").gets(200)
    again = {"to": "INVITE", "body": ANSWER}
    other = answering().answers(200, **again).gets("ACK").answers(200, **again).gets("ACK").gets("BYE").answers(200)
    stage.call(party, (here.port, other), options=AS_IT_COMES)


def test_without_an_ack_each_repeat_of_the_answer_passes(here: Scene, stage: Stage) -> None:
    other = callee().gets("INVITE").answers(180).answers(200, body=ANSWER).repeats().repeats().gets("ACK").gets("BYE").answers(200)
    party = calling(here).gets(200, OUTSIDE, of="INVITE").gets(200, OUTSIDE, of="INVITE").acks().sends("BYE").gets(200)
    stage.call(party, (here.port, other), options=AS_IT_COMES)


@pytest.mark.parametrize("stage", ["udp"], indirect=True)
def test_a_repeated_bye_is_answered_by_us(here: Scene, stage: Stage) -> None:
    party = calling(here).acks().sends("BYE").gets(200).repeats().gets(200, of="BYE")
    stage.call(party, (here.port, answering().gets("BYE").answers(200).waits(150)), options=AS_IT_COMES)
    assert here.end_of(stage) == ["success", "caller_hangup", 200]


# Final responses.


@pytest.mark.parametrize("status", [404, 408, 486, 487, 500, 600, 603])
def test_a_refusal_of_the_callee_passes(here: Scene, stage: Stage, status: int) -> None:
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(status).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE").answers(status).gets("ACK")))
    assert here.end_of(stage) == ["upstream_error", "target_refused", status]


def test_a_503_after_ringing_passes(here: Scene, stage: Stage) -> None:
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(503).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE").answers(180).answers(503).gets("ACK")))
    assert here.end_of(stage) == ["upstream_error", "target_refused", 503]


@pytest.mark.parametrize("status", [302, 380])
def test_a_redirection_does_not_leave(here: Scene, stage: Stage, status: int) -> None:
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(480, never_says("Contact")).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE").answers(status).gets("ACK")))
    assert here.end_of(stage) == ["upstream_error", "target_refused", 480]


# What is wrong with a request.


def test_a_request_that_wants_a_proxy_to_do_more_is_refused(here: Scene, stage: Stage) -> None:
    party = here.caller().sends("INVITE", "Proxy-Require: foo, bar", body=OFFER)
    stage.call(party.gets(420, has("Unsupported", "foo *, *bar")).acks(failure=True))


def test_a_request_without_hops_left_is_refused(here: Scene, stage: Stage) -> None:
    stage.call(here.caller().sends("INVITE", body=OFFER, hops="0").gets(483).acks(failure=True))


@pytest.mark.parametrize(("said", "seen"), [("", "70"), ("70", "69"), ("1", "0")])
def test_hops_are_counted(here: Scene, stage: Stage, said: str, seen: str) -> None:
    party = here.caller().sends("INVITE", body=OFFER, hops=said).gets(100).gets(486).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE", has("Max-Forwards", f"^ *{seen}$")).answers(486).gets("ACK")))


def test_what_the_callee_must_do_is_left_to_it(here: Scene, stage: Stage) -> None:
    party = here.caller().sends("INVITE", "Require: foo", body=OFFER).gets(100).gets(420, has("Unsupported", "foo")).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE", has("Require", "foo")).answers(420, "Unsupported: foo").gets("ACK")))


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "MESSAGE"])
def test_a_request_of_an_unknown_dialog_goes_nowhere(here: Scene, stage: Stage, method: str) -> None:
    party = here.caller().sends(method, to_tag=";tag=made-up").gets(481)
    stage.call(party.acks(failure=True) if method == "INVITE" else party)


def test_a_forged_route_goes_nowhere(here: Scene, stage: Stage) -> None:
    route = "Route: <sip:{}@127.0.0.1:{};lr>".format("A" * 64, here.fleet.sip[1])
    stage.call(here.caller().sends("BYE", to_tag=";tag=made-up", routes=route).gets(403))


def test_the_route_of_another_call_goes_nowhere(here: Scene, stage: Stage) -> None:
    party = calling_and_keeping_the_route(here).acks()
    # Our own call goes on; the thief shares its Call-ID and its route, but not its tag.
    party.sends("BYE", from_tag="thief", routes="Route: <[$route];lr>").gets(403).sends("BYE").gets(200)
    stage.call(party, (here.port, answering().gets("BYE").answers(200)))


def calling_and_keeping_the_route(here: Scene) -> Party:
    return here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, has("Record-Route", "sip:[^;>]*", keep="route"))


def test_a_strict_router_reaches_the_dialog(here: Scene, stage: Stage) -> None:
    party = calling_and_keeping_the_route(here).acks()
    party.sends("BYE", to_uri="[$route]", routes=f"Route: <{here.application.sip_uri}>").gets(200)
    stage.call(party, (here.port, answering().gets("BYE").answers(200)))
    assert here.end_of(stage) == ["success", "caller_hangup", 200]


# Who sees what.


def test_nothing_of_the_inside_shows(here: Scene, stage: Stage) -> None:
    secrets = ('Warning: 399 inside.example "it is me"', "P-Sipuri-Node: node-7", "P-sipuri-call: c-1")
    other = callee().gets("INVITE", never_says("[Pp]-[Ss]ipuri"))
    other.answers(183, *secrets, body=ANSWER).answers(200, *secrets, "Server: callee", "Cool-Header: warm", body=ANSWER).gets("ACK")
    other.sends("INFO", *secrets, "Cool-Header: warm").gets(200).gets("BYE").answers(200, *secrets)
    party = here.caller().sends("INVITE", body=OFFER).gets(100).gets(183, OUTSIDE)
    party.gets(200, has("Cool-Header", "warm"), has("Contact", here.application.sip_uri), OUTSIDE).acks()
    party.gets("INFO", has("Cool-Header", "warm")).answers(200).sends("BYE").gets(200)
    stage.call(party, (here.port, other))


def test_private_headers_of_the_caller_end_here(here: Scene, stage: Stage) -> None:
    foreign = ("X-Secret: one", "x-secret : two", "P-Sipuri-Call: c-forged", "P-Sipuri-Other: 1", "Cool-Header: warm", "Subject: tea")
    clean = (
        never_says("[Xx]-[Ss]ecret"),
        never_says("forged"),
        never_says("P-Sipuri-Other"),
        has("Cool-Header", "warm"),
        has("Subject", "tea"),
    )
    party = here.caller().sends("INVITE", *foreign, body=OFFER).gets(100).gets(180).gets(200).acks(*foreign)
    party.sends("INFO", *foreign).gets(200).gets("OPTIONS").answers(200, *foreign).sends("BYE", *foreign).gets(200)
    other = callee().gets("INVITE", *clean).answers(180).answers(200, body=ANSWER).gets("ACK", *clean).gets("INFO", *clean).answers(200)
    other.sends("OPTIONS").gets(200, *clean).gets("BYE", *clean).answers(200)
    stage.call(party, (here.port, other))


# Large requests.


# A stream has a smaller limit for what comes before the body.
@pytest.mark.parametrize("stage", ["udp"], indirect=True)
def test_a_request_of_60_kb_passes(here: Scene, stage: Stage) -> None:
    long = [f"Cool-Header-{number}: {'x' * 7_900}" for number in range(7)]
    party = here.caller().sends("INVITE", *long, body=OFFER).gets(100).gets(486).acks(failure=True)
    stage.call(party, (here.port, callee().gets("INVITE", has("Cool-Header-6", "x{200}"), INSIDE).answers(486).gets("ACK")))


def test_a_body_of_59_kb_is_answered(here: Scene, stage: Stage) -> None:
    stage.call(here.caller().sends("OPTIONS", body="x" * 59_000, kind="text/plain").gets(200))
