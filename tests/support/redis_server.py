"""A Redis of a test's own, which it may stop and start again."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.fleet import free_ports, until


class RedisServer:
    """One redis-server on loopback that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        if not shutil.which("redis-server"):
            pytest.fail("This test needs a Debian package: apt-get install --no-install-recommends redis-server")
        self._directory = directory
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory)]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        until(self._answers, seconds=20, what="Redis listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self._port)) == 0
