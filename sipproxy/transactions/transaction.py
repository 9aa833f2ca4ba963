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
    """One request and the message that was sent for it last."""

    key: Key
    kind: Kind
    state: State
    request: Request
    address: Address
    source: Address
    own: bool = False  # a CANCEL, which the layer sends and answers by itself: its user hears nothing of it
    last: bytes = b""
    interval: float = T1
    wants_cancel: bool = False
    failure: Response | None = None
    age_header: str = ""
    """Where each repetition says how long ago the request was sent for the first time, in seconds."""
    begun_at: float = 0.0

    def linger(self, *, reliable: bool) -> float:
        """Return how long the transaction lingers, in seconds; over streams only an answered INVITE does (RFC 6026 7)."""
        return 0.0 if reliable and self.state is not State.ACCEPTED else LINGER[self.kind, self.state]

    def tell_age(self, now: float) -> None:
        """Have the next repetition say how old the request is, if its receiver wants to know."""
        if self.age_header:
            self.request.replace_values(self.age_header, [f"{now - self.begun_at:.1f}"])
            self.last = bytes(self.request)

    def next_interval(self) -> float:
        """Return the interval to the next retransmission: doubled each time, up to T2 but for an INVITE."""
        self.interval *= 2
        if self.kind in _CAPPED:
            self.interval = T2 if self.state is State.PROCEEDING else min(self.interval, T2)
        return self.interval


@dataclass(slots=True)
class Counters:
    """Counts of what the layer met; each only grows."""

    malformed: int = 0
    refused: int = 0
    """Requests turned away because the table was full."""
    stray: int = 0
    """Responses and ACKs without a transaction."""
    retransmissions: int = 0
    """Retransmissions of requests."""
    repeats: int = 0
    """Messages that were sent again."""
