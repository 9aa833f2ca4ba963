"""Keys in a session description: the attribute `a=crypto` (RFC 4568), and which of the offered ones we take.

Each end names the key by which it encrypts what it sends. A line that we cannot honour in full is left alone, not half followed:
several keys with indexes, packets without encryption or authentication, parameters that nobody here knows.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

MAX_TAG = 999_999_999
MAX_LINES = 16
"""Lines of one stream that are looked at; telephones send two to eight."""
_LINE = re.compile(r"(\d{1,9})\s+(\S+)\s+(\S+)((?:\s+\S+)*)\s*", re.ASCII)
_KEY = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})(?:\|(?:2\^\d{1,2}|\d{1,15}))?", re.ASCII)
"""A key, and how many packets it may serve; a key with an index (MKI) is another form."""
_HARMLESS = re.compile(r"WSH=\d{1,3}|-\S+", re.ASCII)
"""Session parameters that change nothing for us: the window of replays, and what may be ignored."""


class Suite(Enum):
    """The crypto suites that we know, in our order of preference; the value is the name."""

    AES_256_GCM = "AEAD_AES_256_GCM"
    AES_128_GCM = "AEAD_AES_128_GCM"
    AES_CM_128_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_32 = "AES_CM_128_HMAC_SHA1_32"

    @property
    def octets(self) -> int:
        """The octets of key and salt (RFC 4568 section 6.2, RFC 7714 section 14.2)."""
        return _OCTETS[self]


_OCTETS = {Suite.AES_256_GCM: 32 + 12, Suite.AES_128_GCM: 16 + 12, Suite.AES_CM_128_80: 16 + 14, Suite.AES_CM_128_32: 16 + 14}
MAX_KEY_OCTETS = max(_OCTETS.values())


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto` line: how its sender encrypts."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)
    """The master key and, behind it, the salt."""

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read what stands behind `a=crypto:`; raises ValueError with a sentence for what we cannot honour."""
        match = _LINE.fullmatch(value)
        if match is None:
            raise ValueError("It is no crypto attribute.")
        tag, name, key, parameters = match.groups()
        try:
            suite = Suite(name.upper())
        except ValueError:
            raise ValueError(f"The suite {name[:40]} is not known.") from None
        unknown = next((word for word in parameters.split() if not _HARMLESS.fullmatch(word)), None)
        if unknown is not None:
            raise ValueError(f"The parameter {unknown[:40]} is not supported.")
        return cls(int(tag), suite, _read_key(key, suite))

    def __bytes__(self) -> bytes:
        return b"%d %b inline:%b" % (self.tag, self.suite.value.encode(), base64.b64encode(self.key))


@dataclass(frozen=True, slots=True)
class Keys:
    """What encrypts a call's audio in both directions."""

    ours: Crypto
    theirs: Crypto


def usable(values: Iterable[str]) -> tuple[Crypto, ...]:
    """Return those of a stream's `a=crypto` lines that we can honour, in the peer's order of preference."""
    found: list[Crypto] = []
    for value, _ in zip(values, range(MAX_LINES), strict=False):
        try:
            found.append(Crypto.parse(value))
        except ValueError:
            continue
    return tuple(found)


class KeyRing:
    """Our own keys of one call: one for each suite, the same in all of its descriptions; `new_key` returns random octets."""

    def __init__(self, new_key: Callable[[int], bytes]) -> None:
        self._new_key = new_key
        self._keys: dict[Suite, bytes] = {}

    def line(self, tag: int, suite: Suite) -> Crypto:
        """Return the line by which we tell our key."""
        if suite not in self._keys:
            self._keys[suite] = self._new_key(suite.octets)
        return Crypto(tag, suite, self._keys[suite])

    def answer(self, offered: tuple[Crypto, ...], in_use: Keys | None) -> Keys:
        """Return the keys of an answer: the suite that is in use stays if it is still offered; `offered` is not empty."""
        alike = (line for line in offered if in_use is not None and line.suite is in_use.theirs.suite)
        theirs = next(alike, offered[0])
        return Keys(self.line(theirs.tag, theirs.suite), theirs)

    def offer(self) -> tuple[Crypto, ...]:
        """Return the lines of an offer."""
        return tuple(self.line(tag, suite) for tag, suite in enumerate(Suite, 1))

    def agree(self, answered: tuple[Crypto, ...]) -> Keys | None:
        """Return the keys of our offer's answer, None if it names none that we have offered."""
        offered = {line.tag: line for line in self.offer()}
        for theirs in answered:
            ours = offered.get(theirs.tag)
            if ours is not None and ours.suite is theirs.suite:
                return Keys(ours, theirs)
        return None


def _read_key(text: str, suite: Suite) -> bytes:
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError("The key has an index, or another form than inline.")
    try:
        key = base64.b64decode(match[1].rstrip("=") + "=" * (-len(match[1].rstrip("=")) % 4), validate=True)
    except binascii.Error:
        raise ValueError("The key is not base64.") from None
    if len(key) != suite.octets:
        raise ValueError(f"The key has {len(key)} octets; {suite.value} needs {suite.octets}.")
    return key
