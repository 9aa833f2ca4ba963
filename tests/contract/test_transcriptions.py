"""Call control's transcriptions of recordings: ordered, made by the worker's runner, read and deleted."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from bandwidth.models import CallRecordingMetadata, RecordingTranscriptions
from cryptography.fernet import Fernet
from pytest_django.fixtures import Settings

from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, end, place, record
from voiceapps.models import Recording, Transcription, WebhookDelivery
from voiceapps.rules.transcripts import Clip, Transcript
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.runners.transcriptions import _open as runner_opened
from voiceapps.services.transcriptions import claims

CALLBACK = {"callbackUrl": "https://user:p-secret@backend.example.com/written", "username": "me", "password": "pass-word", "tag": "t1"}
SAID = Transcript((Clip(0, "hello", 1.0, 0.25, 0.5), Clip(1, "yes", 0.5, 0.5, 0.75), Clip(0, "call me back", 0.5, 0.75, 1.5)))


@pytest.fixture
def recording(customer: ApiCustomer) -> str:
    """The path of a recording."""
    call = place(customer.account_id)
    end(call)
    return f"/api/v2/accounts/{customer.account_id}/calls/{call.call_id}/recordings/{record(call)}"


def answered(customer: ApiCustomer, method: str, path: str, body: object = None) -> tuple[int, str]:
    answer = customer.request(method, path, body)
    return answer.status_code, answer.json()["description"] if answer.content else ""


def shown(customer: ApiCustomer, recording: str) -> Any:
    data = customer.request("GET", recording).json()
    assert CallRecordingMetadata.from_dict(data).additional_properties == {}
    return data["transcription"]


def carry_out() -> None:
    """Make what waits, as a worker does."""
    while (planned := claims.claim()) is not None:
        claims.store(planned, SAID)


def test_a_recording_is_written_down_and_read(customer: ApiCustomer, recording: str) -> None:
    assert shown(customer, recording) is None
    assert answered(customer, "POST", f"{recording}/transcription", CALLBACK) == (204, "")
    waiting = shown(customer, recording)
    assert (waiting["status"], waiting["completedTime"]) == ("none", None)
    name = f"Transcription of recording {recording.rpartition('/')[2]} not found"
    assert answered(customer, "GET", f"{recording}/transcription") == (404, name)
    carry_out()
    data = customer.request("GET", f"{recording}/transcription").json()
    assert data["transcripts"] == [
        {"speaker": 0, "text": "hello call me back", "confidence": 0.75},
        {"speaker": 1, "text": "yes", "confidence": 0.5},
    ]
    assert data["clips"][0] == {"speaker": 0, "text": "hello", "confidence": 1.0, "startTimeSeconds": 0.25, "endTimeSeconds": 0.5}
    assert [clip["text"] for clip in data["clips"]] == ["hello", "yes", "call me back"]
    assert RecordingTranscriptions.from_dict(data).additional_properties == {}
    done = shown(customer, recording)
    assert (done["id"], done["status"]) == (waiting["id"], "available")
    assert done["url"] == f"http://127.0.0.1:8000{recording}/transcription"
    assert done["completedTime"].endswith("Z")
    listed = customer.request("GET", recording.rpartition("/")[0]).json()
    assert [entry["transcription"] for entry in listed] == [done]


def test_its_webhook_has_the_orders_credentials_and_tag(customer: ApiCustomer, recording: str) -> None:
    customer.request("POST", f"{recording}/transcription", CALLBACK)
    carry_out()
    delivery = WebhookDelivery.objects.get(event_type="transcriptionAvailable")
    assert (delivery.target, delivery.method, delivery.username, delivery.password) == (CALLBACK["callbackUrl"], "POST", "me", "pass-word")
    assert (delivery.body["tag"], delivery.body["transcription"]["status"]) == ("t1", "available")


def test_an_empty_order_tells_nobody(customer: ApiCustomer, recording: str) -> None:
    bodies: tuple[object, ...] = (None, {})
    for body in bodies:
        assert answered(customer, "POST", f"{recording}/transcription", body) == (204, "")
        carry_out()
    assert shown(customer, recording)["status"] == "available"
    assert not WebhookDelivery.objects.filter(event_type="transcriptionAvailable").exists()


def test_one_that_is_being_made_is_a_conflict(customer: ApiCustomer, recording: str) -> None:
    name = recording.rpartition("/")[2]
    customer.request("POST", f"{recording}/transcription", {})
    refusal = (409, f"Recording {name} is being transcribed")
    assert answered(customer, "POST", f"{recording}/transcription", {}) == refusal
    claims.claim()
    assert answered(customer, "POST", f"{recording}/transcription", {}) == refusal


def test_a_recording_without_audio_or_end_is_not_written_down(customer: ApiCustomer, recording: str) -> None:
    name = recording.rpartition("/")[2]
    Recording.objects.update(status="processing")
    assert answered(customer, "POST", f"{recording}/transcription", {}) == (409, f"Recording {name} goes on")
    Recording.objects.update(status="complete")
    customer.request("DELETE", f"{recording}/media")
    assert answered(customer, "POST", f"{recording}/transcription", {}) == (404, f"Recording {name} has no audio")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("callbackUrl", "ftp://a.example/"),
        ("callbackUrl", f"https://a.example/{'x' * 2048}"),
        ("callbackMethod", "PUT"),
        ("username", "x" * 1025),
        ("password", "x" * 1025),
        ("tag", "x" * 4097),
        ("callbackTimeout", 0.5),
        ("callbackTimeout", 26),
        ("detectLanguage", "yes"),
        ("language", "en"),
    ],
)
def test_a_bad_field_is_named(customer: ApiCustomer, recording: str, field: str, value: object) -> None:
    status, description = answered(customer, "POST", f"{recording}/transcription", {field: value})
    assert (status, description.partition(":")[0]) == (400, f"Invalid {field}")
    assert not Transcription.objects.exists()


def test_it_is_deleted_alone_or_stopped(customer: ApiCustomer, recording: str) -> None:
    path = f"{recording}/transcription"
    assert answered(customer, "DELETE", path)[0] == 404
    customer.request("POST", path, CALLBACK)
    assert answered(customer, "DELETE", path) == (204, "")
    carry_out()
    assert shown(customer, recording) is None
    assert not WebhookDelivery.objects.filter(event_type="transcriptionAvailable").exists()
    customer.request("POST", path, {})
    carry_out()
    assert answered(customer, "DELETE", path) == (204, "")
    assert answered(customer, "GET", path)[0] == 404


def test_a_deleted_recording_takes_it_along(customer: ApiCustomer, recording: str) -> None:
    customer.request("POST", f"{recording}/transcription", {})
    carry_out()
    assert customer.request("DELETE", recording).status_code == 204
    assert answered(customer, "GET", f"{recording}/transcription")[0] == 404
    assert not Transcription.objects.exists()


def test_who_may_only_read_orders_and_deletes_nothing(customer: ApiCustomer, recording: str) -> None:
    customer.request("POST", f"{recording}/transcription", {})
    carry_out()
    customer._token = customer.ask_token(scope="recordings:read").json()["access_token"]
    assert customer.request("GET", f"{recording}/transcription").status_code == 200
    for method in ("POST", "DELETE"):
        assert customer.request(method, f"{recording}/transcription").status_code == 403
    assert Transcription.objects.exists()


def test_of_another_call_it_is_not_found(customer: ApiCustomer, recording: str) -> None:
    customer.request("POST", f"{recording}/transcription", {})
    carry_out()
    folder, name = recording.split("/recordings/")
    other = f"{folder.rpartition('/')[0]}/{place(customer.account_id, 2).call_id}/recordings/{name}/transcription"
    for method in ("GET", "POST", "DELETE"):
        assert answered(customer, method, other)[0] == 404


def test_one_whose_webhook_no_key_opens_spoils_no_list(customer: ApiCustomer, recording: str, settings: Settings) -> None:
    keys = settings.SIPURI_FIELD_KEYS
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    customer.request("POST", f"{recording}/transcription", CALLBACK)
    settings.SIPURI_FIELD_KEYS = keys
    assert shown(customer, recording)["status"] == "none"
    assert len(customer.request("GET", recording.rpartition("/")[0]).json()) == 1


async def transcribe(path: Path) -> Transcript:
    """Return something for a file that is there: what `TRANSCRIPTION` names in a test."""
    assert path.read_bytes() == AUDIO
    return SAID


@pytest.mark.django_db(transaction=True)
def test_the_workers_runner_makes_it(customer: ApiCustomer, recording: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRANSCRIPTION = f"{__name__}.transcribe"
    stored, store = threading.Event(), claims.store

    def store_and_tell(planned: claims.Planned, outcome: claims.Outcome) -> None:
        store(planned, outcome)
        stored.set()

    # Two connections to a database in memory disturb each other: nothing is read before the runner has ended.
    monkeypatch.setattr(claims, "store", store_and_tell)
    customer.request("POST", f"{recording}/transcription", CALLBACK)
    worker = LoopThread("transcriptions", runner_opened)
    worker.wake()
    assert stored.wait(20)
    worker.drain()
    assert shown(customer, recording)["status"] == "available"
    assert len(customer.request("GET", f"{recording}/transcription").json()["clips"]) == 3
    assert WebhookDelivery.objects.get(event_type="transcriptionAvailable").body["callId"] in recording
