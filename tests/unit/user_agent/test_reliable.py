"""Provisional responses that are acknowledged by PRACK (RFC 3262), and the offers and answers in them."""

from __future__ import annotations

import pytest

from callflow.sip.events import CallAccepted, CallCancelled, CallEstablished, MediaChanged, PeerLost
from sipproxy.sip import Request, Response
from tests.unit.user_agent.link import SERVER_MEDIA, server
from tests.unit.user_agent.raw import OFFER, VIDEO, Raw
from voiceapps.rules.endings import EndReason

REQUIRED = ("Require: 100rel",)


def ringing(body: str = OFFER) -> tuple[Raw, Response]:
    """Have a call ring reliably; return it with its 180."""
    raw = Raw(server())
    assert raw.invite(body, headers=REQUIRED) == []
    assert raw.arrive().wants_ring
    raw.agent.ring(1, SERVER_MEDIA, raw.now)
    (response,) = raw.responses()
    raw.to = response.header("to") or ""
    return raw, response


def prack(raw: Raw, cseq: int = 2, rack: str = "1 1 INVITE", body: str = "") -> list[Response]:
    return raw.send("PRACK", cseq, body=body, headers=(f"RAck: {rack}",))


def answers(raw: Raw) -> list[Response]:
    """Have the shell answer, and return what comes of it."""
    raw.agent.answer(1, SERVER_MEDIA, raw.now)
    return raw.responses()


def test_the_180_answers_the_offer_and_the_2xx_waits_for_the_prack() -> None:
    raw, response = ringing()
    assert (response.status, response.header("require"), response.header("rseq")) == (180, "100rel", "1")
    assert response.values("record-route") == ["<sip:token@127.0.0.1:6162;lr>", "<sip:other@127.0.0.1:6164;lr>"]
    assert b"m=audio 50000 RTP/AVP 8 96\r\n" in response.body
    assert answers(raw) == []
    acknowledged, ok = prack(raw)
    assert (acknowledged.status, acknowledged.body, acknowledged.header("cseq")) == (200, b"", "2 PRACK")
    assert (ok.status, ok.body, ok.header("cseq"), ok.header("to")) == (200, b"", "1 INVITE", raw.to)
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.address == ("127.0.0.1", 40000)


def test_the_shell_is_told_when_the_2xx_goes_out() -> None:
    raw, _ = ringing()
    answers(raw)
    assert CallAccepted(1) not in raw.events()
    prack(raw)
    assert raw.events().count(CallAccepted(1)) == 1


def test_an_early_prack_leaves_the_2xx_to_the_shell() -> None:
    raw, _ = ringing()
    assert [response.status for response in prack(raw)] == [200]
    (ok,) = answers(raw)
    assert (ok.status, ok.body) == (200, b"")


@pytest.mark.parametrize("headers", [(), ("Supported: 100rel",)])
def test_a_caller_that_does_not_require_it_gets_a_plain_180(headers: tuple[str, ...]) -> None:
    raw = Raw(server())
    (response,) = raw.invite(headers=headers)
    assert (response.status, response.header("rseq"), response.body) == (180, None, b"")
    assert not raw.arrive().wants_ring
    raw.agent.ring(1, SERVER_MEDIA, raw.now)
    assert raw.out() == []


def test_a_lost_180_is_repeated_until_the_call_is_given_up() -> None:
    raw, response = ringing()
    copies = []
    for _ in range(63):
        raw.wait(0.5)
        copies += raw.responses()
    assert [bytes(copy) for copy in copies] == [bytes(response)] * 6
    assert raw.news() == []
    raw.wait(0.5)
    assert raw.news() == [PeerLost(1, EndReason.ACK_TIMEOUT)]
    raw.agent.hang_up(1, raw.now, 504)
    (refusal,) = raw.responses()
    assert refusal.status == 504
    raw.send("ACK", 1)
    raw.wait(1)
    assert prack(raw)[-1].status == 481


def test_a_prack_stops_the_repetition() -> None:
    raw, _ = ringing()
    raw.wait(0.6)
    raw.out()
    prack(raw)
    raw.wait(59)
    assert raw.out() == []
    assert raw.news() == []


def test_a_call_that_rings_long_says_so_reliably_each_minute() -> None:
    raw, _ = ringing()
    prack(raw)
    raw.wait(60)
    (second,) = raw.responses()
    assert (second.status, second.header("require"), second.header("rseq"), second.body) == (180, "100rel", "2", b"")
    assert answers(raw) == []
    assert prack(raw, 3)[-1].status == 481
    acknowledged, ok = prack(raw, 4, "2 1 INVITE")
    assert (acknowledged.status, ok.status) == (200, 200)
    raw.send("ACK", 1)
    raw.wait(100)
    assert raw.responses() == []


