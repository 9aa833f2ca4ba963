"""Create and change voice applications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from voiceapps.models import Account, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import audit, inbound_sip
from voiceapps.services.audit import Actor

SECRET_FIELDS = frozenset({"callback_password", "fallback_password"})


@dataclass(frozen=True, slots=True)
class Changed:
    """The application after a change, and the SIP password where one was made: it is shown once."""

    application: VoiceApplication
    sip_password: str | None


@transaction.atomic
def create(account: Account, fields: Mapping[str, Any], sip: InboundSipPatch, *, actor: Actor) -> Changed:
    """Create an application from model fields that were validated; raises InvalidFields of the SIP settings."""
    application = VoiceApplication(account=account, **fields)
    application.save(force_insert=True)
    audit.record(actor, "application.create", str(application.pk), _masked(fields))
    return Changed(application, _patch_sip(application, sip, actor))


@transaction.atomic
def update(application: VoiceApplication, fields: Mapping[str, Any], sip: InboundSipPatch, *, actor: Actor) -> Changed:
    """Change the given model fields and SIP settings of an application, all or nothing; raises InvalidFields."""
    application = VoiceApplication.objects.select_for_update().get(pk=application.pk)
    changed = {name: value for name, value in fields.items() if getattr(application, name) != value}
    if changed:
        for name, value in changed.items():
            setattr(application, name, value)
        application.save()
        audit.record(actor, "application.update", str(application.pk), _masked(changed))
    return Changed(application, _patch_sip(application, sip, actor))


def _patch_sip(application: VoiceApplication, sip: InboundSipPatch, actor: Actor) -> str | None:
    return None if sip == InboundSipPatch() else inbound_sip.patch(application, sip, actor=actor)


def _masked(fields: Mapping[str, Any]) -> dict[str, object]:
    return {name: "***" if name in SECRET_FIELDS and value else value for name, value in fields.items()}
