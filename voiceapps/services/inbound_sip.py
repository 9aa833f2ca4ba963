"""Carry out what a change to an application's SIP URI means (seed, D1, D5): alias, credential, password."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass

from django.conf import settings

from voiceapps.models import SipCredential, VoiceApplication
from voiceapps.rules import inbound_sip as rules
from voiceapps.rules.inbound_sip import InboundSip, InboundSipPatch, Transition
from voiceapps.services.passwords import make_password

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Applied:
    """What changed, for the audit, and the password where one was made."""

    changes: dict[str, object]
    password: str | None


def apply(application: VoiceApplication, change: InboundSipPatch) -> Applied:
    """Set the application's fields, which the caller saves, and store its credential; raises InvalidFields."""
    if change == InboundSipPatch():
        return Applied({}, None)
    before = current(application)
    transition = rules.apply(before, change)
    _set(application, transition)
    if transition.drop_credential:
        SipCredential.objects.filter(application=application).delete()
    password = _rotate(application) if transition.new_password else None
    changes: dict[str, object] = {name: value for name, value in asdict(transition.after).items() if value != getattr(before, name)}
    return Applied(changes | ({"password": "rotated"} if password else {}), password)


def current(application: VoiceApplication) -> InboundSip:
    """Return the settings as they stand."""
    return InboundSip(
        enabled=application.inbound_sip_enabled,
        password_auth=application.password_auth_enabled,
        source_ips=tuple(application.allowed_source_ips),
        regions=tuple(application.allowed_regions),
        digest_algorithms=tuple(application.digest_algorithms),
    )


def _set(application: VoiceApplication, transition: Transition) -> None:
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


def _rotate(application: VoiceApplication) -> str:
    password = make_password()
    ha1 = [
        (username, algorithm, make(f"{username}:{settings.SIP_REALM}:{password}".encode()).hexdigest())
        for username in (str(application.application_id), str(application.sip_alias))
        for algorithm, make in _HASHES.items()
    ]
    SipCredential.objects.update_or_create(application=application, defaults={"realm": settings.SIP_REALM, "secrets": json.dumps(ha1)})
    return password
