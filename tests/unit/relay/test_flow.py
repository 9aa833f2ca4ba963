"""The packet path: what passes, where it leaves, and why the rest is dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.flow import Drop
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, ports_in, rtp, sdp

PHONE = (CALLER, 5000)
NODE = (ENGINE, 6000)


def call(harness: RelayHarness) -> tuple[int, int]:
    """Set a call up and return its external and its internal port."""
    inside = harness.offer()
    return harness.answer(), inside


def test_audio_both_ways() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    assert harness.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), PHONE)
    assert harness.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


def test_rtcp_follows_the_media() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    report = b"\x80\xc9\0\1\0\0\0\1"
    harness.media(outside, rtp(1), (CALLER, 7000))
    assert harness.media(outside + 1, report, ("192.0.2.66", 5001)) is None
    assert harness.media(outside + 1, report, (CALLER, 7005)) == (("10.0.0.1", inside + 1), (ENGINE, 6001))
    assert harness.media(outside + 1, report, (CALLER, 7006)) is None
    harness.media(inside, rtp(1), NODE)
    assert harness.media(inside + 1, report, (ENGINE, 6001)) == (("10.0.0.1", outside + 1), (CALLER, 7005))
    harness.now += 11
    assert harness.media(outside + 1, report, (CALLER, 7006)) is not None
    assert harness.media(outside + 1, b"\x80\xc9\0\x09\0\0\0\1", (CALLER, 7006)) is None
    assert harness.media(outside + 1, b"\0\1\0\0", (CALLER, 7006)) is None


REPORT = b"\x80\xc9\0\1\0\0\0\1" + bytes(8)


def test_rtcp_goes_to_the_next_port_if_a_new_description_names_none() -> None:
    harness = RelayHarness()
    harness.offer(sdp(CALLER, 5000, "a=rtcp:5055"))
    harness.answer()
    harness.reoffer(sdp(CALLER, 5000))
    harness.answer()
    (session,) = harness.relay.table
    (phone,) = session.legs(0)
    assert phone.rtcp.target == (CALLER, 5001)


def test_rtcp_from_a_described_address_is_believed_before_rtp() -> None:
    harness = RelayHarness()
    inside = harness.offer(sdp(CALLER, 5000, "a=rtcp:5055"), source="192.0.2.33")
    outside = harness.answer()
    (session,) = harness.relay.table
    (phone,) = session.legs(0)
    assert phone.rtcp.target is None
    assert harness.media(inside + 1, REPORT, (ENGINE, 6001)) is None, "nobody has proven where the caller is"
    for stranger in (("192.0.2.33", 5055), ("192.0.2.66", 5055)):
        assert harness.media(outside + 1, REPORT, stranger) is None
    assert harness.media(outside + 1, REPORT, (CALLER, 5055)) == (("10.0.0.1", inside + 1), (ENGINE, 6001))
    assert harness.media(inside + 1, REPORT, (ENGINE, 6001)) == (("10.0.0.1", outside + 1), (CALLER, 5055))
    assert harness.media(inside, rtp(1), NODE) is None, "where RTP goes it does not say"
    harness.media(outside, rtp(1), ("192.0.2.33", 7000))
    assert harness.media(outside + 1, REPORT, (CALLER, 5055)) is None, "media has come from elsewhere"


def test_rtcp_of_a_private_address_is_not_believed_before_rtp() -> None:
    harness = RelayHarness()
    harness.offer(sdp("10.1.1.1", 5000))
    outside = harness.answer()
    assert harness.media(outside + 1, REPORT, ("10.1.1.1", 5001)) is None
    assert harness.media(outside + 1, REPORT, (CALLER, 5001)) is None


def test_rtcp_goes_on_from_where_it_came_until_a_new_description_has_led_to_a_lock() -> None:
    harness = RelayHarness()
    harness.offer(sdp("10.1.1.1", 5000))
    outside = harness.answer()
    harness.media(outside, rtp(1), (CALLER, 7000))
    assert harness.media(outside + 1, REPORT, (CALLER, 7001)) is not None
    harness.reoffer(sdp("10.1.1.1", 5002))
    harness.answer()
    assert harness.media(outside + 1, REPORT, (CALLER, 7001)) is not None
    assert harness.media(outside + 1, REPORT, (CALLER, 7003)) is None
    harness.media(outside, rtp(2), (CALLER, 7002))
    assert harness.media(outside + 1, REPORT, (CALLER, 7001)) is not None


def test_rtcp_alone_keeps_a_session_alive() -> None:
    for mux in (0, 1):
        harness = RelayHarness(session_timeout=20.0)
        outside, _ = call(harness)
        for _ in range(10):
            harness.advance(10)
            harness.media(outside + 1 - mux, REPORT, (CALLER, 5001 - mux))
        assert not harness.relay.idle()
        harness.advance(25)
        assert harness.relay.idle()


def test_rtcp_goes_where_sdp_says_at_the_address_of_the_media() -> None:
    harness = RelayHarness()
    harness.offer(sdp(CALLER, 5000, "a=rtcp:5055"))
    outside = harness.answer(sdp(ENGINE, 6000, "a=rtcp:6077 IN IP4 192.0.2.1"))
    (session,) = harness.relay.table
    (phone,), (node,) = list(session.legs(0)), list(session.legs(1))
    assert phone.rtcp.target == (CALLER, 5055)
    assert node.rtcp.target == (ENGINE, 6001)
    harness.media(outside, rtp(1), (CALLER, 5000))
    assert phone.rtcp.target == (CALLER, 5055)


def test_a_dtls_handshake_passes_where_the_description_asks_for_it() -> None:
    harness = RelayHarness()
    hello = b"\x16\xfe\xfd" + bytes(40)
    secure = "m=audio {port} UDP/TLS/RTP/SAVPF 0"
    inside = harness.offer(sdp(CALLER, 5000, media=secure))
    outside = harness.answer(sdp(ENGINE, 6000, media=secure))
    assert harness.media(outside, hello, ("192.0.2.66", 5000)) is None
    assert harness.media(outside, hello, PHONE) == (("10.0.0.1", inside), NODE)
    assert harness.media(inside, hello, NODE) == (("10.0.0.1", outside), PHONE)
    assert harness.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


@pytest.mark.parametrize(
    ("offered", "wishes", "answered", "shown", "told", "leaves_by_rtp"),
    [
        (True, [], True, True, True, True),
        (True, [], False, True, False, False),
        (False, [], False, False, False, False),
        (True, ["demux"], False, False, True, False),
        (True, ["reject"], False, False, False, False),
        (True, ["accept"], False, True, True, False),
        (False, ["offer"], True, True, False, True),
    ],
)
def test_rtcp_on_the_media_port_goes_where_the_far_end_expects_it(  # noqa: PLR0913  # one row, one name a column
    offered: bool, wishes: list[str], answered: bool, shown: bool, told: bool, leaves_by_rtp: bool
) -> None:
    harness = RelayHarness()
    mux = ("a=rtcp-mux",)
    body = sdp(CALLER, 5000, *(mux if offered else ()))
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"], rtcp_mux=wishes)
    (inside,) = ports_in(reply[b"sdp"])
    assert (b"a=rtcp-mux\r\n" in bytes(reply[b"sdp"])) == shown  # type: ignore[call-overload]  # it is
    reply = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000, *(mux if answered else ())))
    assert (b"a=rtcp-mux\r\n" in bytes(reply[b"sdp"])) == told  # type: ignore[call-overload]  # it is
    (outside,) = ports_in(reply[b"sdp"])
    assert harness.media(outside, REPORT, (CALLER, 5002)) is None, "before RTP only the described place is believed"
    harness.media(outside, rtp(1), PHONE)
    beside = 0 if leaves_by_rtp else 1
    assert harness.media(outside, REPORT, PHONE) == (("10.0.0.1", inside + beside), (ENGINE, 6000 + beside))
    assert harness.media(outside, b"\x80\xc9\0\x77" + bytes(12), PHONE) is None


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "malformed"),
        (b"\x80", "malformed"),
        (bytes(20), "stun"),
        (b"\x16\xfe\xfd" + bytes(40), "dtls"),
        (b"\x40" + bytes(30), "malformed"),
        (b"\x8f" + bytes(12), "malformed"),
        (b"\x90" + bytes(13) + b"\xff\xff" + bytes(100), "malformed"),
        (b"\x80\xc8\0\0", "malformed"),
    ],
)
def test_malformed_packets_are_dropped_by_name_and_do_not_harm_the_call(packet: bytes, reason: str) -> None:
    harness = RelayHarness()
    outside, _ = call(harness)
    assert harness.media(outside, packet, PHONE) is None
    assert harness.relay.table.drops[Drop(reason)] == 1
    assert harness.media(outside, rtp(1), PHONE) is not None
    assert harness.media(outside, packet, PHONE) is None


@given(st.binary(max_size=64))
def test_any_octets_on_a_media_port_are_survived(packet: bytes) -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, packet, PHONE)
    harness.media(outside + 1, packet, PHONE)
    assert harness.media(inside, rtp(1), NODE) is not None
