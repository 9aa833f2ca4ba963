"""What the transaction layer tells its user."""

from __future__ import annotations

from dataclasses import dataclass

from daemonkit.address import Address
from sipproxy.sip import Request, Response

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class NewRequest:
    """Fired when a request starts a server transaction."""

    key: Key
    """Give it to `respond`."""
    request: Request
    """Its top Via already holds `received` and `rport`."""
    source: Address
    """Where the datagram came from."""


@dataclass(frozen=True, slots=True)
class AckReceived:
    """Fired for an ACK that the layer does not need itself: the one of a 2xx, or one that belongs to nothing."""

    request: Request
    """The ACK."""
    source: Address
    """Where the datagram came from."""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """Fired for each response the user must see: provisional ones, the first final one, every 2xx to an INVITE."""

    key: Key
    """What `send_request` returned."""
    response: Response
    """The response; 100 too."""
    request: Request
    """The request as it was sent."""


@dataclass(frozen=True, slots=True)
class StraySuccess:
    """Fired for a 2xx to an INVITE that belongs to no transaction: RFC 6026 forbids to forward it, unless the user knows it as its own."""

    response: Response
    """The response."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Fired when the peer cancels an INVITE that has no final response yet; the CANCEL is already answered."""

    key: Key
    """The INVITE's transaction: answer it with 487."""


@dataclass(frozen=True, slots=True)
class RequestTimedOut:
    """Fired when nobody answered a request: timers B and F, 64*T1 after a CANCEL, or no room for the transaction."""

    key: Key
    """What `send_request` returned."""
    request: Request
    """The request as it was sent."""


@dataclass(frozen=True, slots=True)
class MessageHandled:
    """Fired, where the user watches, for a message that the layer took or sent by itself: a repetition, an ACK, a CANCEL and its 200."""

    key: Key
    """The transaction it belongs to; of a CANCEL, that of its INVITE."""
    data: bytes
    """The message."""
    address: Address
    """Where it came from, or went."""
    sent: bool
    """Whether it went."""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """Fired as the last event of each transaction: its key means nothing afterwards."""

    key: Key
    """The transaction that is gone."""


TransactionEvent = (
    NewRequest | AckReceived | ResponseReceived | StraySuccess | Cancelled | RequestTimedOut | MessageHandled | TransactionEnded
)
