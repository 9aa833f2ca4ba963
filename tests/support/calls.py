"""Calls, recordings and webhooks as the daemons write them, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from voiceapps.models import WebhookDelivery
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallEnded, CallFacts, RecordingStored, StatusEventQueued, WebhookFetched
from voiceapps.services.reports import write_reports

STARTED = 1_700_000_000.25
"""2023-11-14T22:13:20.250Z"""
AUDIO = b"RIFF....WAVE"


def facts(account_id: str, number: int = 1, *, application_id: str = "", at: float = STARTED) -> CallFacts:
    return CallFacts(
        call_id=f"c-{number:08x}-00000000-0000-4000-8000-000000000000",
        application_id=application_id,
        account_id=account_id,
        sip_call_id=f"{number}@caller",
        from_uri=f"sip:caller-{number}@example.com",
        to_uri=f"sip:callee-{number}@sip-uri.localhost",
        source_ip="203.0.113.9",
        source_port=5060,
        country="US",
        started_at=at,
    )


def place(account_id: str, number: int = 1, *, application_id: str = "", at: float = STARTED) -> CallFacts:
    """Admit a call that is still ringing, and return its facts."""
    call = facts(account_id, number, application_id=application_id, at=at)
    write_reports([CallAdmitted(call, "proxy")])
    return call


def end(call: CallFacts, reason: EndReason = EndReason.CALLER_HANGUP, error: str | None = None) -> None:
    """Answer the call after 2 seconds and end it after 10."""
    error_id = "7d9e4f7c-0d0a-4a43-b8b0-2c1f3d9e8a11" if error else None
    begun, over = call.started_at + 2, call.started_at + 10
    write_reports([CallAnswered(call, "callflow", begun), CallEnded(call, "callflow", over, reason, begun, 200, error, error_id, None)])


def record(call: CallFacts, number: int = 1) -> str:
    """Store a recording of 1.5 s that began at second 3 of the call, and return its id."""
    recording_id = f"r-{number:08x}-00000000-0000-4000-8000-000000000000"
    path = Path(settings.RECORDINGS_DIR) / f"{recording_id}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(AUDIO)
    begun = call.started_at + 3
    write_reports([RecordingStored(call, recording_id, str(path), begun, begun + 1.5, 1500, 1, "wav")])
    return recording_id


def fetched(call: CallFacts, status: int | None = 200, at: float = STARTED) -> WebhookDelivery:
    """Store an `initiate` webhook that the call waited for."""
    error = None if status else "No answer within 15 s."
    asked = '{"eventType": "initiate"}'
    write_reports([WebhookFetched(call, "initiate", at, "https://a.example/initiate", "POST", asked, status, "<Response/>", 12, error)])
    return WebhookDelivery.objects.filter(call_id=call.call_id, synchronous=True).latest("created_at")


def queued(call: CallFacts, at: float = STARTED + 5) -> WebhookDelivery:
    """Store a webhook with credentials in the outbox."""
    body = {"eventType": "recordingAvailable", "callId": call.call_id}
    write_reports([StatusEventQueued(call, "recordingAvailable", at, "https://a.example/recording", "POST", "user", "p-secret", body)])
    return WebhookDelivery.objects.filter(call_id=call.call_id, event_type="recordingAvailable").latest("created_at")
