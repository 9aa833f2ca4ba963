"""What the routing rules of this machine look at (linux/rtnetlink.h, fib_rules.h)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from mediarelay.kernel.messages import DUMP, REQUEST, Message, attributes, word

_NEW_RULE, _GET_RULE = 32, 34
_FAMILY_IPV4 = 2
_PRIORITY, _MARK, _TABLE, _MASK, _PROTOCOL = 6, 10, 15, 16, 21
_SUPPRESSED_GROUP, _SUPPRESSED_PREFIX = 13, 14
_NOTHING = b"\xff\xff\xff\xff"
_TO_TABLE = 1
_SYSTEM_TABLES = frozenset({253, 254, 255})
_RULE_HEADER = Struct("=8BI")
_EVERY_PACKET = frozenset({_PRIORITY, _TABLE, _PROTOCOL, _SUPPRESSED_GROUP, _SUPPRESSED_PREFIX})


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One routing rule."""

    mark: tuple[int, int] | None
    """The mark and mask that it looks at, if any."""
    is_default: bool
    """Whether it sends each packet to one of the three standard tables, as the rules that every machine has do."""


def ask_rules(sequence: int) -> bytes:
    """Return the request for all IPv4 rules."""
    return bytes(Message(_GET_RULE, REQUEST | DUMP, sequence, bytes((_FAMILY_IPV4,)).ljust(_RULE_HEADER.size, b"\0")))


def read_rule(message: Message) -> RoutingRule | None:
    """Return the rule in an answer, or None if it holds none; raises NetlinkError."""
    if message.kind != _NEW_RULE or len(message.payload) < _RULE_HEADER.size:
        return None
    _, to_bits, from_bits, tos, table, _, _, action, flags = _RULE_HEADER.unpack_from(message.payload)
    fields = attributes(message.payload, _RULE_HEADER.size)
    suppresses = any(fields.get(kind, _NOTHING) != _NOTHING for kind in (_SUPPRESSED_GROUP, _SUPPRESSED_PREFIX))
    selects = to_bits or from_bits or tos or flags or suppresses or fields.keys() - _EVERY_PACKET
    mark = (word(fields[_MARK]), word(fields.get(_MASK, _NOTHING))) if _MARK in fields else None
    return RoutingRule(mark, is_default=not selects and action == _TO_TABLE and table in _SYSTEM_TABLES)
