"""One host: every role under `runall`, SQLite, no service; and what may befall it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.strangers import call as call_as_strangers
from tests.chaos.verdict import Allowed
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
SLOW_CLIENTS = 500
STRANGERS = 15_000
HANGING_CALLS = 40
TWICE_SECONDS = 3.0

Fault = Callable[["OneHost", float], None]
"""Does its harm for some seconds and takes it away again."""


class OneHost:
    """The fleet of one host, and its processes by role."""

    def __init__(self, fleet: Fleet, application: Application, hanging: Application, disk: Path | None) -> None:
        self.fleet = fleet
        self.application = application
        self.hanging = hanging
        """An application whose status URL takes connections and never answers."""
        self.disk = disk
        """Where its state lies, if that is a disk of its own."""

    def pids(self, role: str) -> list[int]:
        """Return the processes of a role, the first of them first."""
        supervisor = self.fleet.processes["all"].pid
        listing = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(supervisor)], capture_output=True, text=True, check=False)
        first = [int(line.split()[0]) for line in listing.stdout.splitlines() if COMMANDS[role] in line]
        return [pid for root in first for pid in (root, *_descendants(root))]

    def kill(self, role: str) -> None:
        """Kill a role's first process; the supervisor ends what it leaves behind."""
        os.kill(until(lambda: self.pids(role), seconds=40, what=f"{role} runs")[0], signal.SIGKILL)

    def is_well(self) -> bool:
        """Return whether every role is there."""
        return self.fleet._status(f"{self.fleet.http}/healthz") == 200


def killed(*roles: str) -> Fault:
    """Return the fault of roles that are killed once."""

    def harm(host: OneHost, _seconds: float) -> None:
        for role in roles:
            host.kill(role)

    return harm


def killed_twice(role: str) -> Fault:
    """Return the fault of a role that is killed again as soon as it is back."""

    def harm(host: OneHost, _seconds: float) -> None:
        host.kill(role)
        time.sleep(TWICE_SECONDS)
        host.kill(role)

    return harm


def stopped(role: str) -> Fault:
    """Return the fault of a role that does nothing for a while, and then goes on."""

    def harm(host: OneHost, seconds: float) -> None:
        pids = host.pids(role)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return harm


def drained(role: str) -> Fault:
    """Return the fault of a role that is told to end, and is started again."""

    def harm(host: OneHost, _seconds: float) -> None:
        os.kill(host.pids(role)[0], signal.SIGTERM)

    return harm


def supervisor_killed(host: OneHost, seconds: float) -> None:
    """Kill `runall`, and start it again as the machine's own supervisor would."""
    process = host.fleet.processes.pop("all")
    process.kill()
    process.wait()
    time.sleep(min(seconds, 2.0))
    host.fleet.spawn("all")


def disk_full(host: OneHost, seconds: float) -> None:
    """Fill the disk to the last octet."""
    assert host.disk is not None
    filler = host.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
    time.sleep(seconds)
    filler.unlink()


def descriptors_exhausted(role: str) -> Fault:
    """Return the fault of a role that may open no more files."""

    def harm(host: OneHost, seconds: float) -> None:
        before = {}
        for pid in host.pids(role):
            before[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[pid][1]))
        time.sleep(seconds)
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    return harm


def web_flooded(host: OneHost, seconds: float) -> None:
    """Open connections that send half a request."""
    address = host.fleet.env["SIPURI_HTTP_BIND"].split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            client = stack.enter_context(socket.create_connection((address[0], int(address[1])), timeout=5))
            client.sendall(b"POST /api/v1/oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 9")
        time.sleep(seconds)


def strangers(host: OneHost, seconds: float) -> None:
    """Let thousands of sources call what does not exist."""
    call_as_strangers(host.fleet.sip, "sip-uri.localhost", round(STRANGERS * seconds / 36), seconds)


def urls_hang(host: OneHost, seconds: float) -> None:
    """End calls of another customer whose status URL hangs."""
    host.fleet.python(ENDED.format(application=host.hanging.application_id, count=HANGING_CALLS))
    time.sleep(seconds)


ENDED = """
from tests.unit.voiceapps.builders import ended, facts
from voiceapps.models import VoiceApplication
from voiceapps.services.reports import write_reports
row = VoiceApplication.objects.get(pk={application!r})
write_reports([ended(facts(row, number)) for number in range({count})])
result = None"""

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
    "proxy drained": (drained("sipproxy"), Allowed(refusals=True, back_off=8.0)),
    "call flow drained": (drained("callflow"), Allowed(cuts=True, refusals=True, back_off=8.0)),
    "relay drained": (drained("mediarelay"), Allowed(cuts=True, refusals=True, back_off=8.0)),
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


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()):
            yield child
            yield from _descendants(child)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of some size, which needs root; nothing is mounted where that is not allowed."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(directory)], check=True, capture_output=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)
