"""A Redis of a test's own, which it may stop and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.fleet import free_ports, until


class RedisServer:
    """One redis-server that keeps nothing on disk."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        if not shutil.which("redis-server"):
            pytest.fail("This test needs a Debian package: apt-get install --no-install-recommends redis-server")
        self._directory = directory
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._host = host
        self.url = f"redis://{host}:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", self._host, "--protected-mode", "no", "--save", "", "--dir", str(self._directory)]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        until(self._answers, seconds=20, what="Redis listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Signal it."""
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((self._host, self._port)) == 0
