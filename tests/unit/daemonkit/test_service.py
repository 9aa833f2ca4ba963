"""The end of a daemon."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import sys
from prometheus_client import CollectorRegistry
from daemonkit.service import run

class Nothing:
    async def start(self): print("started", flush=True)
    def ready(self): return True
    def drain(self): pass
    def idle(self): return True
    async def stop(self): pass

code = run(Nothing(), metrics=None, registry=CollectorRegistry())
print("over", flush=True)
sys.stdin.read()
sys.exit(code)
"""


def test_a_signal_behind_the_end_changes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        words = iter(line.strip() for line in process.stdout)
        assert next(words) == "started"
        process.send_signal(signal.SIGTERM)
        assert "over" in words
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.wait(10) == 0
