"""Our own addresses, where messages come in and go out (RFC 3261 18, 19.1).

A listener is one address with one transport. Every transaction belongs to the listener that its first message passed, so
a response leaves where its request came in. A message of a stream reaches the core framed, as if it were a datagram; the
address beside it is the far end of its connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daemonkit.address import Address


class Side(Enum):
    """The two sides of the proxy: callers outside, call-flow nodes inside."""

    EXTERNAL = "external"
    INTERNAL = "internal"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.INTERNAL if self is Side.EXTERNAL else Side.EXTERNAL


class Transport(Enum):
    """The transports by their names in a Via; their order is their number in a route token."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def is_stream(self) -> bool:
        """True if the transport is reliable: nothing is retransmitted then."""
        return self is not Transport.UDP

    @property
    def uri_params(self) -> str:
        """The URI parameter that makes a peer come back by this transport."""
        return "" if self is Transport.UDP else f";transport={self.value.lower()}"


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """One of our addresses; the same object everywhere, so it is compared by identity."""

    side: Side
    transport: Transport
    bind: Address
    """Where it is opened."""
    address: Address
    """How its peers see it."""
    index: int = 0
    """Which of the addresses with this side and transport it is; travels in route tokens."""

    @property
    def name(self) -> str:
        """A name that is the same in every worker."""
        return f"{self.side.value}-{self.transport.value.lower()}-{self.index}"
