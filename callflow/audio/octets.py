"""Octets that need not be in memory."""

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


def blocks(octets: Octets) -> Iterator[bytes]:
    """Yield octets block by block, as they need not be in memory."""
    return (octets[at : at + _BLOCK_OCTETS] for at in range(0, len(octets), _BLOCK_OCTETS))
