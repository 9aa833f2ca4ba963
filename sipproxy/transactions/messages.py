"""The messages that the transaction layer reads and makes by itself."""

from __future__ import annotations

from daemonkit.address import Address
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key

_SERVER = "server"
CLIENT = "client"


def server_key(request: Request) -> Key:
    """Return the key of a request's server transaction (RFC 3261 17.2.3); an ACK has the key of its INVITE."""
    via = request.top_via
    method = "INVITE" if request.method == "ACK" else request.method
    if via.has_rfc3261_branch:
        return _SERVER, f"{via.branch} {via.sent_by.lower()}", method
    # RFC 2543 clients have no usable branch: the key is what a retransmission shares with its original.
    parts = (request.uri_text, request.from_.tag, request.call_id, str(request.cseq.number), via.sent_by.lower())
    return _SERVER, "\n".join(parts), method


def client_key(request: Request) -> Key:
    """Return the key of the client transaction of a request of ours."""
    return CLIENT, request.top_via.branch, request.method


def response_key(response: Response) -> Key:
    """Return the key of the client transaction that a response answers (RFC 3261 17.1.3)."""
    return CLIENT, response.top_via.branch, response.cseq.method


def stamp_source(request: Request, source: Address) -> None:
    """Write a request's source into its top Via; doing so twice is harmless."""
    via = request.top_via
    seen = via.seen_from(*source)
    if seen != via:
        request.replace_top_value("Via", str(seen))


def reply_address(request: Request) -> Address:
    """Return where responses to a stamped request go."""
    return request.top_via.reply_address()


def make_ack(invite: Request, response: Response) -> bytes:
    """Make the ACK of a final response other than 2xx (RFC 3261 17.1.1.3)."""
    return bytes(_sibling(invite, "ACK", response.header("to") or ""))


def make_cancel(invite: Request) -> Request:
    """Make the CANCEL of an INVITE (RFC 3261 9.1)."""
    return _sibling(invite, "CANCEL", invite.header("to") or "")


def _sibling(invite: Request, method: str, to: str) -> Request:
    headers = [
        ("Via", str(invite.top_via)),
        ("From", invite.header("from") or ""),
        ("To", to),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} {method}"),
        ("Max-Forwards", "70"),
        *(("Route", route) for route in invite.headers("route")),
    ]
    return Request.build(method, invite.uri_text, headers)
