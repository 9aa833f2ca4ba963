"""From where ng commands may come: the protocol has no signature, so the address is all there is to go by."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from mediarelay.ng.limits import MAX_KNOWN_SOURCES

LOOPBACK = "127.0.0.0/8"


class CommandSources:
    """The addresses that may send commands: loopback, the ng address itself (this machine again) and ranges that are named."""

    def __init__(self, bound: str, allowed: Iterable[str] = ()) -> None:
        self.refused = 0
        self._networks = tuple(map(IPv4Network, (LOOPBACK, bound, *allowed)))
        self._known: set[str] = set()

    def admits(self, host: str) -> bool:
        """Return whether a command from an address is heard, and count it if not."""
        if host in self._known:
            return True
        if not any(IPv4Address(host) in network for network in self._networks):
            self.refused += 1
            return False
        if len(self._known) < MAX_KNOWN_SOURCES:
            self._known.add(host)
        return True
