"""The running proxy between two sipp processes: what the parties of a call do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import free_ports
from tests.support.sipp import ANSWER, INSIDE, OFFER, OUTSIDE, Party, Scene, Stage, beside, callee, changed, has, never_says, says, scene

TRANSPORTS = ("udp", "tcp")
RELIABLE = ("Require: 100rel", "RSeq: 1")
ALAW_OFFER = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 8").replace("rtpmap:0 PCMU", "rtpmap:8 PCMA").replace(" 1 1 IN", " 1 2 IN")
ALAW_ANSWER = ANSWER.replace("RTP/AVP 0", "RTP/AVP 8").replace("rtpmap:0 PCMU", "rtpmap:8 PCMA").replace(" 1 1 IN", " 1 2 IN")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture(params=TRANSPORTS)
def stage(here: Scene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(tmp_path, here.fleet.sip, request.param)
    yield made
    made.close()


def talking(here: Scene) -> tuple[Party, Party]:
    """Return caller and callee with their call up."""
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, OUTSIDE).acks()
    return first, callee().gets("INVITE", INSIDE).answers(180).answers(200, body=ANSWER).gets("ACK")


def hung_up(here: Scene, stage: Stage, first: Party, second: Party, *, by_caller: bool = True) -> None:
    """Play the parties' call; one of them ends it, and its row says so."""
    one, other = (first, second) if by_caller else (second, first)
    one.sends("BYE").gets(200)
    other.gets("BYE").answers(200)
    stage.call(first, (here.port, second))
    assert here.end_of(stage) == ["success", "caller_hangup" if by_caller else "application_hangup", 200]


def asks(asker: Party, other: Party, offer: str, answer: str, *, seen: Party, method: str = "INVITE") -> None:
    """Let one party send an offer inside the call and the other answer it; each sees the relay's ports."""
    towards, back = (INSIDE, OUTSIDE) if seen.calling else (OUTSIDE, INSIDE)
    asker.sends(method, body=offer)
    if method == "INVITE":
        asker.gets(100)
    attribute = next((line for line in offer.split("\n") if line in {"a=sendonly", "a=inactive", "a=sendrecv"}), "v=0")
    reply = next((line for line in answer.split("\n") if line in {"a=recvonly", "a=inactive", "a=sendrecv"}), "v=0")
    other.gets(method, towards, says(attribute)).answers(200, body=answer)
    asker.gets(200, back, says(reply), has("CSeq", method))
    if method == "INVITE":
        asker.acks()
        other.gets("ACK")


# Hanging up, hold, codecs.


def test_the_callee_hangs_up(here: Scene, stage: Stage) -> None:
    hung_up(here, stage, *talking(here), by_caller=False)


@pytest.mark.parametrize("by_caller", [True, False])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_hold_and_resume(here: Scene, stage: Stage, method: str, by_caller: bool) -> None:
    first, second = talking(here)
    asker, other = (first, second) if by_caller else (second, first)
    offer, answer = (OFFER, ANSWER) if by_caller else (ANSWER, OFFER)
    steps = (("a=sendonly", "a=recvonly"), ("a=inactive", "a=inactive"), ("a=sendrecv", "a=sendrecv"))
    for version, (said, replied) in enumerate(steps, 2):
        held = changed(offer, said, version=version), changed(answer, replied, version=version)
        asks(asker, other, *held, seen=asker, method=method)
    hung_up(here, stage, first, second, by_caller=by_caller)


@pytest.mark.parametrize("by_caller", [True, False])
def test_the_codec_changes(here: Scene, stage: Stage, by_caller: bool) -> None:
    first, second = talking(here)
    asker, other = (first, second) if by_caller else (second, first)
    asks(asker, other, ALAW_OFFER, ALAW_ANSWER, seen=asker)
    hung_up(here, stage, first, second)


