"""Elements of nf_tables sets and maps: add, delete, get, and their counters (linux/netfilter/nf_tables.h).

Changes travel as a batch, which the kernel carries out whole or not at all. A map's counters come with its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import pairwise
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple, TypeVar

from mediarelay.kernel.messages import (
    ACK,
    CREATE,
    DUMP,
    ECHO,
    REQUEST,
    Message,
    NetlinkError,
    attribute,
    attributes,
    each_attribute,
    each_span,
    nested,
)

MAX_ELEMENTS = 500
"""Elements in one message: more would outgrow the 16 bits of an attribute's length."""
MAX_ASKED = 100
"""Elements that are answered one by one: all answers have to fit the socket's buffer."""

_SUBSYSTEM = 10
_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = 12, 13, 14
_LISTS = frozenset(_SUBSYSTEM << 8 | kind for kind in (_NEW_ELEMENT, _DELETE_ELEMENT))
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_FAMILY_NONE = 0
# Attributes of a message, of an element, of a value, of an expression, of a counter.
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ELEMENT = 1
_KEY, _DATA, _EXPRESSION = 1, 2, 7
_VALUE = 1
_EXPRESSION_DATA = 2
_COUNTER_OCTETS, _COUNTER_PACKETS = 1, 2

_FAMILY_HEADER = Struct("!BBH")
_COUNT_OCTETS = 8
_T = TypeVar("_T")


class Family(IntEnum):
    """The address families whose tables we use."""

    IPV4 = 2
    NETDEV = 5
    """At a device, before anything else."""


class Table(NamedTuple):
    """A table of nf_tables."""

    family: Family
    name: str


class Element(NamedTuple):
    """One element as the kernel lists it; the counts are 0 if its set has no counter."""

    key: bytes
    data: bytes
    packets: int
    octets: int
    """Octets of the packets with their IP headers."""


@dataclass(frozen=True, slots=True)
class SetChange:
    """What to add to one set of a table and what to delete from it; a value is empty if the set is no map."""

    name: str
    add: Sequence[tuple[bytes, bytes]] = ()
    delete: Sequence[bytes] = ()


def write_batch(table: Table, changes: Iterable[SetChange], sequence: int, *, echo: bool = False) -> bytes:
    """Return one datagram that carries out all changes or none; deletions of a set come before its additions.

    Each message asks for an answer: an error with its errno, or 0. With `echo` each deleted element is answered, too, with
    its final state, and so with its last counts; `read_elements` yields it.
    """
    deletion = REQUEST | ACK | (ECHO if echo else 0)
    messages: list[Message] = []
    for change in changes:
        deleted = [nested(_ELEMENT, _key(key)) for key in change.delete]
        added = [nested(_ELEMENT, _key(key), nested(_DATA, attribute(_VALUE, data))) for key, data in change.add]
        messages += _messages(_DELETE_ELEMENT, deletion, table, change.name, deleted, sequence)
        messages += _messages(_NEW_ELEMENT, REQUEST | ACK | CREATE, table, change.name, added, sequence)
    return batch(messages, sequence)


def batch(messages: Iterable[Message], sequence: int) -> bytes:
    """Return one datagram of changes to nf_tables: all are carried out, or none."""
    frame = _FAMILY_HEADER.pack(_FAMILY_NONE, 0, _SUBSYSTEM)
    ends = Message(_BATCH_BEGIN, REQUEST, sequence, frame), Message(_BATCH_END, REQUEST, sequence, frame)
    return b"".join(map(bytes, (ends[0], *messages, ends[1])))


def table_message(kind: int, flags: int, table: Table, fields: bytes, sequence: int) -> Message:
    """Return a message about something in a table; `kind` is nf_tables' own number."""
    header = _FAMILY_HEADER.pack(table.family, 0, 0)
    return Message(_SUBSYSTEM << 8 | kind, flags, sequence, header + attribute(_TABLE, text(table.name)) + fields)


def text(name: str) -> bytes:
    """Return a name as nf_tables reads it."""
    return name.encode("ascii") + b"\0"


def in_parts(items: Sequence[_T], size: int = MAX_ELEMENTS) -> Iterator[Sequence[_T]]:
    """Yield the items in parts that fit one message."""
    return (items[start : start + size] for start in range(0, len(items), size))


def get(table: Table, name: str, keys: Sequence[bytes], sequence: int) -> bytes:
    """Return the request for up to `MAX_ASKED` elements; those that do not exist are answered by an error."""
    elements = [nested(_ELEMENT, _key(key)) for key in keys[:MAX_ASKED]]
    return b"".join(map(bytes, _messages(_GET_ELEMENT, REQUEST | ACK, table, name, elements, sequence)))


