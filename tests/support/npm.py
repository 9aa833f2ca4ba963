"""Packages of npm that tests use, each installed once for all tests of this checkout."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_HOME = Path(__file__).parents[2] / "var" / "npm"
# A registry that does not answer is asked again soon; by default npm waits for five minutes.
_PATIENCE = ("--fetch-timeout=15000", "--fetch-retries=5", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")


@cache
def installed(package: str, version: str) -> Path:
    """Return the folder whose `node_modules` hold a package.

    It is renamed when it is complete, and a second process waits for the lock of the first one.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"This test needs {program}: install Debian's packages nodejs and npm.")
    home, unfinished = _HOME / f"{package}-{version}", _HOME / "unfinished"
    _HOME.mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            command = ["npm", "install", "--prefix", str(unfinished), "--no-audit", "--no-fund", *_PATIENCE, f"{package}@{version}"]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            unfinished.rename(home)
    return home
