"""The states of a SIP call, of its offers and of its REFER as tables; a move that a table does not list is a bug."""

from __future__ import annotations

from enum import Enum, auto


class CallState(Enum):
    """How far a call has come."""

    INVITED = auto()
    """The peer's INVITE waits for a final response."""
    CALLING = auto()
    """Our INVITE waits for a final response."""
    ANSWERED = auto()
    """Our 2xx waits for its ACK."""
    CONFIRMED = auto()
    LEAVING = auto()
    """Our BYE, or our CANCEL, waits for its response."""
    OVER = auto()


class CallMove(Enum):
    """What moves a call from state to state."""

    ANSWER = auto()
    CONFIRM = auto()
    LEAVE = auto()
    END = auto()


CALL_STATES: dict[CallState, dict[CallMove, CallState]] = {
    CallState.INVITED: {CallMove.ANSWER: CallState.ANSWERED, CallMove.END: CallState.OVER},
    CallState.CALLING: {
        CallMove.CONFIRM: CallState.CONFIRMED,
        CallMove.LEAVE: CallState.LEAVING,
        CallMove.END: CallState.OVER,
    },
    CallState.ANSWERED: {
        CallMove.CONFIRM: CallState.CONFIRMED,
        CallMove.LEAVE: CallState.LEAVING,
        CallMove.END: CallState.OVER,
    },
    CallState.CONFIRMED: {CallMove.LEAVE: CallState.LEAVING, CallMove.END: CallState.OVER},
    CallState.LEAVING: {CallMove.END: CallState.OVER},
    CallState.OVER: {},
}


class OfferState(Enum):
    """How far the offers and answers of a call have come."""

    NEW = auto()
    """Nothing is agreed on; the peer's first offer, if there is one, waits for our answer."""
    OFFERED = auto()
    """Our offer waits for its answer."""
    AGREED = auto()
    """An exchange is complete, and none is open: each side may make the next offer."""


class OfferMove(Enum):
    """What moves offers and answers from state to state."""

    OFFER = auto()
    """We make an offer."""
    AGREE = auto()
    """An answer is sent, or comes."""
    WITHDRAW = auto()
    """Our offer is refused, or its answer never comes."""


OFFER_STATES: dict[OfferState, dict[OfferMove, OfferState]] = {
    OfferState.NEW: {OfferMove.OFFER: OfferState.OFFERED, OfferMove.AGREE: OfferState.AGREED},
    OfferState.OFFERED: {OfferMove.AGREE: OfferState.AGREED, OfferMove.WITHDRAW: OfferState.AGREED},
    OfferState.AGREED: {OfferMove.OFFER: OfferState.OFFERED, OfferMove.AGREE: OfferState.AGREED},
}


class Referring(Enum):
    """How far our latest REFER has come."""

    IDLE = auto()
    """There is none, or its outcome is known."""
    ASKED = auto()
    """It waits for its final response."""
    TOLD = auto()
    """It waits for its final response, and the peer has told its outcome already."""
    ACCEPTED = auto()
    """It is accepted, and waits for its outcome."""


class ReferMove(Enum):
    """What moves a REFER from state to state."""

    ASK = auto()
    """We send one, which takes the place of one before."""
    TELL = auto()
    """The peer tells the outcome before it answers."""
    ACCEPT = auto()
    END = auto()


REFERRING: dict[Referring, dict[ReferMove, Referring]] = {
    Referring.IDLE: {ReferMove.ASK: Referring.ASKED},
    Referring.ASKED: {
        ReferMove.ASK: Referring.ASKED,
        ReferMove.TELL: Referring.TOLD,
        ReferMove.ACCEPT: Referring.ACCEPTED,
        ReferMove.END: Referring.IDLE,
    },
    Referring.TOLD: {ReferMove.ASK: Referring.ASKED, ReferMove.END: Referring.IDLE},
    Referring.ACCEPTED: {ReferMove.ASK: Referring.ASKED, ReferMove.END: Referring.IDLE},
}
