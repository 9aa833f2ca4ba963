"""UPDATE: refreshes of the session and the target, offers, and what meets an open exchange (RFC 3311, RFC 4028)."""

from __future__ import annotations

import pytest

from callflow.sip.events import CallEstablished, MediaChanged, PeerAnswered, PeerLost
from sipproxy.sip import Request, Response
from tests.unit.user_agent.link import SERVER_MEDIA, server
from tests.unit.user_agent.raw import OFFER, Raw

TIMER = ("Supported: timer", "Session-Expires: 90;refresher=uac")
MOVED = "<sip:alice@192.0.2.99:5099>"


def next_hop_uri(raw: Raw) -> str:
    """Return the Request-URI of our BYE."""
    raw.agent.hang_up(1, raw.now)
    bye = next(message for message in raw.out() if isinstance(message, Request) and message.method == "BYE")
    return bye.uri_text


def test_a_refresh_without_a_description() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (ok,) = raw.send("UPDATE", 2, headers=TIMER, contact=MOVED)
    assert (ok.status, ok.body, ok.header("session-expires"), ok.header("require")) == (200, b"", "90;refresher=uac", "timer")
    assert (ok.header("contact"), ok.header("allow")) == (
        "<sip:app-1@sip.example.com>",
        "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY",
    )
    assert raw.events() == [PeerAnswered(1)]
    assert next_hop_uri(raw) == "sip:alice@192.0.2.99:5099"


def test_a_session_lives_as_long_as_it_is_refreshed() -> None:
    raw = Raw(server())
    raw.establish()
    for cseq in range(2, 6):
        raw.send("UPDATE", cseq, headers=TIMER)
        raw.wait(55)
    assert not [event for event in raw.events() if isinstance(event, PeerLost)]
    raw.wait(10)
    assert [event for event in raw.events() if isinstance(event, PeerLost)]
    assert not [message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE"]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_session_interval_that_is_too_small_is_refused(method: str) -> None:
    raw = Raw(server())
    raw.establish()
    (refusal,) = raw.send(method, 2, body=OFFER, headers=("Session-Expires: 89",), contact=MOVED)
    assert (refusal.status, refusal.header("min-se")) == (422, "90")
    assert next_hop_uri(raw) == "sip:alice@192.0.2.7:5070"


def test_an_offer_is_answered_in_the_200() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (ok,) = raw.send("UPDATE", 2, body=OFFER.replace("40000", "40002").replace("96", "101"))
    assert b"m=audio 50000 RTP/AVP 8 101\r\n" in ok.body
    (event,) = raw.news()
    assert isinstance(event, MediaChanged)
    assert (event.media.address, event.media.event_payload_type) == (("127.0.0.1", 40002), 101)


def test_an_offer_that_changes_nothing_is_no_news() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.send("UPDATE", 2, body=OFFER)
    assert raw.news() == []


def test_offers_that_meet_an_offer_of_ours() -> None:
    raw = Raw(server())
    raw.establish()
    raw.wait(900.5)
    refresh = next(message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE")
    (glare,) = raw.send("UPDATE", 2, body=OFFER)
    (harmless,) = raw.send("UPDATE", 3)
    assert (glare.status, harmless.status) == (491, 200)
    raw.give(bytes(refresh.make_response(488)).decode())
    (ok,) = raw.send("UPDATE", 4, body=OFFER)
    assert ok.status == 200


def test_an_offer_that_meets_our_offer_in_a_2xx() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.send("INVITE", 2)
    (glare,) = raw.send("UPDATE", 3, body=OFFER)
    assert glare.status == 491
    raw.send("ACK", 2, body=OFFER)
    (ok,) = raw.send("UPDATE", 4, body=OFFER)
    assert ok.status == 200


def test_an_ack_without_the_answer_leaves_an_answered_call_as_it_was() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.send("INVITE", 2)
    raw.send("ACK", 2)
    assert raw.news() == []
    (ok,) = raw.send("INVITE", 3, body=OFFER.replace("40000", "40002"))
    raw.send("ACK", 3)
    (event,) = raw.news()
    assert (ok.status, isinstance(event, MediaChanged)) == (200, True)


def test_before_the_answer_only_the_target_can_change() -> None:
    raw = Raw(server())
    (ringing,) = raw.invite()
    raw.events()
    raw.to = ringing.header("to") or ""
    (early,) = raw.send("UPDATE", 2, body=OFFER)
    assert (early.status, early.header("retry-after")) == (500, "1")
    (ok,) = raw.send("UPDATE", 3, contact=MOVED)
    assert ok.status == 200
    raw.agent.answer(1, SERVER_MEDIA, raw.now)
    (answer,) = raw.responses()
    assert answer.header("cseq") == "1 INVITE"
    raw.send("ACK", 1)
    assert next_hop_uri(raw) == "sip:alice@192.0.2.99:5099"


def test_between_our_2xx_and_its_ack_an_offer_is_answered() -> None:
    raw = Raw(server())
    raw.invite()
    raw.agent.answer(raw.arrive().call, SERVER_MEDIA, raw.now)
    (ok,) = raw.responses()
    raw.to = ok.header("to") or ""
    (updated,) = raw.send("UPDATE", 2, body=OFFER.replace("40000", "40002"))
    assert updated.status == 200
    assert raw.news() == []
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.address == ("127.0.0.1", 40002)


def test_a_dialog_that_our_bye_ended_serves_no_request() -> None:
    raw = Raw(server())
    raw.establish()
    raw.agent.hang_up(1, raw.now)
    raw.out()
    raw.events()
    for cseq, method in enumerate(("UPDATE", "INVITE", "INFO", "OPTIONS", "PRACK"), 2):
        (refusal,) = raw.send(method, cseq)
        assert refusal.status == 481
    (ok,) = raw.send("BYE", 9)
    assert ok.status == 200
    assert raw.news()[-1:] != []


def test_a_refused_refresh_of_ours_leaves_everything_as_it_was() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.wait(900.5)
    refresh = next(message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE")
    refusal = refresh.make_response(488)
    refusal.append("Contact", MOVED)
    raw.give(bytes(refusal).decode())
    assert raw.events() == [PeerAnswered(1)]
    assert next_hop_uri(raw) == "sip:alice@192.0.2.7:5070"


@pytest.mark.parametrize(("body", "moved"), [(OFFER, True), ("", False), ("nonsense", False)])
def test_an_accepted_refresh_of_ours_moves_the_target_if_it_can_be_read(body: str, moved: bool) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.wait(900.5)
    refresh = next(message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE")
    answer: Response = refresh.make_response(200)
    answer.append("Contact", MOVED)
    answer.set_body(body.encode(), "application/sdp" if body else None)
    raw.give(bytes(answer).decode())
    assert next_hop_uri(raw) == ("sip:alice@192.0.2.99:5099" if moved else "sip:alice@192.0.2.7:5070")
