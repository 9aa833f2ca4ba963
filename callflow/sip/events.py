"""What the user agent tells its shell; `call` is the agent's number of the call."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.sip.call_header import Reach
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address
from sipproxy.headers.call_headers import SealFault
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallFacts
from voiceapps.rules.webhook_bodies import CallerDetails, ReferView


@dataclass(frozen=True, slots=True)
class StrangerRefused:
    """Fired at most once a second while INVITEs come that no proxy of ours has sealed; they are answered with 403."""

    source: Address
    """Where the latest one came from."""
    fault: SealFault
    count: int
    """All of them so far."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an INVITE's body."""

    status: int
    """The final response that says so: 400, 415 or 488."""
    sentence: str


@dataclass(frozen=True, slots=True)
class CallArrived:
    """Fired for a new INVITE from our proxy; `answer` it or `hang_up`. 180 has been sent unless there is a problem, or `ring` is due."""

    call: int
    facts: CallFacts
    details: CallerDetails
    reach: Reach
    problem: Problem | None
    """Why it cannot be accepted; such a call can only be hung up."""
    wants_ring: bool
    """True if the caller requires reliable provisional responses (RFC 3262): ours describes our audio, so it waits for `ring`."""
    is_proven: bool = False
    """True if the caller is where it says, by its password, a connection, or the PRACK without which it hears nothing.

    Others get no audio before they acknowledge our answer.
    """


@dataclass(frozen=True, slots=True)
class EarlyMediaOpened:
    """Fired when the caller of a call that is not answered hears us, on `progress`."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class CallAccepted:
    """Fired when the 2xx to an incoming call is sent, which may be later than `answer`: it waits for a PRACK."""

    call: int


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """Fired when the caller gives up before the answer; the INVITE is answered with 487."""

    call: int


@dataclass(frozen=True, slots=True)
class CallEstablished:
    """Fired when media may flow: on the ACK, or on the 2xx to our own INVITE."""

    call: int
    media: RemoteMedia
    at: float
    """When that message came, which may have waited for us."""


@dataclass(frozen=True, slots=True)
class OutgoingCallFailed:
    """Fired when our own INVITE failed; `status` is 408 if nobody answered."""

    call: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Fired when offer and answer agree on something else than before: address, direction, codec or telephone-events."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class DigitSignalled:
    """Fired for a digit that came by INFO."""

    call: int
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ReferOver:
    """Fired when a REFER of ours is refused, its outcome is known, or none was told in time."""

    call: int
    number: int
    """The one that `refer` was given."""
    outcome: ReferView


@dataclass(frozen=True, slots=True)
class PeerAnswered:
    """Fired for a sign of life: the peer sent a request in the dialog, or a final answer to ours that knows the dialog."""

    call: int


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Fired when our OPTIONS got no answer, or one that does not know the dialog: 408 or 481."""

    call: int


@dataclass(frozen=True, slots=True)
class PeerHungUp:
    """Fired when the peer sent BYE; a late one may have been sent long before, as the proxy was away."""

    call: int
    at: float
    """When the BYE came to the proxy, as far as that one says so, or else here; it may have waited for us."""
    late: bool = False


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Fired when the peer is gone: ACK_TIMEOUT, CALLER_UNREACHABLE or UNSUPPORTED_MEDIA. `hang_up` still sends what ends the call."""

    call: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class CallClosed:
    """Fired last: the agent has forgotten the call."""

    call: int


SipEvent = (
    CallArrived
    | EarlyMediaOpened
    | CallAccepted
    | CallCancelled
    | CallEstablished
    | OutgoingCallFailed
    | MediaChanged
    | DigitSignalled
    | ReferOver
    | PeerAnswered
    | PeerSilent
    | PeerHungUp
    | PeerLost
    | CallClosed
)
"""What concerns one call."""
AgentEvent = SipEvent | StrangerRefused
