"""Rules of nf_tables as the kernel's own expressions, for what nft's language cannot say (linux/netfilter/nf_tables.h).

A rule is a row of expressions that load from the packet into registers, compare, look up and write back. nft reads one
value from a map at a time; the kernel can put a row of them into registers by one search, and write neighbouring fields
at once. A register here is one of sixteen words.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from mediarelay.kernel.messages import ACK, APPEND, CREATE, REQUEST, Message, attribute, nested
from mediarelay.kernel.set_elements import Table, table_message, text

Expressions = tuple[bytes, ...]
"""A rule, or a part of one."""

_NEW_RULE = 6
_CHAIN, _EXPRESSIONS = 2, 4
_LIST_ELEMENT = 1
_NAME, _FIELDS = 1, 2
_FIRST_WORD = 8
"""The kernel's number of the first word; those below name rows of four."""
_INTERNET_CHECKSUM = 1
_PSEUDO_HEADER = 1
"""Says that UDP's checksum, too, covers what is written: it covers the addresses of the IPv4 header."""
_ADDRESSES_AT = 12
_NOT_EQUAL = 1
_RANDOM = 1
_IPV4 = 2


class Header(IntEnum):
    """Where offsets in a packet count from."""

    NETWORK = 1
    TRANSPORT = 2


def new_rule(table: Table, chain: str, rule: Expressions, sequence: int) -> Message:
    """Return the request to append a rule to a chain."""
    fields = attribute(_CHAIN, text(chain)) + nested(_EXPRESSIONS, *rule)
    return table_message(_NEW_RULE, REQUEST | ACK | CREATE | APPEND, table, fields, sequence)


def load(register: int, header: Header, offset: int, octets: int) -> bytes:
    """Return an expression that loads octets of the packet into registers; the rule does not match if the packet is shorter."""
    return _expression("payload", _register(1, register), _word(2, header), _word(3, offset), _word(4, octets))


def store(register: int, header: Header, offset: int, octets: int) -> bytes:
    """Return an expression that writes fields of the IPv4 header or UDP ports from registers and corrects the checksums.

    As checksums are made of words of two octets, offset and number of octets must be even.
    """
    checksum = 10 if header is Header.NETWORK else 6
    flags = _PSEUDO_HEADER if header is Header.NETWORK and offset >= _ADDRESSES_AT else 0
    place = _word(2, header), _word(3, offset), _word(4, octets), _register(5, register)
    return _expression("payload", *place, _word(6, _INTERNET_CHECKSUM), _word(7, checksum), _word(8, flags))


def combine(register: int, mask: bytes, bits: bytes) -> bytes:
    """Return an expression that keeps the bits of a mask in registers and sets these others."""
    values = nested(4, attribute(1, mask)), nested(5, attribute(1, bits))
    return _expression("bitwise", _register(1, register), _register(2, register), _word(3, len(mask)), *values)


def look_up(name: str, key: int, value: int) -> bytes:
    """Return an expression that looks up the registers from `key` on and loads the value from `value` on; no element is no match."""
    return _expression("lookup", attribute(1, text(name)), _register(2, key), _register(3, value))


def all_but_one_in(number: int, register: int) -> Expressions:
    """Return expressions that match, at random, all packets but one in this many; needs a register for itself."""
    drawn = _expression("numgen", _register(1, register), _word(2, number), _word(3, _RANDOM), _word(4, 0))
    return drawn, _expression("cmp", _register(1, register), _word(2, _NOT_EQUAL), nested(3, attribute(1, bytes(4))))


def log(group: int, octets: int) -> bytes:
    """Return an expression that copies the packet's first octets to a group's reader."""
    return _expression("log", attribute(1, struct.pack("!H", group)), _word(3, octets))


def forward(device: int, gateway: int) -> bytes:
    """Return an expression that sends the packet out; registers hold the device's index and the IPv4 neighbour there."""
    return _expression("fwd", _register(1, device), _register(2, gateway), _word(3, _IPV4))


def _expression(name: str, *fields: bytes) -> bytes:
    return nested(_LIST_ELEMENT, attribute(_NAME, text(name)), nested(_FIELDS, *fields))


def _word(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value))


def _register(kind: int, register: int) -> bytes:
    return _word(kind, _FIRST_WORD + register)
