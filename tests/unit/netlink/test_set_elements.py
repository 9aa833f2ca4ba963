import re
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.netlink.messages import Message, NetlinkError, attribute, attributes, each_attribute, nested
from mediarelay.netlink.set_elements import (
    MAX_ASKED,
    MAX_ELEMENTS,
    Element,
    SetChange,
    dump,
    get,
    read_elements,
    write_batch,
)

DATA = Path(__file__).parents[2] / "data" / "netlink"
BEGIN, END = 0x10, 0x11
NEW, GET, DELETE = 0x0A0C, 0x0A0D, 0x0A0E
FAMILY_OCTETS = 4
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


def answer(*elements: bytes) -> Message:
    """Return a kernel's list of elements, each given as its attributes."""
    return Message(NEW, 2, 1, bytes(FAMILY_OCTETS) + nested(3, *(nested(1, element) for element in elements)))


def counter(packets: bytes, octets: bytes) -> bytes:
    return nested(7, attribute(1, b"counter\0"), nested(2, attribute(1, octets), attribute(2, packets)))


def written(element: Element, *, counted: bool, flagged: bool) -> bytes:
    """Return an element as a kernel writes it: some have counters, some have attributes that say nothing to us."""
    parts = [nested(1, attribute(1, element.key)), nested(2, attribute(1, element.data))]
    parts += [attribute(3, b"\0\0\0\1")] * flagged
    parts += [counter(pack("!Q", element.packets), pack("!Q", element.octets))] * counted
    return b"".join(parts)


NUMBERS = st.integers(0, (1 << 64) - 1)
KEYS = st.sampled_from([4, 4, 4, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
PLAIN = st.builds(Element, KEYS, st.binary(min_size=2, max_size=4), st.just(0), st.just(0))
COUNTED = st.builds(Element, KEYS, st.binary(min_size=2, max_size=4), NUMBERS, NUMBERS)


def test_a_batch_deletes_before_it_adds() -> None:
    change = SetChange("m_in", add=[(b"\1\2\3\4", b"\5\6")], delete=[b"\7\7\7\7"])
    assert write_batch("relay", [change], 9) == from_hex("batch.hex")


def test_a_batch_without_changes_is_its_brackets() -> None:
    assert [message.kind for message in Message.parse_all(write_batch("relay", [], 1))] == [BEGIN, END]


def test_many_elements_go_in_several_messages_of_one_batch() -> None:
    wanted = keys(2 * MAX_ELEMENTS + 1)
    change = SetChange("m", add=[(key, HOME) for key in wanted], delete=wanted)
    begin, *messages, end = Message.parse_all(write_batch("relay", [change], 5))
    assert (begin.kind, end.kind) == (BEGIN, END)
    assert [message.kind for message in messages] == [DELETE] * 3 + [NEW] * 3
    assert [len(elements_in(message)) for message in messages] == [MAX_ELEMENTS, MAX_ELEMENTS, 1] * 2
    for half in (messages[:3], messages[3:]):
        assert [attributes(element[1])[1] for message in half for element in elements_in(message)] == wanted
    assert {message.sequence for message in (begin, *messages, end)} == {5}


def test_the_longest_keys_fit_one_message() -> None:
    change = SetChange("m_flow", add=[(key * 4, HOME) for key in keys(MAX_ELEMENTS)])
    assert len(list(Message.parse_all(write_batch("relay", [change], 1)))) == 3


def test_a_question_names_so_many_keys_as_the_answers_have_room_for() -> None:
    (message,) = Message.parse_all(get("relay", "m", keys(MAX_ASKED + 1), 2))
    assert (message.kind, len(elements_in(message))) == (GET, MAX_ASKED)
    assert get("relay", "m", [], 2) == b""


def test_a_dump_names_no_keys() -> None:
    (message,) = Message.parse_all(dump("relay", "m", 3))
    assert (message.kind, message.flags) == (GET, 0x301)
    assert attributes(message.payload, FAMILY_OCTETS) == {1: b"relay\0", 2: b"m\0"}


def test_what_a_kernel_has_answered() -> None:
    first, second = pack("=I", 0x51000001), pack("=I", 0x51000002)
    assert set(found_in("elements.bin")) == {Element(first, HOME, 0, 0), Element(second, HOME, 0, 0)}
    assert set(found_in("elements_counted.bin")) == {Element(first, HOME, 186, 186 * 200), Element(second, HOME, 1, 200)}


def test_the_broken_twin_is_refused() -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        list(found_in("elements_broken.bin"))


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


def test_other_messages_hold_no_elements() -> None:
    assert list(read_elements([Message(DELETE, 0, 1, b"\xff" * 20)])) == []


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_any_octets_are_elements_or_refused(parts: list[bytes]) -> None:
    for payloads in (parts, [bytes(FAMILY_OCTETS) + nested(3, data) for data in parts], [answer(data).payload for data in parts]):
        try:
            found = list(read_elements(Message(NEW, 0, 1, payload) for payload in payloads))
        except NetlinkError:
            continue
        assert len(found) <= sum(map(len, payloads))
