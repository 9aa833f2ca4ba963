"""What an earlier release, a copy or a backup left readable for the machine's other users."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.entries import ENTRIES, start
from tests.support.fleet import Fleet, until

WIDE = ("keys/sipuri_secret_key", "sipuri.sqlite3", "relay-22222-0.journal", "old.log", "recordings/call/one.wav")


def open_for_all(state: Path) -> None:
    for name in WIDE:
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)


def wide(state: Path) -> list[str]:
    return [name for name in WIDE if stat.S_IMODE((state / name).stat().st_mode) & 0o077]


def test_a_start_narrows_files_with_one_line_each_for_state_and_recordings(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet("callflow")
    open_for_all(fleet.state)
    fleet.start()
    assert wide(fleet.state) == []
    assert fleet.log("callflow").count("files_closed") == 2
    fleet.stop()
    fleet.spawn("callflow")
    until(lambda: fleet.log("callflow").count("CallflowNode") == 2, seconds=30, what="the second start")
    fleet.stop()
    assert fleet.log("callflow").count("files_closed") == 2


@pytest.mark.parametrize("entry", ["gunicorn", "celery", "runall", "runsipproxy"])
def test_a_file_of_another_user_stops_each_role_by_name(root: None, make_fleet: Callable[..., Fleet], entry: str) -> None:
    fleet = make_fleet()
    fleet.prepare()
    stranger = fleet.state / "relay-22222-0.journal"
    stranger.touch()
    os.chown(stranger, 65_534, 65_534)
    ran = start(ENTRIES[entry], fleet.env)
    assert ran.returncode != 0
    assert f"SIPURI_VAR_DIR: {stranger} belongs to the user with id 65534" in ran.stderr
