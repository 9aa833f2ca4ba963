"""One transaction as the layer keeps it, and what the layer counts."""

from __future__ import annotations

from dataclasses import dataclass

from daemonkit.address import Address
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.tables import LINGER, T1, T2, Kind, State

_CAPPED = (Kind.NON_INVITE_CLIENT, Kind.INVITE_SERVER)


@dataclass(slots=True, eq=False)
class Transaction:
    """Hold one request and what was last sent for it."""

    key: Key
    kind: Kind
    state: State
    request: Request
    address: Address
    source: Address
    own: bool = False  # a CANCEL or its answer: the layer's affair, not the user's
    last: bytes = b""
    interval: float = T1
    wants_cancel: bool = False
    failure: Response | None = None

    def linger(self, *, reliable: bool) -> float:
        """Return how long it stays after its end; over streams only an answered INVITE does (RFC 6026 7)."""
        return 0.0 if reliable and self.state is not State.ACCEPTED else LINGER[self.kind, self.state]

    def next_interval(self) -> float:
        """Return how long the next repetition waits: twice as long each time, up to T2 but for an INVITE."""
        self.interval *= 2
        if self.kind in _CAPPED:
            self.interval = T2 if self.state is State.PROCEEDING else min(self.interval, T2)
        return self.interval


@dataclass(slots=True)
class Counters:
    """Count what the layer met; each only grows."""

    malformed: int = 0
    refused: int = 0
    """Requests turned away because the table was full."""
    stray: int = 0
    """Responses and ACKs that belong to nothing."""
    retransmissions: int = 0
    """Requests that came again."""
    repeats: int = 0
    """Messages that we sent again."""
