from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.netlink.messages import Message, NetlinkError, attribute
from mediarelay.netlink.packet_log import PacketCopy, bind_group, read_copy

DATA = Path(__file__).parents[2] / "data" / "netlink"
PACKET = 0x0400
FAMILY = bytes(4)
MARK = attribute(2, pack("!I", 0x51000001))


def read(name: str) -> PacketCopy | None:
    (message,) = Message.parse_all((DATA / name).read_bytes())
    return read_copy(message)


def test_a_group_is_bound_by_one_message() -> None:
    # NFULNL_MSG_CONFIG for IPv4 and group 62: BIND; copy packets of 60 octets; wait 0.05 s; gather 64.
    assert bind_group(62, 60, 1) == bytes.fromhex(
        "38000000 0104 0500 01000000 00000000  02 00 003e"
        "  0500 0100 01 000000  0a00 0200 0000003c 02 00 0000  0800 0400 00000005  0800 0500 00000040"
    )


def test_a_copy_from_a_kernel() -> None:
    copy = read("packet_copy.bin")
    assert copy is not None
    assert (copy.mark, len(copy.data)) == (0x51000001, 60)
    assert copy.data[12:16] == b"\x7f\0\0\1"
    assert copy.data[28:30] == b"\x80\0", "RTP follows the headers of IP and UDP"


def test_the_broken_twin_is_refused() -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        read("packet_copy_broken.bin")


@pytest.mark.parametrize(
    "message",
    [
        Message(PACKET + 1, 0, 0, FAMILY + MARK + attribute(9, b"packet")),
        Message(PACKET, 0, 0, FAMILY + MARK),
        Message(PACKET, 0, 0, FAMILY + attribute(9, b"packet")),
        Message(PACKET, 0, 0, FAMILY + attribute(2, b"\0\0\1") + attribute(9, b"packet")),
        Message(PACKET, 0, 0, FAMILY),
        Message(PACKET, 0, 0, b""),
    ],
)
def test_what_lacks_mark_or_packet_is_no_copy(message: Message) -> None:
    assert read_copy(message) is None


@given(st.binary(max_size=60))
def test_any_octets_are_a_copy_nothing_or_refused(payload: bytes) -> None:
    try:
        copy = read_copy(Message(PACKET, 0, 0, payload))
    except NetlinkError:
        return
    assert copy is None or copy.data in payload
