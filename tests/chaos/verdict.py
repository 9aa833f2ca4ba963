"""What a fault cost, computed from what callers, records and backend saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemonkit.address import Address
from daemonkit.presence import REPEATED_SECONDS
from tests.chaos.callers import Attempt
from voiceapps.rules.endings import EndReason

MAX_EXAMPLES = 5
MAX_SECONDS_OFF = 1.0
NODE_LOST = EndReason.NODE_LOST.value
GRACE_SECONDS = 3.0
"""After the end of a fault calls may still be refused for so long, and for the time that a role waits before it is started again."""


@dataclass(frozen=True, slots=True)
class Row:
    """A call as the database has it; times are epoch seconds."""

    user: str
    asked: int
    """The place of its proxy among those that were asked."""
    call_id: str
    is_open: bool
    answered_at: float | None
    ended_at: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known after a line."""

    attempts: Sequence[Attempt]
    rows: Sequence[Row]
    open_rows: int
    """Rows that count against limits."""
    initiated: Sequence[str]
    """Call ids of the `initiate` webhooks that the backend answered."""
    disconnected: Sequence[str]
    """Call ids of the `disconnect` webhooks that came."""
    began_at: float
    ended_at: float
    is_well: bool
    """Whether health was good again before the line's end."""
    harmed: frozenset[Address] = frozenset()
    """Proxies that were away as long as the fault lasted, if it was one of a whole host."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a fault may cost."""

    cuts: bool = False
    refusals: bool = False
    """While it lasts, and a moment longer."""
    back_off: float = 0.0
    """Seconds after which a role that died is started again."""
    unheard: bool = False
    """A whole host is away. Who hangs up at its proxy meanwhile leaves no trace anywhere before the BYE gets through, if its audio went
    through the same host: such a record is off by as much as the host was away, at most. A call that has its relay there, and is not
    answered when it goes, fails: the other side has been told to send its audio there."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of the table."""

    calls: int
    dead: int
    refused: int
    cut: int
    open_rows: int
    missing: int
    doubled: int
    seconds_off: float
    recovered_after: float
    """Seconds from the fault's end to the begin of the last call that failed."""
    faults: tuple[str, ...]
    """Why the line is not good."""
    examples: tuple[str, ...]
    """Calls that show it, a sentence each."""


def cost(seen: Seen, allowed: Allowed) -> Cost:
    """Return what a fault cost and whether it cost too much."""
    failed = [attempt for attempt in seen.attempts if attempt.answered_at is None]
    lost = {row.user for row in seen.rows if row.reason == NODE_LOST}
    cut = [attempt for attempt in seen.attempts if attempt.is_cut or attempt.user in lost]
    open_rows = max(seen.open_rows, sum(row.is_open for row in seen.rows))
    told = Counter(seen.disconnected)
    missing = sum(call_id not in told for call_id in set(seen.initiated) | {row.call_id for row in seen.rows if not row.is_open})
    doubled = sum(count > 1 for count in told.values())
    differences = _seconds_off(seen, allowed)
    off = max(map(abs, differences.values()), default=0.0)
    recovered = max([0.0, *(attempt.begun_at - seen.ended_at for attempt in failed)])
    late = [one for one in failed if not _is_excused(one, seen, allowed)]
    wrong = {
        "the system did not become well": not seen.is_well,
        f"{open_rows} rows open": open_rows,
        f"{missing} webhooks missing": missing,
        f"{len(cut)} calls cut": cut and not allowed.cuts,
        f"{len(late)} calls refused that should have been taken": late,
        f"a record is {off:.1f} s off": off > MAX_SECONDS_OFF,
    }
    return Cost(
        calls=len(seen.attempts),
        dead=sum(attempt.dead for attempt in seen.attempts),
        refused=len(failed),
        cut=len(cut),
        open_rows=open_rows,
        missing=missing,
        doubled=doubled,
        seconds_off=off,
        recovered_after=recovered,
        faults=tuple(what for what, is_so in wrong.items() if is_so),
        examples=tuple(_told(one, seen) for one in seen.attempts if one in late or _is_bad(one, cut, differences, allowed))[:MAX_EXAMPLES],
    )


def _is_bad(attempt: Attempt, cut: Sequence[Attempt], differences: Mapping[str, float], allowed: Allowed) -> bool:
    return (attempt in cut and not allowed.cuts) or abs(differences.get(attempt.user, 0.0)) > MAX_SECONDS_OFF


def _told(attempt: Attempt, seen: Seen) -> str:
    """Return what happened to a call, in seconds from the fault's begin."""
    times = {"begun": attempt.begun_at, "answered": attempt.answered_at, "ended": attempt.ended_at}
    row = _row_of(attempt, seen)
    if row is not None:
        times |= {"record answered": row.answered_at, "record ended": row.ended_at}
    story = ", ".join(f"{what} {when - seen.began_at:.1f}" for what, when in times.items() if when is not None)
    return f"{attempt.user} {row.call_id if row else 'without a record'}: {story}; dead {attempt.dead}, refused {attempt.refused}"


def _is_excused(attempt: Attempt, seen: Seen, allowed: Allowed) -> bool:
    """Return whether a call that failed was begun while nobody could take it, or still waited for an answer then."""
    until = seen.ended_at + GRACE_SECONDS + allowed.back_off
    if allowed.unheard and seen.began_at - GRACE_SECONDS <= attempt.begun_at <= seen.began_at:
        return True
    return allowed.refusals and seen.began_at - GRACE_SECONDS <= attempt.begun_at <= until


def _row_of(attempt: Attempt, seen: Seen) -> Row | None:
    """Return the record of an attempt: each proxy that was asked may have made one; that of the last one counts."""
    return next((row for row in seen.rows if (row.user, row.asked) == (attempt.user, attempt.asked)), None)


def _hung_up_unheard(attempt: Attempt, ended_at: float, seen: Seen, allowed: Allowed) -> bool:
    return attempt.proxy in seen.harmed and seen.began_at - 0.5 <= ended_at <= seen.ended_at + GRACE_SECONDS + allowed.back_off


def _seconds_off(seen: Seen, allowed: Allowed) -> dict[str, float]:
    """Return by how much the records of calls that their callers ended differ from what the callers saw, by their users."""
    away = seen.ended_at - seen.began_at + allowed.back_off + REPEATED_SECONDS
    differences = {}
    for attempt in seen.attempts:
        row = _row_of(attempt, seen)
        if row is None or row.reason == NODE_LOST or attempt.is_cut:
            continue
        if attempt.answered_at and attempt.ended_at and row.answered_at and row.ended_at:
            off = (row.ended_at - row.answered_at) - (attempt.ended_at - attempt.answered_at)
            if not (allowed.unheard and abs(off) <= away and _hung_up_unheard(attempt, attempt.ended_at, seen, allowed)):
                differences[attempt.user] = off
    return differences
