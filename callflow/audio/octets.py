"""Octets that need not be in memory."""

from __future__ import annotations

from typing import Protocol


class Octets(Protocol):
    """What can be read part by part: `bytes`, or a file that a shell keeps open."""

    def __len__(self) -> int:
        """Return how many octets there are."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Return a part, cut where the octets end."""
