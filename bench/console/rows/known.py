"""What the questions of the bench are about: ids of rows that were made, and the last places of lists."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from voiceapps.models import (
    AuditEntry,
    Call,
    OpenCall,
    PlacedCall,
    Recording,
    RefusedAttempt,
    Transcription,
    VoiceApplication,
    WebhookDelivery,
)
from voiceapps.reads.applications import listed
from voiceapps.rules.diagnosis.filter_fields import Place

LAST_PAGE = 20
"""Rows of the last page of a list, more or less."""
Row = TypeVar("Row", bound=Model)


def known() -> dict[str, str]:
    """Return them by the names that questions call them by."""
    application = VoiceApplication.objects.get(name="App 0")
    call = Call.objects.filter(state="disconnected").order_by("-started_at")[0]
    oldest = _near_the_end(Call.objects.order_by("started_at", "call_id"))
    delivery = _near_the_end(WebhookDelivery.objects.order_by("created_at", "delivery_id"))
    last = _near_the_end(VoiceApplication.objects.order_by("-name", "-application_id"))
    return {
        "application": str(application.pk),
        "call": call.pk,
        "heavy": WebhookDelivery.objects.filter(event_type="gather")[0].call_id,
        "sip_call_id": call.sip_call_id,
        "open": OpenCall.objects.all()[0].pk,
        "delivery": str(WebhookDelivery.objects.filter(state="failed")[0].pk),
        "placed": str(PlacedCall.objects.filter(application=application)[0].pk),
        "source": RefusedAttempt.objects.filter(application=application)[0].source_ip or "",
        "recording": Recording.objects.all()[0].pk,
        "transcription": Transcription.objects.all()[0].pk,
        "last_call": str(Place(oldest.started_at, oldest.pk)),
        "last_delivery": str(Place(delivery.created_at, str(delivery.pk))),
        "last_entry": str(_near_the_end(AuditEntry.objects.order_by("pk")).pk),
        "last_application": str(listed.Place(last.name, last.pk)),
    }


def _near_the_end(rows: QuerySet[Row, Row]) -> Row:
    return list(rows[:LAST_PAGE])[-1]
