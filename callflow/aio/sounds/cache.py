"""Keep the sounds whose servers say how long they last."""

from __future__ import annotations

from collections import OrderedDict

from callflow.aio.sounds.spool import Spooled

MAX_KEPT = 1_000
MAX_OCTETS = 256 * 1024 * 1024
"""Of all that are kept; beyond either the least recently used ones go."""

Key = tuple[str, str, str, str]
"""Account, URL and credentials: what one customer may hear is no other's."""


class SoundCache:
    """Sounds with the times until which they last; times are in seconds of one clock."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[Spooled, float]] = OrderedDict()
        self._octets = 0

    def get(self, key: Key, now: float) -> Spooled | None:
        """Return a sound that still lasts, or None."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[1] <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: Key, sound: Spooled, now: float, seconds: float) -> None:
        """Keep a sound for some seconds; 0 keeps nothing."""
        if seconds <= 0:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = sound, now + seconds
        self._octets += len(sound)
        while len(self._kept) > MAX_KEPT or self._octets > MAX_OCTETS:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        self._octets -= len(self._kept.pop(key)[0])
