"""End with the process that supervises this one, even if that is killed.

Nobody would restart or drain an orphan, and it would keep the sockets that its successor needs. A program that does not ask for
this itself is started through this file: `python -IS orphans.py PARENT SIGNAL command…`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_SET_PARENT_DEATH_SIGNAL = 1


def end_with_parent(number: signal.Signals, parent: int) -> None:
    """Have the kernel send this process a signal when its parent dies, even by SIGKILL (prctl(2)); a program that it becomes keeps this.

    `parent` is the process id that the parent has told: if it has died already, the signal is sent now.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def command_that_ends_with_us(number: signal.Signals, command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs another one, which gets the signal when this process dies."""
    return (sys.executable, "-IS", __file__, str(os.getpid()), str(int(number)), *command)


def main(parent: str, number: str, *command: str) -> None:
    """Become the command, which ends with the parent."""
    end_with_parent(signal.Signals(int(number)), int(parent))
    os.execvp(command[0], command)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
