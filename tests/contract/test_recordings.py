"""Call control's recordings: metadata and audio."""

from __future__ import annotations

import pytest
from bandwidth.models import CallRecordingMetadata
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, STARTED, place, record
from tests.support.plans import query_plans
from voiceapps.api.callcontrol import recordings
from voiceapps.models import Recording


def account(customer: ApiCustomer) -> str:
    return f"/api/v2/accounts/{customer.account_id}"


def listed(customer: ApiCustomer, path: str = "/recordings") -> list[str]:
    answer = customer.request("GET", account(customer) + path)
    assert answer.status_code == 200, answer.content
    return [recording["recordingId"] for recording in answer.json()]


def test_a_recording_fits_the_vendors_model(customer: ApiCustomer) -> None:
    application_id = customer.create()["applicationId"]
    call = place(customer.account_id, application_id=application_id)
    recording_id = record(call)
    path = f"{account(customer)}/calls/{call.call_id}/recordings/{recording_id}"
    data = customer.request("GET", path).json()
    assert data == {
        "applicationId": application_id,
        "accountId": customer.account_id,
        "callId": call.call_id,
        "recordingId": recording_id,
        "to": call.to_uri,
        "from": call.from_uri,
        "direction": "inbound",
        "duration": "PT1.500S",
        "channels": 1,
        "startTime": "2023-11-14T22:13:23.250Z",
        "endTime": "2023-11-14T22:13:24.750Z",
        "fileFormat": "wav",
        "status": "complete",
        "mediaUrl": f"http://127.0.0.1:8000{path}/media",
        "recordingName": None,
        "transcription": None,
    }
    assert CallRecordingMetadata.from_dict(data).additional_properties == {}


def test_the_audio_is_sent_whatever_accept_says(customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    path = f"{account(customer)}/calls/{call.call_id}/recordings/{record(call)}/media"
    for accepted in ("application/json", "audio/vnd.wave", "*/*"):
        answer = customer.request("GET", path, Accept=accepted)
        assert (answer.status_code, answer["Content-Type"]) == (200, "audio/vnd.wave")
        assert b"".join(answer.streaming_content) == AUDIO


def test_a_missing_or_misplaced_file_is_404(customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    path = f"{account(customer)}/calls/{call.call_id}/recordings/{record(call)}/media"
    for place_of_file in ("/etc/passwd", Recording.objects.get().path + ".gone"):
        Recording.objects.update(path=place_of_file)
        answer = customer.request("GET", path)
        assert (answer.status_code, answer.json()["type"]) == (404, "validation")


def test_a_calls_recordings_come_in_order_and_an_unknown_call_has_none(customer: ApiCustomer) -> None:
    call, other = place(customer.account_id, 1), place(customer.account_id, 2)
    own = [record(call, 1), record(call, 2)]
    record(other, 3)
    assert listed(customer, f"/calls/{call.call_id}/recordings") == own
    assert listed(customer, "/calls/c-nobody/recordings") == []


def test_the_accounts_recordings_and_their_filters(customer: ApiCustomer) -> None:
    first, second = place(customer.account_id, 1), place(customer.account_id, 2, at=STARTED + 60)
    early, late = record(first, 1), record(second, 2)
    wanted = {
        "": [late, early],
        "to=sip%3Acallee-1%40sip-uri.localhost": [early],
        "from=sip%3Acaller-2%40example.com": [late],
        "minStartTime=2023-11-14T22%3A14%3A23.250Z": [late],
        "maxStartTime=2023-11-14T22%3A14%3A23.250Z": [early],
        "maxStartTime=2023-11-14T22%3A13%3A23.250Z": [],
    }
    assert {query: listed(customer, f"/recordings?{query}") for query in wanted} == wanted


def test_the_lists_are_bounded(customer: ApiCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_LISTED", 2)
    call = place(customer.account_id)
    for number in (1, 2, 3):
        record(call, number)
    assert len(listed(customer)) == 2
    assert len(listed(customer, f"/calls/{call.call_id}/recordings")) == 2


def test_a_longer_list_costs_no_more_queries(customer: ApiCustomer) -> None:
    assert customer.token
    counts = []
    for number in (1, 2, 3):
        record(place(customer.account_id, number), number)
        with CaptureQueriesContext(connection) as seen:
            assert len(listed(customer)) == number
        counts.append(len(seen))
    assert counts[2] == counts[1]


@pytest.mark.parametrize("query", ["", "?minStartTime=2026-01-01T00:00:00Z", "?maxStartTime=2030-01-01T00:00:00Z"])
def test_the_accounts_list_is_read_along_an_index(customer: ApiCustomer, query: str) -> None:
    record(place(customer.account_id), 1)
    with query_plans() as plans:
        listed(customer, f"/recordings{query}")
    (plan,) = [plan for plan in plans if "recording" in plan]
    assert "recording_of_account" in plan
    assert "TEMP B-TREE" not in plan


def test_an_unknown_parameter_is_a_flat_error(customer: ApiCustomer) -> None:
    answer = customer.request("GET", f"{account(customer)}/recordings?pageSize=2")
    assert (answer.status_code, answer.json()["description"]) == (400, "Invalid pageSize: No such parameter.")


def test_anothers_recordings_are_not_found(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    call = place(customer.account_id)
    recording_id = record(call)
    assert listed(stranger) == []
    assert listed(stranger, f"/calls/{call.call_id}/recordings") == []
    for path in (recording_id, f"{recording_id}/media"):
        answer = stranger.request("GET", f"{account(stranger)}/calls/{call.call_id}/recordings/{path}")
        assert (answer.status_code, answer.json()["description"]) == (404, f"Recording {recording_id} not found")


def test_calls_are_another_scope(customer: ApiCustomer) -> None:
    customer._token = customer.ask_token(scope="calls:read").json()["access_token"]
    assert customer.request("GET", f"{account(customer)}/recordings").status_code == 403
