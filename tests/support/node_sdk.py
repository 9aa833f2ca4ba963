"""The vendor's Node SDK, installed once for all tests of this checkout."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VERSION = "8.1.4"
_NPM = Path(__file__).parents[2] / "var" / "npm"
_SCRIPTS = Path(__file__).parents[1] / "data" / "sdk"


@cache
def _home() -> Path:
    """Install it. It is renamed when it is complete, and a second process waits for the lock of the first one."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"This test needs {program}: install Debian's packages nodejs and npm.")
    home, unfinished = _NPM / f"bandwidth-sdk-{VERSION}", _NPM / "unfinished"
    _NPM.mkdir(parents=True, exist_ok=True)
    with (_NPM / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            command = ["npm", "install", "--prefix", str(unfinished), "--no-audit", "--no-fund", f"bandwidth-sdk@{VERSION}"]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            unfinished.rename(home)
    return home


def drive(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script with the SDK and return what it prints."""
    environment = {"SDK_HOME": str(_home()), "PATH": os.environ["PATH"]}
    command = ["node", str(_SCRIPTS / script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=100)
    assert ran.returncode == 0, ran.stderr
    printed: dict[str, Any] = json.loads(ran.stdout)
    return printed
