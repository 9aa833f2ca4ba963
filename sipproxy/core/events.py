"""What the proxy core asks of its shell and tells it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemonkit.address import Address
from sipproxy.admission.bans import BanChange
from sipproxy.admission.nonces import Claim
from sipproxy.core.limits import MAX_EVENTS
from sipproxy.transactions.listener import Listener, Side, Transport
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallEnded, CallHungUp, LadderMessage, SourceBanned

METHODS = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE"))


@dataclass(frozen=True, slots=True)
class Datagram:
    """One message to send."""

    listener: Listener
    """Where it leaves; a stream's connection is the one with `address`."""
    data: bytes
    """The message."""
    address: Address
    """Where it goes."""


@dataclass(frozen=True, slots=True)
class DirectoryWanted:
    """Fired when an INVITE needs its applications; answer with `directory_answered`."""

    key: str
    """Names the question."""
    users: tuple[str, ...]
    """User parts in lower case."""


@dataclass(frozen=True, slots=True)
class ClaimWanted:
    """Fired when a nonce count has to be claimed at another worker, or in the fleet's store; answer with `claim_answered`."""

    key: str
    """Names the question."""
    claim: Claim
    """What is claimed, and where."""


@dataclass(frozen=True, slots=True)
class RelayWanted:
    """Fired when a session description must pass a media relay; answer with `relay_answered`."""

    key: str
    """Names the question; empty if nobody waits for the answer."""
    relay: Address
    """The relay's ng address."""
    command: Mapping[str, object]
    """The ng command."""


@dataclass(frozen=True, slots=True)
class OfferStands:
    """Fired when an offer was refused and the relay could not be told: what was agreed before passed another worker, or one that died."""

    call_id: str
    """The internal call id."""


@dataclass(frozen=True, slots=True)
class InviteRefused:
    """Fired when an INVITE was refused; the customer sees why."""

    application_id: str | None
    """The application the Request-URI names, if any."""
    source_ip: str
    """Where it came from."""
    reason: Reason
    """The reason, which no response shows."""
    status: int
    """The status that was sent; 0 for silence."""
    at: float
    """Seconds since the epoch."""
    country: str | None
    """The registry country of the source."""
    request_user: str
    """The Request-URI's user part."""
    sip_call_id: str
    """The Call-ID."""
    user_agent: str
    """The User-Agent as it came."""
    trace: tuple[RuleResult, ...]
    """Every rule with what it expected and saw."""


@dataclass(frozen=True, slots=True)
class InviteChallenged:
    """Fired when an INVITE was answered with a challenge, 407; for the log."""

    source_ip: str
    """Where it came from."""
    sip_call_id: str
    """The Call-ID."""


@dataclass(frozen=True, slots=True)
class NodeChosen:
    """Fired when the INVITE of a call goes to a call-flow node, which holds it from then on."""

    call_id: str
    """The internal call id."""
    node: Address
    """The node's SIP address."""


@dataclass(frozen=True, slots=True)
class ReportMade:
    """Fired for each record that the database should hold."""

    record: CallAdmitted | CallAnswered | CallEnded | CallHungUp | LadderMessage | SourceBanned
    """The record, times in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """Fired for each message of a call if a collector gets copies."""

    call_id: str
    """The internal call id."""
    at: float
    """Seconds since the epoch."""
    transport: Transport
    """How it travelled."""
    source: Address
    """Who sent it."""
    destination: Address
    """Who got it."""
    data: bytes
    """The message, its secrets masked."""


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """Fired once for each new request, for the counters."""

    side: Side
    """Where it came in."""
    method: str
    """A method we know, else OTHER."""


@dataclass(frozen=True, slots=True)
class ResponseSent:
    """Fired for each response to a request from outside, for the counters."""

    method: str
    """A method we know, else OTHER."""
    status: int
    """The status."""


@dataclass(frozen=True, slots=True)
class BansChanged:
    """Fired when sources are banned, here or elsewhere, or bans are lifted; not when a ban expires."""

    change: BanChange
    """The difference."""


ProxyEvent = (
    DirectoryWanted
    | ClaimWanted
    | RelayWanted
    | OfferStands
    | InviteRefused
    | InviteChallenged
    | NodeChosen
    | ReportMade
    | MessageSeen
    | RequestSeen
    | ResponseSent
    | BansChanged
)


@dataclass(slots=True)
class EventQueue:
    """Events that wait for the shell, at most MAX_EVENTS of them; further ones are lost."""

    waiting: deque[ProxyEvent] = field(default_factory=deque)
    """The oldest first."""

    def tell(self, event: ProxyEvent) -> None:
        """Queue an event."""
        if len(self.waiting) < MAX_EVENTS:
            self.waiting.append(event)


def method_label(method: str) -> str:
    """Return a method as a metric's label: one of a closed set, whatever peers invent."""
    return method if method in METHODS else "OTHER"
