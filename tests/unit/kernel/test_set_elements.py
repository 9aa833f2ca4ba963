import re
from itertools import chain
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.kernel.messages import Message, NetlinkError, attribute, attributes, each_attribute, nested
from mediarelay.kernel.set_elements import (
    MAX_ASKED,
    MAX_ELEMENTS,
    Element,
    Family,
    SetChange,
    Table,
    batch,
    dump,
    get,
    in_parts,
    read_elements,
    table_message,
    text,
    write_batch,
)

DATA = Path(__file__).parents[2] / "data" / "netlink"
BEGIN, END = 0x10, 0x11
NEW, GET, DELETE = 0x0A0C, 0x0A0D, 0x0A0E
ADDED, ASKED = 0x405, 0x005
FAMILY_OCTETS = 4
RELAY = Table(Family.IPV4, "relay")
HOME = b"\x7f\0\0\1"


def from_hex(name: str) -> bytes:
    """Return the octets of a file of hexadecimal digits with comments."""
    return bytes.fromhex(re.sub(r"#.*", "", (DATA / name).read_text(encoding="ascii")))


def keys(count: int) -> list[bytes]:
    return [pack("=I", number) for number in range(count)]


def elements_in(message: Message) -> list[dict[int, bytes]]:
    """Return the attributes of each element that a message of ours names."""
    listed = attributes(message.payload, FAMILY_OCTETS)[3]
    return [attributes(element) for _, element in each_attribute(listed)]


def found_in(name: str) -> list[Element]:
    return list(read_elements(Message.parse_all((DATA / name).read_bytes())))


def answer(*elements: bytes, kind: int = NEW) -> Message:
    """Return a list of elements as a kernel sends it, each given by its attributes: without the flag for nested ones, as kernels do."""
    return Message(kind, 2, 1, bytes(FAMILY_OCTETS) + attribute(3, b"".join(attribute(1, element) for element in elements)))


def counter(packets: bytes, octets: bytes) -> bytes:
    return nested(7, attribute(1, b"counter\0"), nested(2, attribute(1, octets), attribute(2, packets)))


def written(element: Element, *, counted: bool, flagged: bool) -> bytes:
    """Return an element as a kernel writes it: some have counters, some have attributes that we do not read."""
    parts = [nested(1, attribute(1, element.key)), nested(2, attribute(1, element.data))]
    parts += [attribute(3, b"\0\0\0\1")] * flagged
    parts += [counter(pack("!Q", element.packets), pack("!Q", element.octets))] * counted
    return b"".join(parts)


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def alike(shape: tuple[int, int, bool, bool]) -> st.SearchStrategy[list[tuple[Element, bytes]]]:
    """Return some elements of one layout, each with its encoding by a kernel."""
    key, data, counted, flagged = shape
    counts = NUMBERS if counted else st.just(0)
    elements = st.builds(Element, octets(key), octets(data), counts, counts)
    return st.lists(elements.map(lambda element: (element, written(element, counted=counted, flagged=flagged))), min_size=1, max_size=4)


NUMBERS = st.integers(0, (1 << 64) - 1)
KEYS = st.sampled_from([4, 4, 4, 16]).flatmap(octets)
PLAIN = st.builds(Element, KEYS, st.binary(min_size=2, max_size=4), st.just(0), st.just(0))
COUNTED = st.builds(Element, KEYS, st.binary(min_size=2, max_size=4), NUMBERS, NUMBERS)
RUNS = st.tuples(st.sampled_from([4, 12]), st.sampled_from([2, 4, 20]), st.booleans(), st.booleans()).flatmap(alike)
LISTS = st.lists(RUNS, max_size=3).map(lambda runs: list(chain.from_iterable(runs)))


def test_a_batch_deletes_before_it_adds() -> None:
    change = SetChange("m_in", add=[(b"\1\2\3\4", b"\5\6")], delete=[b"\7\7\7\7"])
    assert write_batch(RELAY, [change], 9, echo=True) == from_hex("batch.hex")


