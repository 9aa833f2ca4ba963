"""What the user agent tells its shell; `call` is the agent's number of the call."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.sip.sdp_answer import RemoteMedia
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallFacts


@dataclass(frozen=True, slots=True)
class CallArrived:
    """Fired for a new INVITE from our proxy; `answer` it or `hang_up`. 180 has been sent unless there is a problem."""

    call: int
    facts: CallFacts
    problem: str | None
    """Why its offer cannot be accepted, in one sentence; such a call can only be hung up."""


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """Fired when the caller gives up before the answer; the INVITE is answered with 487."""

    call: int


@dataclass(frozen=True, slots=True)
class CallEstablished:
    """Fired when media may flow: on the ACK, or on the 2xx to our own INVITE."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class OutgoingCallFailed:
    """Fired when our own INVITE failed; `status` is 408 if nobody answered."""

    call: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Fired when the peer moves its audio, or holds or resumes the call."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class PeerHungUp:
    """Fired when the peer sent BYE."""

    call: int


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Fired when the peer is gone: ACK_TIMEOUT, CALLER_UNREACHABLE or UNSUPPORTED_MEDIA. `hang_up` still sends the BYE."""

    call: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class CallClosed:
    """Fired last: the agent has forgotten the call."""

    call: int


SipEvent = CallArrived | CallCancelled | CallEstablished | OutgoingCallFailed | MediaChanged | PeerHungUp | PeerLost | CallClosed
