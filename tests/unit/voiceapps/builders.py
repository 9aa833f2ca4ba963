"""Reports as daemons write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voiceapps.models import Account, VoiceApplication, WebhookDelivery
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.reports import CallEnded, CallFacts
from voiceapps.services import applications
from voiceapps.services.accounts import ensure_account
from voiceapps.services.audit import Actor
from voiceapps.services.delivery import claims
from voiceapps.services.delivery.claims import Answered, Claimed
from voiceapps.services.delivery.pacing import Destination

ACTOR = Actor("test")
STARTED = 1_700_000_000.25


def attempted(delivery: WebhookDelivery, answer: OutboundAnswer) -> None:
    """Store an attempt of a delivery, whether it was due or not."""
    claimed = Claimed(delivery.pk, Destination(delivery.account_id, delivery.host), OutboundRequest(delivery.url, delivery.method, {}))
    claims.store([Answered(claimed, answer)])


def application(account_id: str = "9900000", **fields: Any) -> VoiceApplication:
    account: Account = ensure_account(account_id, actor=ACTOR)
    fields = {"name": "App", "initiated_url": "https://a.example/initiate", "status_url": "https://a.example/status"} | fields
    return applications.create(account, fields, InboundSipPatch(), actor=ACTOR).application


def facts(row: VoiceApplication, number: int = 1) -> CallFacts:
    return CallFacts(
        call_id=f"c-{number:08x}-00000000-0000-4000-8000-000000000000",
        application_id=str(row.pk),
        account_id=row.account_id,
        sip_call_id="abc@caller",
        from_uri="sip:caller@example.com",
        to_uri=f"sip:{row.pk}@sip-uri.localhost",
        source_ip="203.0.113.9",
        source_port=5060,
        country="US",
        started_at=STARTED,
    )


def ended(call: CallFacts, **fields: Any) -> CallEnded:
    record = CallEnded(
        call=call,
        node="callflow-1",
        at=STARTED + 10,
        reason=EndReason.CALLER_HANGUP,
        answered_at=STARTED + 2,
        sip_status=200,
        error_message=None,
        error_id=None,
        tag=None,
    )
    return replace(record, **fields)
