"""What bodies of INVITE, ACK, UPDATE and of answers are to the user agent."""

from __future__ import annotations

import pytest

from callflow.sip.call_context import ACCEPT
from callflow.sip.events import CallEstablished, MediaChanged
from sipproxy.sip import Request
from tests.unit.user_agent.link import SERVER_MEDIA, server
from tests.unit.user_agent.raw import HEAD, OFFER, Raw

PLACE = "Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence/>"
ISUP = "Content-Type: application/ISUP;version=itu-t92+\r\nContent-Disposition: signal;handling=required\r\n\r\n\x01\x10H\x00"
MIXED = 'multipart/mixed;boundary="part"'


def sdp_part(offer: str = OFFER) -> str:
    return f"Content-Type: application/sdp\r\n\r\n{offer}"


def parts(*texts: str) -> str:
    return "".join(f"--part\r\n{text}\r\n" for text in texts) + "--part--\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MIXED, parts(ISUP, sdp_part())),
        ("multipart/mixed; boundary=part", parts(sdp_part(), PLACE)),
        (
            "Multipart/Related;type=x;boundary=part",
            parts(f"Content-Type: multipart/mixed;boundary=in\r\n\r\n--in\r\n{sdp_part()}\r\n--in--"),
        ),
        ("application/sdp; charset=utf-8", OFFER),
    ],
)
def test_the_offer_is_found_in_the_first_invite_and_in_later_ones(kind: str, body: str) -> None:
    raw = Raw(server())
    raw.invite(body, kind=kind)
    arrived = raw.arrive()
    assert arrived.problem is None
    raw.agent.answer(arrived.call, SERVER_MEDIA, raw.now)
    (ok,) = raw.responses()
    assert b"m=audio 50000 RTP/AVP 8 96\r\n" in ok.body
    raw.to = ok.header("to") or ""
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.address == ("127.0.0.1", 40000)
    (again,) = raw.send("INVITE", 2, body=body.replace("40000", "40002"), kind=kind)
    raw.send("ACK", 2)
    (moved,) = raw.news()
    assert again.status == 200
    assert isinstance(moved, MediaChanged)
    assert moved.media.address == ("127.0.0.1", 40002)


def test_an_answer_in_an_ack_may_be_one_of_several_parts() -> None:
    raw = Raw(server())
    raw.invite("")
    raw.agent.answer(raw.arrive().call, SERVER_MEDIA, raw.now)
    (ok,) = raw.responses()
    raw.to = ok.header("to") or ""
    raw.send("ACK", 1, body=parts(PLACE, sdp_part()), kind=MIXED)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.payload_type == 8


REFUSED = [
    ("text/plain", "hello", 415),
    ("", OFFER, 415),
    (MIXED, parts(PLACE), 415),
    ("multipart/mixed;boundary=other", parts(sdp_part()), 400),
    ("application/sdp", "nonsense", 488),
    ("application/sdp", HEAD + "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", 488),
    (MIXED, parts(sdp_part().replace("sdp\r\n", "sdp\r\nContent-Disposition: early-session\r\n")), 415),
]


@pytest.mark.parametrize(("kind", "body", "status"), REFUSED)
def test_a_first_invite_whose_body_is_not_taken_is_refused(kind: str, body: str, status: int) -> None:
    raw = Raw(server())
    assert raw.invite(body, kind=kind) == []
    problem = raw.arrive().problem
    assert problem is not None
    assert (problem.status, problem.sentence[-1]) == (status, ".")
    raw.agent.hang_up(1, raw.now, problem.status)
    (refusal,) = raw.responses()
    assert (refusal.status, refusal.header("accept")) == (status, ACCEPT if status == 415 else None)
    assert len(raw.agent) == 0


@pytest.mark.parametrize(("kind", "body", "status"), REFUSED)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refused_request_changes_nothing(method: str, kind: str, body: str, status: int) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (refusal,) = raw.send(method, 2, body=body, kind=kind, contact="<sip:elsewhere@192.0.2.99>")
    assert (refusal.status, refusal.header("accept")) == (status, ACCEPT if status == 415 else None)
    raw.send("ACK", 2)
    assert raw.news() == []
    raw.agent.hang_up(1, raw.now)
    (bye,) = raw.out()
    assert isinstance(bye, Request)
    assert bye.uri_text == "sip:alice@192.0.2.7:5070"
    assert raw.agent.get_timer() is not None


def test_a_body_that_its_sender_can_do_without_is_none() -> None:
    raw = Raw(server())
    raw.invite("\x01\x10", kind="application/ISUP", headers=("Content-Disposition: signal ; Handling = Optional",))
    assert raw.arrive().problem is None
    raw.agent.answer(1, SERVER_MEDIA, raw.now)
    (ok,) = raw.responses()
    assert b"m=audio 50000 RTP/AVP 0 8 101\r\n" in ok.body


def test_a_bye_is_taken_whatever_it_carries() -> None:
    raw = Raw(server())
    raw.establish()
    (ok,) = raw.send("BYE", 2, body="\x0c\x02", kind="application/ISUP")
    assert ok.status == 200
