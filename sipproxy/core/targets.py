"""The call-flow nodes that a call can go to."""

from __future__ import annotations

from collections.abc import Collection

from daemonkit.address import Address
from sipproxy.core.limits import REST_SECONDS


class Targets:
    """The nodes in the order of choice: fewest INVITEs on their way first, then as given; nodes that rest come last.

    A node that rests may have recovered, so a call that no other node takes still tries it.
    """

    def __init__(self, nodes: tuple[Address, ...]) -> None:
        self._nodes = nodes
        self._known = frozenset(nodes)
        self.learned = bool(nodes)
        """Whether anybody has said which nodes there are: not yet when a proxy starts while the database is away."""
        self._rests: dict[Address, float] = {}
        self._pending: dict[Address, int] = {}

    def replace(self, up: tuple[Address, ...], known: tuple[Address, ...]) -> None:
        """Take the nodes for new calls, the least loaded first, and all that dialogs may still live on."""
        self._nodes = up
        self.learned = True
        self._known = frozenset(known) | frozenset(up)
        self._rests = {node: until for node, until in self._rests.items() if node in self._known}

    def knows(self, address: Address) -> bool:
        """Return whether an address is a node of ours: inside, no other address is accepted or sent to."""
        return address in self._known

    def choose(self, tried: Collection[Address], now: float) -> Address | None:
        """Return the next node for a call that has `tried` some already; None when none is left."""
        left = [node for node in self._nodes if node not in tried]
        return min(left, key=lambda node: (max(self._rests.get(node, now), now), self._pending.get(node, 0)), default=None)

    def rest(self, node: Address, now: float) -> None:
        """Choose a node last for a while: it failed."""
        self._rests[node] = now + REST_SECONDS

    def begin(self, node: Address) -> None:
        """Count an INVITE that is on its way to a node."""
        self._pending[node] = self._pending.get(node, 0) + 1

    def end(self, node: Address) -> None:
        """Stop counting an INVITE that was on its way to a node."""
        left = self._pending.get(node, 0) - 1
        if left > 0:
            self._pending[node] = left
        else:
            self._pending.pop(node, None)
