"""The four transaction machines of RFC 3261 section 17, with RFC 6026's Accepted state, as data.

`MACHINE[kind][state][input]` is the next state and what to do on the way. An input that a state does not list is absorbed,
and a timer that a state does not list stops when the state is entered. Nothing else in the code changes a state.

Over UDP the lingering states keep their full length: 64*T1 for answered INVITEs and for responses that a server may have to
repeat, T4 for retransmissions that a client absorbs. Over streams only answered INVITEs linger (RFC 6026 7).
"""

from __future__ import annotations

from enum import Enum, auto

T1 = 0.5  # round trip estimate, seconds
T2 = 4.0  # longest interval between retransmissions of a non-INVITE request or an INVITE's final response
T4 = 5.0  # how long a message may stay in the network
TIMEOUT = 64 * T1  # timers B, F, H, J, L, M and D (which must be at least 32 s)


class IdentityEnum(Enum):
    """An enum whose members hash by identity: a table's keys are hashed several times a message, and Enum's own hash is Python code."""

    __hash__ = object.__hash__


class Kind(IdentityEnum):
    """The four transaction machines."""

    INVITE_CLIENT = auto()
    INVITE_SERVER = auto()
    NON_INVITE_CLIENT = auto()
    NON_INVITE_SERVER = auto()


