from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rewrite import Placement, rewrite

DATA = Path(__file__).parents[2] / "data" / "sdp"
RELAY = "203.0.113.9"
SOFTPHONE = (DATA / "softphone.sdp").read_bytes()
BROWSER = (DATA / "browser.sdp").read_bytes()
MULTIPLEXED = SOFTPHONE.replace(b"a=sendrecv\r\n", b"a=rtcp:4010\r\na=rtcp-mux\r\n")


def relayed(
    raw: bytes, ports: list[int], *, origin: bool = True, mux: tuple[bool | None, ...] | None = None, zero_address: bool = False
) -> bytes:
    return rewrite(SessionDescription.parse(raw), Placement(RELAY, ports, origin, mux, zero_address))


def test_only_addresses_and_ports_change() -> None:
    expected = SOFTPHONE.replace(b"192.168.7.20", RELAY.encode()).replace(b"audio 4010", b"audio 30002")
    assert relayed(SOFTPHONE, [30002]) == expected


def test_the_origin_stays_unless_asked_for() -> None:
    assert b"o=ada 3847 3847 IN IP4 192.168.7.20\r\n" in relayed(SOFTPHONE, [30002], origin=False)


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
    for leak in (b"10.9.8", b"fax.example", b"candidate", b"ice-", b"a=alt", b"BUNDLE"):
        assert leak not in text
    assert b"a=rtcp-mux" in lines


def test_a_browsers_ice_is_removed_and_the_rest_stays() -> None:
    out = relayed(BROWSER, [30000, 0, 30010])
    gone = re.compile(rb"a= ?(?:candidate|x-candidate|remote-cand|end-of|altc|ice-|group:BUNDLE|bundle-only|acap:1)", re.IGNORECASE)
    kept = [line for line in BROWSER.split(b"\r\n") if not gone.match(line)]
    moved = {
        b"o=10.20.30.40 4611731400 2 IN IP4 10.20.30.40": b"o=- 4611731400 2 IN IP4 203.0.113.9",
        b"m=audio 50100 UDP/TLS/RTP/SAVPF 111 0 110": b"m=audio 30000 UDP/TLS/RTP/SAVPF 111 0 110",
        b"a=rtcp:50100 IN IP4 10.20.30.40": b"a=rtcp:30000 IN IP4 203.0.113.9",
        b"m=audio 50103 RTP/SAVP 0": b"m=audio 30010 RTP/SAVP 0",
        b"a=rtcp:50200": b"a=rtcp:30011",
    }
    assert out.split(b"\r\n") == [b"c=IN IP4 203.0.113.9" if line.startswith(b"c=") else moved.get(line, line) for line in kept]
    assert out.count(b"10.20.30.") == 1, "only the cname of an SSRC, which leads nowhere"


@pytest.mark.parametrize("line", [b"a=rtcp 4011 IN IP4 192.168.7.20", b"a=rtcp:x IN IP4 192.168.7.20", b"a=rtcp:9 192.168.7.20", b"a=rtcp"])
def test_a_malformed_rtcp_line_is_removed(line: bytes) -> None:
    assert relayed(SOFTPHONE.replace(b"a=sendrecv", b"a=sendrecv\r\n" + line), [30002]) == relayed(SOFTPHONE, [30002])


@pytest.mark.parametrize("line", [b"a=RTCP:4011 IN IP4 192.168.7.20", b"a= rtcp:9", b"a=rtcp :4011 IN IP4 192.168.7.20"])
def test_an_oddly_spelt_rtcp_line_shows_no_address(line: bytes) -> None:
    out = relayed(SOFTPHONE.replace(b"a=sendrecv", line + b"\r\n" + line), [30002])
    assert out.count(b"\r\na=rtcp:30003") == 2
    assert b"192.168.7.20" not in out
    assert b"rtcp" not in relayed(SOFTPHONE.replace(b"t=0 0", b"t=0 0\r\n" + line), [30002])


@pytest.mark.parametrize(
    "line", [b"a=source-filter: incl IN IP4 * 192.168.7.20", b"a=ccap:1 IN IP4 192.168.7.20", b"a=ice2", b"a=acap:4 rtcp:5"]
)
def test_other_attributes_that_bypass_the_relay_are_removed(line: bytes) -> None:
    placed = SOFTPHONE.replace(b"a=sendrecv", b"a=sendrecv\r\n" + line)
    assert relayed(placed, [30002]) == relayed(SOFTPHONE, [30002])


