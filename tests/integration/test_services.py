"""The same call on what production uses: PostgreSQL and Redis, started by the test for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callflow.aio.phone import Phone
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, free_ports, until
from tests.support.redis_server import RedisServer

PROMPT = "<Response><SpeakSentence>Good evening.</SpeakSentence></Response>"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.fail("This test needs a Debian package: apt-get install --no-install-recommends postgresql")
    return found[-1].parent


@pytest.fixture
def database_url() -> Iterator[str]:
    binaries = _binaries()
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    directory = Path(
        subprocess.run([*user, "mktemp", "-d", "/tmp/sipuri-pg-XXXXXX"], check=True, capture_output=True, text=True).stdout.strip()
    )
    (port,) = free_ports(1)
    control = [*user, str(binaries / "pg_ctl"), "-D", str(directory / "data"), "-w", "-l", str(directory / "log")]
    subprocess.run(
        [*user, str(binaries / "initdb"), "-D", str(directory / "data"), "-U", "sipuri", "--auth=trust"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={directory}"
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    yield f"postgres://sipuri@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
    shutil.rmtree(directory)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


async def test_a_call_on_postgresql_and_redis(
    make_fleet: Callable[..., Fleet], backend: TestBackend, database_url: str, redis_url: str
) -> None:
    fleet = make_fleet(SIPURI_DATABASE_URL=database_url, SIPURI_REDIS_URL=redis_url)
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
