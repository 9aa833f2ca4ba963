from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.sdp.description import MAX_LINES, MAX_MEDIA, SessionDescription

DATA = Path(__file__).parents[2] / "data" / "sdp"
GOOD = [path.read_bytes() for path in sorted(DATA.glob("*.sdp")) if not path.stem.endswith("broken")]


def load(name: str) -> SessionDescription:
    return SessionDescription.parse((DATA / name).read_bytes())


def test_a_softphone() -> None:
    description = load("softphone.sdp")
    (audio,) = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 4010, "RTP/AVP", ("0", "8", "101"))
    assert audio.connection is not None
    assert audio.connection.address == "192.168.7.20"
    assert audio.payload_types == {0, 8, 101}
    assert (audio.live, audio.is_rtp, audio.rtcp, audio.rtcp_mux, audio.on_hold) == (True, True, None, False, False)
    assert bytes(description) == (DATA / "softphone.sdp").read_bytes()


def test_a_browser() -> None:
    description = load("browser.sdp")
    audio, bundled, held = description.media
    assert (audio.is_rtp, audio.rtcp_mux, audio.clock_rates) == (True, True, {111: 48_000, 0: 8_000, 110: 48_000})
    assert audio.clock_rate == 48_000
    assert audio.payload_types == {0, 110, 111}
    assert (bundled.live, bundled.line, bundled.end) == (False, audio.end, held.line)
    assert (held.port, held.on_hold, held.rtcp_mux, len(held.own_connections)) == (50103, True, False, 2)
    assert held.rtcp is not None
    assert (held.rtcp.port, held.rtcp.address) == (50200, None)
    assert held.connection is not None
    assert held.connection.address == "10.20.30.44"


def test_clock_rates_and_encodings() -> None:
    head = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 96 10 97 98 0 * 128 %b\r\n" % (b"9" * 5_000)
    maps = (
        b"a=rtpmap:96 L16/16000/2\r\na=rtpmap:99 w/8000/01\r\na=rtpmap:97 x/0\r\na=rtpmap:98 y/99999999\r\n"
        b"a=rtpmap:96 z/1\r\na=rtpmap:0\r\n"
    )
    (audio,) = SessionDescription.parse(head + maps).media
    assert audio.clock_rates == {96: 16_000, 10: 44_100, 97: 8_000, 98: 8_000, 0: 8_000}
    assert audio.encodings == {96: "l16/2", 99: "w"}
    assert audio.clock_rate == 16_000


def test_video_fax_and_a_refused_stream() -> None:
    audio, video, fax, refused = load("ice_video_fax.sdp").media
    assert audio.connection is not None
    assert audio.connection.host == "10.9.8.7"
    assert audio.rtcp is not None
    assert (audio.rtcp.port, audio.rtcp.address, audio.rtcp_mux) == (50019, "10.9.8.7", True)
    assert (video.port, video.clock_rate, video.direction, video.on_hold) == (50020, 90000, "sendonly", True)
    assert video.rtcp is not None
    assert video.rtcp.address is None
    assert (fax.is_rtp, fax.payload_types) == (False, frozenset())
    assert fax.connection is not None
    assert fax.connection.address is None
    assert not refused.live


def test_the_session_may_hold_all_streams() -> None:
    raw = (DATA / "softphone.sdp").read_bytes()
    assert load("old_hold.sdp").media[0].on_hold
    head = raw.replace(b"t=0 0\r\n", b"t=0 0\r\na=inactive\r\n").replace(b"a=sendrecv\r\n", b"")
    assert SessionDescription.parse(head).media[0].on_hold
    assert SessionDescription.parse(head.replace(b"ptime:20", b"recvonly")).media[0].direction == "recvonly"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("softphone_broken.sdp", "A media section has no connection line."),
        ("ipv6.sdp", "The media address is IPv6, which is not supported."),
        ("browser_broken.sdp", "A line of the session description has a blank before its equals sign."),
    ],
)
def test_broken_twins_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(name)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (b"v=0", b"<xml/>", "not a session description"),
        (b"m=audio 4010 RTP/AVP 0 8 101", b"m=audio 4010", "A media line is malformed"),
        (b"4010", b"65536", "A port in the session description is malformed"),
        (b"4010", b"-1", "A port in the session description is malformed"),
        (b"4010", b"492170", "A port in the session description is malformed"),
        (b"c=IN IP4", b"c=TN RFC2543", "A connection line is malformed"),
        (b"c=IN IP4 192.168.7.20", b"c=IN IP4", "A connection line is malformed"),
        (b"c=IN IP4 192.168.7.20", b"c=IN IP4 0.0.0.0/192.168.7.20", "A connection line is malformed"),
        (b"c=IN IP4 192.168.7.20", b"c=IN IP4 224.2.1.1/", "A connection line is malformed"),
        (b"a=sendrecv", b"\ta=candidate:1", "has a blank before its equals sign"),
        (b"c=IN", b"c =IN", "has a blank before its equals sign"),
        (b"\r\n", b"\r", "holds a NUL or a bare carriage return"),
        (b"a=sendrecv", b"a=x\ra=candidate:1", "holds a NUL or a bare carriage return"),
        (b"a=sendrecv", b"a=x\0a=candidate:1", "holds a NUL or a bare carriage return"),
    ],
)
def test_what_is_refused(before: bytes, after: bytes, sentence: str) -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(before, after)
    with pytest.raises(ValueError, match=sentence):
        SessionDescription.parse(raw)


