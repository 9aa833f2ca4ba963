"""Who has a place among the connections of a listener, and who gives his up.

A stranger is a connection along which no call has been admitted. One source may have a share of all connections, and the strangers of one
/24 network a share of them. A new connection for which there is no room takes the place of the stranger who has been there longest: of its
source, of its network, or of all. A caller never makes room.
"""

from __future__ import annotations

from collections import Counter

from daemonkit.address import Address
from sipproxy.aio.limits import MAX_CONNECTIONS, MAX_CONNECTIONS_PER_SOURCE, MAX_STRANGERS_PER_NETWORK


class NoRoomError(Exception):
    """No stranger can make room for a new connection."""


class Places:
    """The places of one listener's connections, by the address of their far end."""

    def __init__(self) -> None:
        self._taken: set[Address] = set()
        self._per_source: Counter[str] = Counter()
        # Dictionaries keep the order in which strangers came.
        self._strangers: dict[Address, None] = {}
        self._of_source: dict[str, dict[Address, None]] = {}
        self._of_network: dict[str, dict[Address, None]] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def who_leaves(self, address: Address, *, trusted: bool) -> Address | None:
        """Return who has to make room for a new connection, None if there is room; raises NoRoomError. Trusted sources have no share."""
        host = address[0]
        of_network = self._of_network.get(_network(host), {})
        crowded = (
            (not trusted and self._per_source[host] >= MAX_CONNECTIONS_PER_SOURCE, self._of_source.get(host, {})),
            (not trusted and len(of_network) >= MAX_STRANGERS_PER_NETWORK, of_network),
            (len(self._taken) >= MAX_CONNECTIONS, self._strangers),
        )
        for is_crowded, strangers in crowded:
            if is_crowded:
                oldest = next(iter(strangers), None)
                if oldest is None:
                    raise NoRoomError
                return oldest
        return None

    def take(self, address: Address, *, trusted: bool) -> None:
        """Give a connection a place, as a stranger unless its source is trusted."""
        self._taken.add(address)
        self._per_source[address[0]] += 1
        if not trusted:
            for strangers in self._lists(address):
                strangers[address] = None

    def know(self, address: Address) -> None:
        """Note that a call goes along a connection: it is no stranger any more."""
        if address not in self._strangers:
            return
        for strangers in self._lists(address):
            del strangers[address]
        self._drop_empty(address[0])

    def leave(self, address: Address) -> None:
        """Free the place of a connection."""
        self.know(address)
        self._taken.discard(address)
        self._per_source[address[0]] -= 1
        if not self._per_source[address[0]]:
            del self._per_source[address[0]]

    def _lists(self, address: Address) -> tuple[dict[Address, None], ...]:
        host = address[0]
        return self._strangers, self._of_source.setdefault(host, {}), self._of_network.setdefault(_network(host), {})

    def _drop_empty(self, host: str) -> None:
        for lists, name in ((self._of_source, host), (self._of_network, _network(host))):
            if not lists[name]:
                del lists[name]


def _network(host: str) -> str:
    """Return the first 24 bits of an IPv4 address."""
    return host.rpartition(".")[0]
