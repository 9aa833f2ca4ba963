"""The layers hold, and breaking one on purpose is seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("sipuri_project", "voiceapps", "sipproxy", "mediarelay", "callflow", "daemonkit", "demo")


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    command = [str(program), "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(directory)})


def test_a_pure_module_that_reads_the_clock_is_caught(tmp_path: Path) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    kept = lint(tmp_path)
    assert kept.returncode == 0, kept.stdout
    victim = tmp_path / "sipproxy" / "transactions" / "timers.py"
    victim.write_text(victim.read_text() + "\nimport time\n")
    broken = lint(tmp_path)
    assert broken.returncode != 0
    assert "sipproxy.transactions.timers -> time" in broken.stdout
