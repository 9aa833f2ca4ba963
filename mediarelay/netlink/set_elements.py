"""Elements of nf_tables sets and maps: add, delete, get, and their counters (linux/netfilter/nf_tables.h).

Changes travel as a batch, which the kernel carries out whole or not at all. A map's counters come with its elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple

from mediarelay.netlink.messages import (
    ACK,
    CREATE,
    DUMP,
    REQUEST,
    Message,
    NetlinkError,
    attribute,
    attributes,
    each_attribute,
    each_span,
    nested,
)

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
_EXPRESSION_DATA = 2
_COUNTER_OCTETS, _COUNTER_PACKETS = 1, 2

_FAMILY_HEADER = Struct("!BBH")
_COUNT_OCTETS = 8


class Element(NamedTuple):
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


def read_elements(messages: Iterable[Message]) -> Iterator[Element]:
    """Yield the elements in answers, none where one is no list of elements; raises NetlinkError."""
    layout: _Layout | None = None
    for message in messages:
        for raw in _raw_elements(message):
            element = layout.read(raw) if layout is not None else None
            if element is None:
                layout = _Layout(raw)
                element = layout.read(raw)
            if element is not None:
                yield element


def _raw_elements(message: Message) -> Iterator[bytes]:
    if message.kind == _NEW_ELEMENT:
        listed = attributes(message.payload, _FAMILY_HEADER.size).get(_ELEMENTS, b"")
        yield from (raw for kind, raw in each_attribute(listed) if kind == _ELEMENT)


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


_COUNTER = (_EXPRESSION, _EXPRESSION_DATA)
_VALUES = ((_KEY, _VALUE), (_DATA, _VALUE), (*_COUNTER, _COUNTER_PACKETS), (*_COUNTER, _COUNTER_OCTETS))
"""Where an element has its key, its data and its two counts."""


class _Layout:
    """Where the values lie in one element. Those of a set differ in nothing else, and there are thousands of them."""

    def __init__(self, raw: bytes) -> None:
        spans = [_find(raw, path) for path in _VALUES]
        if any(end - start not in (0, _COUNT_OCTETS) for start, end in spans[2:]):
            raise NetlinkError("A counter is not of eight octets.")
        pieces = list(pairwise(sorted({0, len(raw), *(mark for span in spans for mark in span)})))
        counts = {span for span in spans[2:] if span in pieces}
        self._split = Struct(">" + "".join("Q" if piece in counts else f"{piece[1] - piece[0]}s" for piece in pieces))
        # A value that is not there is read off what is put behind the pieces.
        self._values = itemgetter(*(pieces.index(span) if span in pieces else at for span, at in zip(spans, (-2, -2, -1, -1), strict=True)))
        self._frame = itemgetter(*(at for at, piece in enumerate(pieces) if piece not in spans), -2, -1)
        self._expected = self._frame(self._pieces(raw))

    def read(self, raw: bytes) -> Element | None:
        """Return the element in `raw`, None where it has another layout."""
        if len(raw) != self._split.size:
            return None
        pieces = self._pieces(raw)
        return Element(*self._values(pieces)) if self._frame(pieces) == self._expected else None

    def _pieces(self, raw: bytes) -> tuple[Any, ...]:
        return *self._split.unpack(raw), b"", 0


def _find(raw: bytes, path: Sequence[int]) -> tuple[int, int]:
    """Return begin and end of a nested attribute's value, an empty span where it is not there; raises NetlinkError."""
    start, end = 0, len(raw)
    for wanted in path:
        spans = {kind: (first, last) for kind, first, last in each_span(raw, start, end)}
        if wanted not in spans:
            return 0, 0
        start, end = spans[wanted]
    return start, end
