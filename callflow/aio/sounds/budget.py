"""Octets that many holders may take together."""

from __future__ import annotations

import threading


class Budget:
    """At most so many octets at once. Threads may take and give back; so may a finalizer that runs amid either."""

    def __init__(self, most: int) -> None:
        self.held = 0
        self._lock = threading.RLock()
        self._most = most

    def take(self, octets: int) -> bool:
        """Take some octets, all or none; return whether there was room."""
        with self._lock:
            fits = self.held + octets <= self._most
            self.held += octets if fits else 0
        return fits

    def give_back(self, octets: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self.held -= octets
