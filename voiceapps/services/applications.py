"""Create, change and delete voice applications."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from voiceapps.choices import CallState
from voiceapps.models import Account, Call, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import audit, inbound_sip
from voiceapps.services.audit import Actor

SECRET_FIELDS = frozenset({"callback_password", "fallback_password"})


class TooManyApplicationsError(Exception):
    """Say that the account's limit is reached."""


class VersionConflictError(Exception):
    """Say that the application is no longer the one the caller saw."""


class CallsInProgressError(Exception):
    """Say that calls of the application are up."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} calls of the application are up.")
        self.count = count


@dataclass(frozen=True, slots=True)
class Changed:
    """The application after a change, and the SIP password where one was made: it is shown once."""

    application: VoiceApplication
    sip_password: str | None


@transaction.atomic
def create(account: Account, fields: Mapping[str, Any], sip: InboundSipPatch, *, actor: Actor) -> Changed:
    """Create an application from model fields that were validated; raises InvalidFields, TooManyApplicationsError."""
    account = Account.objects.select_for_update().get(pk=account.pk)
    if account.max_applications is not None and account.applications.count() >= account.max_applications:
        raise TooManyApplicationsError(f"The account may have {account.max_applications} voice applications and has them.")
    application = VoiceApplication(account=account, **fields)
    application.save(force_insert=True)
    applied = inbound_sip.apply(application, sip)
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
    """Change model fields and SIP settings, all or nothing; with `versions` only if the application still has one of them.

    Raises InvalidFields, VersionConflictError, VoiceApplication.DoesNotExist.
    """
    application = _locked(application, versions)
    changed = {name: value for name, value in fields.items() if getattr(application, name) != value}
    for name, value in changed.items():
        setattr(application, name, value)
    applied = inbound_sip.apply(application, sip)
    changes = _masked(changed) | applied.changes
    if changes:
        application.version += 1
        application.save()
        _record(actor, "application.update", application, changes)
    return Changed(application, applied.password)


@transaction.atomic
def delete(application: VoiceApplication, *, actor: Actor, force: bool = False, versions: Collection[int] | None = None) -> None:
    """Delete an application; calls that are up go on, and keep it from being deleted unless `force`.

    Raises CallsInProgressError, VersionConflictError, VoiceApplication.DoesNotExist.
    """
    application = _locked(application, versions)
    live = Call.objects.filter(account_id=application.account_id, application=application).exclude(state=CallState.DISCONNECTED).count()
    if live and not force:
        raise CallsInProgressError(live)
    _record(actor, "application.delete", application, {"name": application.name, "live_calls": live})
    application.delete()


def _locked(application: VoiceApplication, versions: Collection[int] | None) -> VoiceApplication:
    fresh = VoiceApplication.objects.select_for_update().get(pk=application.pk)
    if versions is not None and fresh.version not in versions:
        raise VersionConflictError("The application has changed since it was read.")
    return fresh


def _record(actor: Actor, action: str, application: VoiceApplication, changes: dict[str, object]) -> None:
    audit.record(actor, action, str(application.pk), changes, account=application.account_id)


def _masked(fields: Mapping[str, Any]) -> dict[str, object]:
    return {name: "***" if name in SECRET_FIELDS and value else value for name, value in fields.items()}
