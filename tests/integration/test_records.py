"""The records of real calls while the database, the broker or the daemons themselves are away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callflow.aio.phone import Phone, PhoneCall
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

ROLES = ("web", "worker", "mediarelay", "callflow", "sipproxy")
WAIT = '<Response><Pause duration="600"/></Response>'
ROWS = """
from voiceapps.models import Call, WebhookDelivery
result = [list(Call.objects.values_list("state", "end_reason")), WebhookDelivery.objects.filter(event_type="disconnect").count()]"""


def made(fleet: Fleet, backend: TestBackend) -> Application:
    """Return an application whose calls wait to be hung up."""
    backend.documents["/initiate"] = WAIT
    return fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")


async def begin(fleet: Fleet, application: Application) -> PhoneCall:
    """Have a call that waits to be hung up."""
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    return await phone.call(application.sip_uri, username=application.application_id, password=application.password)


def kill(fleet: Fleet, role: str) -> None:
    killed = fleet.processes.pop(role)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()


def rows_become(fleet: Fleet, wanted: Any) -> None:
    until(lambda: fleet.python(ROWS) == wanted, seconds=20, what=f"the rows are {wanted}", every=0.5)


async def test_an_end_outlives_the_database_and_then_the_daemons(
    make_fleet: Callable[..., Fleet], backend: TestBackend, postgres: PostgresServer
) -> None:
    fleet = make_fleet(*ROLES, SIPURI_DATABASE_URL=postgres.url)
    fleet.start()
    call = await begin(fleet, made(fleet, backend))
    rows_become(fleet, [[["answered", ""]], 0])
    postgres.stop()
    await call.hang_up()
    until(lambda: fleet.gauge("callflow", "sipuri_records_queued") >= 1, seconds=10, what="the end waits")
    for role in ("callflow", "sipproxy"):
        kill(fleet, role)
    postgres.start()
    for role in ("callflow", "sipproxy"):
        fleet.spawn(role)
    rows_become(fleet, [[["disconnected", "caller_hangup"]], 1])
    assert backend.wait("disconnect", seconds=30)[0]["cause"] == "hangup"
    until(lambda: len(list((fleet.state / "journals").iterdir())) == len(ROLES) - 2, seconds=10, what="no journal of the dead")
    assert len(backend.of("disconnect")) == 1


async def test_the_calls_of_a_killed_node_end_when_it_is_back(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet(*ROLES)
    fleet.start()
    await begin(fleet, made(fleet, backend))
    rows_become(fleet, [[["answered", ""]], 0])
    kill(fleet, "callflow")
    fleet.spawn("callflow")
    rows_become(fleet, [[["disconnected", "node_lost"]], 1])
    assert backend.wait("disconnect", seconds=30)[0]["cause"] == "error"
    assert fleet.python("from voiceapps.models import OpenCall\nresult = OpenCall.objects.count()") == 0


async def test_a_broker_that_is_away_costs_no_end(make_fleet: Callable[..., Fleet], backend: TestBackend, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    fleet = make_fleet(*ROLES, SIPURI_REDIS_URL=redis.url)
    fleet.start()
    application = made(fleet, backend)
    redis.stop()
    for number in (1, 2, 3):
        call = await begin(fleet, application)
        await call.hang_up()
        rows_become(fleet, [[["disconnected", "caller_hangup"]] * number, number])
    redis.start()
    assert len(backend.wait("disconnect", 3, seconds=60)) == 3
    redis.stop()
