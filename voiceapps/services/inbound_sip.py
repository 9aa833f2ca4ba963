"""Enable, change, rotate and disable an application's SIP URI (seed, D1, D5)."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict

from django.conf import settings
from django.db import transaction

from voiceapps.models import SipCredential, VoiceApplication
from voiceapps.rules import inbound_sip as rules
from voiceapps.rules.inbound_sip import InboundSip, InboundSipPatch, Transition
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.passwords import make_password

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@transaction.atomic
def patch(application: VoiceApplication, change: InboundSipPatch, *, actor: Actor) -> str | None:
    """Apply a change and return the new password where it makes one; raises InvalidFields."""
    before = current(application)
    transition = rules.apply(before, change)
    _store(application, transition)
    password = _rotate(application) if transition.new_password else None
    after = asdict(transition.after)
    changes = {name: value for name, value in after.items() if value != getattr(before, name)}
    if password:
        changes["password"] = "rotated"  # noqa: S105  # a word, not a password
    audit.record(actor, "inbound_sip.patch", str(application.pk), changes)
    return password


def rotate_password(application: VoiceApplication, *, actor: Actor) -> str:
    """Replace the password at once and return the new one."""
    password = patch(application, InboundSipPatch(password_auth=True), actor=actor)
    assert password is not None  # noqa: S101  # our own rule: this patch always makes one
    return password


def disable(application: VoiceApplication, *, actor: Actor) -> None:
    """Clear the SIP URI and everything that authenticates it."""
    patch(application, InboundSipPatch(enabled=False), actor=actor)


def current(application: VoiceApplication) -> InboundSip:
    """Return the settings as they stand."""
    return InboundSip(
        enabled=application.inbound_sip_enabled,
        password_auth=application.password_auth_enabled,
        source_ips=tuple(application.allowed_source_ips),
        regions=tuple(application.allowed_regions),
        digest_algorithms=tuple(application.digest_algorithms),
    )


def _store(application: VoiceApplication, transition: Transition) -> None:
    after = transition.after
    if transition.new_alias:
        application.sip_alias = uuid.uuid4()
    elif not after.enabled:
        application.sip_alias = None
    application.inbound_sip_enabled = after.enabled
    application.password_auth_enabled = after.password_auth
    application.allowed_source_ips = list(after.source_ips)
    application.allowed_regions = list(after.regions)
    application.digest_algorithms = list(after.digest_algorithms)
    application.save()
    if transition.drop_credential:
        SipCredential.objects.filter(application=application).delete()


def _rotate(application: VoiceApplication) -> str:
    password = make_password()
    ha1 = [
        (username, algorithm, make(f"{username}:{settings.SIP_REALM}:{password}".encode()).hexdigest())
        for username in (str(application.application_id), str(application.sip_alias))
        for algorithm, make in _HASHES.items()
    ]
    SipCredential.objects.update_or_create(application=application, defaults={"realm": settings.SIP_REALM, "secrets": json.dumps(ha1)})
    return password