@pytest.mark.parametrize("rack", ["2 1 INVITE", "1 2 INVITE", "1 1 UPDATE", "", "x", "1 1"])
def test_a_prack_of_something_else_is_refused(rack: str) -> None:
    raw, _ = ringing()
    (refusal,) = prack(raw, rack=rack)
    assert refusal.status == 481
    assert answers(raw) == []
    assert [response.status for response in prack(raw, 3)] == [200, 200]
    (again,) = prack(raw, 4)
    assert again.status == 481


def test_a_late_offer_is_answered_by_the_prack() -> None:
    raw, response = ringing("")
    assert b"m=audio 50000 RTP/AVP 0 8 101\r\n" in response.body
    (missing,) = prack(raw)
    assert missing.status == 400
    assert answers(raw) == []
    acknowledged, ok = prack(raw, 3, body=OFFER)
    assert (acknowledged.status, acknowledged.body, ok.status, ok.body) == (200, b"", 200, b"")
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert (established.media.payload_type, established.media.event_payload_type) == (8, 96)


@pytest.mark.parametrize("body", [VIDEO, "nonsense"])
def test_a_late_offer_whose_answer_is_unusable_fails_the_call(body: str) -> None:
    raw, _ = ringing("")
    (refusal,) = prack(raw, body=body)
    assert refusal.status == 488
    assert raw.news() == [PeerLost(1, EndReason.UNSUPPORTED_MEDIA)]
    raw.wait(60)
    assert raw.out() == []
    raw.agent.hang_up(1, raw.now, 488)
    (refusal,) = raw.responses()
    assert refusal.status == 488


def test_further_offers_in_the_prack_and_before_the_answer() -> None:
    raw, _ = ringing()
    (ok,) = prack(raw, body=OFFER.replace("40000", "40002"))
    assert b"m=audio 50000 RTP/AVP 8 96\r\n" in ok.body
    (ok,) = raw.send("UPDATE", 3, body=OFFER.replace("40000", "40004").replace("96", "97"))
    assert b"m=audio 50000 RTP/AVP 8 97\r\n" in ok.body
    (ok,) = answers(raw)
    assert ok.body == b""
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert (established.media.address, established.media.event_payload_type) == (("127.0.0.1", 40004), 97)


@pytest.mark.parametrize("body", [VIDEO, "nonsense"])
@pytest.mark.parametrize("accepted", [True, False])
def test_an_offer_in_a_prack_that_is_refused_changes_nothing(accepted: bool, body: str) -> None:
    raw, _ = ringing()
    assert not accepted or answers(raw) == []
    refusal, *rest = prack(raw, body=body)
    assert refusal.status == 488
    (ok,) = rest or answers(raw)
    assert ok.status == 200
    raw.send("ACK", 1)
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.address == ("127.0.0.1", 40000)


def test_an_update_with_an_offer_while_ours_waits_is_refused() -> None:
    raw, _ = ringing("")
    (glare,) = raw.send("UPDATE", 2, body=OFFER)
    assert glare.status == 491


@pytest.mark.parametrize("accepted", [True, False])
def test_a_cancel_meanwhile(accepted: bool) -> None:
    raw, _ = ringing()
    assert not accepted or answers(raw) == []
    statuses = sorted(response.status for response in raw.cancel())
    assert statuses == [200, 487]
    assert CallCancelled(1) in raw.news()
    raw.send("ACK", 1)
    raw.wait(60)
    assert [response for response in raw.responses() if response.status < 200] == []
    assert len(raw.agent) == 0


def test_a_bye_and_a_refusal_meanwhile() -> None:
    raw, _ = ringing()
    assert sorted(response.status for response in raw.send("BYE", 2)) == [200, 487]
    assert len(raw.agent) == 0
    raw, _ = ringing()
    raw.agent.hang_up(1, raw.now, 603)
    assert [response.status for response in raw.responses()] == [603]
    assert len(raw.agent) == 0


def test_changes_after_the_answer() -> None:
    raw, _ = ringing()
    prack(raw)
    answers(raw)
    raw.send("ACK", 1)
    raw.news()
    (ok,) = raw.send("INVITE", 3, body=OFFER.replace("40000", "40006"), headers=REQUIRED)
    assert ok.status == 200
    raw.send("ACK", 3)
    (event,) = raw.news()
    assert isinstance(event, MediaChanged)
    (stray,) = prack(raw, 4)
    assert stray.status == 481
    raw.agent.hang_up(1, raw.now)
    assert [message.method for message in raw.out() if isinstance(message, Request)] == ["BYE"]
