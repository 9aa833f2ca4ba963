"""Reads of what admission needs, from the database for every INVITE, so that a change applies to the next call.

The statement is the ORM's, compiled once for each number of users. Snapshots are cached by the row that came from the database: an
unchanged application costs no decryption and no new object, and a changed one has another row, so the cache is never stale.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from cryptography.fernet import InvalidToken
from django.db import connection
from django.db.models import Count, Q

from voiceapps.daemon.bulk import fetch_prepared
from voiceapps.fields import decrypted
from voiceapps.models import OpenCall, VoiceApplication
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Limits
from voiceapps.rules.media_settings import SecureMedia

MAX_REMEMBERED = 4_096
# A user part that is no UUID is looked up too, so that the time of an answer reveals nothing.
_NOBODY = UUID(int=0)
_ID = VoiceApplication._meta.get_field("application_id")  # noqa: SLF001  # Django's public API has no other name
_COLUMNS = (
    "application_id",
    "sip_alias",
    "account_id",
    "inbound_sip_enabled",
    "password_auth_enabled",
    "allowed_source_ips",
    "allowed_regions",
    "digest_algorithms",
    "media_learning",
    "media_source_ips",
    "sip_headers",
    "mask_digits",
    "secure_media",
    "max_calls",
    "max_calls_per_second",
    "account__max_calls",
    "account__max_calls_per_second",
    "credential__secrets",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProxyRun:
    """A proxy process, which counts the calls that it has admitted since its start itself."""

    name: str
    since: datetime


def admission_snapshots(users: Sequence[str], *, asking: ProxyRun | None) -> dict[str, AdmissionSnapshot]:
    """Return the applications that these SIP user parts name, by the user part in lower case.

    One query, and a second one if one of them or its account has a limit of concurrent calls. Then the snapshot carries the number of live
    calls that the proxy `asking` does not hold, or of all live calls if it is None.
    """
    if not users:
        return {}
    ids = tuple({_canonical_uuid(user) for user in users})
    prepared = [_ID.get_db_prep_value(value, connection) for value in ids]
    snapshots = [_snapshot(row) for row in fetch_prepared(_statement(connection.vendor, len(ids)), [*prepared, *prepared])]
    elsewhere = _calls_elsewhere(snapshots, asking)
    wanted = {user.lower() for user in users}
    found: dict[str, AdmissionSnapshot] = {}
    for snapshot in snapshots:
        counted = replace(snapshot, calls_elsewhere=_counted(snapshot, elsewhere)) if elsewhere else snapshot
        found.update(dict.fromkeys(snapshot.users & wanted, counted))
    return found


@lru_cache(maxsize=512)
def _statement(_vendor: str, count: int) -> str:
    ids = [UUID(int=number) for number in range(count)]
    named = Q(sip_alias__in=ids) | Q(application_id__in=ids)
    statement: str = VoiceApplication.objects.filter(named).order_by().values_list(*_COLUMNS).query.sql_with_params()[0]
    return statement


@lru_cache(maxsize=MAX_REMEMBERED)
def _snapshot(row: tuple[Any, ...]) -> AdmissionSnapshot:
    application_id, alias, account_id, enabled, password, ips, regions, algorithms, *others, secrets = row
    learning, sources, headers, mask_digits, secure_media, *limits = others
    users = frozenset(str(UUID(str(value))) for value in (application_id, alias) if value)
    ha1 = _ha1(application_id, secrets)
    return AdmissionSnapshot(
        application_id=str(UUID(str(application_id))),
        account_id=account_id,
        enabled=bool(enabled),
        users=users,
        password_auth=bool(password),
        allowed_source_ips=tuple(json.loads(ips)),
        allowed_regions=tuple(json.loads(regions)),
        digest_algorithms=tuple(json.loads(algorithms)),
        ha1=ha1 or (),
        application_limits=Limits(*limits[:2]),
        account_limits=Limits(*limits[2:]),
        calls_elsewhere=CallCount(),
        media_learning=learning,
        media_source_ips=tuple(json.loads(sources)),
        sip_headers=bool(headers),
        mask_digits=bool(mask_digits),
        secure_media=SecureMedia(secure_media),
        unreadable=ha1 is None and bool(password),
    )


def _ha1(application_id: object, secrets: str | None) -> tuple[tuple[str, str, str], ...] | None:
    """Return what is stored of a password, None if no key opens it: other callers of the same query have nothing to do with that."""
    try:
        stored = decrypted(secrets or "")
    except InvalidToken as error:
        log.error("credential_unreadable", application_id=str(application_id), error=str(error))
        return None
    return tuple((username, algorithm, digest) for username, algorithm, digest in json.loads(stored)) if stored else ()


def _calls_elsewhere(snapshots: Sequence[AdmissionSnapshot], asking: ProxyRun | None) -> dict[str, int]:
    """Return the live calls that the asking proxy does not count itself, by application id and account id, if one has a limit."""
    limited = [held for held in snapshots if held.application_limits.max_calls is not None or held.account_limits.max_calls is not None]
    if not limited:
        return {}
    live = OpenCall.objects.filter(account_id__in={held.account_id for held in limited}).order_by()
    if all(held.account_limits.max_calls is None for held in limited):
        live = live.filter(application_id__in=[held.application_id for held in limited])
    if asking is not None:
        # A call without a proxy was reported by its call flow first. Its proxy, perhaps the asking one, will report it within moments.
        live = live.exclude(Q(proxy_node="") | Q(proxy_node=asking.name, started_at__gte=asking.since))
    found: Counter[str] = Counter()
    for account_id, application_id, count in live.values_list("account_id", "application_id").annotate(Count("pk")):
        found[account_id] += count
        found[str(application_id)] += count
    return found


def _counted(snapshot: AdmissionSnapshot, elsewhere: Mapping[str, int]) -> CallCount:
    return CallCount(
        0 if snapshot.application_limits.max_calls is None else elsewhere.get(snapshot.application_id, 0),
        0 if snapshot.account_limits.max_calls is None else elsewhere.get(snapshot.account_id, 0),
    )


def _canonical_uuid(user: str) -> UUID:
    try:
        value = UUID(user)
    except ValueError:
        return _NOBODY
    return value if str(value) == user.lower() else _NOBODY