def test_an_empty_batch_is_its_begin_and_end() -> None:
    assert [message.kind for message in Message.parse_all(write_batch(RELAY, [], 1))] == [BEGIN, END]


@pytest.mark.parametrize(("echo", "deleted"), [(False, 0x005), (True, 0x00D)])
def test_many_elements_go_in_several_messages_of_one_batch(echo: bool, deleted: int) -> None:
    wanted = keys(2 * MAX_ELEMENTS + 1)
    change = SetChange("m", add=[(key, HOME) for key in wanted], delete=wanted)
    begin, *messages, end = Message.parse_all(write_batch(RELAY, [change], 5, echo=echo))
    assert (begin.kind, end.kind) == (BEGIN, END)
    assert [(message.kind, message.flags) for message in messages] == [(DELETE, deleted)] * 3 + [(NEW, ADDED)] * 3
    assert [len(elements_in(message)) for message in messages] == [MAX_ELEMENTS, MAX_ELEMENTS, 1] * 2
    for half in (messages[:3], messages[3:]):
        assert [attributes(element[1])[1] for message in half for element in elements_in(message)] == wanted
    assert {message.sequence for message in (begin, *messages, end)} == {5}


def test_the_longest_keys_fit_one_message() -> None:
    change = SetChange("m_flow", add=[(key * 4, HOME) for key in keys(MAX_ELEMENTS)])
    assert len(list(Message.parse_all(write_batch(RELAY, [change], 1)))) == 3


def test_a_request_names_only_as_many_keys_as_the_answers_have_room_for() -> None:
    (message,) = Message.parse_all(get(RELAY, "m", keys(MAX_ASKED + 1), 2))
    assert (message.kind, message.flags, len(elements_in(message))) == (GET, ASKED, MAX_ASKED)
    assert get(RELAY, "m", [], 2) == b""


def test_a_dump_names_no_keys() -> None:
    (message,) = Message.parse_all(dump(RELAY, "m", 3))
    assert (message.kind, message.flags) == (GET, 0x301)
    assert attributes(message.payload, FAMILY_OCTETS) == {1: b"relay\0", 2: b"m\0"}


def test_each_message_names_the_family_of_its_table() -> None:
    for family, octet in ((Family.IPV4, 2), (Family.NETDEV, 5)):
        table = Table(family, "relay")
        (changed,) = list(Message.parse_all(write_batch(table, [SetChange("m", delete=keys(1))], 1)))[1:-1]
        for message in (changed, *Message.parse_all(get(table, "m", keys(1), 1) + dump(table, "m", 1))):
            assert message.payload[:FAMILY_OCTETS] == bytes((octet, 0, 0, 0))


def test_a_message_of_the_netdev_family() -> None:
    # NFT_MSG_NEWRULE, REQUEST | ACK; NFPROTO_NETDEV; the table's name, null-terminated and padded to a word; what follows.
    message = table_message(6, 5, Table(Family.NETDEV, "relay"), attribute(2, text("c")), 7)
    assert bytes(message) == bytes.fromhex(
        "28000000 060a 0500 07000000 00000000  05 00 0000  0a00 0100 72656c617900 0000  0600 0200 6300 0000"
    )


def test_a_batch_holds_its_messages_in_order() -> None:
    wishes = [table_message(kind, 1, RELAY, b"", 4) for kind in (6, 3)]
    begin, *held, end = Message.parse_all(batch(wishes, 4))
    assert held == wishes
    # No family, version 0, NFNL_SUBSYS_NFTABLES.
    assert (begin, end) == (Message(BEGIN, 1, 4, b"\0\0\0\x0a"), Message(END, 1, 4, b"\0\0\0\x0a"))


@pytest.mark.parametrize("count", [0, 1, MAX_ELEMENTS, MAX_ELEMENTS + 1, 2 * MAX_ELEMENTS])
def test_parts_fit_one_message(count: int) -> None:
    parts = list(in_parts(range(count)))
    assert list(chain.from_iterable(parts)) == list(range(count))
    assert all(len(part) == MAX_ELEMENTS for part in parts[:-1])
    assert all(0 < len(part) <= MAX_ELEMENTS for part in parts)


