"""No secret lies where somebody could read it: a full run, then every log, answer, page and row is searched for every secret it made."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from callflow.aio.phone import CallFailed, Phone
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, CLIENT, SECRET, Fleet

PAGES = ("call", "recording", "account", "apiclient")
OWN_PAGES = ("webhooks/", "refused/?since=7d", "audit/", "nodes/", "security/", "health/", "apps/")
CALLBACK_PASSWORD = "callback-password-4711"
URL_PASSWORD = "url-password-4711"
NEXT = f'<Redirect redirectUrl="http://voice:{URL_PASSWORD}&#64;127.0.0.1:9/"/>'
DOCUMENT = f'<Response><SpeakSentence>Hello.</SpeakSentence><Record maxDuration="1"/>{NEXT}</Response>'


@dataclass
class Customer:
    """Sends requests, keeps every answer, and knows which secrets an answer may show once."""

    fleet: Fleet
    token: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.fleet.http + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text, shown = answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            text, shown = error.read().decode(), error.headers
        self.answers.append(f"{shown}{text}")
        return json.loads(text or "null")

    def once(self, name: str, method: str, path: str, body: object) -> dict[str, Any]:
        """Send what shows a secret; the answer is kept without it."""
        data: dict[str, Any] = self.send(method, path, body)["data"]
        secret = data[name]
        self.secrets[f"{name} {len(self.secrets)}"] = secret
        self.answers[-1] = self.answers[-1].replace(secret, "", 1)
        return data

    def sign_in(self, client_id: str, secret: str) -> None:
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}).encode()
        with urllib.request.urlopen(self.fleet.http + "/api/v1/oauth2/token", form, timeout=20) as answer:
            body = json.load(answer)
        self.token = body["access_token"]
        self.secrets[f"token {len(self.secrets)}"] = self.token
        self.answers.append(json.dumps(body).replace(self.token, "", 1))


async def test_no_secret_is_left_anywhere(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet()
    fleet.start()
    backend.documents["/initiate"] = DOCUMENT
    customer = Customer(fleet, secrets={"client secret": SECRET, "callback": CALLBACK_PASSWORD, "URL": URL_PASSWORD})
    customer.secrets |= {path.name: path.read_text() for path in (fleet.state / "keys").iterdir()}
    customer.sign_in(CLIENT, SECRET)
    await live_through_everything(customer, backend)
    pages = console_pages(fleet)
    codes = fleet.stop()
    assert set(codes.values()) == {0}

    places = {"answers": "\n".join(customer.answers), "log": fleet.log(), "webhooks": json.dumps(backend.events)}
    places |= pages | database(fleet)
    found = [(name, place) for place, text in places.items() for name, secret in customer.secrets.items() if secret in text]
    assert found == []
    # The search sees what lies there.
    assert CLIENT in places["table voiceapps_apiclient"]
    assert len(customer.secrets) == 14


async def live_through_everything(customer: Customer, backend: TestBackend) -> None:
    base = f"/v2/accounts/{ACCOUNT}/voice-applications"
    settings = {
        "applicationName": "Secretive",
        "callInitiatedCallbackUrl": f"{backend.url}/initiate",
        "callStatusCallbackUrl": f"{backend.url}/status",
        "callbackCreds": {"userId": "voice", "password": CALLBACK_PASSWORD},
        "inboundSipCallsEnabled": True,
        "passwordAuthEnabled": True,
    }
    made = customer.once("sipAuthPassword", "POST", base, settings)
    path = f"{base}/{made['applicationId']}"
    rotated = customer.once("sipAuthPassword", "PATCH", path, {"passwordAuthEnabled": True})
    await call(customer.fleet, made["sipUri"], made["applicationId"], rotated["sipAuthPassword"])
    with pytest.raises(CallFailed, match="401"):
        await call(customer.fleet, made["sipUri"], made["applicationId"], made["sipAuthPassword"])
    backend.wait("disconnect")
    client = customer.send("POST", "/api/v1/credentials", {"description": "ci", "roles": ["HttpVoice"], "accounts": [ACCOUNT]})["data"]
    secrets = f"/api/v1/credentials/{client['clientId']}/secrets"
    second = customer.once("clientSecret", "POST", secrets, {})
    for read in (path, base, f"{path}/refused-attempts", f"{path}/sip-status", secrets, "/api/v1/credentials"):
        customer.send("GET", read)
    for read in ("audit-entries", "webhook-deliveries"):
        customer.send("GET", f"/v2/accounts/{ACCOUNT}/{read}")
    customer.send("GET", f"/api/v2/accounts/{ACCOUNT}/calls")
    customer.send("POST", f"{path}/webhook-tests", {})
    # What is wrong may be quoted in an error, but not a secret.
    creds = {"userId": 7, "password": CALLBACK_PASSWORD}
    customer.send("PATCH", path, {"callbackCreds": creds, "sipAuthPassword": rotated["sipAuthPassword"]})
    customer.send("PATCH", path, {"inboundSipCallsEnabled": False})
    customer.sign_in(client["clientId"], second["clientSecret"])
    customer.send("GET", base)


async def call(fleet: Fleet, uri: str, username: str, password: str) -> None:
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    try:
        placed = await phone.call(uri, username=username, password=password)
        assert await placed.wait_ended(20) == "remote"
    finally:
        await phone.close()


def console_pages(fleet: Fleet) -> dict[str, str]:
    """Return every list of the console and every row's page."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def get(path: str, data: bytes | None = None) -> str:
        with opener.open(urllib.request.Request(fleet.http + path, data, {"Referer": fleet.http}), timeout=20) as answer:
            return str(answer.read().decode())

    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', get("/console/login/"))
    assert token
    form = {"username": "admin", "password": "operator", "csrfmiddlewaretoken": token[1], "next": "/console/"}
    get("/console/login/", urllib.parse.urlencode(form).encode())
    pages = {path: get(f"/console/{path}") for path in OWN_PAGES}
    for name in PAGES:
        path = f"/console/voiceapps/{name}/"
        pages[path] = get(path)
        for row in set(re.findall(rf'href="({path}[^"]+/change/)[^"]*"', pages[path])):
            pages[row] = get(row)
    for row in set(re.findall(r'href="/console/(apps/[0-9a-f-]{36}/)"', pages["apps/"])):
        pages |= {f"{row}?tab={tab}": get(f"/console/{row}?tab={tab}") for tab in ("settings", "setup", "trials", "log")}
    for row in set(re.findall(r'href="(/console/webhooks/[0-9a-f-]{36}/)"', pages["webhooks/"])):
        pages[row] = get(row)
        assert "What we send" in pages[row]
    assert len(pages) > 2 * len(PAGES)
    return pages


def database(fleet: Fleet) -> dict[str, str]:
    """Return the text of every table, and of every other file of the fleet's but its keys."""
    connection = sqlite3.connect(fleet.state / "sipuri.sqlite3")
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = {f"table {name}": repr(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}  # noqa: S608  # our own names
    connection.close()
    files = [path for path in fleet.state.rglob("*") if path.is_file() and path.parent.name != "keys"]
    return tables | {f"file {path.name}": path.read_bytes().decode("latin-1") for path in files}
