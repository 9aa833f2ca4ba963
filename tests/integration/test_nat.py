"""A caller behind masquerade: a private Contact, and a router that forgets idle flows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support.backend import TestBackend
from tests.support.fleet import ROOT, Fleet
from tests.support.netns import PHONE, PHONE_ADDRESS, SERVER_ADDRESS, behind_nat

TALK_SECONDS = 60
TALK = f"<Response><SpeakSentence>Hold the line.</SpeakSentence><Pause duration='{TALK_SECONDS}'/><Hangup/></Response>"


@pytest.fixture
def nat(root: None) -> Iterator[None]:
    with behind_nat():
        yield


@pytest.mark.timeout(240)
def test_a_hangup_after_a_minute_reaches_the_caller(nat: None, make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(
        SIPURI_SIP_BIND=f"{SERVER_ADDRESS}:6160",
        SIPURI_MEDIA_EXTERNAL=SERVER_ADDRESS,
        SIPURI_MEDIA_ALLOW_PRIVATE="false",
    )
    fleet.start()
    backend = TestBackend({"/initiate": TALK})
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    command = [
        *("ip", "netns", "exec", PHONE, sys.executable, "manage.py", "call", application.sip_uri, "--json"),
        *("--proxy", f"{SERVER_ADDRESS}:6160", "--local-host", PHONE_ADDRESS),
        *("--user", application.application_id, "--password", application.password, "--max-seconds", str(TALK_SECONDS + 30)),
    ]
    ran = subprocess.run(command, cwd=ROOT, env=fleet.env, capture_output=True, text=True, timeout=TALK_SECONDS + 60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["ended_by"] == "remote"
    assert backend.wait("disconnect")[0]["cause"] == "hangup"
    backend.close()
    fleet.stop()
