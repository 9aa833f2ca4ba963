from __future__ import annotations

import pytest

from mediarelay.core.addresses import Side
from mediarelay.core.events import OneWayAudio
from tests.unit.relay.relays import CALLER, ENGINE, Bench, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)


def speak(bench: Bench, seconds: int, *ends: tuple[int, tuple[str, int]], payload_type: int = 0) -> list[OneWayAudio]:
    """Let ends speak for so many seconds; return what the relay noticed."""
    bench.events.clear()
    for tick in range(10 * seconds):
        for port, source in ends:
            bench.media(port, rtp(int(bench.now * 10) + tick, payload_type=payload_type), source)
        bench.pump()
        bench.advance(0.1)
    return [event for event in bench.events if isinstance(event, OneWayAudio)]


def call(bench: Bench, body: bytes = sdp(CALLER, 5000)) -> tuple[int, int]:
    inside = bench.offer(body)
    return bench.answer(), inside


def test_a_phone_that_is_not_heard_is_noticed_within_three_seconds_and_once() -> None:
    bench = Bench()
    outside, inside = call(bench)
    (event,) = speak(bench, 3, (inside, NODE))
    assert (event.call_id, event.side, event.stream, event.silent) == ("c-1", Side.EXTERNAL, 0, True)
    assert event.source == "198.51.100.7:5000"
    assert event.local == f"10.0.0.1:{outside}"
    assert event.cause == (
        f"The session description says 198.51.100.7:5000, and nothing has come to port {outside}: a firewall may drop it."
    )
    assert speak(bench, 5, (inside, NODE)) == []
    (again,) = speak(bench, 3, (inside, NODE), (outside, PHONE))
    assert (again.side, again.silent, again.cause) == (Side.EXTERNAL, False, "")


def test_packets_from_elsewhere_are_the_likely_cause() -> None:
    bench = Bench()
    outside, inside = call(bench, sdp("192.168.1.5", 4000))
    bench.offer(sdp("192.168.1.5", 4000), source="198.51.100.200")
    (event,) = speak(bench, 3, (inside, NODE), (outside, ("203.0.113.9", 4711)))
    assert event.cause == "The session description says 192.168.1.5:4000, packets come from 203.0.113.9:4711."


def test_a_private_address_is_named() -> None:
    bench = Bench()
    _, inside = call(bench, sdp("192.168.1.5", 4000))
    (event,) = speak(bench, 3, (inside, NODE))
    assert "192.168.1.5:4000, a private address," in event.cause


def test_a_phone_that_falls_silent_is_noticed() -> None:
    bench = Bench()
    outside, inside = call(bench)
    assert speak(bench, 5, (inside, NODE), (outside, PHONE)) == []
    (event,) = speak(bench, 4, (inside, NODE))
    assert event.side is Side.EXTERNAL
    assert event.cause == "Nothing has come from 198.51.100.7:5000 for 2 s."


@pytest.mark.parametrize("hold", ["a=recvonly", "a=inactive"])
def test_who_says_that_it_only_listens_is_not_missed(hold: str) -> None:
    bench = Bench()
    _, inside = call(bench, sdp(CALLER, 5000, hold))
    assert speak(bench, 6, (inside, NODE)) == []


def test_who_is_on_hold_is_not_missed() -> None:
    bench = Bench()
    outside, inside = call(bench)
    speak(bench, 3, (inside, NODE), (outside, PHONE))
    bench.offer(sdp(CALLER, 5000, "a=sendonly"))
    bench.answer(sdp(ENGINE, 6000, "a=recvonly"))
    assert speak(bench, 6, (outside, PHONE)) == []


def test_comfort_noise_is_no_silence() -> None:
    bench = Bench()
    outside, inside = call(bench)
    speak(bench, 1, (inside, NODE), (outside, PHONE))
    speak(bench, 1, (inside, NODE), (outside, PHONE), payload_type=13)
    assert speak(bench, 6, (inside, NODE)) == []


def test_silence_on_both_sides_is_not_one_way() -> None:
    bench = Bench()
    call(bench)
    assert speak(bench, 6) == []


def test_before_the_answer_nobody_is_missed() -> None:
    bench = Bench()
    inside = bench.offer()
    assert speak(bench, 6, (inside, NODE)) == []