def test_two_offers_that_cross_are_both_refused(here: Scene, stage: Stage) -> None:
    first, second = talking(here)
    first.sends("INVITE", body=changed(OFFER)).gets(100).gets("INVITE").answers(491).gets("ACK").gets(491).acks(failure=True)
    second.gets("INVITE").sends("INVITE", body=changed(ANSWER)).gets(100).gets(491).acks(failure=True).answers(491, to="INVITE").gets("ACK")
    asks(first, second, changed(OFFER, version=3), changed(ANSWER, version=3), seen=first)
    hung_up(here, stage, first, second)


def test_a_refused_change_leaves_the_call_up(here: Scene, stage: Stage) -> None:
    first, second = talking(here)
    first.sends("INVITE", body=changed(OFFER)).gets(100).gets(488).acks(failure=True)
    hung_up(here, stage, first, second.gets("INVITE", INSIDE).answers(488).gets("ACK"))


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_change_without_an_offer(here: Scene, stage: Stage, by_caller: bool) -> None:
    first, second = talking(here)
    asker, other = (first, second) if by_caller else (second, first)
    back, towards = (OUTSIDE, INSIDE) if by_caller else (INSIDE, OUTSIDE)
    asker.sends("INVITE").gets(100).gets(200, back).acks(body=changed(ANSWER))
    other.gets("INVITE", never_says("m=audio")).answers(200, body=changed(OFFER)).gets("ACK", towards)
    hung_up(here, stage, first, second, by_caller=not by_caller)


# Offers that come late, reliable provisional responses.


