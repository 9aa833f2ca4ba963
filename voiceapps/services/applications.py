"""Voice applications: create, change, delete."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from voiceapps.models import Account, OpenCall, SipCredential, VoiceApplication
from voiceapps.rules import inbound_sip as rules
from voiceapps.rules.callback_credentials import CREDENTIALS, URL_FIELDS, twice_given
from voiceapps.rules.inbound_sip import InboundSip, InboundSipPatch, InvalidFields, Transition
from voiceapps.rules.masking import MASK, masked_url
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.passwords import make_password

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class TooManyApplicationsError(Exception):
    """The account has reached its limit of applications."""


class VersionConflictError(Exception):
    """The application has changed since the caller read it."""


class CallsInProgressError(Exception):
    """The application cannot be deleted while its calls are up."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The application after a change, and the SIP password if one was made, which is shown once."""

    application: VoiceApplication
    sip_password: str | None


@dataclass(frozen=True, slots=True)
class _Applied:
    """The changes for the audit trail with what was before them, and the password if one was made."""

    changes: dict[str, object]
    before: dict[str, object]
    password: str | None


@transaction.atomic
def create(account: Account, fields: Mapping[str, Any], sip: InboundSipPatch, *, actor: Actor) -> Changed:
    """Create an application from validated model fields; raises InvalidFields, TooManyApplicationsError."""
    account = Account.objects.select_for_update().get(pk=account.pk)
    if account.max_applications is not None and account.applications.count() >= account.max_applications:
        raise TooManyApplicationsError(f"The account may have {account.max_applications} voice applications and has them.")
    application = VoiceApplication(account=account, **fields)
    _check_credentials(application, fields)
    application.save(force_insert=True)
    applied = _apply(application, sip)
    application.save()
    _record(actor, "application.create", application, _masked(fields) | applied.changes)
    return Changed(application, applied.password)


@transaction.atomic
def update(
    application: VoiceApplication,
    fields: Mapping[str, Any],
    sip: InboundSipPatch,
    *,
    actor: Actor,
    versions: Collection[int] | None = None,
) -> Changed:
    """Change model fields and SIP settings, all or nothing, and with `versions` only if the application has one of them.

    Raises InvalidFields, VersionConflictError, VoiceApplication.DoesNotExist.
    """
    application = _locked(application, versions)
    changed = {name: value for name, value in fields.items() if getattr(application, name) != value}
    before = _masked({name: getattr(application, name) for name in changed})
    for name, value in changed.items():
        setattr(application, name, value)
    _check_credentials(application, fields)
    applied = _apply(application, sip)
    changes = _masked(changed) | applied.changes
    if changes:
        application.version += 1
        application.save()
        _record(actor, "application.update", application, changes, before | applied.before)
    return Changed(application, applied.password)


@transaction.atomic
def delete(application: VoiceApplication, *, actor: Actor, force: bool = False, versions: Collection[int] | None = None) -> None:
    """Delete an application. Calls that are up prevent this, unless `force`; then they go on without it.

    Raises CallsInProgressError, VersionConflictError, VoiceApplication.DoesNotExist.
    """
    application = _locked(application, versions)
    live = OpenCall.objects.filter(account_id=application.account_id, application_id=application.pk).count()
    if live and not force:
        raise CallsInProgressError(f"{live} calls of the application are up.")
    _record(actor, "application.delete", application, {"name": application.name, "live_calls": live})
    application.delete()


def _check_credentials(application: VoiceApplication, given: Collection[str]) -> None:
    """Raise InvalidFields, by the fields that are given, if a URL carries credentials that are given beside it too."""
    twice = twice_given({name: getattr(application, name) for name in (*URL_FIELDS, *CREDENTIALS)})
    errors: dict[str, str] = {}
    for column, sentence in twice.items():
        wire, username = URL_FIELDS[column]
        errors |= {wire: sentence} if column in given else {}
        errors |= {CREDENTIALS[username]: sentence} if username in given else {}
    if errors:
        raise InvalidFields(errors)


def _locked(application: VoiceApplication, versions: Collection[int] | None) -> VoiceApplication:
    fresh = VoiceApplication.objects.select_for_update().get(pk=application.pk)
    if versions is not None and fresh.version not in versions:
        raise VersionConflictError("The application has changed since it was read.")
    return fresh


def _record(
    actor: Actor, action: str, application: VoiceApplication, changes: dict[str, object], before: dict[str, object] | None = None
) -> None:
    audit.record(actor, action, str(application.pk), changes, account=application.account_id, before=before)


def _masked(fields: Mapping[str, Any]) -> dict[str, object]:
    urls = {name: masked_url(value) for name, value in fields.items() if name in URL_FIELDS}
    return {name: MASK if name in VoiceApplication.SECRETS and value else value for name, value in fields.items()} | urls


def _apply(application: VoiceApplication, change: InboundSipPatch) -> _Applied:
    """Set the application's fields, which the caller saves, and store its credential; raises InvalidFields."""
    if change == InboundSipPatch():
        return _Applied({}, {}, None)
    before = _current(application)
    transition = rules.apply(before, change)
    _set(application, transition)
    if transition.drop_credential:
        SipCredential.objects.filter(application=application).delete()
    password = _rotate(application) if transition.new_password else None
    changes: dict[str, object] = {name: value for name, value in asdict(transition.after).items() if value != getattr(before, name)}
    replaced: dict[str, object] = {name: getattr(before, name) for name in changes}
    return _Applied(changes | ({"password": "rotated"} if password else {}), replaced, password)


def _current(application: VoiceApplication) -> InboundSip:
    """Return the application's current settings."""
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
