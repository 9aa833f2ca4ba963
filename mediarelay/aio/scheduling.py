"""Which thread the system runs first: audio cannot wait until an ordinary program has used up its turn, some milliseconds."""

from __future__ import annotations

import os
import sys

__all__ = ["go_first", "take_turns_quickly"]

SWITCH_SECONDS = 0.0002
PRIORITY = 1
"""The lowest of those that go before ordinary threads."""


def go_first() -> None:
    """Have this thread run before ordinary ones whenever it has work; raises OSError where the system does not allow it.

    Threads and processes that it starts are ordinary again (sched(7)). The system keeps a twentieth of each second back for
    the others (`sched_rt_runtime_us`), so not even a thread that never rests can keep an operator out.
    """
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))


def take_turns_quickly() -> None:
    """Have a thread that computes hand the interpreter on soon: the database's would keep packets waiting for 5 ms at a time."""
    sys.setswitchinterval(SWITCH_SECONDS)
