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
    """Fired for an ACK that the layer does not need itself: of a 2xx, or without a transaction."""

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
    """Fired for a 2xx to an INVITE without a transaction: RFC 6026 8.5 forbids forwarding it, unless the user recognises it."""

    response: Response
    """The response."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Fired when the peer cancels an INVITE that has no final response yet; the layer has answered the CANCEL."""

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
    """Fired, if the layer is watched, for a message that it handled or sent by itself: a retransmission, an ACK, a CANCEL and its 200."""

    key: Key
    """The transaction it belongs to; of a CANCEL, that of its INVITE."""
    data: bytes
    """The message."""
    address: Address
    """Where it came from, or where it was sent to."""
    sent: bool
    """Whether it was sent."""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """Fired as the last event of each transaction: its key means nothing afterwards."""

    key: Key
    """The transaction that is gone."""


TransactionEvent = (
    NewRequest | AckReceived | ResponseReceived | StraySuccess | Cancelled | RequestTimedOut | MessageHandled | TransactionEnded
)