@pytest.mark.parametrize(
    "line", [b"a=group:LS 1 2", b"a=group", b"a=X-nat:3", b"a=direction:active", b"a=acap", b"a=pcfg:1 t=1 a=1", b"a=maxptime:40"]
)
def test_attributes_that_do_not_bypass_the_relay_stay(line: bytes) -> None:
    placed = SOFTPHONE.replace(b"a=sendrecv", b"a=sendrecv\r\n" + line)
    assert line in relayed(placed, [30002]).split(b"\r\n")


@pytest.mark.parametrize("mux", [None, True])
def test_multiplexing_stays_and_rtcp_keeps_its_relation_to_rtp(mux: bool | None) -> None:
    assert relayed(MULTIPLEXED, [30002], mux=(mux,)).endswith(b"a=rtcp:30002\r\na=rtcp-mux\r\n")
    apart = MULTIPLEXED.replace(b"a=rtcp:4010", b"a=rtcp:4011")
    assert relayed(apart, [30002], mux=(mux,)).endswith(b"a=rtcp:30003\r\na=rtcp-mux\r\n")
    assert relayed(apart, [30002], mux=(mux,)).count(b"rtcp-mux") == 1


def test_multiplexing_is_removed() -> None:
    out = relayed(MULTIPLEXED + b"a=rtcp-mux-only\r\n", [30002], mux=(False,))
    assert out.endswith(b"a=ptime:20\r\na=rtcp:30003\r\n")


def test_multiplexing_is_added_before_the_attributes_of_its_section() -> None:
    out = relayed(SOFTPHONE, [30002], mux=(True,))
    assert b"m=audio 30002 RTP/AVP 0 8 101\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n" in out
    fax = SOFTPHONE + b"m=image 4020 udptl t38\r\nc=IN IP4 192.168.7.20\r\nb=AS:64\r\n"
    out = relayed(fax, [30002, 30004], mux=(None, True))
    assert out.endswith(b"c=IN IP4 203.0.113.9\r\nb=AS:64\r\na=rtcp-mux\r\n")
    assert out.count(b"rtcp-mux") == 1


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_multiplexing_is_added_to_a_section_without_attributes(ending: bytes) -> None:
    raw = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0" + ending
    assert relayed(raw, [30002], mux=(True,)).split()[-1] == b"a=rtcp-mux"
    assert relayed(raw, [30002], mux=(True,)).endswith(b"0" + (ending or b"\n") + b"a=rtcp-mux" + ending)


def test_each_section_needs_its_port_and_its_mux_option() -> None:
    with pytest.raises(ValueError, match="zip"):
        relayed(SOFTPHONE, [])
    with pytest.raises(ValueError, match="zip"):
        relayed(SOFTPHONE, [30002], mux=())


@pytest.mark.parametrize("hold", [b"c=IN IP4 0.0.0.0", b"c=IN IP4 0.0.0.0/127"])
def test_hold_by_address_stays_visible(hold: bytes) -> None:
    out = relayed((DATA / "old_hold.sdp").read_bytes().replace(b"c=IN IP4 0.0.0.0", hold), [30002])
    assert hold + b"\r\n" in out
    assert b"m=audio 30002 RTP/AVP 0\r\n" in out
    assert b"192.168.7.20" not in out
    own = SOFTPHONE.replace(b"RTP/AVP 0 8 101\r\n", b"RTP/AVP 0 8 101\r\n" + hold + b"\r\n")
    assert b"m=audio 30002 RTP/AVP 0 8 101\r\n" + hold + b"\r\n" in relayed(own, [30002])


