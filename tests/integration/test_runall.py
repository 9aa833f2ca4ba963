"""`runall` and the daemons' own starts: one clear sentence for everything that is in the way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.fleet import ROOT, Fleet, until


def start(fleet: Fleet, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=fleet.env | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_port_in_use_is_named_before_anything_starts(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    fleet.prepare()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip, socket.socket() as web:
        sip.bind(fleet.sip)
        host, _, port = fleet.env["SIPURI_HTTP_BIND"].partition(":")
        web.bind((host, int(port)))
        web.listen()
        ran = start(fleet, "runall")
    assert ran.returncode == 1
    assert f"web: TCP {host}:{port} is already in use." in ran.stderr
    assert "sipproxy: UDP {}:{} is already in use.".format(*fleet.sip) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_daemon_names_its_port_too(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    fleet.prepare()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(fleet.sip)
        ran = start(fleet, "runsipproxy")
    assert ran.returncode == 1
    assert "UDP {}:{} is already in use.".format(*fleet.sip) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_bad_variable_stops_the_start_by_name(make_fleet: Callable[..., Fleet]) -> None:
    ran = start(make_fleet(), "check", SIPURI_RTP_PORTS="many")
    assert ran.returncode == 1
    assert "SIPURI_RTP_PORTS='many' is not valid" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_dead_role_comes_back_and_ctrl_c_drains(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    fleet.start()
    supervisor = fleet.processes["all"]
    _kill_and_await_the_next(supervisor.pid, "runsipdns")
    # A worker's own children outlive it and hold its output.
    _kill_and_await_the_next(supervisor.pid, "celery")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(40) == 0
    assert "draining" in fleet.log()
    del fleet.processes["all"]


def test_whoever_kills_the_supervisor_ends_everything(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(SIPURI_SIP_WORKERS="2")
    fleet.start()
    assert len(_family(fleet)) > 8
    fleet.processes["all"].kill()
    with contextlib.suppress(AssertionError):
        until(lambda: not _family(fleet), seconds=10, what="the end of every process")
    assert _family(fleet) == []
    # Its addresses are free.
    fleet.spawn("all")
    until(fleet._ready, seconds=60, what="the second start", every=0.3)


def _family(fleet: Fleet) -> list[str]:
    """Return the processes that were started with the fleet's settings and still run."""
    mark, found = f"SIPURI_VAR_DIR={fleet.state}\0".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _kill_and_await_the_next(parent: int, word: str) -> None:
    child = until(lambda: _child(parent, word), seconds=5, what=word)
    # A child that dies young ends the start; this one has to be older than that.
    until(lambda: _age(child) > 6, seconds=15, what=f"{word} to settle")
    os.kill(child, signal.SIGKILL)
    until(lambda: _child(parent, word) not in {None, child}, seconds=20, what=f"{word} to be started again")


def _child(parent: int, word: str) -> int | None:
    listing = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False).stdout
    return next((int(line.split()[0]) for line in listing.splitlines() if word in line), None)


def _age(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "etimes=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)
