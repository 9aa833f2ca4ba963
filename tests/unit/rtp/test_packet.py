from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.packet import HeaderExtension, Kind, RtpPacket, classify, is_silence, is_well_formed, plain_packet

DATA = Path(__file__).parents[2] / "data" / "rtp"

EXTENSIONS = st.builds(
    HeaderExtension, st.integers(0, 0xFFFF), st.integers(0, 8).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
)
PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | EXTENSIONS,
    padding=st.integers(0, 255),
)


def test_plain_packet_from_the_wire() -> None:
    raw = (DATA / "pcmu.rtp").read_bytes()
    packet = RtpPacket.parse(raw)
    assert (packet.payload_type, packet.marker, packet.sequence) == (0, True, 4321)
    assert (packet.timestamp, packet.ssrc, len(packet.payload)) == (98765, 0x1234ABCD, 160)
    assert bytes(packet) == raw


def test_packet_with_csrc_extension_and_padding_from_the_wire() -> None:
    raw = (DATA / "extension_csrc_padding.rtp").read_bytes()
    packet = RtpPacket.parse(raw)
    assert packet.csrcs == (7, 8)
    assert packet.extension == HeaderExtension(0xBEDE, b"\x10\xaa\0\0")
    assert (packet.payload, packet.padding) == (b"voice", 3)
    assert bytes(packet) == raw


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pcmu_broken.rtp", "The RTP packet is shorter than its fixed header."),
        ("extension_csrc_padding_broken.rtp", "The RTP header extension is truncated."),
    ],
)
def test_broken_twins_are_refused(name: str, sentence: str) -> None:
    raw = (DATA / name).read_bytes()
    with pytest.raises(ValueError, match=sentence):
        RtpPacket.parse(raw)
    assert not is_well_formed(raw, len(raw))


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"\x40" + bytes(11), "The RTP version is not 2."),
        (b"\x8f" + bytes(11), "The RTP packet is shorter than its CSRC list."),
        (b"\x90" + bytes(13), "The RTP header extension is truncated."),
        (b"\xa0" + bytes(11), "The RTP padding is longer than the payload."),
        (b"\xa0" + bytes(11) + b"\x05", "The RTP padding is longer than the payload."),
        (b"\xa0" + bytes(12), "The RTP padding is longer than the payload."),
    ],
)
def test_lengths_inside_must_fit(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RtpPacket.parse(raw)
    assert not is_well_formed(raw, len(raw))


@given(PACKETS)
def test_round_trip(packet: RtpPacket) -> None:
    raw = bytes(packet)
    assert RtpPacket.parse(raw) == packet
    assert is_well_formed(raw, len(raw))


@given(PACKETS)
def test_a_plain_packet_is_what_the_long_way_makes(packet: RtpPacket) -> None:
    plain = RtpPacket(packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, packet.marker)
    made = plain_packet(packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, marker=packet.marker)
    assert made == bytes(plain)
    assert RtpPacket.parse(made) == plain


@given(st.binary(max_size=80) | PACKETS.map(bytes).flatmap(lambda raw: st.integers(0, len(raw)).map(lambda n: raw[:n])))
def test_parse_and_quick_check_agree(raw: bytes) -> None:
    try:
        RtpPacket.parse(raw)
    except ValueError:
        assert not is_well_formed(raw, len(raw))
    else:
        assert is_well_formed(raw, len(raw))


def test_quick_check_reads_only_the_given_size() -> None:
    raw = bytearray((DATA / "pcmu.rtp").read_bytes())
    assert not is_well_formed(raw, 11)
    assert is_well_formed(raw, 12)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"\x80\x00", Kind.RTP),
        (b"\x80\x80", Kind.RTP),
        (b"\xbf\xbf", Kind.RTP),
        (b"\x80\xc8", Kind.RTCP),
        (b"\x80\xdf", Kind.RTCP),
        (b"\x00\x01", Kind.STUN),
        (b"\x16\xfe", Kind.DTLS),
        (b"\x40\x00", Kind.OTHER),
        (b"\x80", Kind.OTHER),
        (b"", Kind.OTHER),
    ],
)
def test_kinds(raw: bytes, kind: Kind) -> None:
    assert classify(raw, len(raw)) is kind


@given(st.binary(max_size=4), st.integers(0, 255), st.integers(0, 200))
def test_silence_is_the_same_octet_throughout(tail: bytes, octet: int, size: int) -> None:
    payload = bytes([octet]) * size + tail
    head = bytes(RtpPacket(payload_type=0, sequence=1, timestamp=160, ssrc=7, payload=b""))
    buffer = bytearray(head + payload + b"\1\2\3")
    assert is_silence(buffer, 12 + len(payload)) is (len(set(payload)) <= 1)
