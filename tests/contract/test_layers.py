"""The layers hold, and each kind of break is seen when it is made on purpose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("sipuri_project", "voiceapps", "sipproxy", "mediarelay", "callflow", "daemonkit", "demo")

BREAKS = {
    "sipproxy/transactions/timers.py": ("import time", "sipproxy.transactions.timers -> time"),
    "voiceapps/rules/cidr.py": ("import django", "voiceapps.rules.cidr -> django"),
    "voiceapps/services/nodes.py": ("import callflow.bxml", "voiceapps.services.nodes -> callflow.bxml"),
    "daemonkit/udp.py": ("import sipuri_project.config", "daemonkit.udp -> sipuri_project.config"),
    "mediarelay/aio/front.py": ("import voiceapps.models", "mediarelay.aio.front -> voiceapps.models"),
    "sipproxy/sip/errors.py": ("import sipproxy.sip.message", "No cycles are allowed in sipproxy.sip."),
}
"""By module: an import that a contract forbids, and what the linter says of it."""


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    command = [str(program), "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(directory)})


def copy_rooms(directory: Path) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, directory / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)


def test_the_layers_hold_and_what_breaks_them_is_found(tmp_path: Path) -> None:
    copy_rooms(tmp_path)
    kept = lint(tmp_path)
    assert kept.returncode == 0, kept.stdout
    for name, (line, _) in BREAKS.items():
        victim = tmp_path / name
        victim.write_text(f"{victim.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    broken = lint(tmp_path)
    assert broken.returncode != 0
    assert [said for _, said in BREAKS.values() if said not in broken.stdout] == []
