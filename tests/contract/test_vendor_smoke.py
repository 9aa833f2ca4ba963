"""The vendor's own smoke tests, as its SDK ships them, against our server: those that need neither an outbound call nor a conference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import bandwidth
from pytest_django.live_server_helper import LiveServer

from tests.support.api import ApiCustomer

SHIPPED = Path(bandwidth.__file__).parents[1] / "test"
WITHOUT_A_CALL = {
    "test_calls_api.py": [
        "get_call_state_unauthorized",
        "get_call_state_forbidden",
        "get_call_state_not_found",
        "update_call_unauthorized",
        "update_call_not_found",
        "update_call_bxml_unauthorized",
        "update_call_bxml_not_found",
    ],
    "test_statistics_api.py": ["get_statistics"],
}
LEAD_TO_US = """
import os
import bandwidth

begin = bandwidth.Configuration.__init__


def lead(self, **options):
    begin(self, **{"host": os.environ["OURS"] + "/api/v2", "ignore_operation_servers": True} | options)
    self.access_token_url = os.environ["OURS"] + "/api/v1/oauth2/token"


bandwidth.Configuration.__init__ = lead
"""
"""A conftest: their tests know the vendor's host only."""


def test_they_pass(live_server: LiveServer, customer: ApiCustomer, stranger: ApiCustomer, tmp_path: Path) -> None:
    # The first request of a process loads every view, and the SDK waits only three seconds for its token.
    assert customer.token
    shutil.copytree(SHIPPED, tmp_path / "test")
    (tmp_path / "test" / "__init__.py").touch()
    (tmp_path / "conftest.py").write_text(LEAD_TO_US)
    wanted = re.findall(r"environ\['(\w+)'\]", (SHIPPED / "utils" / "env_variables.py").read_text())
    theirs = dict.fromkeys(wanted, "unused") | {
        "BW_ACCOUNT_ID": customer.account_id,
        "BW_CLIENT_ID": customer.client_id,
        "BW_CLIENT_SECRET": customer.secret,
        "BW_USERNAME_FORBIDDEN": stranger.client_id,
        "BW_PASSWORD_FORBIDDEN": stranger.secret,
    }
    chosen = [f"test/smoke/{name}" for name in WITHOUT_A_CALL]
    names = " or ".join(f"test_{test}" for tests in WITHOUT_A_CALL.values() for test in tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider", "--rootdir", ".", "-q", "-k", names, *chosen]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "OURS": live_server.url} | theirs
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) == sum(len(tests) for tests in WITHOUT_A_CALL.values())
