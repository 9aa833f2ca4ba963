"""A PostgreSQL server of a test's own, which it may stop and start again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.fleet import free_ports


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.fail("This test needs a Debian package: apt-get install --no-install-recommends postgresql")
    return found[-1].parent


class PostgresServer:
    """One server with an empty database, on a free port; on another address than loopback its whole network may come."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        (self.port,) = free_ports(1)
        self.url = f"postgres://sipuri@{host}:{self.port}/postgres"
        self._host = host
        # PostgreSQL refuses to run as root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._binaries = _binaries()
        made = subprocess.run([*self._user, "mktemp", "-d", "/tmp/sipuri-pg-XXXXXX"], check=True, capture_output=True, text=True)
        self._directory = Path(made.stdout.strip())
        self._run("initdb", "-D", str(self._directory / "data"), "-U", "sipuri", "--auth=trust")
        if host != "127.0.0.1":
            with (self._directory / "data" / "pg_hba.conf").open("a", encoding="ascii") as file:
                file.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        options = f"-c listen_addresses={self._host} -c port={self.port} -c unix_socket_directories={self._directory}"
        self._control("-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would; what was committed is there after the next start."""
        self._control("-m", "immediate", "stop")

    def signal(self, number: signal.Signals) -> None:
        """Signal each of its processes: the first of all last, as that one would start the others again."""
        first = int((self._directory / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
        others = map(int, Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split())
        for pid in (*others, first):
            # Some live for a moment only.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        """Remove everything that it wrote."""
        shutil.rmtree(self._directory)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._directory / "data"), "-w", "-l", str(self._directory / "log"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # The server inherits what is open: a pipe would never end.
        subprocess.run([*self._user, str(self._binaries / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")
