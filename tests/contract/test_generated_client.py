"""A typed client, generated as docs/api.md describes, runs the quick start."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.conftest import SECRET
from tests.support.api import CALLBACK, ApiCustomer

ROOT = Path(__file__).parents[2]
PACKAGE = "sipuri_client"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of the package that the documented command generates."""
    directory = tmp_path_factory.mktemp("generated")
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("openapi-python-client"), "generate", "--fail-on-warning", "--meta", "none"),
        *("--path", ROOT / "openapi.json", "--config", ROOT / "docs" / "client.yaml", "--output-path", directory / PACKAGE),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sys.path.insert(0, str(directory))
    yield PACKAGE
    sys.path.remove(str(directory))


class QuickStart:
    """Calls the generated functions for one account."""

    def __init__(self, package: str, url: str, account_id: str) -> None:
        self.package = package
        self.account_id = account_id
        self.url = url
        self.client = self.module("client").Client(base_url=url)

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")

    def sign_in(self, client_id: str, secret: str) -> None:
        form = self.module("models").TokenRequest.from_dict(
            {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        )
        answer = self.call("o_auth_2_0.create_token", body=form)
        assert answer.expires_in == 3600
        self.client = self.module("client").AuthenticatedClient(base_url=self.url, token=answer.access_token)

    def call(self, name: str, *ids: object, **arguments: Any) -> Any:
        return self.module(f"api.{name}").sync(*ids, client=self.client, **arguments)

    def create(self) -> Any:
        body = {"applicationName": "My Voice App", "callInitiatedCallbackUrl": CALLBACK}
        made = self.module("models").VoiceApplicationInput.from_dict(body)
        return self.call("voice_applications.create_voice_application", self.account_id, body=made).data

    def patch(self, application_id: object, **fields: Any) -> Any:
        body = self.module("models").PatchedVoiceApplicationInput.from_dict(fields)
        return self.call("voice_applications.update_voice_application", self.account_id, application_id, body=body)


@pytest.mark.django_db(transaction=True)
def test_a_generated_client_runs_the_quick_start(generated: str, live_server: LiveServer, customer: ApiCustomer) -> None:
    start = QuickStart(generated, live_server.url, customer.account_id)
    start.sign_in(customer.client_id, SECRET)
    application_id = start.create().application_id

    enabled = start.patch(application_id, inboundSipCallsEnabled=True, passwordAuthEnabled=True, allowedRegions=["US"]).data
    assert enabled.sip_uri.startswith("sip:")
    assert len(enabled.sip_auth_password) >= 32
    ranges = ["203.0.113.0/24", "198.51.100.42/32"]
    ip_only = start.patch(application_id, passwordAuthEnabled=False, allowedSourceIps=ranges).data
    assert (ip_only.password_auth_enabled, ip_only.allowed_source_ips) == (False, ranges)
    assert start.patch(application_id, passwordAuthEnabled=True).data.sip_auth_password != enabled.sip_auth_password
    assert start.patch(application_id, allowedRegions=["US", "EU"]).data.allowed_regions == ["US", "EU"]

    refused = start.patch(application_id, allowedSourceIps=["10.0.0.0/8"])
    assert refused.data is None
    assert refused.errors[0].source.field == "allowedSourceIps"

    seen = start.call("voice_applications.get_voice_application", customer.account_id, application_id).data
    assert not seen.sip_auth_password
    (listed,) = start.call("voice_applications.list_voice_applications", customer.account_id, application_name="voice").data
    assert listed == seen
    disabled = start.patch(application_id, inboundSipCallsEnabled=False).data
    assert disabled.sip_uri is None
    assert start.call("voice_applications.get_sip_status", customer.account_id, application_id).data.live_calls == 0
