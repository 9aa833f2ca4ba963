"""What is said of a webhook delivery: of what kind it is, how it stands, and what will happen next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

GONE = 410
"""The status by which a backend says that it wants no more of this."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A delivery, as far as what comes next depends on it."""

    state: str
    synchronous: bool
    now: datetime
    next_attempt_at: datetime | None
    is_sending: bool
    """Whether a worker has it."""
    tries_left: int
    status: int | None
    """Of the newest answer."""
    host: str
    rests_until: datetime | None
    """Nothing is sent to its host until then; None if it does not rest."""


def kind(state: str, status: int | None, *, synchronous: bool) -> str:
    """Return whether somebody waited for the answer, and whether it came: a call runs what it gets, a status event is only told."""
    if not synchronous:
        return "a status event"
    if state == "delivered":
        return "the call waited for this answer, and got it"
    answer = "none came" if status is None else f"{status} is none that it could use"
    return f"the call waited for this answer; {answer}"


def what_follows(standing: Standing) -> str:
    """Return in one sentence what will happen next; times are left to the page, which writes them as all times."""
    if standing.state == "delivered":
        return "Nothing more: it was delivered."
    if standing.state == "failed":
        return _after_failure(standing)
    if standing.is_sending:
        return "It is being sent right now."
    if standing.rests_until is not None:
        return f"Nothing is sent to {standing.host} while it rests; a try that falls due until then fails unsent."
    if standing.next_attempt_at is None or standing.next_attempt_at <= standing.now:
        return "It is due: a worker sends it as soon as there is room."
    wait = max(standing.next_attempt_at - standing.now, timedelta(seconds=1))
    left = "no further try after that" if standing.tries_left <= 1 else f"{standing.tries_left} tries are left"
    return f"It is tried again in {_about(wait)}; {left}."


def _after_failure(standing: Standing) -> str:
    if standing.synchronous:
        return "Nothing more: the call has gone on without this answer, so it cannot be sent again."
    if standing.status == GONE:
        return "Nothing more: the backend answered 410, which means that it wants no more tries."
    return "Nothing more: it is not tried again by itself. Who may can send it anew, with retries of its own."


def _about(wait: timedelta) -> str:
    seconds = round(wait.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
