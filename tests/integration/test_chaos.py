"""The most telling faults on one host, in short: `make chaos` tries all of them with more and longer calls.

Other tests run beside it. A telephone that they keep from sending in time has no steady audio, and then nobody can tell when its call
ended while the proxy was away (docs/status.md): a line that fails is tried once more, and a fault of ours fails twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos import line
from tests.chaos.__main__ import SETTINGS, run


@pytest.mark.timeout(300)
def test_what_dies_costs_no_more_than_it_must(root: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = SETTINGS["one"].short
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        costs = asyncio.run(run("one", failed, line.SHORT, tmp_path / turn))
        failed = tuple(name for name, cost in costs.items() if cost.faults)
        if not failed:
            return
    pytest.fail(capsys.readouterr().out)
