"""One host with SQLite and no service: the lines of its table, and what each may cost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from daemonkit.address import Address
from tests.chaos.callers import CallPlace
from tests.chaos.faults import (
    Fault,
    descriptors_exhausted,
    disk_full,
    drained,
    killed,
    killed_twice,
    stopped,
    strangers,
    supervisor_killed,
    urls_hang,
    web_flooded,
)
from tests.chaos.machine import Machine
from tests.chaos.verdict import Allowed
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet
from tests.support.hanging import HangingBackend

DISK_MEGABYTES = 512
DRAIN_SECONDS = 20.0
DOCUMENT = '<Response><Pause duration="600"/></Response>'

SOLE = Allowed(refusals=True, back_off=2.0)
"""The only node of a role is away, and starts again after a second."""
SOLE_TWICE = Allowed(refusals=True, back_off=6.0)
NOTHING = Allowed()

FAULTS: dict[str, tuple[Fault, Allowed]] = {
    "proxy killed": (killed("sipproxy"), SOLE),
    "call flow killed": (killed("callflow"), Allowed(cuts=True, refusals=True, back_off=2.0)),
    "relay killed": (killed("mediarelay"), SOLE),
    "workers killed": (killed("worker", "webhooks"), NOTHING),
    "web and DNS killed": (killed("web", "sipdns"), NOTHING),
    "proxy killed twice": (killed_twice("sipproxy"), SOLE_TWICE),
    "call flow killed twice": (killed_twice("callflow"), Allowed(cuts=True, refusals=True, back_off=6.0)),
    "relay killed twice": (killed_twice("mediarelay"), SOLE_TWICE),
    "proxy stopped": (stopped("sipproxy"), SOLE),
    "call flow stopped": (stopped("callflow"), SOLE),
    "relay stopped": (stopped("mediarelay"), SOLE),
    "workers stopped": (stopped("webhooks"), NOTHING),
    "proxy drained": (drained("sipproxy"), SOLE),
    "call flow drained": (drained("callflow"), SOLE),
    "relay drained": (drained("mediarelay"), SOLE),
    "supervisor killed": (supervisor_killed, Allowed(cuts=True, refusals=True, back_off=10.0)),
    "disk full": (disk_full, Allowed(refusals=True)),
    "proxy out of descriptors": (descriptors_exhausted("sipproxy"), Allowed(refusals=True)),
    "call flow out of descriptors": (descriptors_exhausted("callflow"), Allowed(refusals=True)),
    "web flooded": (web_flooded, NOTHING),
    "strangers call": (strangers, NOTHING),
    "a customer's URLs hang": (urls_hang, NOTHING),
}
SHORT = (
    *("proxy killed", "call flow killed", "relay killed", "workers killed"),
    *("call flow killed twice", "proxy stopped", "disk full", "a customer's URLs hang"),
)
"""The lines that run with every test."""


class OneHost:
    """The installation, a customer that is called, and one whose status URL hangs."""

    harmed: frozenset[Address] = frozenset()
    home = ""

    def __init__(self, fleet: Fleet, application: Application, hanging: Application, disk: Path) -> None:
        self.machine = Machine(fleet)
        self.application = application
        self.hanging = hanging
        self.disk: Path | None = disk
        self.place = CallPlace("127.0.0.1", [fleet.sip], lambda: [fleet.sip])

    def is_well(self) -> bool:
        """Return whether every role is there."""
        return self.machine.is_well()


@contextmanager
def one_host(directory: Path) -> Iterator[tuple[OneHost, TestBackend]]:
    """Start everything on a small disk."""
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(directory / "disk", DISK_MEGABYTES))
        backend, hanging = TestBackend({"/initiate": DOCUMENT}), HangingBackend()
        stack.callback(backend.close)
        stack.callback(hanging.close)
        fleet = Fleet(disk / "state", environment={"SIPURI_GUARD_TRUSTED": "127.0.0.1/32"}, drain_seconds=DRAIN_SECONDS)
        stack.callback(fleet.stop)
        fleet.start()
        called = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
        silent = fleet.application(callback=f"{backend.url}/initiate", status=hanging.url)
        yield OneHost(fleet, called, silent, disk), backend


@contextmanager
def _small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of some size, which needs root."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(directory)], check=True, capture_output=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)
