"""The number of queries of each operation, which never depends on the number of rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.api import ApiCustomer
from tests.support.objects import one_of_each
from tests.support.operations import OPERATIONS, Operation, send
from voiceapps.models import (
    AuditEntry,
    Call,
    CallSimulation,
    ClientSecret,
    LiveTranscript,
    Recording,
    RefusedAttempt,
    Transcription,
    VoiceApplication,
    WebhookDelivery,
)
from voiceapps.services import audit
from voiceapps.services.audit import Actor

pytestmark = pytest.mark.usefixtures("order_taker")

# Two of these read the token and the account that it is bound to.
BUDGETS: dict[str, int] = {
    "listCredentials": 3,
    "createCredential": 13,
    "getCredential": 3,
    "updateCredential": 10,
    "deleteCredential": 15,
    "listSecrets": 3,
    "createSecret": 11,
    "deleteSecret": 10,
    "listCalls": 3,
    "getCallState": 3,
    # The call, its node, the order, and what the node does with it.
    "updateCall": 12,
    "updateCallBxml": 12,
    "updateCallRecordingState": 12,
    "getStatistics": 4,
    "listCallRecordings": 3,
    "getCallRecording": 3,
    "downloadCallRecording": 3,
    "deleteCallRecording": 9,
    "deleteCallRecordingMedia": 9,
    "getRecordingTranscription": 3,
    # The recording, twice, and the transcription that is replaced.
    "transcribeCallRecording": 11,
    "deleteRecordingTranscription": 8,
    "listRealTimeTranscriptions": 3,
    "getRealTimeTranscription": 3,
    "deleteRealTimeTranscription": 8,
    "listAccountCallRecordings": 3,
    "listAuditEntries": 3,
    "listVoiceApplications": 3,
    "createVoiceApplication": 10,
    "getVoiceApplication": 3,
    "updateVoiceApplication": 11,
    "deleteVoiceApplication": 15,
    # Two of them count calls, as a new account has limits.
    "checkAdmission": 6,
    "listRefusedAttempts": 4,
    "getSipStatus": 6,
    "testWebhook": 7,
    "simulateCall": 11,
    "listCallSimulations": 4,
    "getCallSimulation": 4,
    "listWebhookDeliveries": 3,
    "getWebhookDelivery": 4,
    "replayWebhookDelivery": 10,
    "checkBxml": 1,
}
LISTS = [operation for operation in OPERATIONS if operation.name.startswith("list")]
ROWS = 150


def queries(customer: ApiCustomer, operation: Operation, objects: dict[str, str]) -> int:
    customer.token  # noqa: B018  # it is fetched once
    with CaptureQueriesContext(connection) as seen:
        answer = send(customer, operation, objects)
    assert answer.status_code < 300, answer.content
    return sum(1 for query in seen.captured_queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_costs_its_budget(customer: ApiCustomer, operation: Operation) -> None:
    objects = one_of_each(customer)
    VoiceApplication.objects.update(initiated_url="http://127.0.0.1:9/")
    assert queries(customer, operation, objects) == BUDGETS[operation.name]


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
def test_a_long_list_costs_no_more(customer: ApiCustomer, operation: Operation) -> None:
    objects = one_of_each(customer)
    multiply(objects)
    assert queries(customer, operation, objects) == BUDGETS[operation.name]


def multiply(objects: dict[str, str]) -> None:
    """Create many rows of everything that is listed."""
    application = VoiceApplication.objects.get(pk=objects["applicationId"])
    call, recording = Call.objects.get(pk=objects["callId"]), Recording.objects.get(pk=objects["recordingId"])
    delivery = WebhookDelivery.objects.get(pk=objects["deliveryId"])
    account = application.account
    VoiceApplication.objects.bulk_create(
        VoiceApplication(account=account, name=f"n{n}", initiated_url="https://a.example") for n in range(ROWS)
    )
    calls = []
    for number in range(ROWS):
        call.pk, call.started_at = f"c-{number}", call.started_at + timedelta(seconds=1)
        calls.append(Call(**{field.attname: getattr(call, field.attname) for field in Call._meta.fields}))
    Call.objects.bulk_create(calls)
    for number in range(ROWS):
        recording.pk = f"r-{number}"
        Recording.objects.bulk_create([recording])
        Transcription.objects.create(transcription_id=f"t-{number}", recording_id=recording.pk, account=account, ordered_at=call.started_at)
        LiveTranscript.objects.create(
            transcription_id=f"t-{number}", call_id=objects["callId"], name="n", tracks="inbound", clips="[]", ended_at=call.started_at
        )
        WebhookDelivery.objects.create(
            account=account, call=calls[number], event_type="x", url="x", method="POST", body={}, created_at=delivery.created_at
        )
        CallSimulation.objects.create(account=account, application=application, script="{}", created_at=delivery.created_at)
        RefusedAttempt.objects.create(
            application=application,
            source_ip="203.0.113.9",
            reason="disabled",
            status=401,
            count=1,
            first_at=call.started_at,
            last_at=call.started_at,
            trace=[],
        )
        audit.record(Actor("test"), "x", "y", {}, account=account.account_id)
    assert AuditEntry.objects.count() > ROWS
    assert ClientSecret.objects.exists()
