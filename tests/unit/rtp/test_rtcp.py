from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.rtp.rtcp import (
    CNAME,
    MAX_PACKETS,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    UnknownPacket,
    build_compound,
    ntp_from_seconds,
    parse_compound,
)

DATA = Path(__file__).parents[2] / "data" / "rtp"
WORD = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.lists(
    st.builds(ReportBlock, WORD, st.integers(0, 255), st.integers(-(1 << 23), (1 << 23) - 1), WORD, WORD, WORD, WORD),
    max_size=4,
).map(tuple)
ITEMS = st.lists(st.tuples(st.integers(1, 8), st.binary(max_size=30)), max_size=3).map(tuple)
PACKETS = st.one_of(
    st.builds(SenderReport, WORD, st.integers(0, (1 << 64) - 1), WORD, WORD, WORD, BLOCKS),
    st.builds(ReceiverReport, WORD, BLOCKS),
    st.builds(SourceDescription, st.lists(st.tuples(WORD, ITEMS), max_size=3).map(tuple)),
    st.builds(Goodbye, st.lists(WORD, max_size=4).map(tuple), st.binary(max_size=40)),
    st.builds(UnknownPacket, st.integers(204, 223), st.integers(0, 31), st.just(b"\0\0\0\1name")),
)


def test_sender_report_and_description_from_the_wire() -> None:
    raw = (DATA / "sr_sdes.rtcp").read_bytes()
    report, description = parse_compound(raw)
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (0x11223344, 50, 8000)
    assert report.blocks[0].fraction_lost == 0x19
    assert report.blocks[0].packets_lost == 12
    assert description == SourceDescription(((0x11223344, ((CNAME, b"a@b.c"),)),))
    assert build_compound((report, description)) == raw


def test_receiver_report_and_goodbye_from_the_wire() -> None:
    raw = (DATA / "rr_bye.rtcp").read_bytes()
    report, goodbye = parse_compound(raw)
    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].packets_lost == -1
    assert goodbye == Goodbye((9,), b"bye")
    assert build_compound((report, goodbye)) == raw


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sr_sdes_broken.rtcp", "The RTCP packet is truncated."),
        ("rr_bye_broken.rtcp", "The RTCP goodbye's reason is truncated."),
    ],
)
def test_broken_twins_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_compound((DATA / name).read_bytes())


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "datagram is empty"),
        (b"\x80\xc8\0", "header is truncated"),
        (b"\x00\xc9\0\1\0\0\0\1", "version is not 2"),
        (b"\x80\xc8\0\1\0\0\0\1", "sender report is truncated"),
        (b"\x80\xc9\0\0", "receiver report is truncated"),
        (b"\x81\xc9\0\1\0\0\0\1", "report block is truncated"),
        (b"\x81\xca\0\0", "source description is truncated"),
        (b"\x81\xca\0\2\0\0\0\1\1\x09ab", "item is truncated"),
        (b"\x81\xca\0\2\0\0\0\1\1\1a\1", "item is truncated"),
        (b"\x82\xcb\0\1\0\0\0\1", "goodbye is truncated"),
        (b"\xa0\xc9\0\1\0\0\0\0", "padding is longer"),
        (b"\xa1\xcd\0\1\0\0\0\1", "not a multiple of four"),
        (b"\x80\xcc\0\0" * (MAX_PACKETS + 1), "too many packets"),
    ],
)
def test_malformed_packets_are_refused(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_compound(raw)


def test_padding_is_taken_off() -> None:
    assert parse_compound(b"\xa0\xc9\0\2\0\0\0\7\0\0\0\4") == (ReceiverReport(7),)


def test_a_block_has_24_octets() -> None:
    with pytest.raises(ValueError, match="report block is truncated"):
        ReportBlock.parse(bytes(23))


def test_loss_is_clamped_to_24_bits() -> None:
    block = ReportBlock(1, 0, 1 << 30, 0, 0, 0, 0)
    assert ReportBlock.parse(bytes(block)).packets_lost == (1 << 23) - 1


def test_ntp_has_32_bits_of_fraction() -> None:
    assert ntp_from_seconds(1.5) == 0x1_8000_0000


@given(st.lists(PACKETS, min_size=1, max_size=4))
def test_round_trip(packets: list[RtcpPacket]) -> None:
    assert parse_compound(build_compound(packets)) == tuple(packets)


@given(st.binary(max_size=120) | st.lists(PACKETS, min_size=1, max_size=2).map(build_compound).map(lambda raw: raw[:-3]))
def test_any_octets_parse_or_raise_value_error(raw: bytes) -> None:
    try:
        assert parse_compound(raw)
    except ValueError as error:
        assert str(error).endswith(".")
