"""Failed logins: what they cost is decided by `voiceapps.rules.people.lockout`.

django-axes, which did this before, has one limit for names, sources and both, and can only refuse: a stranger could lock a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from voiceapps.models import FailedLogin
from voiceapps.rules.people import lockout
from voiceapps.rules.people.lockout import Decision, Kind

log = structlog.get_logger(__name__)


@transaction.atomic
def begin(name: str, address: str) -> Decision:
    """Count a login as failed before its password is looked at, and return what becomes of it; a refused one is not counted.

    Counted first, many logins at once cannot all pass before the first of them has failed.
    """
    keys = _keys(name, address)
    now = timezone.now()
    _forget_old()
    rows = {row.key: row for row in FailedLogin.objects.select_for_update().filter(key__in=keys.values()).order_by("key")}
    held = {kind: rows[key] for kind, key in keys.items() if key in rows}
    decision = lockout.decide(
        {kind: row.failures for kind, row in held.items()},
        {kind: (now - row.last_at).total_seconds() for kind, row in held.items()},
    )
    if decision.locked_for:
        log.warning("login_refused", source=address, seconds=decision.locked_for)
    else:
        _count(keys.values())
    return decision


@transaction.atomic
def succeeded(name: str, address: str) -> None:
    """Forget the failures of a name, and take back the one that `begin` counted for its source.

    Not all of the source's: somebody with a login of his own could wipe them out between two guesses.
    """
    keys = _keys(name, address)
    FailedLogin.objects.filter(key__in=[keys[Kind.PAIR], keys[Kind.NAME]]).delete()
    FailedLogin.objects.filter(key=keys[Kind.SOURCE], failures__gt=0).update(failures=F("failures") - 1)


@transaction.atomic
def wrong_code(address: str) -> None:
    """Count a wrong code of a second factor as a failure of its source; the person's own count is the factor's."""
    _count([_key(Kind.SOURCE, lockout.source_of(address))])


def is_locked(address: str) -> bool:
    """Return whether a source may not try anything now."""
    row = FailedLogin.objects.filter(key=_key(Kind.SOURCE, lockout.source_of(address)), last_at__gt=_horizon()).first()
    return row is not None and row.failures >= lockout.MAX_OF_SOURCE


def _forget_old() -> None:
    FailedLogin.objects.filter(last_at__lt=_horizon()).delete()


def _horizon() -> object:
    return timezone.now() - timedelta(seconds=lockout.WINDOW)


def _count(keys: Iterable[str]) -> None:
    now = timezone.now()
    for key in sorted(keys):
        if not FailedLogin.objects.filter(key=key).update(failures=F("failures") + 1, last_at=now):
            _, made = FailedLogin.objects.get_or_create(key=key, defaults={"failures": 1, "last_at": now})
            if not made:
                FailedLogin.objects.filter(key=key).update(failures=F("failures") + 1, last_at=now)


def _keys(name: str, address: str) -> dict[Kind, str]:
    source, folded = lockout.source_of(address), name.casefold()
    return {Kind.PAIR: _key(Kind.PAIR, source, folded), Kind.SOURCE: _key(Kind.SOURCE, source), Kind.NAME: _key(Kind.NAME, folded)}


def _key(kind: Kind, *parts: str) -> str:
    return hashlib.sha256("\0".join((kind, *parts)).encode()).hexdigest()
