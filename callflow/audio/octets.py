"""Octets that need not be in memory, or not all be there yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

_BLOCK_OCTETS = 64 * 1024


class Octets(Protocol):
    """What can be read part by part: `bytes`, or a file that a shell keeps open."""

    def __len__(self) -> int:
        """Return how many octets there are."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Return a part, cut where the octets end."""


class GrowingSound:
    """Audio that is played while its end is still being made."""

    def __init__(self, first: bytes = b"") -> None:
        self.complete = False
        """Whether nothing follows any more."""
        self._sound = bytearray(first)

    def __len__(self) -> int:
        return len(self._sound)

    def __getitem__(self, part: slice, /) -> bytes:
        return bytes(self._sound[part])

    def append(self, more: bytes) -> None:
        """Add what was made meanwhile."""
        self._sound += more

    def finish(self) -> None:
        """Say that this is all."""
        self.complete = True


def is_complete(octets: Octets) -> bool:
    """Return whether all of it is there."""
    return not isinstance(octets, GrowingSound) or octets.complete


def blocks(octets: Octets) -> Iterator[bytes]:
    """Yield octets block by block, as they need not be in memory."""
    return (octets[at : at + _BLOCK_OCTETS] for at in range(0, len(octets), _BLOCK_OCTETS))
