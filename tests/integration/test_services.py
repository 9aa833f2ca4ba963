"""What production uses, started by the test for the test: a call on PostgreSQL and Redis, and clients while a database is away."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from callflow.aio.phone import Phone
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, CLIENT, ROOT, SECRET, Fleet, until
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

PROMPT = "<Response><SpeakSentence>Good evening.</SpeakSentence></Response>"
TOKEN_FORM = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}"
APPLICATIONS = f"/v2/accounts/{ACCOUNT}/voice-applications"


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


async def test_a_call_on_postgresql_and_redis(
    make_fleet: Callable[..., Fleet], backend: TestBackend, postgres: PostgresServer, redis_url: str
) -> None:
    fleet = make_fleet(SIPURI_DATABASE_URL=postgres.url, SIPURI_REDIS_URL=redis_url)
    fleet.start()
    backend.documents["/initiate"] = PROMPT
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    assert await call.wait_ended(20) == "remote"
    await phone.close()
    assert backend.wait("disconnect")[0]["cause"] == "hangup"
    code = """
from voiceapps.models import Call
from django.db import connection
result = [connection.vendor, list(Call.objects.values_list("end_class", flat=True))]"""
    assert until(lambda: fleet.python(code), seconds=5, what="the record") == ["postgresql", ["success"]]
    held = redis.Redis.from_url(redis_url)
    values = [held.get(key) for key in held.scan_iter() if held.type(key) == b"string"]
    assert values, "the API counts its requests there"
    # A pickle begins with its protocol.
    assert not [value for value in values if isinstance(value, bytes) and value.startswith(b"\x80")]


def ask(fleet: Fleet, method: str, path: str, body: str = "", token: str = "") -> tuple[int, dict[str, Any], str]:
    """Return status, body and Retry-After of a request as a client sends it."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if token else {}
    request = urllib.request.Request(fleet.http + path, body.encode() or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer), ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers.get("Retry-After", "")


def get_token(fleet: Fleet) -> str:
    token: str = ask(fleet, "POST", "/api/v1/oauth2/token", TOKEN_FORM)[1]["access_token"]
    return token


def test_writers_are_told_to_come_again_while_sqlite_is_locked(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet("web")
    fleet.start()
    token, application = get_token(fleet), f"{APPLICATIONS}/{fleet.application().application_id}"
    rename = ("PATCH", application, '{"applicationName": "New"}', token)
    with sqlite3.connect(fleet.state / "sipuri.sqlite3", isolation_level=None) as backup:
        backup.execute("BEGIN IMMEDIATE")
        status, body, retry_after = ask(fleet, *rename)
        assert (status, body["errors"][0]["type"], body["data"]) == (503, "service_unavailable", None)
        assert int(retry_after) > 0
        status, body, retry_after = ask(fleet, "POST", "/api/v1/oauth2/token", TOKEN_FORM)
        assert (status, body["error"]) == (503, "temporarily_unavailable")
        assert int(retry_after) > 0
        assert ask(fleet, "GET", application, token=token)[0] == 200
        backup.execute("ROLLBACK")
    assert ask(fleet, *rename)[0] == 200
    assert "Traceback" not in fleet.log("web")


def test_everybody_is_told_to_come_again_while_postgresql_is_away(make_fleet: Callable[..., Fleet], postgres: PostgresServer) -> None:
    fleet = make_fleet("web", SIPURI_DATABASE_URL=postgres.url)
    fleet.start()
    token = get_token(fleet)
    asked = (
        ("GET", APPLICATIONS, "", token),
        ("GET", f"/api/v2/accounts/{ACCOUNT}/calls", "", token),
        ("POST", "/api/v1/oauth2/token", TOKEN_FORM, ""),
        ("GET", "/healthz", "", ""),
    )
    postgres.stop()
    answers = [ask(fleet, *request) for request in asked]
    assert [(status, bool(retry_after)) for status, _, retry_after in answers] == [(503, True)] * 4
    envelope, flat, oauth, health = (body for _, body, _ in answers)
    assert envelope["errors"][0]["type"] == "service_unavailable"
    assert flat["type"] == "system-overloaded"
    assert oauth["error"] == "temporarily_unavailable"
    assert health["status"] == "degraded"
    postgres.start()
    assert ask(fleet, *asked[0])[0] == 200
    assert "Traceback" not in fleet.log("web")


CUT_LINK = """
import subprocess, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
from tests.support.postgres_server import PostgresServer
server = PostgresServer()
server.start()
import os
os.environ["SIPURI_DATABASE_URL"] = server.url
import django
django.setup()
from django.db import OperationalError, connection
rule = "add table ip cut; add chain ip cut out { type filter hook output priority 0; }; add rule ip cut out tcp sport %d drop"
cursor = connection.cursor()
threading.Timer(0.5, lambda: subprocess.run(["nft", rule % server.port], check=True)).start()
try:
    cursor.execute("SELECT pg_sleep(600)")
except OperationalError as error:
    print("noticed:", error)
finally:
    subprocess.run(["nft", "delete table ip cut"], check=True)
    server.stop()
    server.remove()"""


def test_a_cut_link_to_postgresql_is_noticed(root: None, tmp_path: Path) -> None:
    environment = os.environ | {"SIPURI_VAR_DIR": str(tmp_path / "var"), "DJANGO_SETTINGS_MODULE": "sipuri_project.settings"}
    command = ["unshare", "-n", sys.executable, "-c", CUT_LINK]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert "noticed:" in ran.stdout, ran.stdout + ran.stderr


def test_clients_are_told_to_come_again_while_redis_is_away(make_fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    fleet = make_fleet("web", SIPURI_REDIS_URL=server.url)
    fleet.start()
    token = get_token(fleet)
    server.stop()
    asked = (("GET", APPLICATIONS, "", token), ("POST", "/api/v1/oauth2/token", TOKEN_FORM, ""))
    for answer in (ask(fleet, *request) for request in asked):
        assert (answer[0], bool(answer[2])) == (503, True), answer
    server.start()
    assert ask(fleet, *asked[0])[0] == 200
    server.stop()
