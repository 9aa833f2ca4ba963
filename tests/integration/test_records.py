"""The records of real calls while the database, the broker or the daemons themselves are away.

SIPURI_LOST_CALLS=50 loses more calls at once than `make test` has time for.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniaudio

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


RECORDING = '<Response><StartRecording fileFormat="{}"/><Pause duration="600"/></Response>'
LOST = """
from voiceapps.models import Call, OpenCall, WebhookDelivery
ended = list(Call.objects.values_list("state", "end_reason", "end_class"))
result = [ended, WebhookDelivery.objects.filter(event_type="disconnect", state="delivered").count(), OpenCall.objects.count()]"""
LEFT = """
from datetime import timedelta
from voiceapps.models import Recording
from voiceapps.services import recordings
recordings.SETTLE = timedelta(0)
recordings.sweep()
result = [[row.status, row.duration_ms >= 1000 and row.media_url is not None] for row in Recording.objects.all()]"""
COUNT = int(os.environ.get("SIPURI_LOST_CALLS", "10"))
"""50 is what a thorough run asks for."""


async def test_the_calls_of_a_killed_node_end_and_what_was_recorded_can_be_played(
    make_fleet: Callable[..., Fleet], backend: TestBackend
) -> None:
    fleet = make_fleet(*ROLES)
    fleet.start()
    fleet.python("from voiceapps.models import Account\nAccount.objects.update(max_calls_per_second=None)\nresult = None")
    application = made(fleet, backend)
    formats = itertools.cycle(("wav", "mp3"))
    backend.documents["/initiate"] = lambda _event: RECORDING.format(next(formats))
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    for _ in range(COUNT):
        await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    until(lambda: len(recorded(fleet)) == COUNT, seconds=20, what="every recording has begun", every=0.2)
    kill(fleet, "callflow")
    fleet.spawn("callflow")
    lost = [["disconnected", "node_lost", "server_error"]] * COUNT
    until(lambda: fleet.python(LOST) == [lost, COUNT, 0], seconds=40, what="all calls have ended", every=1)
    events = backend.of("disconnect")
    assert len({event["callId"] for event in events}) == len(events) == COUNT
    assert {event["cause"] for event in events} == {"error"}
    assert fleet.python(LEFT) == [["partial", True]] * COUNT
    for path in recorded(fleet):
        played = miniaudio.decode(path.read_bytes(), nchannels=1, sample_rate=8_000)
        assert len(played.samples) >= 8_000, path
    await phone.close()


def recorded(fleet: Fleet) -> list[Path]:
    """Return the recordings that hold more than a second."""
    return [
        path for path in (fleet.state / "recordings").rglob("r-*") if path.stat().st_size > (16_100 if path.suffix == ".wav" else 4_400)
    ]


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
