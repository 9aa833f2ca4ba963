"""Whether the clocks agree: seals, nonces, bans and records of calls are compared across machines."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from datetime import datetime

from django.db import connection

from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Clock"
DOUBTFUL_SECONDS, BAD_SECONDS = 2.0, 30.0
TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that nothing keeps right."""
_TIMEX_OCTETS = 512
"""More than struct timex has."""


def examine() -> Iterator[Finding]:
    """Yield what is found of this machine's clock, and of the database's beside it."""
    yield judge_discipline(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS)))
    if connection.vendor == "postgresql":
        yield judge_difference(_ahead())


def judge_discipline(state: int) -> Finding:
    """Return what is found, given what the kernel says of its clock."""
    if state == TIME_ERROR:
        return doubtful(
            SUBJECT, "The kernel says that nothing keeps this machine's clock right.", "Run an NTP client (chrony, systemd-timesyncd)."
        )
    if state < 0:
        return doubtful(SUBJECT, "The kernel does not say whether the clock is kept right.", "See it on the host: timedatectl.")
    return good(SUBJECT, "This machine's clock is kept right.")


def judge_difference(seconds: float) -> Finding:
    """Return what is found, given by how much the database's clock is ahead of ours."""
    sentence = f"The database's clock and ours differ by {abs(seconds):.1f} s."
    fix = "Run an NTP client on both machines: calls are refused whose machines differ by a minute."
    if abs(seconds) < DOUBTFUL_SECONDS:
        return good(SUBJECT, sentence)
    return (bad if abs(seconds) >= BAD_SECONDS else doubtful)(SUBJECT, sentence, fix)


def _ahead() -> float:
    """Return by how many seconds the database's clock is ahead, which half the way there and back may falsify."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    return theirs.timestamp() - (before + time.time()) / 2