def test_the_offer_comes_with_the_answer(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE").gets(100).gets(180).gets(200, OUTSIDE).acks(body=ANSWER)
    second = callee().gets("INVITE", never_says("m=audio")).answers(180).answers(200, body=OFFER).gets("ACK", INSIDE)
    hung_up(here, stage, first, second, by_caller=False)


def test_a_reliable_answer_before_the_answer(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Supported: 100rel", body=OFFER).gets(100).gets(183, OUTSIDE, has("RSeq", "1"))
    first.sends("PRACK", "RAck: 1 1 INVITE").gets(200, has("CSeq", "PRACK")).gets(200, of="INVITE")
    second = callee().gets("INVITE", INSIDE, has("Supported", "100rel")).answers(183, *RELIABLE, body=ANSWER)
    second.gets("PRACK", has("RAck", "1 1 INVITE")).answers(200).answers(200, to="INVITE").gets("ACK")
    hung_up(here, stage, first.acks(), second)


def test_a_new_offer_in_the_prack(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Supported: 100rel", body=OFFER).gets(100).gets(183, OUTSIDE)
    first.sends("PRACK", "RAck: 1 1 INVITE", body=changed(OFFER)).gets(200, OUTSIDE, has("CSeq", "PRACK")).sends("INFO").gets(200)
    second = callee().gets("INVITE", INSIDE).answers(183, *RELIABLE, body=ANSWER).gets("PRACK", INSIDE).answers(200, body=changed(ANSWER))
    second.gets("INFO").answers(200).answers(200, to="INVITE").gets("ACK")
    hung_up(here, stage, first.gets(200, of="INVITE").acks(), second)


def test_the_order_of_a_dialog_is_kept(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE").gets(100).gets(180).gets(200, OUTSIDE).acks(body=ANSWER)
    second = callee().gets("INVITE").answers(180).answers(200, body=OFFER).gets("ACK", INSIDE)
    hung_up(here, stage, first, second)


def test_a_late_offer_is_answered_in_the_prack(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Supported: 100rel").gets(100).gets(183, OUTSIDE)
    first.sends("PRACK", "RAck: 1 1 INVITE", body=ANSWER).gets(200, has("CSeq", "PRACK")).gets(200, of="INVITE")
    second = callee().gets("INVITE").answers(183, *RELIABLE, body=OFFER).gets("PRACK", INSIDE).answers(200)
    hung_up(here, stage, first.acks(), second.answers(200, to="INVITE").gets("ACK"))


def test_an_update_before_the_answer(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Supported: 100rel", body=OFFER).gets(100).gets(183, OUTSIDE)
    first.sends("PRACK", "RAck: 1 1 INVITE").gets(200).sends("UPDATE", body=changed(OFFER)).gets(200, OUTSIDE).sends("INFO").gets(200)
    second = callee().gets("INVITE", INSIDE).answers(183, *RELIABLE, body=ANSWER).gets("PRACK").answers(200)
    second.gets("UPDATE", INSIDE).answers(200, body=changed(ANSWER)).gets("INFO").answers(200).answers(200, to="INVITE").gets("ACK")
    hung_up(here, stage, first.gets(200, of="INVITE").acks(), second)


def test_an_update_of_the_callee_before_its_answer(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Supported: 100rel", body=OFFER).gets(100).gets(183, OUTSIDE)
    first.sends("PRACK", "RAck: 1 1 INVITE").gets(200).gets("UPDATE", OUTSIDE).answers(200, body=changed(OFFER)).gets(200, of="INVITE")
    second = callee().gets("INVITE", INSIDE).answers(183, *RELIABLE, body=ANSWER).gets("PRACK").answers(200)
    second.sends("UPDATE", body=changed(ANSWER)).gets(200, INSIDE).answers(200, to="INVITE").gets("ACK")
    hung_up(here, stage, first.acks(), second)


def test_the_callee_forks(here: Scene, stage: Stage) -> None:
    first = (
        here.caller().sends("INVITE", body=OFFER).gets(100).gets(183, OUTSIDE).gets(180).gets(200, OUTSIDE, has("To", "tag=[0-9]*v")).acks()
    )
    second = callee().gets("INVITE", INSIDE).answers(183, body=ANSWER).answers(180, tag="v").answers(200, tag="v", body=ANSWER).gets("ACK")
    hung_up(here, stage, first, second)


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_cancelled_change_leaves_the_call_up(here: Scene, stage: Stage, by_caller: bool) -> None:
    first, second = talking(here)
    asker, other = (first, second) if by_caller else (second, first)
    asker.sends("INVITE", body=changed(OFFER)).gets(100).gets(180).cancels().gets(200).gets(487).acks(failure=True)
    other.gets("INVITE").answers(180).gets("CANCEL").answers(200).answers(487, to="INVITE").gets("ACK")
    hung_up(here, stage, first, second)


def test_a_bye_before_the_answer(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", body=OFFER).gets(100).gets(180).sends("BYE").gets(200).gets(487, of="INVITE").acks(failure=True)
    second = callee().gets("INVITE", INSIDE).answers(180).gets("BYE").answers(200).answers(487, to="INVITE").gets("ACK")
    stage.call(first, (here.port, second))
    # Which of the two ways a caller gives up ends the record is not settled; that it ends is.
    assert here.end_of(stage)[1] in {"caller_hangup", "caller_cancelled"}


# Other requests.


@pytest.mark.parametrize("suffix", [":5060", ";transport=udp;user=phone", ";x=1?Subject=tea"])
def test_the_uri_may_say_more(here: Scene, stage: Stage, suffix: str) -> None:
    _, second = talking(here)
    first = Party(here.application.sip_uri + suffix).sends("INVITE", body=OFFER).gets(100).gets(180).gets(200, OUTSIDE)
    hung_up(here, stage, first.acks(), second)


@pytest.mark.parametrize("by_caller", [True, False])
def test_other_requests_pass_inside_a_call(here: Scene, stage: Stage, by_caller: bool) -> None:
    first, second = talking(here)
    asker, other = (first, second) if by_caller else (second, first)
    digit = "Signal=5\nDuration=160"
    asker.sends("INFO", body=digit, kind="application/dtmf-relay").gets(200)
    other.gets("INFO", says("Signal=5"), has("Content-Type", "dtmf-relay")).answers(200)
    for method, header, status in (
        ("REFER", "Refer-To: <sip:third@example.com>", 202),
        ("NOTIFY", "Event: refer", 200),
        ("MESSAGE", "Subject: tea", 200),
        ("OPTIONS", "Accept: application/sdp", 200),
        ("FROB", "Frob-Level: 3", 501),
    ):
        name, _, value = header.partition(": ")
        asker.sends(method, header).gets(status)
        other.gets(method, has(name, value)).answers(status)
    hung_up(here, stage, first, second)


def test_session_timers_are_the_parties_affair(here: Scene, stage: Stage) -> None:
    wanted = ("Session-Expires: 1800;refresher=uac", "Min-SE: 120", "Supported: timer, path")
    seen = (has("Session-Expires", "^ *1800;refresher=uac"), has("Min-SE", "120"), has("Supported", "timer, path"))
    agreed = (has("Session-Expires", "^ *1800;refresher=uas"), has("Require", "timer"))
    reply = ("Session-Expires: 1800;refresher=uas", "Require: timer")
    first = here.caller().sends("INVITE", *wanted, body=OFFER).gets(100).gets(200, *agreed).acks()
    second = callee().gets("INVITE", *seen).answers(200, *reply, body=ANSWER).gets("ACK")
    first.sends("UPDATE", *wanted).gets(200, *agreed)
    second.gets("UPDATE", *seen).answers(200, *reply)
    hung_up(here, stage, first, second)


def test_a_session_that_is_too_short_is_tried_again(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", "Session-Expires: 90", "Supported: timer", body=OFFER).gets(100)
    first.gets(422, has("Min-SE", "^ *300$")).acks(failure=True)
    stage.call(first, (here.port, callee().gets("INVITE").answers(422, "Min-SE: 300").gets("ACK")))
    assert here.end_of(stage) == ["upstream_error", "target_refused", 422]


MULTIPART = "\n".join(
    (
        *("--limit", "Content-Type: application/sdp", "", OFFER, ""),
        *("--limit", "Content-Type: application/x-note", "Content-Disposition: session;handling=optional", "", "Keep me.", "--limit--", ""),
    )
)


def test_a_description_among_other_parts(here: Scene, stage: Stage) -> None:
    first = here.caller().sends("INVITE", body=MULTIPART, kind="multipart/mixed;boundary=limit").gets(100).gets(180).gets(200, OUTSIDE)
    second = callee().gets("INVITE", INSIDE, says("Keep me[.]")).answers(180).answers(200, body=ANSWER).gets("ACK")
    hung_up(here, stage, first.acks(), second)


# Targets that fail. One proxy and a row of targets: what a test leaves resting, the next one finds resting or silent, which is the same.


@pytest.fixture(scope="module")
def row(here: Scene) -> Iterator[Scene]:
    with beside(here, targets=free_ports(4)) as made:
        yield made


@pytest.fixture
def at_row(row: Scene, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, row.fleet.sip)
    yield made
    made.close()


def test_a_target_that_is_full_is_passed_over(row: Scene, at_row: Stage) -> None:
    full = callee().gets("INVITE").answers(503, "Retry-After: 60").gets("ACK")
    first, second = talking(row)
    at_row.call(first.sends("BYE").gets(200), (row.ports[0], full), (row.ports[1], second.gets("BYE").answers(200)))
    assert row.end_of(at_row) == ["success", "caller_hangup", 200]


def test_a_silent_target_is_passed_over_and_hung_up_on_when_it_answers(row: Scene, at_row: Stage) -> None:
    late = callee().gets("INVITE").waits(1_300).answers(200, body=ANSWER).gets("ACK").gets("BYE").answers(200)
    first, second = talking(row)
    at_row.call(first.waits(500).sends("BYE").gets(200), (row.ports[1], late), (row.ports[2], second.gets("BYE").answers(200)))
    assert row.end_of(at_row) == ["success", "caller_hangup", 200]


def test_a_call_is_cancelled_between_targets(row: Scene, at_row: Stage) -> None:
    first = row.caller().sends("INVITE", body=OFFER).gets(100).waits(1_200).cancels().gets(200).gets(487)
    at_row.call(first.acks(failure=True))
    assert row.end_of(at_row) == ["client_error", "caller_cancelled", 487]


def test_without_a_target_the_caller_is_asked_to_come_back(row: Scene, at_row: Stage) -> None:
    at_row.call(row.caller().sends("INVITE", body=OFFER).gets(100).gets(503, has("Retry-After", "^ *[1-9]")).acks(failure=True))
    assert row.end_of(at_row) == ["server_error", "no_callflow", 503]