class State(IdentityEnum):
    """The states of all four machines."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(IdentityEnum):
    """What can happen to a transaction; for a server the three response classes are what its user sends."""

    REQUEST = auto()
    ACK = auto()
    PROVISIONAL = auto()
    SUCCESS = auto()
    FINAL_300_699 = auto()
    RETRANSMIT_TIMER = auto()
    TIMEOUT_TIMER = auto()
    LINGER_TIMER = auto()


class Action(IdentityEnum):
    """What a step does."""

    SEND = auto()  # send the request or response that the user gave
    RESEND = auto()  # send the last message once more
    REPEAT = auto()  # send the last message once more, and again after the next, longer interval
    ACK = auto()  # acknowledge a failure (17.1.1.3)
    PASS_TO_TU = auto()  # pass the message to the transaction user
    REPORT_TIMEOUT = auto()
    ARM_RETRANSMIT = auto()
    ARM_TIMEOUT = auto()
    ARM_LINGER = auto()
    STOP_TIMEOUT = auto()


Next = tuple[State, tuple[Action, ...]]
Table = dict[State, dict[Input, Next]]

_GONE: Next = (State.TERMINATED, ())
_TIMED_OUT: Next = (State.TERMINATED, (Action.REPORT_TIMEOUT,))
_ANSWERED: tuple[Action, ...] = (Action.PASS_TO_TU, Action.ARM_LINGER)
_FAILED: tuple[Action, ...] = (Action.PASS_TO_TU, Action.ACK, Action.ARM_LINGER)

INVITE_CLIENT: Table = {  # RFC 3261 figure 5, RFC 6026 figure 5
    State.CALLING: {
        Input.RETRANSMIT_TIMER: (State.CALLING, (Action.REPEAT,)),
        Input.TIMEOUT_TIMER: _TIMED_OUT,
        Input.PROVISIONAL: (State.PROCEEDING, (Action.STOP_TIMEOUT, Action.PASS_TO_TU)),
        Input.SUCCESS: (State.ACCEPTED, _ANSWERED),
        Input.FINAL_300_699: (State.COMPLETED, _FAILED),
    },
    State.PROCEEDING: {
        # Only a cancelled INVITE has this timer here (RFC 3261 9.1).
        Input.TIMEOUT_TIMER: _TIMED_OUT,
        Input.PROVISIONAL: (State.PROCEEDING, (Action.PASS_TO_TU,)),
        Input.SUCCESS: (State.ACCEPTED, _ANSWERED),
        Input.FINAL_300_699: (State.COMPLETED, _FAILED),
    },
    State.ACCEPTED: {
        Input.SUCCESS: (State.ACCEPTED, (Action.PASS_TO_TU,)),
        Input.LINGER_TIMER: _GONE,
    },
    State.COMPLETED: {
        Input.FINAL_300_699: (State.COMPLETED, (Action.ACK,)),
        Input.LINGER_TIMER: _GONE,
    },
}

NON_INVITE_CLIENT: Table = {  # RFC 3261 figure 6
    State.TRYING: {
        Input.RETRANSMIT_TIMER: (State.TRYING, (Action.REPEAT,)),
        Input.TIMEOUT_TIMER: _TIMED_OUT,
        Input.PROVISIONAL: (State.PROCEEDING, (Action.PASS_TO_TU,)),
        Input.SUCCESS: (State.COMPLETED, _ANSWERED),
        Input.FINAL_300_699: (State.COMPLETED, _ANSWERED),
    },
    State.PROCEEDING: {
        Input.RETRANSMIT_TIMER: (State.PROCEEDING, (Action.REPEAT,)),
        Input.TIMEOUT_TIMER: _TIMED_OUT,
        Input.PROVISIONAL: (State.PROCEEDING, (Action.PASS_TO_TU,)),
        Input.SUCCESS: (State.COMPLETED, _ANSWERED),
        Input.FINAL_300_699: (State.COMPLETED, _ANSWERED),
    },
    State.COMPLETED: {Input.LINGER_TIMER: _GONE},
}

INVITE_SERVER: Table = {  # RFC 3261 figure 7, RFC 6026 figure 4
    State.PROCEEDING: {
        Input.REQUEST: (State.PROCEEDING, (Action.RESEND,)),
        Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
        Input.SUCCESS: (State.ACCEPTED, (Action.SEND, Action.ARM_LINGER)),
        Input.FINAL_300_699: (State.COMPLETED, (Action.SEND, Action.ARM_RETRANSMIT, Action.ARM_TIMEOUT)),
    },
    State.ACCEPTED: {
        Input.ACK: (State.ACCEPTED, (Action.PASS_TO_TU,)),
        Input.SUCCESS: (State.ACCEPTED, (Action.SEND,)),
        Input.LINGER_TIMER: _GONE,
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (Action.RESEND,)),
        Input.RETRANSMIT_TIMER: (State.COMPLETED, (Action.REPEAT,)),
        Input.ACK: (State.CONFIRMED, (Action.ARM_LINGER,)),
        # Timer H: no ACK came. The user has nothing to do about it.
        Input.TIMEOUT_TIMER: _GONE,
    },
    State.CONFIRMED: {Input.LINGER_TIMER: _GONE},
}

NON_INVITE_SERVER: Table = {  # RFC 3261 figure 8
    State.TRYING: {
        Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
        Input.SUCCESS: (State.COMPLETED, (Action.SEND, Action.ARM_LINGER)),
        Input.FINAL_300_699: (State.COMPLETED, (Action.SEND, Action.ARM_LINGER)),
    },
    State.PROCEEDING: {
        Input.REQUEST: (State.PROCEEDING, (Action.RESEND,)),
        Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
        Input.SUCCESS: (State.COMPLETED, (Action.SEND, Action.ARM_LINGER)),
        Input.FINAL_300_699: (State.COMPLETED, (Action.SEND, Action.ARM_LINGER)),
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (Action.RESEND,)),
        Input.LINGER_TIMER: _GONE,
    },
}

MACHINE: dict[Kind, Table] = {
    Kind.INVITE_CLIENT: INVITE_CLIENT,
    Kind.INVITE_SERVER: INVITE_SERVER,
    Kind.NON_INVITE_CLIENT: NON_INVITE_CLIENT,
    Kind.NON_INVITE_SERVER: NON_INVITE_SERVER,
}

FIRST: dict[Kind, State] = {
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.NON_INVITE_CLIENT: State.TRYING,
    Kind.NON_INVITE_SERVER: State.TRYING,
}

# How long the linger timer runs, by machine and the state that arms it.
LINGER: dict[tuple[Kind, State], float] = {
    (Kind.INVITE_CLIENT, State.ACCEPTED): TIMEOUT,  # M
    (Kind.INVITE_CLIENT, State.COMPLETED): TIMEOUT,  # D
    (Kind.NON_INVITE_CLIENT, State.COMPLETED): T4,  # K
    (Kind.INVITE_SERVER, State.ACCEPTED): TIMEOUT,  # L
    (Kind.INVITE_SERVER, State.CONFIRMED): T4,  # I
    (Kind.NON_INVITE_SERVER, State.COMPLETED): TIMEOUT,  # J
}
