from __future__ import annotations

from gc import collect
from weakref import ref

import pytest

from mediarelay.core.addresses import Side
from mediarelay.core.events import OneWayAudio
from mediarelay.core.flow import RtpFlow
from tests.unit.kernel.test_offload import Kernel, carried_call
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)


def speak(
    harness: RelayHarness, seconds: int, *ends: tuple[int, tuple[str, int]], payload_type: int = 0, payload: bytes | None = None
) -> list[OneWayAudio]:
    """Let the ends speak for some seconds; return what the relay noticed."""
    harness.events.clear()
    for tick in range(10 * seconds):
        for port, source in ends:
            packet = rtp(int(harness.now * 10) + tick, payload_type=payload_type)
            harness.media(port, packet if payload is None else packet[:12] + payload, source)
        harness.pump()
        harness.advance(0.1)
    return [event for event in harness.events if isinstance(event, OneWayAudio)]


def call(harness: RelayHarness, body: bytes = sdp(CALLER, 5000)) -> tuple[int, int]:
    inside = harness.offer(body)
    return harness.answer(), inside


def test_a_phone_that_is_not_heard_is_noticed_within_three_seconds_and_once() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    (event,) = speak(harness, 3, (inside, NODE))
    assert (event.call_id, event.side, event.stream, event.silent) == ("c-1", Side.EXTERNAL, 0, True)
    assert event.source == "198.51.100.7:5000"
    assert event.local == f"10.0.0.1:{outside}"
    assert event.cause == (
        f"The session description says 198.51.100.7:5000, and nothing has come to port {outside}: a firewall may drop it."
    )
    assert speak(harness, 5, (inside, NODE)) == []
    (again,) = speak(harness, 3, (inside, NODE), (outside, PHONE))
    assert (again.side, again.silent, again.cause) == (Side.EXTERNAL, False, "")


def test_packets_from_elsewhere_are_the_likely_cause() -> None:
    harness = RelayHarness()
    outside, inside = call(harness, sdp("192.168.1.5", 4000))
    harness.offer(sdp("192.168.1.5", 4000), source="198.51.100.200")
    (event,) = speak(harness, 3, (inside, NODE), (outside, ("203.0.113.9", 4711)))
    assert event.cause == "The session description says 192.168.1.5:4000, packets come from 203.0.113.9:4711."


def test_a_private_address_is_named() -> None:
    harness = RelayHarness()
    _, inside = call(harness, sdp("192.168.1.5", 4000))
    (event,) = speak(harness, 3, (inside, NODE))
    assert "192.168.1.5:4000, a private address," in event.cause


def test_a_phone_that_falls_silent_is_noticed() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    assert speak(harness, 5, (inside, NODE), (outside, PHONE)) == []
    (event,) = speak(harness, 4, (inside, NODE))
    assert event.side is Side.EXTERNAL
    assert event.cause == "Nothing has come from 198.51.100.7:5000 for 2 s."


@pytest.mark.parametrize("hold", ["a=recvonly", "a=inactive"])
def test_silence_of_a_side_that_only_receives_is_not_reported(hold: str) -> None:
    harness = RelayHarness()
    _, inside = call(harness, sdp(CALLER, 5000, hold))
    assert speak(harness, 6, (inside, NODE)) == []


def test_silence_of_a_side_on_hold_is_not_reported() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    speak(harness, 3, (inside, NODE), (outside, PHONE))
    harness.offer(sdp(CALLER, 5000, "a=sendonly"))
    harness.answer(sdp(ENGINE, 6000, "a=recvonly"))
    assert speak(harness, 6, (outside, PHONE)) == []


def test_comfort_noise_is_no_silence() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    speak(harness, 1, (inside, NODE), (outside, PHONE))
    speak(harness, 1, (inside, NODE), (outside, PHONE), payload_type=13)
    assert speak(harness, 6, (inside, NODE)) == []


def test_silence_on_both_sides_is_not_one_way() -> None:
    harness = RelayHarness()
    call(harness)
    assert speak(harness, 6) == []


def test_silence_before_the_answer_is_not_reported() -> None:
    harness = RelayHarness()
    inside = harness.offer()
    assert speak(harness, 6, (inside, NODE)) == []


