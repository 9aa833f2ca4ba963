"""Python beside a running system: one process that has loaded Django forks for each piece of code.

A piece costs a fork instead of a start, and leaves nothing behind for the next one: what it imports, caches and connects to ends with it.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 60
# Replies have a descriptor of their own, so that code may print.
SERVER = """
import json, os, sys, traceback
replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
import django
django.setup()
import voiceapps.services.reports
for line in sys.stdin:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    try:
        names = {"__name__": "__main__"}
        exec(json.loads(line), names)
        print(json.dumps({"result": names["result"]}, default=str), file=replies)
    except BaseException:
        print(json.dumps({"error": traceback.format_exc()}), file=replies)
    replies.flush()
    os._exit(0)
"""


class Interpreter:
    """Runs code in an environment of settings."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=root,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
            bufsize=1,
        )

    def run(self, code: str) -> Any:
        """Run code, and return what it leaves in `result`; fails with its traceback, or after a minute."""
        sent, got = self._process.stdin, self._process.stdout
        assert sent
        assert got
        sent.write(json.dumps(code) + "\n")
        ready, _, _ = select.select([got], [], [], SECONDS)
        reply = json.loads((got.readline() if ready else "") or "{}")
        assert "result" in reply, reply.get("error") or self._why_not()
        return reply["result"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._told.close()

    def _why_not(self) -> str:
        self._told.seek(0)
        return f"No answer within {SECONDS} s: " + self._told.read().decode(errors="replace")[-4000:]