@pytest.mark.parametrize(
    ("connection", "shown"),
    [
        (b"c=IN IP4 192.168.7.20 192.168.7.21", b"c=IN IP4 203.0.113.9"),
        (b"c=IN IP4 192.168.7.20/127 nowhere", b"c=IN IP4 203.0.113.9"),
        (b"c=IN IP4 0.0.0.0 192.168.7.21", b"c=IN IP4 0.0.0.0"),
        (b"c= IN  IP4 0.0.0.0\t192.168.7.21", b"c=IN IP4 0.0.0.0"),
    ],
)
def test_words_behind_an_address_go_nowhere(connection: bytes, shown: bytes) -> None:
    out = relayed(SOFTPHONE.replace(b"c=IN IP4 192.168.7.20", connection), [30002])
    assert b"\r\n" + shown + b"\r\n" in out
    assert b"192.168.7.2" not in out


@pytest.mark.parametrize(
    ("said", "shown"), [(b"sendrecv", b"sendonly"), (b"sendonly", b"sendonly"), (b"recvonly", b"inactive"), (b"inactive", b"inactive")]
)
def test_hold_by_address_becomes_a_direction_on_demand(said: bytes, shown: bytes) -> None:
    raw = SOFTPHONE.replace(b"sendrecv", said).replace(b"c=IN IP4 192.168.7.20", b"c=IN IP4 0.0.0.0")
    out = relayed(raw, [30002], zero_address=True)
    assert b"\r\nc=IN IP4 203.0.113.9\r\n" in out
    assert [line for line in out.split(b"\r\n") if line[2:] in (b"sendrecv", b"sendonly", b"recvonly", b"inactive")] == [b"a=" + shown]
    assert relayed(SOFTPHONE, [30002], zero_address=True) == relayed(SOFTPHONE, [30002])


@pytest.mark.parametrize(
    ("section", "shown"),
    [
        (b"m=video 4020 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\n", b"m=video 0 RTP/AVP 96\r\nc=IN IP4 203.0.113.9\r\n"),
        (b"m=video 70000/2 RTP/AVP 96\r\n", b"m=video 0 RTP/AVP 96\r\n"),
        (b"m=video x RTP/AVP 96\r\nc=TN 192.168.7.20\r\n", b"m=video 0 RTP/AVP 96\r\nc=IN IP4 203.0.113.9\r\n"),
    ],
)
def test_a_stream_that_cannot_be_served_is_shown_as_refused(section: bytes, shown: bytes) -> None:
    assert relayed(SOFTPHONE + section, [30002, 30004]) == relayed(SOFTPHONE, [30002]) + shown


@pytest.mark.parametrize(
    "origin",
    [b"o=IN IP4 192.168.7.20", b"o=", b"o=x y z", b"o=x 192.168.7.20 1 IN IP4 192.168.7.20", b"o=- 1 1 IN IP4 192.168.7.20 a b c d"],
)
def test_a_broken_origin_shows_no_address(origin: bytes) -> None:
    raw = SOFTPHONE.replace(b"o=ada 3847 3847 IN IP4 192.168.7.20", origin)
    assert b"\no=- 0 0 IN IP4 203.0.113.9\r\n" in relayed(raw, [30002])


def test_a_user_name_shows_no_address() -> None:
    raw = SOFTPHONE.replace(b"o=ada", b"o=ada@192.168.7.20")
    assert b"\no=- 3847 3847 IN IP4 203.0.113.9\r\n" in relayed(raw, [30002])


def test_a_second_description_in_the_body_shows_no_address_either() -> None:
    assert b"192.168.7.20" not in relayed(SOFTPHONE + SOFTPHONE, [30002, 30004])


def test_ipv6_where_nobody_listens_becomes_ours() -> None:
    raw = SOFTPHONE.replace(b"IN IP4 192.168.7.20\r\ns", b"IN IP6 2001:db8::7\r\ns") + b"m=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::7\r\n"
    out = relayed(raw, [30002, 0])
    assert b"o=ada 3847 3847 IN IP4 203.0.113.9\r\n" in out
    assert out.endswith(b"m=video 0 RTP/AVP 31\r\nc=IN IP4 203.0.113.9\r\n")


@given(st.integers(1024, 65534), st.sampled_from(["softphone.sdp", "old_hold.sdp"]))
def test_rewriting_is_idempotent_in_shape(port: int, name: str) -> None:
    raw = (DATA / name).read_bytes()
    once = relayed(raw, [port])
    assert relayed(once, [port]) == once
    assert once.count(b"\r\n") == raw.count(b"\r\n")
