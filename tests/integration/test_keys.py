"""Keys that were lost, replaced or rotated, against the real entry points and databases."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from callflow.aio.phone import Phone, PhoneCall
from tests.support.backend import TestBackend
from tests.support.entries import ENTRIES, start
from tests.support.fleet import BOOTSTRAP, ROOT, Application, Fleet, until
from tests.support.postgres_server import PostgresServer

COMPARE = "import django; django.setup(); from voiceapps.services import key_check; key_check.ensure()"
RUNS = 6
DAEMONS = ("web", "mediarelay", "callflow", "sipproxy")
WAIT = '<Response><Pause duration="600"/></Response>'
LOST = ["SIPURI_FIELD_KEYS", "SIPURI_NONCE_KEY", "SIPURI_TOKEN_KEYS"]


def lose(fleet: Fleet, variable: str) -> None:
    (fleet.state / "keys" / variable.lower()).unlink()


@pytest.mark.parametrize("entry", [*ENTRIES, "migrate"])
def test_lost_keys_stop_each_entry_by_name(make_fleet: Callable[..., Fleet], entry: str) -> None:
    fleet = make_fleet()
    fleet.prepare()
    for variable in LOST:
        lose(fleet, variable)
    ran = start(ENTRIES.get(entry, ("manage.py", entry)), fleet.env)
    assert ran.returncode != 0
    said = [line.removeprefix("Configuration error: ").split()[0] for line in ran.stderr.splitlines() if line.strip()]
    assert [word for word in said if word.startswith("SIPURI_")] == LOST


def first_starts(fleet: Fleet, tmp_path: Path) -> list[tuple[int, int]]:
    """Let processes of two sets of keys come first to one database; return which set each had, and its exit code."""
    fleet.manage("migrate", "--verbosity", "0")
    fleet.python("from voiceapps.models import KeyCheck; KeyCheck.objects.all().delete(); result = 0")
    shutil.copytree(fleet.state / "keys", tmp_path / "other" / "keys")
    (tmp_path / "other" / "keys" / "sipuri_nonce_key").unlink()
    url = fleet.env.get("SIPURI_DATABASE_URL") or f"sqlite:///{fleet.state / 'sipuri.sqlite3'}"

    def compare(number: int) -> tuple[int, int]:
        state = tmp_path / "other" if number % 2 else fleet.state
        environment = {**fleet.env, "SIPURI_VAR_DIR": str(state), "SIPURI_DATABASE_URL": url}
        ran = subprocess.run([sys.executable, "-c", COMPARE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 or "KeysDiffer: SIPURI_NONCE_KEY is not the one" in ran.stderr, ran.stderr
        return number % 2, ran.returncode

    with ThreadPoolExecutor(RUNS) as pool:
        return list(pool.map(compare, range(RUNS)))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_processes_that_come_first_one_set_of_keys_wins(
    make_fleet: Callable[..., Fleet], tmp_path: Path, postgres: PostgresServer, kind: str
) -> None:
    fleet = make_fleet(**({"SIPURI_DATABASE_URL": postgres.url} if kind == "postgresql" else {}))
    ran = first_starts(fleet, tmp_path)
    winners = {keys for keys, code in ran if code == 0}
    assert len(winners) == 1
    assert all((keys in winners) == (code == 0) for keys, code in ran)


def test_a_rotated_key_can_be_removed(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet("web")
    fleet.start()
    fleet.application()
    stored = "from voiceapps.models import SipCredential; result = SipCredential.objects.get().secrets"
    before = fleet.python(stored)
    fleet.stop()
    old, new = (fleet.state / "keys" / "sipuri_field_keys").read_text(), Fernet.generate_key().decode()
    fleet.env["SIPURI_FIELD_KEYS"] = new
    refused = start(("manage.py", "rotatekeys"), fleet.env)
    assert (refused.returncode, "SIPURI_FIELD_KEYS has no key that opens" in refused.stderr) == (1, True)
    fleet.env["SIPURI_FIELD_KEYS"] = f"{new},{old}"
    said = fleet.manage("rotatekeys")
    assert "SipCredential.secrets                    1 rewritten, 0 current, 0 unreadable" in said
    fleet.env["SIPURI_FIELD_KEYS"] = new
    assert fleet.python(stored) == before
    fleet.manage(*BOOTSTRAP)


def restart(fleet: Fleet, role: str, route_keys: list[str]) -> None:
    """Replace one process by another one with other keys."""
    process = fleet.processes.pop(role)
    process.kill()
    process.wait()
    fleet.env["SIPURI_ROUTE_KEY"] = ",".join(route_keys)
    fleet.spawn(role)
    until(fleet._ready, seconds=60, what=f"{role} again")


async def begin(fleet: Fleet, application: Application) -> PhoneCall:
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    return await phone.call(application.sip_uri, username=application.application_id, password=application.password)


async def end(fleet: Fleet, call: PhoneCall) -> None:
    """Hang up and wait for the BYE to come through."""
    await call.hang_up()
    until(lambda: fleet.gauge("callflow", "sipuri_callflow_calls") == 0, seconds=20, what="the end of the call")


async def test_the_route_key_changes_while_calls_go_on(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet(*DAEMONS)
    backend.documents["/initiate"] = WAIT
    fleet.start()
    application = fleet.application(callback=f"{backend.url}/initiate")
    old, new = (fleet.state / "keys" / "sipuri_route_key").read_text(), secrets.token_urlsafe(48)
    restart(fleet, "sipproxy", [old, new])
    # The call flow has the old key only.
    await end(fleet, await begin(fleet, application))
    restart(fleet, "callflow", [old, new])
    begun = await begin(fleet, application)
    restart(fleet, "sipproxy", [new, old])
    await end(fleet, begun)
    # The call flow begins with the old key still.
    await end(fleet, await begin(fleet, application))
    restart(fleet, "callflow", [new])
    await end(fleet, await begin(fleet, application))
    assert fleet.gauge("callflow", "sipuri_callflow_refused_invites_total") == 0
