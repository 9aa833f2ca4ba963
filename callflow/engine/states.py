"""The engine's state machines as tables; a move that a table does not list is a bug."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """What a call is doing."""

    NEW = auto()
    LOOKING_UP = auto()
    """The application is being read."""
    FETCHING = auto()
    """A webhook has been sent; its answer is the next document."""
    ANSWERING = auto()
    """200 has been sent; media starts after the ACK."""
    RUNNING = auto()
    """Verbs run."""
    ENDED = auto()


class Move(Enum):
    """What moves a call from phase to phase."""

    ARRIVE = auto()
    FETCH = auto()
    RUN = auto()
    ANSWER = auto()
    ACKNOWLEDGE = auto()
    END = auto()


PHASES: dict[Phase, dict[Move, Phase]] = {
    Phase.NEW: {Move.ARRIVE: Phase.LOOKING_UP, Move.END: Phase.ENDED},
    Phase.LOOKING_UP: {Move.FETCH: Phase.FETCHING, Move.RUN: Phase.RUNNING, Move.END: Phase.ENDED},
    Phase.FETCHING: {Move.FETCH: Phase.FETCHING, Move.RUN: Phase.RUNNING, Move.END: Phase.ENDED},
    Phase.RUNNING: {
        Move.ANSWER: Phase.ANSWERING,
        Move.FETCH: Phase.FETCHING,
        Move.RUN: Phase.RUNNING,
        Move.END: Phase.ENDED,
    },
    Phase.ANSWERING: {Move.ACKNOWLEDGE: Phase.RUNNING, Move.END: Phase.ENDED},
    Phase.ENDED: {},
}


class Watching(Enum):
    """What the watch over a call's signs of life is doing."""

    OFF = auto()
    """The call is not answered, or over."""
    LISTENING = auto()
    ASKED = auto()
    """No sign came in time; the caller is being asked whether it is still there."""


class WatchMove(Enum):
    """What moves the watch from state to state."""

    START = auto()
    ASK = auto()
    HEAR = auto()
    STOP = auto()


WATCHING: dict[Watching, dict[WatchMove, Watching]] = {
    Watching.OFF: {WatchMove.START: Watching.LISTENING, WatchMove.STOP: Watching.OFF},
    Watching.LISTENING: {WatchMove.ASK: Watching.ASKED, WatchMove.STOP: Watching.OFF},
    Watching.ASKED: {WatchMove.HEAR: Watching.LISTENING, WatchMove.STOP: Watching.OFF},
}


class Gathering(Enum):
    """What a `<Gather>` is doing."""

    PROMPTING = auto()
    WAITING = auto()
    """The prompts are over and no digit has come."""
    HEARD = auto()
    """Words have come, and more of them may follow."""
    COLLECTING = auto()
    """Digits have come, and more of them may follow."""
    DONE = auto()


class GatherMove(Enum):
    """What moves a `<Gather>` from state to state."""

    PROMPTS_OVER = auto()
    REPEAT = auto()
    WORDS = auto()
    DIGIT = auto()
    FINISH = auto()


GATHERING: dict[Gathering, dict[GatherMove, Gathering]] = {
    Gathering.PROMPTING: {
        GatherMove.PROMPTS_OVER: Gathering.WAITING,
        GatherMove.WORDS: Gathering.HEARD,
        GatherMove.DIGIT: Gathering.COLLECTING,
    },
    Gathering.WAITING: {
        GatherMove.WORDS: Gathering.HEARD,
        GatherMove.DIGIT: Gathering.COLLECTING,
        GatherMove.REPEAT: Gathering.PROMPTING,
        GatherMove.FINISH: Gathering.DONE,
    },
    Gathering.HEARD: {
        GatherMove.WORDS: Gathering.HEARD,
        GatherMove.DIGIT: Gathering.COLLECTING,
        GatherMove.FINISH: Gathering.DONE,
    },
    Gathering.COLLECTING: {GatherMove.DIGIT: Gathering.COLLECTING, GatherMove.FINISH: Gathering.DONE},
    Gathering.DONE: {},
}


class Hearing(Enum):
    """What a listening hears."""

    SILENCE = auto()
    SPEECH = auto()
    """Somebody speaks, and it is not known yet whether these are words."""
    OVER = auto()


class HearingMove(Enum):
    """What moves a listening from state to state."""

    BEGIN = auto()
    END = auto()
    """With words or without."""
    STOP = auto()


HEARING: dict[Hearing, dict[HearingMove, Hearing]] = {
    Hearing.SILENCE: {HearingMove.BEGIN: Hearing.SPEECH, HearingMove.END: Hearing.SILENCE, HearingMove.STOP: Hearing.OVER},
    Hearing.SPEECH: {HearingMove.END: Hearing.SILENCE, HearingMove.STOP: Hearing.OVER},
    Hearing.OVER: {},
}
