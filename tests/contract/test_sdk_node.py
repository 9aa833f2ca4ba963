"""The vendor's Node SDK: a second client, with another HTTP stack."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, end, place, record

VERSION = "8.1.4"
NPM = Path(__file__).parents[2] / "var" / "npm"
SCRIPT = Path(__file__).parents[1] / "data" / "sdk" / "calls.mjs"


@pytest.fixture(scope="session")
def node_sdk() -> Path:
    """Install the SDK once. It is renamed when it is complete, and a second process waits for the lock of the first one."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"This test needs {program}: install Debian's packages nodejs and npm.")
    home, unfinished = NPM / f"bandwidth-sdk-{VERSION}", NPM / "unfinished"
    NPM.mkdir(parents=True, exist_ok=True)
    with (NPM / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            command = ["npm", "install", "--prefix", str(unfinished), "--no-audit", "--no-fund", f"bandwidth-sdk@{VERSION}"]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            unfinished.rename(home)
    return home


def drive(node_sdk: Path, *arguments: str) -> dict[str, Any]:
    environment = {"SDK_HOME": str(node_sdk), "PATH": os.environ["PATH"]}
    ran = subprocess.run(["node", str(SCRIPT), *arguments], capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    printed: dict[str, Any] = json.loads(ran.stdout)
    return printed


def test_it_reads_calls_and_recordings(node_sdk: Path, live_server: LiveServer, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    end(call)
    end(place(customer.account_id, 2))
    recording_id = record(call)
    seen = drive(node_sdk, f"{live_server.url}/api/v2", customer.account_id, call.call_id, customer.token)
    assert [found["callId"] for found in seen["calls"]] == [call.call_id]
    assert seen["link"].endswith('>; rel="next"')
    assert (seen["state"]["state"], seen["state"]["disconnectCause"]) == ("disconnected", "hangup")
    assert seen["recording"]["recordingId"] == recording_id
    assert seen["ofAccount"] == [seen["recording"]]
    assert base64.b64decode(seen["audio"]) == AUDIO
    assert seen["unknown"]["status"] == 404
    assert seen["unknown"]["data"]["description"] == "Call c-nobody not found"
    assert (seen["forbidden"]["status"], seen["forbidden"]["data"]["type"]) == (403, "authorization-error")
