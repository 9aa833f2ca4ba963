"""When the relay's thread goes before others: audio cannot wait until an ordinary program has used up its turn, some milliseconds.

That holds while packets pass through this process. Where the kernel forwards them, what is left here is bookkeeping, which
would only keep the machine's other programs waiting, the kernel's own threads among them.
"""

from __future__ import annotations

import os
import sys

import structlog

SWITCH_SECONDS = 0.0002
REALTIME = 1
"""The lowest priority of those that go before ordinary threads."""

log = structlog.get_logger(__name__)


class Priority:
    """The priority of the thread that asks; where it is not `wanted`, or the system does not allow it, an ordinary one."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._is_first = False

    def follow(self, *, carries_packets: bool) -> None:
        """Go before ordinary threads while packets depend on this one.

        Threads and processes that it starts are ordinary (sched(7)). The system keeps a twentieth of each second back for the
        others (`sched_rt_runtime_us`), so not even a thread that never rests can keep an operator out.
        """
        if not self._wanted or carries_packets == self._is_first:
            return
        self._is_first = carries_packets
        policy, number = (os.SCHED_RR | os.SCHED_RESET_ON_FORK, REALTIME) if carries_packets else (os.SCHED_OTHER, 0)
        try:
            os.sched_setscheduler(0, policy, os.sched_param(number))
        except OSError as error:
            self._wanted = False
            log.info("media_realtime", on=False, missing=f"CAP_SYS_NICE or a limit of real-time priority (RLIMIT_RTPRIO): {error.strerror}")
        else:
            log.info("media_realtime", on=carries_packets)


def shorten_switch_interval() -> None:
    """Have a thread that computes hand the interpreter on soon: the database's would keep packets waiting for 5 ms at a time."""
    sys.setswitchinterval(SWITCH_SECONDS)