AUDIO = b"m=audio 4010 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (b"m=video 4020 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\n", "The media address is IPv6, which is not supported."),
        (b"m=video 4020 RTP/AVP 96\r\n", "A media section has no connection line."),
        (b"m=video 4020 RTP/AVP 96\r\nc=IN IP4\r\n", "A connection line is malformed."),
        (b"m=video 4020 RTP/AVP 96\r\nc=IN IP4 192.0.2.1/x\r\n", "A connection line is malformed."),
        (b"m=video 70000 RTP/AVP 96\r\nc=IN IP4 192.0.2.1\r\n", "A port in the session description is malformed."),
        (b"m=video - RTP/AVP 96\r\nc=IN IP4 192.0.2.1\r\n", "A port in the session description is malformed."),
        (b"m=video 4020 RTP/AVP\r\nc=IN IP4 192.0.2.1\r\n", "A media line names no format."),
        (b"m=video 0 RTP/AVP\r\n", ""),
        (b"m=video 0 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\n", ""),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_stream_that_cannot_be_served_counts_as_refused_and_the_others_go_on(section: bytes, fault: str, before: bool) -> None:
    head = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
    media = SessionDescription.parse(head + (section + AUDIO if before else AUDIO + section)).media
    audio, video = reversed(media) if before else media
    assert (audio.live, audio.port, audio.fault) == (True, 4010, "")
    assert (video.live, video.port, video.fault) == (False, 0, fault)
    if fault:
        with pytest.raises(ValueError, match=fault):
            SessionDescription.parse(head + section)


def test_a_stream_may_have_another_address_family_than_the_session() -> None:
    raw = b"v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\nc=IN IP6 2001:db8::1\r\n" + AUDIO + b"m=video 4020 RTP/AVP 96\r\n"
    audio, video = SessionDescription.parse(raw).media
    assert (audio.live, video.live) == (True, False)
    both = SessionDescription.parse(raw.replace(b"0\r\nc=IN IP4", b"0\r\nc=IN IP6 ::1\r\nc=IN IP4")).media[0]
    assert both.connection is not None
    assert (both.live, both.connection.host, len(both.own_connections)) == (True, "192.0.2.1", 2)


def test_a_description_that_wants_nothing_is_not_refused() -> None:
    assert SessionDescription.parse(b"v=0\r\n").media == ()
    assert not SessionDescription.parse(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n").media[0].live


def test_words_behind_an_address_are_not_part_of_it() -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(b"c=IN IP4 192.168.7.20", b"c=IN IP4 192.168.7.20 192.168.7.21")
    (audio,) = SessionDescription.parse(raw).media
    assert audio.connection is not None
    assert audio.connection.address == "192.168.7.20"


@pytest.mark.parametrize(
    ("line", "port"),
    [(b"a=rtcp:x", None), (b"a=rtcp 4011 IN IP4 192.168.7.20", None), (b"a=rtcp:1\r\na=rtcp:x", 1), (b"a=rtcp:70000", None)],
)
def test_a_malformed_place_of_rtcp_is_as_good_as_none(line: bytes, port: int | None) -> None:
    (audio,) = SessionDescription.parse((DATA / "softphone.sdp").read_bytes().replace(b"a=sendrecv", line)).media
    assert (audio.rtcp.port if audio.rtcp else None) == port
    assert SessionDescription.parse((DATA / "ice_video_fax_broken.sdp").read_bytes()).media[0].rtcp is None


@pytest.mark.parametrize("protocol", ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "rtp/avp"])
def test_every_profile_of_rtp_is_rtp(protocol: str) -> None:
    (audio,) = SessionDescription.parse((DATA / "softphone.sdp").read_bytes().replace(b"RTP/AVP", protocol.encode())).media
    assert (audio.is_rtp, audio.is_dtls) == (True, "TLS" in protocol)


def test_lines_are_bounded_and_media_beyond_the_bound_count_as_refused() -> None:
    raw = (DATA / "softphone.sdp").read_bytes()
    media = raw[raw.index(b"m=") :]
    served = [one.live for one in SessionDescription.parse(raw + media * MAX_MEDIA).media]
    assert served == [True] * MAX_MEDIA + [False]
    with pytest.raises(ValueError, match="too many lines"):
        SessionDescription.parse(raw + b"a=x\r\n" * MAX_LINES)


@pytest.mark.parametrize(("host", "address"), [("10.0.0.1/127", "10.0.0.1"), ("10.0.0.1/127/3", "10.0.0.1"), ("fax.example", None)])
def test_the_ttl_is_not_part_of_the_address(host: str, address: str | None) -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(b"c=IN IP4 192.168.7.20", b"c=IN IP4 " + host.encode())
    connection = SessionDescription.parse(raw).media[0].connection
    assert connection is not None
    assert connection.address == address


def test_blank_lines_and_a_truncated_end_are_accepted() -> None:
    raw = (DATA / "softphone.sdp").read_bytes() + b"\r\n \r\na=x\r"
    assert bytes(SessionDescription.parse(raw)) == raw


@pytest.mark.parametrize("host", ["256.1.1.1", "1.2.3", "1.2.3.4.", "01.2.3.4", "host.example", "1.2.3.4.5"])
def test_hosts_that_are_not_ipv4_addresses(host: str) -> None:
    raw = (DATA / "softphone.sdp").read_bytes().replace(b"c=IN IP4 192.168.7.20", b"c=IN IP4 " + host.encode())
    connection = SessionDescription.parse(raw).media[0].connection
    assert connection is not None
    assert connection.address is None


@given(st.sampled_from(GOOD), st.data())
def test_damage_parses_to_the_same_octets_or_raises_value_error(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    damaged = raw[:at] + data.draw(st.binary(max_size=6)) + raw[at + data.draw(st.integers(0, 6)) :]
    try:
        assert bytes(SessionDescription.parse(damaged)) == damaged
    except ValueError as error:
        assert str(error).endswith(".")
