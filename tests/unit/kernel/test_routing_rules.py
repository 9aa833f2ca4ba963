from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.kernel.messages import Message, NetlinkError, attribute
from mediarelay.kernel.routing_rules import RoutingRule, ask_rules, read_rule

DATA = Path(__file__).parents[2] / "data" / "netlink"
NEW_RULE = 32
HEADER = 12
TO_TABLE, GOTO, BLACKHOLE, UNREACHABLE = 1, 2, 6, 7
LOCAL, MAIN, DEFAULT, COMPAT, OTHER = 255, 254, 253, 252, 100
PERMANENT, INVERT = 1, 2
NOTHING = b"\xff\xff\xff\xff"
USUAL = attribute(15, pack("=I", MAIN)) + attribute(14, NOTHING) + attribute(21, b"\2") + attribute(6, pack("=I", 32766))


def found_in(name: str) -> list[RoutingRule | None]:
    return [read_rule(message) for message in Message.parse_all((DATA / name).read_bytes())]


def rule(fields: bytes = USUAL, **head: int) -> RoutingRule | None:
    """Return what is read from a rule made by `ip rule`, with other numbers in its header."""
    names = ("to_bits", "from_bits", "tos", "table", "reserved", "reserved2", "action", "flags")
    numbers = {**dict.fromkeys(names, 0), "table": MAIN, "action": TO_TABLE, **head}
    return read_rule(Message(NEW_RULE, 0, 1, pack("=8BI", 2, *(numbers[name] for name in names)) + fields))


def test_the_question_is_a_dump_of_ipv4_rules() -> None:
    assert ask_rules(1) == bytes.fromhex("1c000000 2200 0103 01000000 00000000  02000000 00000000 00000000")


def test_an_answer_of_a_real_kernel() -> None:
    usual = RoutingRule(None, is_default=True)
    assert found_in("routing_rules.bin") == [usual, RoutingRule((0x51000000, 0xFF000000), is_default=False), usual, usual, None]


def test_the_broken_twin_is_refused() -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        found_in("routing_rules_broken.bin")


@pytest.mark.parametrize("table", [LOCAL, MAIN, DEFAULT])
def test_a_rule_that_sends_every_packet_to_a_table_of_the_system_is_a_default(table: int) -> None:
    assert rule(table=table) == rule(b"", table=table) == RoutingRule(None, is_default=True)


@pytest.mark.parametrize(
    "head",
    [
        {"to_bits": 16},
        {"from_bits": 16},
        {"tos": 0x10},
        {"table": OTHER},
        {"table": COMPAT},
        {"table": 0},
        {"action": GOTO},
        {"action": BLACKHOLE},
        {"action": UNREACHABLE},
        {"flags": INVERT},
        {"flags": PERMANENT},
    ],
)
def test_a_header_that_picks_packets_or_does_something_else_is_no_default(head: dict[str, int]) -> None:
    assert rule(USUAL, **head) == RoutingRule(None, is_default=False)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(attribute(2, b"\x0a\3\0\0"), id="source"),
        pytest.param(attribute(1, b"\x0a\3\0\0"), id="destination"),
        pytest.param(attribute(3, b"eth0\0"), id="iif"),
        pytest.param(attribute(17, b"eth0\0"), id="oif"),
        pytest.param(attribute(4, pack("=I", 32766)), id="goto"),
        pytest.param(attribute(11, pack("=I", 0x10002)), id="realms"),
        pytest.param(attribute(13, pack("=I", 5)), id="suppress_ifgroup"),
        pytest.param(attribute(14, pack("=I", 0)), id="suppress_prefixlength"),
        pytest.param(attribute(19, b"\1"), id="l3mdev"),
        pytest.param(attribute(20, pack("=II", 0, 5)), id="uidrange"),
        pytest.param(attribute(22, b"\x11"), id="ipproto"),
        pytest.param(attribute(24, pack("=HH", 5060, 5060)), id="dport"),
    ],
)
def test_a_field_that_picks_packets_is_no_default(field: bytes) -> None:
    assert rule(USUAL + field) == RoutingRule(None, is_default=False)


def test_a_rule_that_suppresses_nothing_is_a_default() -> None:
    assert rule(USUAL + attribute(13, NOTHING) + attribute(14, NOTHING)) == RoutingRule(None, is_default=True)


@pytest.mark.parametrize(
    ("fields", "mark"),
    [
        (attribute(10, pack("=I", 5)), (5, 0xFFFFFFFF)),
        (attribute(10, pack("=I", 5)) + attribute(16, pack("=I", 0xFF)), (5, 0xFF)),
        (attribute(10, pack("=I", 0)), (0, 0xFFFFFFFF)),
        (attribute(10, b"\5"), (5, 0xFFFFFFFF)),
        (attribute(16, pack("=I", 0xFF)), None),
    ],
)
def test_a_rule_without_a_mask_means_all_bits(fields: bytes, mark: tuple[int, int] | None) -> None:
    assert rule(USUAL + fields) == RoutingRule(mark, is_default=False)


@pytest.mark.parametrize("message", [Message(NEW_RULE + 1, 0, 1, bytes(HEADER)), Message(NEW_RULE, 0, 1, bytes(HEADER - 1))])
def test_other_messages_are_no_rules(message: Message) -> None:
    assert read_rule(message) is None


@given(st.binary(max_size=60))
def test_any_octets_are_a_rule_or_refused(payload: bytes) -> None:
    try:
        found = read_rule(Message(NEW_RULE, 0, 1, payload))
    except NetlinkError:
        return
    assert (found is None) == (len(payload) < HEADER)
