from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.kernel.messages import Message, NetlinkError, attribute
from mediarelay.kernel.packet_log import PacketCopy, bind_group, read_copy

DATA = Path(__file__).parents[2] / "data" / "netlink"
PACKET = 0x0400
FAMILY = bytes(4)
MARK = attribute(2, b"\x51\0\0\1")


def read(name: str) -> PacketCopy | None:
    (message,) = Message.parse_all((DATA / name).read_bytes())
    return read_copy(message)


def test_a_group_is_bound_by_one_message() -> None:
    # NFULNL_MSG_CONFIG for IPv4 and group 62: BIND; copy packets of 60 octets; hold 32 KiB of them; wait 0.1 s; gather 64.
    assert bind_group(62, 60, 1) == bytes.fromhex(
        "40000000 0104 0500 01000000 00000000  02 00 003e"
        "  0500 0100 01 000000  0a00 0200 0000003c 02 00 0000"
        "  0800 0300 00008000  0800 0400 0000000a  0800 0500 00000040"
    )


@pytest.mark.parametrize(
    ("name", "at"),
    [
        # A copy of a packet that this machine was about to send has a mark; one of a packet that has just arrived has a timestamp.
        ("packet_copy.bin", 0.0),
        ("packet_copy_stamped.bin", 0x6B043C6D + 0x4870E / 1e6),
    ],
)
def test_a_copy_from_a_kernel(name: str, at: float) -> None:
    copy = read(name)
    assert copy is not None
    assert (len(copy.data), copy.at) == (60, at)
    assert copy.data[12:16] == b"\x7f\0\0\1"
    assert copy.data[28:30] == b"\x80\0", "RTP follows the headers of IP and UDP"


@pytest.mark.parametrize("name", ["packet_copy_broken.bin", "packet_copy_stamped_broken.bin"])
def test_the_broken_twin_is_refused(name: str) -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        read(name)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        (b"", 0.0),
        (MARK, 0.0),
        (attribute(3, pack("!QQ", 5, 250_000)), 5.25),
        (attribute(3, pack("!QQ", 5, 250_000)[:-1]), 0.0),
        (attribute(3, b""), 0.0),
    ],
)
def test_a_copy_needs_neither_mark_nor_moment(fields: bytes, at: float) -> None:
    assert read_copy(Message(PACKET, 0, 0, FAMILY + fields + attribute(9, b"packet"))) == PacketCopy(b"packet", at)


@pytest.mark.parametrize(
    "message",
    [
        Message(PACKET + 1, 0, 0, FAMILY + attribute(9, b"packet")),
        Message(PACKET, 0, 0, FAMILY + MARK),
        Message(PACKET, 0, 0, FAMILY),
        Message(PACKET, 0, 0, b""),
    ],
)
def test_a_message_without_a_packet_is_no_copy(message: Message) -> None:
    assert read_copy(message) is None


@given(st.binary(max_size=60))
def test_any_octets_are_a_copy_nothing_or_refused(payload: bytes) -> None:
    try:
        copy = read_copy(Message(PACKET, 0, 0, payload))
    except NetlinkError:
        return
    assert copy is None or (copy.data in payload[len(FAMILY) :] and copy.at >= 0)
