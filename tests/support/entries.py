"""The entry points of the installation, each as the command that starts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from tests.support.fleet import ROOT, free_ports

BOOTSTRAP = ("manage.py", *"bootstrap --account 1 --client-id c --client-secret a-client-secret-of-enough-length".split())
ENTRIES = {
    "gunicorn": ("-m", "gunicorn", "-c", "python:sipuri_project.web.gunicorn_config", "--bind", "127.0.0.1:{port}"),
    "celery": ("-m", "celery", "-A", "sipuri_project", "worker", "-B", "--concurrency", "1"),
    "runall": ("manage.py", "runall"),
    "runsipproxy": ("manage.py", "runsipproxy"),
    "bootstrap": BOOTSTRAP,
}


def start(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one to its end, which has to come by itself."""
    (port,) = free_ports(1)
    filled = [word.format(port=port) if word.endswith("{port}") else word for word in command]
    return subprocess.run([sys.executable, *filled], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
