"""The vendor's Node SDK."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support import npm

VERSION = "8.1.4"
_SCRIPTS = Path(__file__).parents[1] / "data" / "sdk"


def drive(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script with the SDK and return what it prints."""
    environment = {"SDK_HOME": str(npm.installed("bandwidth-sdk", VERSION)), "PATH": os.environ["PATH"]}
    command = ["node", str(_SCRIPTS / script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=100)
    assert ran.returncode == 0, ran.stderr
    printed: dict[str, Any] = json.loads(ran.stdout)
    return printed