SILENCE = [b"\xff" * 160, b"\xd5" * 160, b"\xff" * 80, b"\x2d", b""]


@pytest.mark.parametrize("payload", SILENCE)
def test_silence_that_keeps_a_stream_alive_is_no_speech(payload: bytes) -> None:
    harness = RelayHarness()
    _, inside = call(harness)
    assert speak(harness, 8, (inside, NODE), payload=payload) == []
    (event,) = speak(harness, 3, (inside, NODE))
    assert event.side is Side.EXTERNAL


@pytest.mark.parametrize("payload", SILENCE[:2])
def test_a_side_that_sends_silence_is_heard(payload: bytes) -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    for _ in range(4):
        assert speak(harness, 1, (outside, PHONE), (inside, NODE)) == []
        assert speak(harness, 1, (outside, PHONE)) == []
        assert speak(harness, 1, (inside, NODE), payload=payload) == []


def test_while_a_document_pauses_or_records_nothing_is_noticed() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    for number in range(80):
        harness.media(outside, rtp(number), PHONE)
        harness.media(inside, rtp(number)[:12] + SILENCE[0], NODE)
        harness.advance(0.1)
    assert [event for event in harness.events if isinstance(event, OneWayAudio)] == []


def test_who_speaks_again_after_silence_is_noticed_again() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    assert speak(harness, 2, (inside, NODE), (outside, PHONE)) == []
    assert speak(harness, 6, (inside, NODE), payload=SILENCE[0]) == []
    (event,) = speak(harness, 2, (inside, NODE))
    assert event.silent


@pytest.mark.parametrize(("payload", "noticed"), [(SILENCE[0][:20], False), (b"speech and more octet", True)])
def test_of_what_the_kernel_forwards_the_samples_tell_speech(payload: bytes, noticed: bool) -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    for number in range(14):
        kernel.forward(NODE, 50)
        kernel.forward(PHONE, 50 if number < 6 else 0)
        harness.relay.offload.sample(NODE, local_of(kernel, NODE), rtp(100 + number, ssrc=9)[:12] + payload, harness.now)
        harness.advance(1)
    told = [event.side for event in harness.events if isinstance(event, OneWayAudio)]
    assert told == ([Side.EXTERNAL] if noticed else [])


def test_a_sample_of_speech_counts_longer_than_a_packet_because_samples_are_rare() -> None:
    harness = RelayHarness()
    kernel = Kernel(harness)
    carried_call(harness)
    for number in range(9):
        kernel.forward(NODE, 50)
        kernel.forward(PHONE, 50 if number < 6 else 0)
        if number == 6:
            harness.relay.offload.sample(NODE, local_of(kernel, NODE), rtp(100, ssrc=9), harness.now)
        harness.advance(1)
    assert [event.side for event in harness.events if isinstance(event, OneWayAudio)] == [Side.EXTERNAL]


def test_a_side_is_listened_to_until_it_speaks() -> None:
    harness = RelayHarness()
    _, inside = call(harness)
    flow = harness.relay.table.flows["10.0.0.1", inside]
    assert isinstance(flow, RtpFlow)
    heard = []
    for number, payload in enumerate([b"a voice", SILENCE[0], b"a voice", b"a voice"]):
        if number == 1:
            flow.listen()
        harness.now += 1
        harness.media(inside, rtp(number)[:12] + payload, NODE)
        heard.append(flow.spoke_at)
    assert heard == [101.0, 101.0, 103.0, 103.0]


def test_a_stream_that_ends_in_silence_is_forgotten() -> None:
    harness = RelayHarness()
    _, inside = call(harness)
    assert len(speak(harness, 3, (inside, NODE))) == 1
    (session,) = harness.relay.table
    stream = ref(session.streams[0])
    harness.reoffer(sdp(CALLER, 0))
    harness.answer(sdp(ENGINE, 0))
    collect()
    assert stream() is None


def local_of(kernel: Kernel, source: tuple[str, int]) -> tuple[str, int]:
    return next(flow.local for flow in kernel.flows.values() if flow.source == source)
