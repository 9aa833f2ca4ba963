"""People who are not logged in yet: their password was right, or they have an enrolment link. Until the rest they are strangers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest
from django.utils import timezone

from voiceapps.services.people import operators

SECONDS = 10 * 60
LINK_SECONDS = 24 * 3600
_PASSED, _LINKED = "password passed", "enrolment link"
_SALT = "sipuri enrolment link"


@dataclass(frozen=True, slots=True)
class _Kept:
    """Who it was, and until when that is remembered."""

    user: int
    password: str
    generation: int
    until: float
    leads_to: str


def keep(request: HttpRequest, user: User, leads_to: str) -> None:
    """Remember that a person's password was right, and where the person wants to go."""
    # Whoever knows the session's old key must not come along.
    request.session.cycle_key()
    request.session[_PASSED] = _remembered(user, leads_to)


def person(request: HttpRequest) -> tuple[User, str] | None:
    """Return the person whose password was right, and where it leads; None if that is too long ago, or no longer so."""
    return _known(request.session.get(_PASSED))


def forget(request: HttpRequest) -> None:
    """Forget the person."""
    request.session.pop(_PASSED, None)


def enrolment_link(user: User) -> str:
    """Return the signed end of a link by which a person enrols a second factor, once, within 24 hours."""
    return signing.dumps([user.pk, operators.generation_of(user)], salt=_SALT, compress=False)


def accept_link(request: HttpRequest, token: str) -> bool:
    """Remember the person of an enrolment link; return False for one that is forged, too old, or was used."""
    try:
        pk, generation = signing.loads(token, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return False
    user = User.objects.filter(pk=pk, is_active=True).first()
    if user is None or operators.generation_of(user) != generation:
        return False
    request.session.cycle_key()
    request.session[_LINKED] = _remembered(user, "")
    return True


def linked_person(request: HttpRequest) -> User | None:
    """Return the person of an enrolment link that was opened in this session and is not used yet."""
    known = _known(request.session.get(_LINKED))
    return known[0] if known else None


def forget_link(request: HttpRequest) -> None:
    """Forget the link."""
    request.session.pop(_LINKED, None)


def _remembered(user: User, leads_to: str) -> dict[str, Any]:
    return {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "generation": operators.generation_of(user),
        "until": timezone.now().timestamp() + SECONDS,
        "leads_to": leads_to,
    }


def _known(stored: dict[str, Any] | None) -> tuple[User, str] | None:
    """Return the person unless time, a new password or another change of the person has ended it."""
    if stored is None:
        return None
    kept = _Kept(**stored)
    user = User.objects.filter(pk=kept.user, is_active=True, is_staff=True).first()
    if user is None or timezone.now().timestamp() >= kept.until:
        return None
    if user.get_session_auth_hash() != kept.password or operators.generation_of(user) != kept.generation:
        return None
    return user, kept.leads_to
