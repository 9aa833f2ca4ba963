"""The states of a SIP call as a table; a move that it does not list is a bug."""

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
