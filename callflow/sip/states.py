"""Draw the life of a SIP call as a table."""

from __future__ import annotations

from enum import Enum, auto


class CallState(Enum):
    """Say how far a call has come."""

    INVITED = auto()
    """The peer's INVITE waits for a final response."""
    CALLING = auto()
    """Our INVITE waits for one."""
    ANSWERED = auto()
    """Our 2xx waits for its ACK."""
    CONFIRMED = auto()
    LEAVING = auto()
    """Our BYE, or our CANCEL, waits for its response."""
    OVER = auto()


class CallMove(Enum):
    """Name what moves a call."""

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
