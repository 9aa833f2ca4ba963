"""`manage.py doctor` beside real roles: all is well, then one of them dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fleet import ROOT, Fleet, until
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

LEVELS = {"good": 0, "doubtful": 1, "bad": 2}
OF_THE_MACHINE = {"Clock", "Disk", "Limits"}
"""Subjects that say what this very machine is like."""


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


def doctor(fleet: Fleet) -> dict[str, list[tuple[str, str]]]:
    """Return level and sentence of each finding, by subject."""
    command = [sys.executable, "manage.py", "doctor", "--json"]
    ran = subprocess.run(command, cwd=ROOT, env=fleet.env, capture_output=True, text=True, timeout=60, check=False)
    found: dict[str, list[tuple[str, str]]] = {}
    for line in ran.stdout.splitlines():
        one = json.loads(line)
        found.setdefault(one["subject"], []).append((one["level"], one["sentence"]))
    assert found, ran.stderr
    assert ran.returncode == max(LEVELS[level] for of in found.values() for level, _ in of)
    return found


def has_every_role(fleet: Fleet) -> bool:
    """Return whether all roles are heard; Celery's say so only some time after they began."""
    return all(level == "good" for level, _ in doctor(fleet)["Roles"])


def test_a_dead_relay_is_found(make_fleet: Callable[..., Fleet], postgres: PostgresServer, redis_url: str) -> None:
    roles = ("web", "sipproxy", "mediarelay", "callflow", "sipdns", "worker")
    fleet = make_fleet(*roles, SIPURI_DATABASE_URL=postgres.url, SIPURI_REDIS_URL=redis_url)
    fleet.start()
    until(lambda: has_every_role(fleet), seconds=60, what="every role heard", every=1.0)
    well = doctor(fleet)
    told = [finding for subject, of in well.items() if subject not in OF_THE_MACHINE for finding in of]
    assert [finding for finding in told if finding[0] != "good" and "the kernel gives" not in finding[1]] == []
    connections = next(sentence for _, sentence in well["Database"] if "connections are in use" in sentence)
    for program in ("sipuri runsipproxy", "sipuri runcallflow", "sipuri celery"):
        assert program in connections
    os.killpg(fleet.processes["mediarelay"].pid, signal.SIGKILL)
    fleet.processes.pop("mediarelay").wait()
    ports = doctor(fleet)["Ports"]
    assert [level for level, sentence in ports if "relay" in sentence] == ["bad"]
    assert [level for level, sentence in ports if "proxy" in sentence] == ["good"]