def dump(table: Table, name: str, sequence: int) -> bytes:
    """Return the request for all elements of a set."""
    return bytes(_message(_GET_ELEMENT, REQUEST | DUMP, table, name, b"", sequence))


def read_elements(messages: Iterable[Message]) -> Iterator[Element]:
    """Yield the elements in answers; messages that list no elements are skipped. Raises NetlinkError."""
    layout: _Layout | None = None
    for listed in filter(None, map(_listed, messages)):
        found = layout.read(listed) if layout is not None else None
        if found is None:
            layout, found = _read_apart(listed)
        yield from found


def _read_apart(listed: bytes) -> tuple[_Layout | None, list[Element]]:
    """Return the elements of a list that has no known or no uniform layout, and the layout that the next list may have."""
    layout: _Layout | None = None
    found: list[Element] = []
    for raw in (attribute(_ELEMENT, value) for kind, value in each_attribute(listed) if kind == _ELEMENT):
        one = layout.read(raw) if layout is not None else None
        if one is None:
            layout = _Layout(raw)
            one = layout.read(raw)
        found += one or []
    return layout, found


def _listed(message: Message) -> bytes:
    """Return the list of elements in a message."""
    return attributes(message.payload, _FAMILY_HEADER.size).get(_ELEMENTS, b"") if message.kind in _LISTS else b""


def _message(kind: int, flags: int, table: Table, name: str, elements: bytes, sequence: int) -> Message:
    return table_message(kind, flags, table, attribute(_SET, text(name)) + elements, sequence)


def _messages(kind: int, flags: int, table: Table, name: str, elements: Sequence[bytes], sequence: int) -> list[Message]:
    return [_message(kind, flags, table, name, nested(_ELEMENTS, *part), sequence) for part in in_parts(elements)]


def _key(key: bytes) -> bytes:
    return nested(_KEY, attribute(_VALUE, key))


_COUNTER = (_EXPRESSION, _EXPRESSION_DATA)
_VALUES = ((_KEY, _VALUE), (_DATA, _VALUE), (*_COUNTER, _COUNTER_PACKETS), (*_COUNTER, _COUNTER_OCTETS))
"""The paths to an element's key, its data and its two counts."""


class _Layout:
    """The positions of the values in an element. The elements of a set differ in nothing else, and there are thousands of them."""

    def __init__(self, raw: bytes) -> None:
        spans = [_find(raw, (_ELEMENT, *path)) for path in _VALUES]
        if any(end - start not in (0, _COUNT_OCTETS) for start, end in spans[2:]):
            raise NetlinkError("A counter is not of eight octets.")
        pieces = list(pairwise(sorted({0, len(raw), *(mark for span in spans for mark in span)})))
        counts = {span for span in spans[2:] if span in pieces}
        self._split = Struct(">" + "".join("Q" if piece in counts else f"{piece[1] - piece[0]}s" for piece in pieces))
        # A missing value is read from the defaults appended to each row.
        self._whole = all(span in pieces for span in spans)
        self._values = itemgetter(*(pieces.index(span) if span in pieces else at for span, at in zip(spans, (-2, -2, -1, -1), strict=True)))
        self._frame = itemgetter(*(at for at, piece in enumerate(pieces) if piece not in spans))
        self._expected = {self._frame(self._split.unpack(raw))}

    def read(self, listed: bytes) -> list[Element] | None:
        """Return the elements of a list, or None if one of them has another layout."""
        if len(listed) % self._split.size:
            return None
        rows: list[tuple[Any, ...]] = list(self._split.iter_unpack(listed))
        if set(map(self._frame, rows)) != self._expected:
            return None
        if not self._whole:
            rows = [(*row, b"", 0) for row in rows]
        return list(map(_to_element, map(self._values, rows)))


_to_element: Callable[[tuple[Any, ...]], Element] = partial(tuple.__new__, Element)
"""The same as `Element._make`, without its checks."""


def _find(raw: bytes, path: Sequence[int]) -> tuple[int, int]:
    """Return begin and end of a nested attribute's value, an empty span if it is missing; raises NetlinkError."""
    start, end = 0, len(raw)
    for wanted in path:
        spans = {kind: (first, last) for kind, first, last in each_span(raw, start, end)}
        if wanted not in spans:
            return 0, 0
        start, end = spans[wanted]
    return start, end