def test_parts_may_be_smaller() -> None:
    assert [list(part) for part in in_parts([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]


def test_an_answer_of_a_real_kernel() -> None:
    first, second = pack("=I", 0x51000001), pack("=I", 0x51000002)
    assert set(found_in("elements.bin")) == {Element(first, HOME, 0, 0), Element(second, HOME, 0, 0)}
    assert set(found_in("elements_counted.bin")) == {Element(first, HOME, 186, 186 * 200), Element(second, HOME, 1, 200)}


def test_the_echo_of_a_deletion_by_a_real_kernel() -> None:
    # Between a new generation and the answer itself: one message for each element, with its final state.
    first, second = b"\xc6\x33\x64\1", b"\xc6\x33\x64\3"
    assert found_in("elements_deleted.bin") == [Element(first, HOME, 7, 7 * 200), Element(second, HOME, 1, 200)]


@pytest.mark.parametrize("name", ["elements_broken.bin", "elements_deleted_broken.bin"])
def test_the_broken_twin_is_refused(name: str) -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        found_in(name)


def test_a_counter_of_another_width_is_refused() -> None:
    for packets, octets in ((4, 8), (8, 4), (8, 9)):
        with pytest.raises(NetlinkError, match="A counter is not of eight octets"):
            list(read_elements([answer(counter(bytes(packets), bytes(octets)))]))


def test_an_element_without_anything_is_empty() -> None:
    assert list(read_elements([answer(b"", nested(1, attribute(1, b"")))])) == [Element(b"", b"", 0, 0)] * 2


@given(st.lists(st.tuples(st.one_of(PLAIN, COUNTED), st.booleans()), max_size=8), st.integers(0, 8))
def test_elements_of_all_shapes_read_back_from_several_messages(items: list[tuple[Element, bool]], cut: int) -> None:
    raw = [written(element, counted=bool(element.packets or element.octets), flagged=flagged) for element, flagged in items]
    assert list(read_elements([answer(*raw[:cut]), answer(*raw[cut:])])) == [element for element, _ in items]


@given(st.lists(LISTS, max_size=4), st.sampled_from([NEW, DELETE]))
def test_layouts_that_change_within_a_list_and_between_lists_read_back(lists: list[list[tuple[Element, bytes]]], kind: int) -> None:
    messages = [answer(*(raw for _, raw in items), kind=kind) for items in lists]
    assert list(read_elements(messages)) == [element for items in lists for element, _ in items]


@given(RUNS, st.data())
def test_earlier_layouts_do_not_affect_later_reads(run: list[tuple[Element, bytes]], data: st.DataObject) -> None:
    good = answer(*(raw for _, raw in run))
    spoilt = bytearray(good.payload)
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= data.draw(st.integers(1, 255))
    bad = Message(NEW, 2, 1, bytes(spoilt))
    try:
        alone = list(read_elements([bad]))
    except NetlinkError:
        with pytest.raises(NetlinkError):
            list(read_elements([good, bad]))
    else:
        assert list(read_elements([good, bad])) == [element for element, _ in run] + alone


@pytest.mark.parametrize("kind", [GET, NEW - 1, DELETE + 1, 3])
def test_other_messages_hold_no_elements(kind: int) -> None:
    assert list(read_elements([Message(kind, 0, 1, b"\xff" * 20)])) == []


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_any_octets_are_elements_or_refused(parts: list[bytes]) -> None:
    for payloads in (parts, [bytes(FAMILY_OCTETS) + nested(3, data) for data in parts], [answer(data).payload for data in parts]):
        try:
            found = list(read_elements(Message(NEW, 0, 1, payload) for payload in payloads))
        except NetlinkError:
            continue
        assert len(found) <= sum(map(len, payloads))
