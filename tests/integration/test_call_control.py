"""Calls that are changed from outside while they go on, on each kind of storage, and by each of the vendor's clients."""

from __future__ import annotations

import asyncio
import base64
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bandwidth
import pytest
from bandwidth.exceptions import ApiException

from callflow.aio.phone import Phone, PhoneCall
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, CLIENT, SECRET, Fleet
from tests.support.node_sdk import drive
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

HOLD = '<Response><Pause duration="60"/></Response>'
SPEAK = "<Bxml><SpeakSentence>Your agent is here.</SpeakSentence><Pause duration='60'/></Bxml>"


@asynccontextmanager
async def calling(fleet: Fleet, backend: TestBackend) -> AsyncIterator[tuple[PhoneCall, str]]:
    """Place a call that is held, and give it and its id."""
    backend.documents["/initiate"] = HOLD
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    try:
        yield call, str(backend.of("initiate")[-1]["callId"])
    finally:
        await call.hang_up()
        await phone.close()


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of each way in which a node hears of an order."""
    if request.param == "sqlite":
        yield {}
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    if request.param == "postgres":
        yield {"SIPURI_DATABASE_URL": postgres.url}
        return
    server = RedisServer(tmp_path)
    server.start()
    yield {"SIPURI_DATABASE_URL": postgres.url, "SIPURI_REDIS_URL": server.url}
    server.stop()


def send(fleet: Fleet, method: str, path: str, body: str, content_type: str = "application/json") -> int:
    """Send a request with HTTP Basic, and return its status."""
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": content_type}
    url = f"{fleet.http}/api/v2/accounts/{ACCOUNT}/calls/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers, method=method), timeout=10) as answer:
        return int(answer.status)


async def test_orders_reach_a_call_on_each_storage(make_fleet: Callable[..., Fleet], backend: TestBackend, storage: dict[str, str]) -> None:
    fleet = make_fleet(**storage)
    fleet.start()
    async with calling(fleet, backend) as (call, call_id):
        backend.documents["/moved"] = HOLD
        body = f'{{"redirectUrl": "{backend.url}/moved", "tag": "moved"}}'
        assert await asyncio.to_thread(send, fleet, "POST", call_id, body) == 200
        assert (await asyncio.to_thread(backend.wait, "redirect"))[0]["tag"] == "moved"
        assert await asyncio.to_thread(send, fleet, "PUT", f"{call_id}/bxml", SPEAK, "application/xml") == 204
        await call.wait_heard(1, timeout=10)
        assert await asyncio.to_thread(send, fleet, "POST", call_id, '{"state": "completed"}') == 200
        assert await call.wait_ended(5) == "remote"
    assert (await asyncio.to_thread(backend.wait, "disconnect"))[0]["cause"] == "hangup"


@pytest.fixture
def sdk(fleet: Fleet) -> Iterator[Any]:
    configuration = bandwidth.Configuration(
        host=f"{fleet.http}/api/v2",
        ignore_operation_servers=True,
        access_token_url=f"{fleet.http}/api/v1/oauth2/token",
        client_id=CLIENT,
        client_secret=SECRET,
    )
    client = bandwidth.ApiClient(configuration)
    yield client
    client.rest_client.pool_manager.clear()


async def test_the_vendors_client_runs_its_operations_against_a_call(fleet: Fleet, backend: TestBackend, sdk: Any) -> None:
    calls, recordings = bandwidth.CallsApi(sdk), bandwidth.RecordingsApi(sdk)
    async with calling(fleet, backend) as (call, call_id):
        document = "<Bxml><StartRecording recordingAvailableUrl='/kept' multiChannel='true' fileFormat='mp3'/><Pause duration='60'/></Bxml>"
        await asyncio.to_thread(calls.update_call_bxml, ACCOUNT, call_id, document)
        for state in ("paused", "recording"):
            wanted = bandwidth.models.UpdateCallRecording(state=state)
            await asyncio.to_thread(recordings.update_call_recording_state, ACCOUNT, call_id, wanted)
        found = await asyncio.to_thread(calls.get_call_state, ACCOUNT, call_id)
        assert found.state == "answered"
        await asyncio.to_thread(calls.update_call, ACCOUNT, call_id, bandwidth.models.UpdateCall(state="completed"))
        assert await call.wait_ended(5) == "remote"
    (kept,) = await asyncio.to_thread(backend.wait, "recordingAvailable")
    assert bandwidth.models.RecordingAvailableCallback.from_dict(kept).additional_properties == {}
    assert (kept["fileFormat"], kept["channels"]) == ("mp3", 2)
    (recording,) = await asyncio.to_thread(recordings.list_call_recordings, ACCOUNT, call_id)
    audio = await asyncio.to_thread(recordings.download_call_recording, ACCOUNT, call_id, recording.recording_id)
    assert audio[:1] == b"\xff"
    with pytest.raises(ApiException) as caught:
        await asyncio.to_thread(calls.update_call, ACCOUNT, call_id, bandwidth.models.UpdateCall(state="completed"))
    assert caught.value.status == 409
    statistics = await asyncio.to_thread(bandwidth.StatisticsApi(sdk).get_statistics, ACCOUNT)
    assert statistics.current_call_queue_size == 0


async def test_the_vendors_node_client_runs_them_too(fleet: Fleet, backend: TestBackend) -> None:
    async with calling(fleet, backend) as (call, call_id):
        seen = await asyncio.to_thread(drive, "live.mjs", f"{fleet.http}/api/v2", ACCOUNT, call_id, CLIENT, SECRET)
        assert await call.wait_ended(5) == "remote"
    assert (seen["bxml"], seen["states"], seen["state"], seen["ended"]) == (204, [200, 200], "answered", 200)
    assert seen["statistics"] == {"currentCallQueueSize": 0, "maxCallQueueSize": 2_147_483_647}
    assert (seen["recording"]["recordingName"], seen["recording"]["fileFormat"], seen["audio"]) == ("node", "wav", "RIFF")
    assert (seen["again"], seen["withoutAudio"], seen["deleted"], seen["gone"]) == (409, 204, 204, 404)


async def test_an_order_for_a_node_that_stands_still_is_taken_back(make_fleet: Callable[..., Fleet], backend: TestBackend) -> None:
    fleet = make_fleet("sipproxy", "mediarelay", "callflow", "web", "worker")
    fleet.start()
    async with calling(fleet, backend) as (call, call_id):
        fleet.processes["callflow"].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(send, fleet, "POST", call_id, '{"state": "completed"}')
        assert (caught.value.code, caught.value.headers["Retry-After"]) == (503, "1")
        assert time.monotonic() - began < 8
        fleet.processes["callflow"].send_signal(signal.SIGCONT)
        # Nothing was done: the call goes on until it is ordered again.
        assert await asyncio.to_thread(send, fleet, "POST", call_id, '{"state": "completed"}') == 200
        assert await call.wait_ended(5) == "remote"
