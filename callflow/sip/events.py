"""List what the user agent tells its shell; `call` is the agent's own number for a call."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.sip.sdp_answer import RemoteMedia
from voiceapps.rules.endings import EndReason
from voiceapps.rules.records import CallFacts


@dataclass(frozen=True, slots=True)
class CallArrived:
    """Fired for a new INVITE of our proxy; 180 is out. `answer` it or `hang_up`."""

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
    """Fired when media may flow: the ACK came, or the 2xx to our own INVITE."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class OutgoingCallFailed:
    """Fired when our own INVITE failed; 408 stands for no answer at all."""

    call: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Fired when the peer moves its audio, or holds the call, or takes it back."""

    call: int
    media: RemoteMedia


@dataclass(frozen=True, slots=True)
class PeerHungUp:
    """Fired when the peer sent BYE."""

    call: int


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Fired when the peer is gone: ACK_TIMEOUT, CALLER_UNREACHABLE or UNSUPPORTED_MEDIA; `hang_up` what is left."""

    call: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class CallClosed:
    """Fired last: nothing of the call is left in the agent."""

    call: int


SipEvent = CallArrived | CallCancelled | CallEstablished | OutgoingCallFailed | MediaChanged | PeerHungUp | PeerLost | CallClosed
