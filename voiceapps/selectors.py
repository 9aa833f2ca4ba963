"""All reads for other rooms: frozen values out, no ORM object (D3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Q
from django.utils import timezone

from voiceapps.choices import NodeState
from voiceapps.models import Node, VoiceApplication
from voiceapps.rules.admission import AdmissionSnapshot

NODE_LIVE_SECONDS = 10.0

# An unknown user asks the database like a known one, so that time tells nothing (D2).
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A live process."""

    name: str
    role: str
    state: str
    public_address: str
    internal_address: str
    load: int


@dataclass(frozen=True, slots=True)
class CallApplication:
    """What the call flow needs of an application."""

    application_id: str
    account_id: str
    application_name: str
    initiated_url: str
    initiated_method: str
    initiated_fallback_url: str
    initiated_fallback_method: str
    username: str
    password: str = field(repr=False)
    fallback_username: str
    fallback_password: str = field(repr=False)
    status_url: str
    timeout_seconds: float


def admission_snapshots(users: Sequence[str]) -> dict[str, AdmissionSnapshot]:
    """Return the applications that these SIP user parts name, by the user part in lower case; one query."""
    ids = [_canonical_uuid(user) for user in users]
    named = Q(sip_alias__in=ids) | Q(application_id__in=ids)
    wanted = {user.lower() for user in users}
    found: dict[str, AdmissionSnapshot] = {}
    for application in VoiceApplication.objects.filter(named).select_related("credential"):
        snapshot = _admission_snapshot(application)
        found.update(dict.fromkeys(snapshot.users & wanted, snapshot))
    return found


def call_application(application_id: str) -> CallApplication | None:
    """Return an application's callback settings, None if it is gone."""
    row = VoiceApplication.objects.filter(pk=application_id).first()
    if row is None:
        return None
    return CallApplication(
        application_id=str(row.application_id),
        account_id=row.account_id,
        application_name=row.name,
        initiated_url=row.initiated_url,
        initiated_method=row.initiated_method,
        initiated_fallback_url=row.initiated_fallback_url,
        initiated_fallback_method=row.initiated_fallback_method,
        username=row.callback_username,
        password=row.callback_password,
        fallback_username=row.fallback_username,
        fallback_password=row.fallback_password,
        status_url=row.status_url,
        timeout_seconds=row.callback_timeout,
    )


def live_nodes(role: str) -> tuple[NodeView, ...]:
    """Return the processes of a role whose beats come, in the order of their names."""
    since = timezone.now() - timedelta(seconds=NODE_LIVE_SECONDS)
    rows = Node.objects.filter(role=role, seen_at__gte=since).exclude(state=NodeState.DOWN)
    return tuple(NodeView(row.name, row.role, row.state, row.public_address, row.internal_address, row.load) for row in rows)


def _admission_snapshot(application: VoiceApplication) -> AdmissionSnapshot:
    users = {str(application.application_id)} | ({str(application.sip_alias)} if application.sip_alias else set())
    return AdmissionSnapshot(
        application_id=str(application.application_id),
        account_id=application.account_id,
        enabled=application.inbound_sip_enabled,
        users=frozenset(users),
        password_auth=application.password_auth_enabled,
        allowed_source_ips=tuple(application.allowed_source_ips),
        allowed_regions=tuple(application.allowed_regions),
        digest_algorithms=tuple(application.digest_algorithms),
        ha1=_ha1(application),
    )


def _ha1(application: VoiceApplication) -> tuple[tuple[str, str, str], ...]:
    try:
        stored = application.credential.secrets
    except ObjectDoesNotExist:
        return ()
    return tuple((username, algorithm, digest) for username, algorithm, digest in json.loads(stored))


def _canonical_uuid(user: str) -> UUID:
    try:
        value = UUID(user)
    except ValueError:
        return _NOBODY
    return value if str(value) == user.lower() else _NOBODY
