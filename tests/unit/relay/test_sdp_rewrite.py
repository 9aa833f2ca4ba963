from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rewrite import rewrite

DATA = Path(__file__).parents[2] / "data" / "sdp"
RELAY = "203.0.113.9"


def relayed(raw: bytes, ports: list[int], *, origin: bool = True, remove_ice: bool = True) -> bytes:
    return rewrite(SessionDescription.parse(raw), RELAY, ports, origin=origin, remove_ice=remove_ice)


def test_only_addresses_and_ports_change() -> None:
    raw = (DATA / "softphone.sdp").read_bytes()
    expected = raw.replace(b"192.168.7.20", RELAY.encode()).replace(b"audio 4010", b"audio 30002")
    assert relayed(raw, [30002]) == expected


def test_the_origin_stays_unless_asked_for() -> None:
    raw = (DATA / "softphone.sdp").read_bytes()
    assert b"o=ada 3847 3847 IN IP4 192.168.7.20\r\n" in relayed(raw, [30002], origin=False)


def test_every_stream_goes_through_the_relay() -> None:
    raw = (DATA / "ice_video_fax.sdp").read_bytes()
    lines = relayed(raw, [30000, 30010, 30020, 0]).split(b"\n")
    assert b"m=audio 30000  RTP/AVP 9 0" in lines
    assert b"a=rtcp:30001 IN IP4 203.0.113.9" in lines
    assert b"m=video 30010 RTP/AVP 97" in lines
    assert b"a=rtcp:30011" in lines
    assert b"m=image 30020 udptl t38" in lines
    assert b"m=audio 0 RTP/AVP 3" in lines
    assert b"a=rtcp:7 IN IP4 203.0.113.9" in lines
    assert lines.count(b"c=IN IP4 203.0.113.9") == 4
    text = b"\n".join(lines)
    for leak in (b"10.9.8", b"fax.example", b"candidate", b"ice-", b"a=alt"):
        assert leak not in text
    assert b"a=rtcp-mux" in lines


def test_ice_stays_unless_asked_for() -> None:
    out = relayed((DATA / "ice_video_fax.sdp").read_bytes(), [30000, 30010, 30020, 0], remove_ice=False)
    assert b"a=ice-ufrag:F7gI\n" in out
    assert b"a=candidate:1 1 UDP 2130706431 10.9.8.7 50010 typ host\n" in out


def test_hold_by_address_stays_visible() -> None:
    out = relayed((DATA / "old_hold.sdp").read_bytes(), [30002])
    assert b"c=IN IP4 0.0.0.0\r\n" in out
    assert b"m=audio 30002 RTP/AVP 0\r\n" in out
    assert b"192.168.7.20" not in out


@pytest.mark.parametrize("origin", [b"o=IN IP4 192.168.7.20", b"o=", b"o=x y z"])
def test_a_broken_origin_shows_no_address(origin: bytes) -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(b"o=ada 3847 3847 IN IP4 192.168.7.20", origin)
    assert b"\no=- 0 0 IN IP4 203.0.113.9\r\n" in relayed(raw, [30002])


def test_a_second_description_in_the_body_shows_no_address_either() -> None:
    raw = (DATA / "softphone.sdp").read_bytes()
    assert b"192.168.7.20" not in relayed(raw + raw, [30002, 30004])


def test_an_ipv6_origin_becomes_ours() -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(b"IN IP4 192.168.7.20\r\ns", b"IN IP6 2001:db8::7\r\ns")
    assert b"o=ada 3847 3847 IN IP4 203.0.113.9\r\n" in relayed(raw, [30002])


@given(st.integers(1024, 65534), st.sampled_from(["softphone.sdp", "old_hold.sdp"]))
def test_rewriting_is_idempotent_in_shape(port: int, name: str) -> None:
    raw = (DATA / name).read_bytes()
    once = relayed(raw, [port])
    assert relayed(once, [port]) == once
    assert once.count(b"\r\n") == raw.count(b"\r\n")
