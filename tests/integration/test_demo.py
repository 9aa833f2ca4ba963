"""The guided tour, as `DEMO_ONCE=1 make demo` runs it, on ports of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.fleet import ROOT, Fleet


@pytest.mark.timeout(240)
def test_the_tour_ends_well_twice(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            env=fleet.env | {"DEMO_ONCE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
        for word in ("407 Proxy Authentication Required", "gather →", "disconnect →", "recording", "heard.wav", "/console/"):
            assert word in ran.stdout
    assert (fleet.state / "demo" / "heard.wav").stat().st_size > 16_000


def test_what_does_not_happen_is_an_exit_code(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    ran = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env=fleet.env | {"DEMO_ONCE": "1", "SIPURI_REGION_OVERRIDES": "127.0.0.0/8=FR"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 1
    assert "401" in ran.stdout
