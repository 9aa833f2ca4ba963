"""The guided tour, as `DEMO_ONCE=1 make demo` runs it, on ports of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fleet import ROOT, Fleet, until


def tour(fleet: Fleet, **environment: str) -> subprocess.CompletedProcess[str]:
    fleet.prepare()
    environment = fleet.env | {"DEMO_ONCE": "1"} | environment
    return subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.timeout(240)
def test_the_tour_ends_well(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    ran = tour(fleet)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "\\u" not in ran.stdout
    for word in ("407 Proxy Authentication Required", "gather →", "disconnect →", "recording", "heard.wav", "/console/"):
        assert word in ran.stdout
    assert (fleet.state / "demo" / "heard.wav").stat().st_size > 16_000


def test_what_does_not_happen_is_an_exit_code(make_fleet: Callable[..., Fleet]) -> None:
    ran = tour(make_fleet(), SIPURI_REGION_OVERRIDES="127.0.0.0/8=FR")
    assert ran.returncode == 1
    assert "401" in ran.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_no_role_outlives_the_tour(make_fleet: Callable[..., Fleet], number: signal.Signals) -> None:
    fleet = make_fleet()
    fleet.prepare()
    with subprocess.Popen([sys.executable, "-m", "demo"], cwd=ROOT, env=fleet.env, stdout=subprocess.DEVNULL) as running:
        until(lambda: len(roles_of(fleet)) > 5, seconds=60, what="the roles run")
        running.send_signal(number)
    until(lambda: not roles_of(fleet), seconds=60, what="no role runs")


def roles_of(fleet: Fleet) -> list[str]:
    """Return the command lines of the processes that keep their state where the fleet does."""
    ours = f"SIPURI_VAR_DIR={fleet.env['SIPURI_VAR_DIR']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue  # It has ended meanwhile, or is not ours.
        if ours in environment.split(b"\0") and b"demo" not in command.split(b"\0"):
            found.append(command.decode(errors="replace"))
    return found
