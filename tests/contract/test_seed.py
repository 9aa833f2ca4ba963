"""The commands of the quick start, run by curl in the order of the page against a local host."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.conftest import SECRET
from tests.support.api import CALLBACK
from voiceapps.services import accounts, clients
from voiceapps.services.audit import Actor

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CLIENT = "quick-start-client"
ACCOUNT = "9900000"


class QuickStart:
    """A shell that runs the page's commands."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.url = ""
        self.headers: list[str] = []

    def curl(self, *arguments: str) -> dict[str, Any]:
        ran = subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def sign_in(self) -> None:
        token = self.curl(
            *("-X", "POST", f"{self.host}/api/v1/oauth2/token"),
            *("-u", f"{CLIENT}:{SECRET}"),
            *("-H", "Content-Type: application/x-www-form-urlencoded"),
            *("-d", "grant_type=client_credentials"),
        )
        assert token["expires_in"] > 0
        self.headers = ["-H", f"Authorization: Bearer {token['access_token']}", "-H", "Content-Type: application/json"]

    def create(self) -> None:
        base = f"{self.host}/v2/accounts/{ACCOUNT}/voice-applications"
        body = {"applicationName": "My Voice App", "callInitiatedCallbackUrl": CALLBACK}
        data = self.curl("-X", "POST", base, *self.headers, "-d", json.dumps(body))["data"]
        self.url = f"{base}/{data['applicationId']}"

    def get(self) -> dict[str, Any]:
        return self.data(self.curl(self.url, *self.headers[:2]))

    def patch(self, **body: object) -> dict[str, Any]:
        return self.data(self.curl("-X", "PATCH", self.url, *self.headers, "-d", json.dumps(body)))

    def data(self, answer: dict[str, Any]) -> dict[str, Any]:
        assert answer.keys() == {"links", "data", "errors"}
        assert answer["links"] == answer["errors"] == []
        data: dict[str, Any] = answer["data"]
        assert re.fullmatch(UUID, data["applicationId"])
        assert data["applicationName"] == "My Voice App"
        assert data["callInitiatedCallbackUrl"] == CALLBACK
        return data


@pytest.fixture
def page(live_server: LiveServer) -> QuickStart:
    actor = Actor("test")
    clients.ensure_client(CLIENT, SECRET, accounts.ensure_account(ACCOUNT, actor=actor), actor=actor)
    quick_start = QuickStart(live_server.url)
    quick_start.sign_in()
    quick_start.create()
    return quick_start


def sip(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the page's sample but the two that differ in every run."""
    names = ("inboundSipCallsEnabled", "passwordAuthEnabled", "allowedSourceIps", "allowedRegions")
    return {name: data[name] for name in names}


@pytest.mark.django_db(transaction=True)
def test_the_quick_start_from_top_to_bottom(page: QuickStart) -> None:
    enabled = page.patch(inboundSipCallsEnabled=True, passwordAuthEnabled=True, allowedRegions=["US"])
    password_only = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True, "allowedSourceIps": [], "allowedRegions": ["US"]}
    assert sip(enabled) == password_only
    assert re.fullmatch(rf"sip:{UUID}@sip-uri\.localhost", enabled["sipUri"])
    assert isinstance(enabled["sipAuthPassword"], str)

    ips = ["203.0.113.0/24", "198.51.100.42/32"]
    ip_only = page.patch(inboundSipCallsEnabled=True, passwordAuthEnabled=False, allowedSourceIps=ips, allowedRegions=["US"])
    assert sip(ip_only) == {**password_only, "passwordAuthEnabled": False, "allowedSourceIps": ips}
    assert "sipAuthPassword" not in ip_only

    layered = page.patch(inboundSipCallsEnabled=True, passwordAuthEnabled=True, allowedSourceIps=ips[:1], allowedRegions=["US"])
    assert sip(layered) == {**password_only, "allowedSourceIps": ips[:1]}
    assert layered["sipUri"] == enabled["sipUri"]

    seen = page.get()
    assert "sipAuthPassword" not in seen
    assert seen | {"sipAuthPassword": layered["sipAuthPassword"]} == layered

    regions = page.patch(allowedRegions=["US", "EU"])
    assert regions == seen | {"allowedRegions": ["US", "EU"]}

    more = ["203.0.113.0/24", "198.51.100.0/24"]
    assert page.patch(allowedSourceIps=more) == regions | {"allowedSourceIps": more}

    rotated = page.patch(passwordAuthEnabled=True)
    assert rotated["sipAuthPassword"] not in {enabled["sipAuthPassword"], layered["sipAuthPassword"]}
    assert rotated["sipUri"] == enabled["sipUri"]

    disabled = page.patch(inboundSipCallsEnabled=False)
    assert disabled["sipUri"] is None
    assert sip(disabled) == {
        "inboundSipCallsEnabled": False,
        "passwordAuthEnabled": False,
        "allowedSourceIps": [],
        "allowedRegions": [],
    }
    assert disabled == page.get()
