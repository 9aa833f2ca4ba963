"""One of everything that an account can have, named as the path parameters of openapi.json."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from tests.support.api import ApiCustomer
from tests.support.order_taker import NODE
from voiceapps.models import (
    Account,
    ApiClient,
    Call,
    ClientSecret,
    LiveTranscript,
    OpenCall,
    Recording,
    Transcription,
    VoiceApplication,
    WebhookAttempt,
    WebhookDelivery,
)
from voiceapps.rules.transcripts import Clip, Transcript
from voiceapps.rules.trials.call_simulation import Line, LineKind, Script, SimulatedCall
from voiceapps.services import clients
from voiceapps.services.audit import Actor
from voiceapps.services.trials import simulations

SECRET = "a-second-secret-of-enough-length"


def one_of_each(customer: ApiCustomer) -> dict[str, str]:
    """Create an application, a call with recording, transcriptions and delivery, and a second API client of the customer's account."""
    application_id = customer.create(inboundSipCallsEnabled=True, passwordAuthEnabled=True)["applicationId"]
    call = _call(customer.account_id, application_id)
    _hold(call)
    recording_id = _recording(call)
    _transcription(recording_id, customer.account_id)
    return {
        "accountId": customer.account_id,
        "applicationId": application_id,
        "callId": call.call_id,
        "recordingId": recording_id,
        "transcriptionId": _live_transcript(call),
        "deliveryId": _delivery(call),
        "simulationId": _simulation(application_id),
        **_client(customer),
    }


def _call(account_id: str, application_id: str) -> Call:
    return Call.objects.create(
        call_id=f"c-{uuid.uuid4()}"[:47],
        account_id=account_id,
        application_id=application_id,
        state="answered",
        sip_call_id="abc@caller",
        from_uri="sip:caller@example.com",
        to_uri=f"sip:{application_id}@sip-uri.localhost",
        source_ip="203.0.113.9",
        source_port=5060,
        country="US",
        started_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        answered_at=datetime(2026, 11, 1, 12, 0, 2, tzinfo=UTC),
    )


def _hold(call: Call) -> None:
    """Have a node hold a call, so that it can be changed."""
    OpenCall.objects.create(call_id=call.call_id, account_id=call.account_id, started_at=call.started_at, callflow_node=NODE)


def _recording(call: Call) -> str:
    path = Path(settings.RECORDINGS_DIR) / f"{uuid.uuid4()}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF....WAVE")
    started = call.started_at + timedelta(seconds=3)
    row = Recording.objects.create(
        recording_id=f"r-{uuid.uuid4()}",
        call=call,
        account_id=call.account_id,
        path=str(path),
        file_format="wav",
        channels=1,
        duration_ms=2000,
        started_at=started,
        ended_at=started + timedelta(seconds=2),
    )
    return row.recording_id


def _transcription(recording_id: str, account_id: str) -> None:
    said = Transcript((Clip(0, "please call me back", 0.75, 0.25, 1.5),))
    ended = datetime(2026, 11, 1, 12, 0, 8, tzinfo=UTC)
    Transcription.objects.create(
        transcription_id=f"t-{uuid.uuid4()}",
        recording_id=recording_id,
        account_id=account_id,
        status="available",
        clips=str(said),
        ordered_at=ended,
        began_at=ended,
        ended_at=ended,
    )


def _live_transcript(call: Call) -> str:
    said = Transcript((Clip(0, "my line is dead", 0.75, 0.25, 1.5),))
    number = f"t-{uuid.uuid4()}"
    LiveTranscript.objects.create(
        transcription_id=number, call=call, name="desk", tracks="inbound", language="en-US", clips=str(said), ended_at=call.started_at
    )
    return number


def _delivery(call: Call) -> str:
    row = WebhookDelivery.objects.create(
        account_id=call.account_id,
        call=call,
        event_type="disconnect",
        url="https://backend.example.com/status",
        method="POST",
        body={"eventType": "disconnect"},
        state="failed",
        created_at=timezone.now(),
    )
    WebhookAttempt.objects.create(delivery=row, at=timezone.now(), url=row.url, status=500, response_body="no", latency_ms=12)
    return str(row.pk)


def _simulation(application_id: str) -> str:
    row = simulations.order(
        VoiceApplication.objects.get(pk=application_id), Script.parse({"turns": [{"digits": "1"}]}), actor=Actor("test")
    )
    simulations.claim(1)
    simulations.store(row.pk, SimulatedCall((Line(0.0, LineKind.ANSWERED),), None))
    return str(row.pk)


def _client(customer: ApiCustomer) -> dict[str, str]:
    account = Account.objects.get(pk=customer.account_id)
    clients.ensure_client(f"second-of-{customer.account_id}", SECRET, account, actor=Actor("test"))
    client = ApiClient.objects.get(client_id=f"second-of-{customer.account_id}")
    return {"clientId": client.client_id, "secretId": str(ClientSecret.objects.get(client=client).pk)}
