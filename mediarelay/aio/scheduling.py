"""The real-time priority of the relay's thread: audio cannot wait some milliseconds until an ordinary program has used up its slice.

The priority is raised only while packets pass through this process. If the kernel forwards them, what is left here is
bookkeeping, which would only delay the machine's other programs, the kernel's own threads among them.
"""

from __future__ import annotations

import os
import sys

import structlog

SWITCH_SECONDS = 0.0002
REALTIME = 1
"""The lowest real-time priority."""

log = structlog.get_logger(__name__)


class Priority:
    """The priority of the calling thread; it stays ordinary unless it is `wanted` and the system allows more."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._is_first = False

    def follow(self, *, carries_packets: bool) -> None:
        """Take real-time priority while packets depend on this thread, and give it up otherwise.

        Threads and processes that it starts are ordinary (sched(7)). The system reserves a twentieth of each second for the
        others (`sched_rt_runtime_us`), so even a thread that never rests cannot lock an operator out.
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
    """Make computing threads release the interpreter soon: the database's would keep packets waiting for 5 ms at a time."""
    sys.setswitchinterval(SWITCH_SECONDS)
