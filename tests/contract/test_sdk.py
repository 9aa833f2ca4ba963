"""The vendor's own Python SDK, unmodified, as a client of call control."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bandwidth
import pytest
from bandwidth.exceptions import BadRequestException, ConflictException, ForbiddenException, NotFoundException, UnauthorizedException
from bandwidth.models import CallDirectionEnum, TranscribeRecording
from pytest_django.live_server_helper import LiveServer

from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, STARTED, end, place, record
from voiceapps.rules.transcripts import Clip, Transcript
from voiceapps.services.transcriptions import claims

NOBODY = "c-00000000-00000000-0000-4000-8000-00000000dead"


@pytest.fixture
def sdk(live_server: LiveServer, customer: ApiCustomer) -> Iterator[bandwidth.ApiClient]:
    # The first request of a process loads every view, and the SDK waits only three seconds for its token.
    assert customer.token
    configuration = bandwidth.Configuration(
        host=f"{live_server.url}/api/v2",
        ignore_operation_servers=True,
        access_token_url=f"{live_server.url}/api/v1/oauth2/token",
        client_id=customer.client_id,
        client_secret=customer.secret,
    )
    yield from connected(configuration)


def connected(configuration: bandwidth.Configuration) -> Iterator[bandwidth.ApiClient]:
    client = bandwidth.ApiClient(configuration)
    yield client
    # Keep-alive connections would outlive the server and its database.
    client.rest_client.pool_manager.clear()


@pytest.fixture
def calls(sdk: bandwidth.ApiClient) -> Any:
    return bandwidth.CallsApi(sdk)


@pytest.fixture
def recordings(sdk: bandwidth.ApiClient) -> Any:
    return bandwidth.RecordingsApi(sdk)


def test_list_calls_with_every_filter(calls: Any, customer: ApiCustomer) -> None:
    first, second = place(customer.account_id, 1), place(customer.account_id, 2, at=STARTED + 60)
    end(first)
    assert [call.call_id for call in calls.list_calls(customer.account_id)] == [first.call_id, second.call_id]
    (found,) = calls.list_calls(
        customer.account_id,
        to=first.to_uri,
        var_from=first.from_uri,
        min_start_time="2023-11-14T22:13:20Z",
        max_start_time="2023-11-14T22:13:21Z",
        disconnect_cause="hangup",
        page_size=10_000,
    )
    assert found.additional_properties == {}
    assert (found.call_id, found.direction, found.state) == (first.call_id, CallDirectionEnum.INBOUND, "disconnected")
    assert (found.end_time - found.start_time).total_seconds() == 10


def test_a_page_ends_with_a_link(calls: Any, customer: ApiCustomer) -> None:
    for number in (1, 2):
        place(customer.account_id, number)
    page = calls.list_calls_with_http_info(customer.account_id, page_size=1)
    token = page.headers["Link"].partition("pageToken=")[2].partition(">")[0]
    rest = calls.list_calls_with_http_info(customer.account_id, page_size=1, page_token=token)
    assert [call.to for call in page.data + rest.data] == ["sip:callee-1@sip-uri.localhost", "sip:callee-2@sip-uri.localhost"]
    assert "Link" not in rest.headers


def test_get_call_state(calls: Any, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    state = calls.get_call_state(customer.account_id, call.call_id)
    assert (state.call_id, state.state, state.disconnect_cause, state.end_time) == (call.call_id, "initiated", None, None)
    assert state.additional_properties == {}


def test_an_unknown_call_is_not_found_with_the_vendors_error(calls: Any, customer: ApiCustomer) -> None:
    with pytest.raises(NotFoundException) as caught:
        calls.get_call_state(customer.account_id, NOBODY)
    assert (caught.value.data.type, caught.value.data.description) == ("validation", f"Call {NOBODY} not found")
    assert caught.value.data.id


def test_another_account_is_forbidden(calls: Any, stranger: ApiCustomer) -> None:
    with pytest.raises(ForbiddenException) as caught:
        calls.list_calls(stranger.account_id)
    assert caught.value.data.type == "authorization-error"


def test_a_bad_time_is_a_bad_request(calls: Any, customer: ApiCustomer) -> None:
    with pytest.raises(BadRequestException) as caught:
        calls.list_calls(customer.account_id, min_start_time="soon")
    assert caught.value.data.description.startswith("Invalid minStartTime")


@pytest.fixture
def forger(live_server: LiveServer) -> Iterator[bandwidth.ApiClient]:
    yield from connected(bandwidth.Configuration(host=f"{live_server.url}/api/v2", ignore_operation_servers=True, access_token="made-up"))


def test_a_bad_token_is_unauthorized(forger: bandwidth.ApiClient, customer: ApiCustomer) -> None:
    with pytest.raises(UnauthorizedException) as caught:
        bandwidth.CallsApi(forger).list_calls(customer.account_id)
    assert caught.value.data.type == "authentication-error"


def test_recordings_of_a_call_and_of_the_account(recordings: Any, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    recording_id = record(call)
    (listed,) = recordings.list_call_recordings(customer.account_id, call.call_id)
    one = recordings.get_call_recording(customer.account_id, call.call_id, recording_id)
    (of_account,) = recordings.list_account_call_recordings(
        customer.account_id,
        to=call.to_uri,
        var_from=call.from_uri,
        min_start_time="2023-11-14T22:13:23Z",
        max_start_time="2023-11-14T22:13:24Z",
    )
    assert one == listed == of_account
    assert one.additional_properties == {}
    assert (one.recording_id, one.duration, one.channels, one.status) == (recording_id, "PT1.500S", 1, "complete")
    assert recordings.list_call_recordings(customer.account_id, NOBODY) == []


def test_download_call_recording(recordings: Any, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    audio = recordings.download_call_recording(customer.account_id, call.call_id, record(call))
    assert bytes(audio) == AUDIO
    with pytest.raises(NotFoundException) as caught:
        recordings.download_call_recording(customer.account_id, call.call_id, "r-nothing")
    assert caught.value.data.description == "Recording r-nothing not found"


def test_transcribe_call_recording_and_read_and_delete_what_came_of_it(recordings: Any, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    path = customer.account_id, call.call_id, record(call)
    order = TranscribeRecording(callback_url="https://a.example/written", username="u", password="p", tag="t", callback_timeout=5.5)
    recordings.transcribe_call_recording(*path, order)
    with pytest.raises(ConflictException) as caught:
        recordings.transcribe_call_recording(*path, TranscribeRecording())
    assert "is being transcribed" in caught.value.body
    planned = claims.claim()
    assert planned is not None
    claims.store(planned, Transcript((Clip(0, "yes", 0.5, 0.25, 1.0),)))
    assert recordings.get_call_recording(*path).transcription.status == "available"
    said = recordings.get_recording_transcription(*path)
    (speech,), (clip,) = said.transcripts, said.clips
    assert (speech.text, speech.confidence, clip.text, clip.start_time_seconds, clip.end_time_seconds) == ("yes", 0.5, "yes", 0.25, 1.0)
    assert said.additional_properties == speech.additional_properties == clip.additional_properties == {}
    recordings.delete_recording_transcription(*path)
    with pytest.raises(NotFoundException):
        recordings.get_recording_transcription(*path)
