from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.netlink.messages import Message, NetlinkError, attribute
from mediarelay.netlink.routing_rules import ask_rules, read_mark

DATA = Path(__file__).parents[2] / "data" / "netlink"
NEW_RULE = 32
HEADER = bytes((2,)) + bytes(11)


def test_the_question_is_a_dump_of_ipv4_rules() -> None:
    assert ask_rules(1) == bytes.fromhex("1c000000 2200 0103 01000000 00000000  02000000 00000000 00000000")


def test_what_a_kernel_has_answered() -> None:
    found = [read_mark(message) for message in Message.parse_all((DATA / "routing_rules.bin").read_bytes())]
    assert found == [None, (0x51000000, 0xFF000000), None, None, None]


def test_the_broken_twin_is_refused() -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        [read_mark(message) for message in Message.parse_all((DATA / "routing_rules_broken.bin").read_bytes())]


@pytest.mark.parametrize(
    ("fields", "mark"),
    [
        (attribute(10, pack("=I", 5)), (5, 0xFFFFFFFF)),
        (attribute(10, b"\5"), (5, 0xFFFFFFFF)),
        (attribute(16, pack("=I", 0xFF)), None),
        (b"", None),
    ],
)
def test_a_rule_without_a_mask_means_all_bits(fields: bytes, mark: tuple[int, int] | None) -> None:
    assert read_mark(Message(NEW_RULE, 0, 1, HEADER + fields)) == mark


@given(st.binary(max_size=60))
def test_any_octets_are_a_rule_or_refused(payload: bytes) -> None:
    try:
        found = read_mark(Message(NEW_RULE, 0, 1, payload))
    except NetlinkError:
        return
    assert found is None or len(payload) > len(HEADER)
