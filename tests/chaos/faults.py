"""What may befall a machine: each fault does its harm for some seconds and takes it away again."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable

from bench.strangers import call as call_as_strangers
from tests.chaos.machine import System
from tests.support.fleet import until

SLOW_CLIENTS = 500
STRANGERS = 15_000
HANGING_CALLS = 40
TWICE_SECONDS = 3.0
DRAINED_SECONDS = 40.0

Fault = Callable[[System, float], None]


def killed(*roles: str) -> Fault:
    """Return the fault of roles that are killed once."""

    def harm(system: System, _seconds: float) -> None:
        for role in roles:
            system.machine.kill(role)

    return harm


def killed_twice(role: str) -> Fault:
    """Return the fault of a role that is killed again as soon as it is back."""

    def harm(system: System, _seconds: float) -> None:
        system.machine.kill(role)
        time.sleep(TWICE_SECONDS)
        system.machine.kill(role)

    return harm


def stopped(role: str) -> Fault:
    """Return the fault of a role that does nothing for a while, and then goes on."""

    def harm(system: System, seconds: float) -> None:
        pids = system.machine.pids(role)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return harm


def drained(role: str) -> Fault:
    """Return the fault of a role that is told to end, and is started again; it lasts until what the role holds is over."""

    def harm(system: System, _seconds: float) -> None:
        pid = system.machine.pids(role)[0]
        os.kill(pid, signal.SIGTERM)
        until(lambda: pid not in system.machine.pids(role), seconds=DRAINED_SECONDS, what=f"{role} has drained", every=0.2)

    return harm


def supervisor_killed(system: System, seconds: float) -> None:
    """Kill `runall`, and start it again as the machine's own supervisor would."""
    system.machine.kill_supervisor()
    time.sleep(min(seconds, 2.0))
    system.machine.fleet.spawn("all")


def disk_full(system: System, seconds: float) -> None:
    """Fill the disk to the last octet."""
    assert system.disk is not None
    filler = system.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
    time.sleep(seconds)
    filler.unlink()


def descriptors_exhausted(role: str) -> Fault:
    """Return the fault of a role that may open no more files."""

    def harm(system: System, seconds: float) -> None:
        before = {}
        for pid in system.machine.pids(role):
            before[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[pid][1]))
        time.sleep(seconds)
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    return harm


def web_flooded(system: System, seconds: float) -> None:
    """Open connections that send half a request."""
    address = system.machine.fleet.env["SIPURI_HTTP_BIND"].split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            client = stack.enter_context(socket.create_connection((address[0], int(address[1])), timeout=5))
            client.sendall(b"POST /api/v1/oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 9")
        time.sleep(seconds)


def strangers(system: System, seconds: float) -> None:
    """Let thousands of sources call what does not exist."""
    call_as_strangers(system.machine.fleet.sip, "sip-uri.localhost", round(STRANGERS * seconds / 36), seconds)


def urls_hang(system: System, seconds: float) -> None:
    """End calls of another customer whose status URL hangs."""
    system.machine.fleet.python(ENDED.format(application=system.hanging.application_id, count=HANGING_CALLS))
    time.sleep(seconds)


ENDED = """
from tests.unit.voiceapps.builders import ended, facts
from voiceapps.models import VoiceApplication
from voiceapps.services.reports import write_reports
row = VoiceApplication.objects.get(pk={application!r})
write_reports([ended(facts(row, number)) for number in range({count})])
result = None"""
