"""Smooth weighted round robin among the media relays.

At each turn every live relay gains its weight in credit; the richest takes the call and pays what all of them gained. So
weights 3 and 1 give A A B A, not A A A B. A relay that comes back starts with the least credit of those that stayed: it
gets its share from then on and none for the time that it was away.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daemonkit.address import Address
from sipproxy.config import Relay


class RelayTurns:
    """The credits of the relays, from which the relay of each new call follows."""

    def __init__(self, relays: Sequence[Relay]) -> None:
        self._weights = {relay.address: relay.weight for relay in relays}
        self._credits: dict[Address, int] = dict.fromkeys(self._weights, 0)

    def next(self, live: Collection[Address]) -> Address | None:
        """Return the relay that takes the next call, one of the live ones; None where none lives."""
        weights = {address: weight for address, weight in self._weights.items() if address in live}
        if not weights:
            return None
        least = min((held for address, held in self._credits.items() if address in weights), default=0)
        self._credits = {address: self._credits.get(address, least) + weight for address, weight in weights.items()}
        chosen = max(weights, key=self._credits.__getitem__)
        self._credits[chosen] -= sum(weights.values())
        return chosen
