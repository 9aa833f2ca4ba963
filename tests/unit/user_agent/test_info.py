"""Digits in INFO, and the bodies that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.sip.call_context import ACCEPT
from callflow.sip.events import DigitSignalled
from callflow.sip.info_digits import InfoDigit, read_digit
from sipproxy.sip import PeerError, Request
from tests.unit.user_agent.link import server
from tests.unit.user_agent.raw import Raw

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"


def info(kind: str, body: bytes) -> Request:
    return Request.build("INFO", "sip:a@b", [("Content-Type", kind)] if kind else [], body)


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", InfoDigit("5", 160)),
        (RELAY, "signal = *\nduration = 250", InfoDigit("*", 250)),
        (RELAY, "Duration= 80\r\nSignal= #\r\n\r\n", InfoDigit("#", 80)),
        (RELAY, "Signal=d", InfoDigit("D", 100)),
        (RELAY, "Signal=10\r\nDuration=\r\n", InfoDigit("*", 100)),
        (RELAY, "Signal=11\r\nDuration=soon\r\n", InfoDigit("#", 100)),
        (RELAY, "Signal=12\r\nDuration=999999\r\n", InfoDigit("A", 100)),
        (RELAY, "Signal=5;Duration=250", InfoDigit("5", 250)),
        (RELAY, "SIGNAL = 5 ;\tDURATION = 250 ; Volume = 10;\r\n", InfoDigit("5", 250)),
        (RELAY, "duration=80,signal=*", InfoDigit("*", 80)),
        (RELAY, "Signal=5 Duration=250", InfoDigit("5", 250)),
        (RELAY, "Signal=#;", InfoDigit("#", 100)),
        (RELAY, "Signal=1;Duration=", InfoDigit("1", 100)),
        (RELAY, "Signal=5\rDuration=250\r", InfoDigit("5", 250)),
        (RELAY, "\n Signal : 5\n\nDuration : 250", InfoDigit("5", 250)),
        (RELAY, "X-Signal=7;Signal=5", InfoDigit("5", 100)),
        (RELAY, "7", InfoDigit("7", 100)),
        (PLAIN, "0", InfoDigit("0", 100)),
        (PLAIN, " 15\r\n", InfoDigit("D", 100)),
        (PLAIN, "Signal=3\r\n", InfoDigit("3", 100)),
        ("Application/DTMF-Relay ; charset=utf-8", "Signal=0\r\nX-Other: 1\r\n", InfoDigit("0", 100)),
        ("text/plain", "", None),
        ("", " \r\n", None),
    ],
)
def test_digits_are_read_as_they_are_written(kind: str, body: str, digit: InfoDigit | None) -> None:
    assert read_digit(info(kind, body.encode())) == digit


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (RELAY, "Signal=\r\nDuration=160", 400),
        (RELAY, "Signal=16", 400),
        (RELAY, "Signal=E", 400),
        (RELAY, "Duration=160", 400),
        (RELAY, "Signal=;Duration=160", 400),
        (RELAY, "Signal=5 6", 400),
        (RELAY, "Signal=56;Duration=160", 400),
        (RELAY, "X-Signal=7", 400),
        (RELAY, "Signal=5Duration=160", 400),
        (PLAIN, "12345", 400),
        (PLAIN, "²", 400),
        (PLAIN, "\xff", 400),
        ("text/plain", "5", 415),
        ("application/dtmf-info", "5", 415),
        ("", "Signal=5", 415),
        ("application/sdp", "v=0\r\n", 415),
    ],
)
def test_what_is_no_digit_is_refused(kind: str, body: str, status: int) -> None:
    with pytest.raises(PeerError) as caught:
        read_digit(info(kind, body.encode()))
    assert caught.value.status == status


@given(st.sampled_from((RELAY, PLAIN)), st.binary(max_size=60))
def test_any_octets_are_a_digit_or_an_error_of_the_peer(kind: str, body: bytes) -> None:
    try:
        found = read_digit(info(kind, body))
    except PeerError as error:
        assert error.status == 400
    else:
        assert found is None or found.digit in "0123456789*#ABCD"


def test_each_digit_is_told_and_only_then_answered_by_200() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (ok,) = raw.send("INFO", 2, body="Signal=4\r\nDuration=160\r\n", kind=RELAY)
    (bad,) = raw.send("INFO", 3, body="Signal=x\r\n", kind=RELAY)
    (other,) = raw.send("INFO", 4, body="<media_control/>", kind="application/media_control+xml")
    (empty,) = raw.send("INFO", 5)
    assert [response.status for response in (ok, bad, other, empty)] == [200, 400, 415, 200]
    assert other.header("accept") == ACCEPT
    assert raw.news() == [DigitSignalled(1, "4", 160)]


def test_nobody_takes_digits_before_the_answer() -> None:
    raw = Raw(server())
    (ringing,) = raw.invite()
    raw.events()
    raw.to = ringing.header("to") or ""
    (refusal,) = raw.send("INFO", 2, body="5", kind=PLAIN)
    assert refusal.status == 500
    assert raw.news() == []
