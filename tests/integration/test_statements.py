"""The tests of what we write in SQL, or of what a database plans, run once more in PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.fleet import ROOT
from tests.support.postgres_server import PostgresServer

UNIT = "tests/unit/voiceapps/test_{}.py"
# Each run migrates a database of its own, which takes as long as most of the tests.
AT_ONCE = (
    ("tests/contract/test_migrations.py",),
    tuple(map(UNIT.format, ("refusals", "verdicts", "call_list", "webhook_list", "console_newest", "console_rows"))),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("paths", AT_ONCE, ids=("migrations", "rows"))
def test_statements_of_our_own_do_the_same_in_postgresql(
    request: pytest.FixtureRequest, postgres: PostgresServer, paths: tuple[str, ...]
) -> None:
    marked = request.config.getoption("markexpr")
    command = [sys.executable, "-m", "pytest", "-q", "-m", marked, "-p", "no:xdist", "-p", "no:cacheprovider", *paths]
    environment = os.environ | {"SIPURI_DATABASE_URL": postgres.url}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
