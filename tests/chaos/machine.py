"""One of our machines: every role under `runall`, and its processes by role."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from daemonkit.address import Address
from tests.chaos.callers import CallPlace
from tests.support.fleet import Application, Fleet, until

COMMANDS = {
    "sipproxy": "runsipproxy",
    "callflow": "runcallflow",
    "mediarelay": "runmediarelay",
    "sipdns": "runsipdns",
    "web": "gunicorn",
    "worker": "housekeeping",
    "webhooks": "-Q webhooks",
}


class Machine:
    """A fleet that is one supervisor."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def pids(self, role: str) -> list[int]:
        """Return the processes of a role, the first of them first."""
        command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.fleet.processes["all"].pid)]
        listing = subprocess.run(command, capture_output=True, text=True, check=False)
        first = [int(line.split()[0]) for line in listing.stdout.splitlines() if COMMANDS[role] in line]
        return [pid for root in first for pid in (root, *_descendants(root))]

    def kill(self, role: str) -> None:
        """Kill a role's first process; the supervisor ends what it leaves behind."""
        os.kill(until(lambda: self.pids(role), seconds=40, what=f"{role} runs")[0], signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """Kill `runall` itself."""
        process = self.fleet.processes.pop("all")
        process.kill()
        process.wait()

    def is_well(self) -> bool:
        """Return whether every role is there."""
        return self.fleet._status(f"{self.fleet.http}/healthz") == 200


class System(Protocol):
    """What a line needs to know of an installation."""

    machine: Machine
    """The one that is harmed."""
    application: Application
    """Whose calls are placed."""
    hanging: Application
    """One whose status URL takes connections and never answers."""
    disk: Path | None
    """Where the machine's state lies, if that is a disk of its own."""
    place: CallPlace
    harmed: frozenset[Address]
    """The machine's proxies, if there are others."""
    home: str
    """The namespace of the callers; empty for this one."""

    def is_well(self) -> bool:
        """Return whether every role of every machine is there."""


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()):
            yield child
            yield from _descendants(child)
