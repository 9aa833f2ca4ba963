"""The guided tour, as `DEMO_ONCE=1 make demo` runs it, on ports of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.fleet import ROOT, Fleet


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
