"""Callers that hear us before the answer: by 183 with a preview of it, or as their PRACK has agreed."""

from __future__ import annotations

import pytest

from callflow.sip.events import CallAccepted, CallEstablished, EarlyMediaOpened
from sipproxy.sip import Response
from tests.unit.user_agent.link import SERVER_MEDIA, server
from tests.unit.user_agent.raw import Raw
from tests.unit.user_agent.test_reliable import answers, prack, ringing


def progress(raw: Raw) -> list[Response]:
    raw.agent.progress(1, SERVER_MEDIA, raw.now)
    return raw.responses()


def test_a_183_previews_the_answer_which_repeats_it() -> None:
    raw = Raw(server())
    raw.invite()
    raw.arrive()
    (response,) = progress(raw)
    assert (response.status, response.header("content-type")) == (183, "application/sdp")
    assert b"m=audio 50000 RTP/AVP 8 96\r\n" in response.body
    assert response.values("record-route") == ["<sip:token@127.0.0.1:6162;lr>", "<sip:other@127.0.0.1:6164;lr>"]
    (early,) = raw.news()
    assert isinstance(early, EarlyMediaOpened)
    assert early.media.address == ("127.0.0.1", 40000)
    (ok,) = answers(raw)
    assert (ok.status, ok.body) == (200, response.body)
    assert ok.header("to") == response.header("to")
    raw.to = ok.header("to") or ""
    raw.send("ACK", 1)
    assert [type(event) for event in raw.news()] == [CallEstablished]


def test_ringing_again_needs_no_second_183() -> None:
    raw = Raw(server())
    raw.invite()
    raw.arrive()
    assert len(progress(raw)) == 1
    assert progress(raw) == []
    assert len([event for event in raw.news() if isinstance(event, EarlyMediaOpened)]) == 2


def test_a_caller_without_an_offer_hears_nothing() -> None:
    raw = Raw(server())
    raw.invite("")
    raw.arrive()
    assert progress(raw) == []
    assert raw.news() == []
    (ok,) = answers(raw)
    assert b"m=audio 50000" in ok.body


def test_a_reliable_180_has_agreed_already_once_it_is_acknowledged() -> None:
    raw, _ = ringing()
    assert progress(raw) == []
    assert raw.news() == []
    prack(raw)
    assert [type(event) for event in raw.news()] == [EarlyMediaOpened]
    raw.wait(60)
    raw.out()
    prack(raw, 3, "2 1 INVITE")
    assert raw.news() == []
    (ok,) = answers(raw)
    assert ok.body == b""


def test_a_prack_that_came_before_the_ringing() -> None:
    raw, _ = ringing()
    prack(raw)
    assert raw.news() == []
    assert progress(raw) == []
    assert [type(event) for event in raw.news()] == [EarlyMediaOpened]
    (ok,) = answers(raw)
    assert ok.body == b""


def test_after_the_answer_it_is_too_late() -> None:
    raw = Raw(server())
    raw.invite()
    raw.arrive()
    answers(raw)
    assert progress(raw) == []
    assert not [event for event in raw.events() if isinstance(event, EarlyMediaOpened)]


def test_a_call_that_is_refused_after_it() -> None:
    raw = Raw(server())
    raw.invite()
    raw.arrive()
    progress(raw)
    raw.agent.hang_up(1, raw.now, 603)
    (refusal,) = raw.responses()
    assert (refusal.status, refusal.body) == (603, b"")
    assert CallAccepted(1) not in raw.events()


@pytest.mark.parametrize(
    ("headers", "told", "proven"),
    [
        ((), (), False),
        (("Require: 100rel",), (), True),
        ((), (("P-Sipuri-Reach", "stream"),), True),
        ((), (("P-Sipuri-Reach", "nat"),), False),
    ],
)
def test_who_is_proven(headers: tuple[str, ...], told: tuple[tuple[str, str], ...], proven: bool) -> None:
    raw = Raw(server())
    raw.invite(headers=headers, told=told)
    assert raw.arrive().is_proven is proven
