"""Dialogs (RFC 3261 section 12): the two ends, and where requests between them go."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from daemonkit.address import Address
from sipproxy.sip import NameAddr, PeerError, Request, Response, SipUri
from sipproxy.sip.uri import DEFAULT_PORT

DialogKey = tuple[str, str, str]


@dataclass(slots=True)
class Dialog:
    """One end's view of a dialog; its sequence numbers and remote target change."""

    call_id: str
    local: NameAddr
    """Our From in requests, with our tag."""
    remote: NameAddr
    contact: str
    """The URI that our Contact shows."""
    remote_target: str
    route_set: tuple[str, ...]
    fallback: Address
    """Where the peer's first message came from or went to: the next hop if the route or target is not an IP address."""
    local_cseq: int
    remote_cseq: int

    @classmethod
    def of_server(cls, invite: Request, local_tag: str, source: Address) -> Dialog:
        """Make the dialog of a call that arrived (RFC 3261 section 12.1.1); its Contact is the URI that was called."""
        contact = invite.contact
        return cls(
            call_id=invite.call_id,
            local=invite.to.with_tag(local_tag),
            remote=invite.from_,
            contact=invite.uri_text,
            remote_target=contact.uri if contact else invite.from_.uri,
            route_set=tuple(invite.values("record-route")),
            fallback=source,
            local_cseq=0,
            remote_cseq=invite.cseq.number,
        )

    @classmethod
    def of_client(cls, invite: Request, response: Response, contact: str, target: Address) -> Dialog:
        """Make the dialog of a call that we placed (RFC 3261 section 12.1.2)."""
        answered = response.contact
        return cls(
            call_id=invite.call_id,
            local=invite.from_,
            remote=response.to,
            contact=contact,
            remote_target=answered.uri if answered else invite.uri_text,
            route_set=tuple(reversed(response.values("record-route"))),
            fallback=target,
            local_cseq=invite.cseq.number,
            remote_cseq=-1,
        )

    @property
    def key(self) -> DialogKey:
        """The dialog's ID at our end: Call-ID, local tag, remote tag."""
        return self.call_id, self.local.tag, self.remote.tag

    def accepts(self, request: Request) -> bool:
        """Return whether a request's CSeq is in order, and keep it (RFC 3261 section 12.2.2)."""
        number = request.cseq.number
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def make_request(self, method: str, via: str, headers: list[tuple[str, str]], body: bytes = b"") -> Request:
        """Return the dialog's next request (RFC 3261 section 12.2.1.1)."""
        self.local_cseq += 1
        return self._make(method, self.local_cseq, via, headers, body)

    def make_ack(self, cseq: int, via: str, headers: list[tuple[str, str]], body: bytes = b"") -> Request:
        """Return the ACK of a 2xx (RFC 3261 section 13.2.2.4)."""
        return self._make("ACK", cseq, via, headers, body)

    def next_hop(self) -> Address:
        """Return where the dialog's requests are sent: to the first route, else to the remote target."""
        try:
            uri = NameAddr.parse(self.route_set[0]).sip_uri if self.route_set else SipUri.parse(self.remote_target)
            return str(IPv4Address(uri.host)), uri.port or DEFAULT_PORT
        except (AddressValueError, PeerError):
            return self.fallback

    def refresh_target(self, contact: NameAddr | None) -> None:
        """Take the peer's Contact as the remote target: a 2xx, ours or the peer's, has accepted it (RFC 3261 section 12.2)."""
        if contact is not None:
            self.remote_target = contact.uri

    def _make(self, method: str, cseq: int, via: str, headers: list[tuple[str, str]], body: bytes) -> Request:
        fields = [
            ("Via", via),
            *(("Route", route) for route in self.route_set),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Max-Forwards", "70"),
            *headers,
        ]
        return Request.build(method, self.remote_target, fields, body)
