"""The call-flow nodes a call can go to (design section 3, step 9)."""

from __future__ import annotations

from collections.abc import Collection

from daemonkit.address import Address
from sipproxy.core.limits import REST_SECONDS


class Targets:
    """Choose nodes: the fewest calls on their way first, then in the order given; those that rest come last.

    A node that rests may live again, and a call that no other node takes has nothing to lose by trying it.
    """

    def __init__(self, nodes: tuple[Address, ...]) -> None:
        self._nodes = nodes
        self._known = frozenset(nodes)
        self._rests: dict[Address, float] = {}
        self._pending: dict[Address, int] = {}

    def replace(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the nodes for new calls, the least loaded first, and all that dialogs may still live on."""
        self._nodes = up
        self._known = frozenset(known) | frozenset(up)
        self._rests = {node: until for node, until in self._rests.items() if node in self._known}

    def knows(self, address: Address) -> bool:
        """Return whether an address is a node of ours: nothing else is ever spoken to inside."""
        return address in self._known

    def choose(self, tried: Collection[Address], now: float) -> Address | None:
        """Return the next node for a call that `tried` some already; None when none is left."""
        left = [node for node in self._nodes if node not in tried]
        return min(left, key=lambda node: (max(self._rests.get(node, now), now), self._pending.get(node, 0)), default=None)

    def rest(self, node: Address, now: float) -> None:
        """Put a node behind the others for a while: it failed."""
        self._rests[node] = now + REST_SECONDS

    def begin(self, node: Address) -> None:
        """Count a call that is on its way to a node."""
        self._pending[node] = self._pending.get(node, 0) + 1

    def end(self, node: Address) -> None:
        """Count it no longer."""
        left = self._pending.get(node, 0) - 1
        if left > 0:
            self._pending[node] = left
        else:
            self._pending.pop(node, None)
