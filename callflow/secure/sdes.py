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

    def encrypts_like(self, other: Crypto) -> bool:
        """Return whether it is the same key for the same suite, whatever its tag."""
        return (self.suite, self.key) == (other.suite, other.key)

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
    """Our own keys of one call; `new_key` returns random octets.

    A key that is in use stays. Any other one is fresh: an old one, taken up again, could encrypt two packets alike.
    """

    def __init__(self, new_key: Callable[[int], bytes]) -> None:
        self._new_key = new_key
        self._told: tuple[Crypto, ...] = ()
        """The lines of our last description, which an answer to it may name, also where it is an answer that is offered again."""

    def answer(self, offered: tuple[Crypto, ...], in_use: Keys | None) -> Keys:
        """Return the keys of an answer: the suite that is in use stays if it is still offered; `offered` is not empty."""
        alike = (line for line in offered if in_use is not None and line.suite is in_use.theirs.suite)
        theirs = next(alike, offered[0])
        ours = self._line(theirs.tag, theirs.suite, in_use)
        self._told = (ours,)
        return Keys(ours, theirs)

    def offer(self, in_use: Keys | None) -> tuple[Crypto, ...]:
        """Return the lines of an offer."""
        self._told = tuple(self._line(tag, suite, in_use) for tag, suite in enumerate(Suite, 1))
        return self._told

    def agree(self, answered: tuple[Crypto, ...]) -> Keys | None:
        """Return the keys of the answer to our last description, None if it names none of that."""
        told = {line.tag: line for line in self._told}
        for theirs in answered:
            ours = told.get(theirs.tag)
            if ours is not None and ours.suite is theirs.suite:
                return Keys(ours, theirs)
        return None

    def _line(self, tag: int, suite: Suite, in_use: Keys | None) -> Crypto:
        stays = in_use is not None and in_use.ours.suite is suite
        return Crypto(tag, suite, in_use.ours.key if in_use is not None and stays else self._new_key(suite.octets))


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
