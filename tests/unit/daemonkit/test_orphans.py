"""Processes whose parent is killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemonkit.orphans import command_that_ends_with_us

ROOT = Path(__file__).parents[3]
# A parent and its child; the child connects, and its connection ends with it.
CHILD = "import signal, socket, sys; line = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); signal.pause()"
PARENT = """
import signal, subprocess, sys
from daemonkit.orphans import command_that_ends_with_us
subprocess.Popen(command_that_ends_with_us(signal.SIGTERM, (sys.executable, "-c", *sys.argv[1:])))
signal.pause()
"""


@pytest.fixture
def listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    return listener


def test_a_child_ends_with_a_parent_that_is_killed(listener: socket.socket) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(listener.getsockname()[1])], cwd=ROOT)
    child = listener.accept()[0]
    child.settimeout(20)
    parent.kill()
    parent.wait()
    assert child.recv(1) == b""


def test_a_command_is_not_begun_for_a_parent_that_is_gone(listener: socket.socket) -> None:
    command = list(command_that_ends_with_us(signal.SIGTERM, (sys.executable, "-c", CHILD, str(listener.getsockname()[1]))))
    command[3] = "-1"  # no process has this id
    assert subprocess.run(command, cwd=ROOT, timeout=20, check=False).returncode == -signal.SIGTERM
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
