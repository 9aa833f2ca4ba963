"""Which packet marks the routing rules of this machine look at (linux/rtnetlink.h, fib_rules.h)."""

from __future__ import annotations

from struct import Struct

from mediarelay.netlink.messages import DUMP, REQUEST, Message, attributes

__all__ = ["ask_rules", "read_mark"]

_NEW_RULE, _GET_RULE = 32, 34
_FAMILY_IPV4 = 2
_MARK, _MASK = 10, 16
_RULE_HEADER_OCTETS = 12
_WORD = Struct("=I")


def ask_rules(sequence: int) -> bytes:
    """Return the question for all IPv4 rules."""
    return bytes(Message(_GET_RULE, REQUEST | DUMP, sequence, bytes((_FAMILY_IPV4,)).ljust(_RULE_HEADER_OCTETS, b"\0")))


def read_mark(message: Message) -> tuple[int, int] | None:
    """Return mark and mask of a rule, None where it looks at no mark; raises NetlinkError."""
    if message.kind != _NEW_RULE:
        return None
    fields = attributes(message.payload, _RULE_HEADER_OCTETS)
    if _MARK not in fields:
        return None
    return _word(fields[_MARK]), _word(fields.get(_MASK, b"\xff\xff\xff\xff"))


def _word(raw: bytes) -> int:
    return int(_WORD.unpack(raw[:4].ljust(4, b"\0"))[0])
