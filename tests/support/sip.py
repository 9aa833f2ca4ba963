"""Two ends of a SIP conversation, wired without sockets and driven by a clock of our own."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from math import inf
from typing import Protocol

from daemonkit.address import Address
from sipproxy.sip import Request
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.limits import MAX_TRANSACTIONS


def tokens(prefix: str) -> Callable[[], str]:
    """Return a source of tokens that are readable in a failing test."""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def make_layer(prefix: str, *, reliable: bool = False, watched: bool = False, max_transactions: int = MAX_TRANSACTIONS) -> TransactionLayer:
    return TransactionLayer(new_token=tokens(prefix), reliable=reliable, watched=watched, max_transactions=max_transactions)


def make_request(
    method: str = "INVITE",
    *,
    branch: str,
    sent_by: str = "192.0.2.10:5080",
    call_id: str = "call-1",
    number: int = 1,
    to_tag: str = "",
    extra: Iterable[tuple[str, str]] = (),
) -> Request:
    to = "<sip:app@sip.example>" + (f";tag={to_tag}" if to_tag else "")
    return Request.build(
        method,
        "sip:app@sip.example",
        [
            ("Via", f"SIP/2.0/UDP {sent_by};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", "<sip:desk@pbx.example>;tag=f1"),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            *extra,
        ],
    )


class Node(Protocol):
    """A node of the simulated network: it is fed datagrams and time, and asked what it sends."""

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None: ...
    def take(self) -> list[tuple[Address, bytes, Address]]: ...
    def timer(self) -> float | None: ...
    def ring(self, now: float) -> None: ...


class Network:
    """Carries datagrams between nodes; `fate` returns the delays at which copies of one arrive (none = lost)."""

    def __init__(self, fate: Callable[[], list[float]] = lambda: [0.01]) -> None:
        self.now = 0.0
        self.fate = fate
        self.nodes: list[Node] = []
        self.places: dict[Address, Node] = {}
        self.lost = 0
        self._flying: list[tuple[float, int, bytes, Address, Address]] = []
        self._serial = count()

    def add(self, node: Node, *addresses: Address) -> None:
        self.nodes.append(node)
        for address in addresses:
            self.places[address] = node

    def pump(self) -> None:
        for node in self.nodes:
            for source, data, target in node.take():
                delays = self.fate()
                self.lost += not delays
                for delay in delays:
                    heapq.heappush(self._flying, (self.now + delay, next(self._serial), data, source, target))

    def run(self, until: float) -> None:
        """Let time pass: deliver datagrams and fire timers in order until the clock reads `until`."""
        self.pump()
        while True:
            timers = [when for node in self.nodes if (when := node.timer()) is not None]
            following = min([*timers, *(entry[0] for entry in self._flying[:1])], default=inf)
            if following > until:
                break
            self.now = max(self.now, following)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, data, source, target = heapq.heappop(self._flying)
                if target in self.places:
                    self.places[target].receive(data, source, target, self.now)
            for node in self.nodes:
                when = node.timer()
                if when is not None and when <= self.now:
                    node.ring(self.now)
            self.pump()
        self.now = until
