"""The most telling faults on one host, in short: `make chaos` tries all of them with more and longer calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos import line
from tests.chaos.__main__ import SETTINGS, run


@pytest.mark.timeout(300)
def test_what_dies_costs_no_more_than_it_must(root: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = asyncio.run(run("one", SETTINGS["one"].short, line.SHORT, tmp_path))
    assert not any(cost.faults for cost in costs.values()), capsys.readouterr().out
