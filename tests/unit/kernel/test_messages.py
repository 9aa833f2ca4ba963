from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.kernel.messages import ACK, DONE, REQUEST, Message, NetlinkError, attribute, attributes, each_attribute, nested

ERROR = 2
KINDS = st.integers(0, 0x3FFF)
VALUES = st.binary(max_size=40)
MESSAGES = st.builds(
    Message, kind=st.integers(0, 0xFFFF), flags=st.integers(0, 0xFFFF), sequence=st.integers(0, 0xFFFFFFFF), payload=st.binary(max_size=40)
)


@given(st.lists(MESSAGES, max_size=5))
def test_messages_read_back(messages: list[Message]) -> None:
    assert list(Message.parse_all(b"".join(map(bytes, messages)))) == messages


@given(st.lists(st.tuples(KINDS, VALUES), max_size=6), st.binary(max_size=12).filter(lambda head: len(head) % 4 == 0))
def test_attributes_read_back_behind_a_head(items: list[tuple[int, bytes]], head: bytes) -> None:
    raw = head + b"".join(attribute(kind, value) for kind, value in items)
    assert list(each_attribute(raw, len(head))) == items
    assert attributes(raw, len(head)) == dict(items)


@given(KINDS, st.dictionaries(KINDS, VALUES, max_size=4))
def test_attributes_hold_attributes(kind: int, inner: dict[int, bytes]) -> None:
    ((found, value),) = each_attribute(nested(kind, *(attribute(key, held) for key, held in inner.items())))
    assert (found, attributes(value)) == (kind, inner)


@given(st.binary(max_size=120))
def test_any_octets_end_or_raise(data: bytes) -> None:
    for read in (Message.parse_all, each_attribute):
        found = list[object]()
        try:
            found.extend(read(data))
        except NetlinkError:
            pass
        assert len(found) <= len(data) // 4


@given(MESSAGES, st.data())
def test_a_message_cut_short_is_refused(message: Message, data: st.DataObject) -> None:
    size = 16 + len(message.payload)
    cut = data.draw(st.integers(16, size - 1)) if message.payload else 16
    if cut < size:
        with pytest.raises(NetlinkError, match="A netlink message is truncated"):
            list(Message.parse_all(bytes(message)[:cut]))


@pytest.mark.parametrize("length", [0, 1, 15, 21, 0xFFFFFFFF])
def test_a_message_length_that_lies_is_refused(length: int) -> None:
    with pytest.raises(NetlinkError, match="A netlink message is truncated"):
        list(Message.parse_all(pack("=IHHII", length, 1, 0, 0, 0) + b"four"))


@pytest.mark.parametrize("length", [0, 1, 3, 9, 0xFFFF])
def test_an_attribute_length_that_lies_is_refused(length: int) -> None:
    with pytest.raises(NetlinkError, match="A netlink attribute is truncated"):
        list(each_attribute(pack("=HH", length, 1) + b"four"))


def test_the_longest_attribute_and_one_octet_more() -> None:
    longest = bytes(0xFFFF - 4)
    assert attributes(attribute(1, longest)) == {1: longest}
    with pytest.raises(NetlinkError, match="A netlink attribute is too long"):
        attribute(1, longest + b"\0")


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        (ERROR, pack("=i", -17), 17),
        (ERROR, pack("=i", 0) + bytes(16), 0),
        (ERROR, b"\xff\xff\xff", None),
        (DONE, pack("=i", 0), None),
        (REQUEST | ACK, pack("=i", -17), None),
    ],
)
def test_only_an_answer_has_an_error(kind: int, payload: bytes, error: int | None) -> None:
    assert Message(kind, 0, 1, payload).error == error
