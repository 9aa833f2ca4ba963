"""Who listens to one direction of a leg: recorders, detectors, streams. Attaching one touches nothing else."""

from __future__ import annotations

from collections.abc import Callable

Tap = Callable[[bytes], None]
"""Takes each 20 ms of one direction, in order and without gaps: 160 octets of µ-law."""


class Taps:
    """The taps of one direction."""

    def __init__(self) -> None:
        self._taps: tuple[Tap, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._taps)

    def __call__(self, ulaw: bytes) -> None:
        """Hand a frame to each of them; one that is attached or detached meanwhile is served from the next frame on."""
        for tap in self._taps:
            tap(ulaw)

    def attach(self, tap: Tap) -> None:
        """Have `tap` listen from now on."""
        self._taps = (*self._taps, tap)

    def detach(self, tap: Tap) -> None:
        """Have `tap` listen no longer; one that does not is ignored."""
        self._taps = tuple(other for other in self._taps if other != tap)
