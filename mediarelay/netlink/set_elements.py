"""Elements of nf_tables sets and maps: add, delete, get, and their counters (linux/netfilter/nf_tables.h).

Changes travel as a batch, which the kernel carries out whole or not at all. A map's counters come with its elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from mediarelay.netlink.messages import ACK, CREATE, DUMP, REQUEST, Message, NetlinkError, attribute, attributes, each_attribute, nested

__all__ = ["MAX_ASKED", "MAX_ELEMENTS", "Element", "SetChange", "dump", "get", "read_elements", "write_batch"]

MAX_ELEMENTS = 500
"""Elements in one message: more would outgrow the 16 bits of an attribute's length."""
MAX_ASKED = 100
"""Elements in one question: each is answered by a message of its own, and all of them have to fit the socket's buffer."""

_SUBSYSTEM = 10
_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = (_SUBSYSTEM << 8 | number for number in (12, 13, 14))
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_FAMILY_NONE, _FAMILY_IPV4 = 0, 2
# Attributes of a message, of an element, of a value, of an expression, of a counter.
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ELEMENT = 1
_KEY, _DATA, _EXPRESSION = 1, 2, 7
_VALUE = 1
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_COUNTER_OCTETS, _COUNTER_PACKETS = 1, 2

_FAMILY_HEADER = Struct("!BBH")
_COUNT = Struct("!Q")


@dataclass(frozen=True, slots=True)
class Element:
    """One element as the kernel lists it; the counts are 0 where its set has no counter."""

    key: bytes
    data: bytes
    packets: int
    octets: int
    """Octets of the packets with their IP headers."""


@dataclass(frozen=True, slots=True)
class SetChange:
    """What to add to one set of a table and what to delete from it; a value is empty where the set is no map."""

    name: str
    add: Sequence[tuple[bytes, bytes]] = ()
    delete: Sequence[bytes] = ()


def write_batch(table: str, changes: Iterable[SetChange], sequence: int) -> bytes:
    """Return one datagram that carries out all changes or none; deletions of a set come before its additions.

    Each message wants an answer: an error with its errno, or 0.
    """
    messages = [Message(_BATCH_BEGIN, REQUEST, sequence, _FAMILY_HEADER.pack(_FAMILY_NONE, 0, _SUBSYSTEM))]
    for change in changes:
        deleted = [nested(_ELEMENT, _key(key)) for key in change.delete]
        added = [nested(_ELEMENT, _key(key), nested(_DATA, attribute(_VALUE, data))) for key, data in change.add]
        messages += _messages(_DELETE_ELEMENT, REQUEST | ACK, table, change.name, deleted, sequence)
        messages += _messages(_NEW_ELEMENT, REQUEST | ACK | CREATE, table, change.name, added, sequence)
    messages.append(Message(_BATCH_END, REQUEST, sequence, _FAMILY_HEADER.pack(_FAMILY_NONE, 0, _SUBSYSTEM)))
    return b"".join(map(bytes, messages))


def get(table: str, name: str, keys: Sequence[bytes], sequence: int) -> bytes:
    """Return the question for up to `MAX_ASKED` elements; those that are not there are answered by an error."""
    elements = [nested(_ELEMENT, _key(key)) for key in keys[:MAX_ASKED]]
    return b"".join(map(bytes, _messages(_GET_ELEMENT, REQUEST | ACK, table, name, elements, sequence)))


def dump(table: str, name: str, sequence: int) -> bytes:
    """Return the question for all elements of a set."""
    return bytes(_message(_GET_ELEMENT, REQUEST | DUMP, table, name, b"", sequence))


def read_elements(message: Message) -> Iterator[Element]:
    """Yield the elements in an answer, none where it is no list of elements; raises NetlinkError."""
    if message.kind != _NEW_ELEMENT:
        return
    for kind, element in each_attribute(attributes(message.payload, _FAMILY_HEADER.size).get(_ELEMENTS, b"")):
        if kind == _ELEMENT:
            yield _read_element(element)


def _message(kind: int, flags: int, table: str, name: str, elements: bytes, sequence: int) -> Message:
    family = _FAMILY_HEADER.pack(_FAMILY_IPV4, 0, 0)
    return Message(kind, flags, sequence, family + attribute(_TABLE, _text(table)) + attribute(_SET, _text(name)) + elements)


def _messages(kind: int, flags: int, table: str, name: str, elements: Sequence[bytes], sequence: int) -> list[Message]:
    parts = (elements[start : start + MAX_ELEMENTS] for start in range(0, len(elements), MAX_ELEMENTS))
    return [_message(kind, flags, table, name, nested(_ELEMENTS, *part), sequence) for part in parts]


def _key(key: bytes) -> bytes:
    return nested(_KEY, attribute(_VALUE, key))


def _text(name: str) -> bytes:
    return name.encode("ascii") + b"\0"


def _read_element(raw: bytes) -> Element:
    fields = attributes(raw)
    counter = attributes(attributes(fields.get(_EXPRESSION, b"")).get(_EXPRESSION_DATA, b""))
    return Element(
        key=attributes(fields.get(_KEY, b"")).get(_VALUE, b""),
        data=attributes(fields.get(_DATA, b"")).get(_VALUE, b""),
        packets=_read_count(counter.get(_COUNTER_PACKETS)),
        octets=_read_count(counter.get(_COUNTER_OCTETS)),
    )


def _read_count(raw: bytes | None) -> int:
    if raw is None:
        return 0
    if len(raw) != _COUNT.size:
        raise NetlinkError("A counter is not of eight octets.")
    return int(_COUNT.unpack(raw)[0])
