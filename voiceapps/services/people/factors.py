"""The second factor of operators: codes of an authenticator (RFC 6238), and recovery codes that count once.

The algorithm is django-otp's. Its tables are not used: they would hold secrets and recovery codes in the clear.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from enum import StrEnum
from urllib.parse import quote, urlencode

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_otp.oath import TOTP

from voiceapps.models import SecondFactor
from voiceapps.rules.people.lockout import code_wait
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.people.operators import end_sessions

ISSUER = "sipuri"
STEP_SECONDS, DIGITS = 30, 6
TOLERANCE = 1
"""Steps before and after ours whose codes count: clocks differ, and typing takes time."""
RECOVERY_CODES = 10
_SECRET_BYTES = 20
_RECOVERY_CHARACTERS, _RECOVERY_LENGTH = "abcdefghjkmnpqrstuvwxyz23456789", 12


class Proof(StrEnum):
    """What a person has proved by."""

    CODE = "code of the authenticator"
    RECOVERY = "recovery code"


class CodeError(Exception):
    """One sentence that says why a code does not count."""


def is_enrolled(user: User) -> bool:
    """Return whether a person has a second factor."""
    return SecondFactor.objects.filter(user=user).exists()


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes a person has left."""
    row = SecondFactor.objects.defer("secret").filter(user=user).first()
    return len(row.recovery_digests) if row else 0


def new_secret() -> str:
    """Make a secret for an authenticator, in base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def address_of(secret: str, username: str) -> str:
    """Return the secret as the URI that authenticators read (`otpauth:`)."""
    return f"otpauth://totp/{quote(f'{ISSUER}:{username}')}?{urlencode({'secret': secret, 'issuer': ISSUER})}"


@transaction.atomic
def enrol(user: User, secret: str, code: str, *, actor: Actor) -> list[str]:
    """Store a secret that the person's authenticator has, as `code` proves, and return the recovery codes.

    It replaces an older one and ends the person's sessions; raises CodeError.
    """
    step = _matching_step(secret, _bare(code), after=-1)
    if step is None:
        raise CodeError("This is not the code that the authenticator shows now. Its clock and ours must agree.")
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    SecondFactor.objects.filter(user=user).delete()
    SecondFactor.objects.create(user=user, secret=secret, last_step=step, recovery_digests=[_digest(secret, code) for code in codes])
    end_sessions(user)
    audit.record(actor, "operator.enrol_second_factor", user.get_username(), {})
    return codes


def verify(user: User, code: str, *, actor: Actor) -> Proof:
    """Return what the code proves, and use it up; raises CodeError for a wrong one, and for any that comes too soon after those."""
    outcome = _judged(user, _bare(code), actor)
    if isinstance(outcome, str):
        raise CodeError(outcome)
    return outcome[0]


@transaction.atomic
def renew_recovery_codes(user: User, *, actor: Actor) -> list[str]:
    """Replace the person's recovery codes and return the new ones; raises SecondFactor.DoesNotExist."""
    row = SecondFactor.objects.select_for_update().get(user=user)
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    row.recovery_digests = [_digest(row.secret, code) for code in codes]
    row.save(update_fields=["recovery_digests"])
    audit.record(actor, "operator.renew_recovery_codes", user.get_username(), {})
    return codes


@transaction.atomic
def reset(user: User, *, actor: Actor) -> bool:
    """Remove the person's second factor and end the person's sessions; return whether there was one."""
    removed, _ = SecondFactor.objects.filter(user=user).delete()
    end_sessions(user)
    audit.record(actor, "operator.reset_second_factor", user.get_username(), {"removed": bool(removed)})
    return bool(removed)


@transaction.atomic
def _judged(user: User, code: str, actor: Actor) -> tuple[Proof] | str:
    """Return what the code proves, or the sentence that says why it proves nothing; both are stored."""
    row = SecondFactor.objects.select_for_update().filter(user=user).first()
    if row is None:
        return "There is no second factor."
    wait = code_wait(row.failures) - (timezone.now() - row.failed_at).total_seconds() if row.failed_at else 0
    if wait > 0:
        return f"Too many wrong codes: wait {round(wait) + 1} seconds, and use the code that is shown then."
    proof = _used(row, code)
    if proof is None:
        row.failures, row.failed_at = row.failures + 1, timezone.now()
    else:
        row.failures, row.failed_at = 0, None
    row.save(update_fields=["last_step", "recovery_digests", "failures", "failed_at"])
    if proof is Proof.RECOVERY:
        audit.record(actor, "operator.use_recovery_code", user.get_username(), {"left": len(row.recovery_digests)})
    return (proof,) if proof else "This code is wrong, or it was used already. A new one is shown every 30 seconds."


def _used(row: SecondFactor, code: str) -> Proof | None:
    """Use up a code of the authenticator, or a recovery code."""
    step = _matching_step(row.secret, code, after=row.last_step)
    if step is not None:
        row.last_step = step
        return Proof.CODE
    digest = _digest(row.secret, code)
    left = [held for held in row.recovery_digests if not hmac.compare_digest(held, digest)]
    if len(left) == len(row.recovery_digests):
        return None
    row.recovery_digests = left
    return Proof.RECOVERY


def _matching_step(secret: str, code: str, *, after: int) -> int | None:
    """Return the time step that a code belongs to, if it is near and behind `after`."""
    if len(code) != DIGITS or not (code.isascii() and code.isdecimal()):
        return None
    totp = TOTP(base64.b32decode(secret), STEP_SECONDS, digits=DIGITS)
    totp.time = timezone.now().timestamp()
    return totp.t() if totp.verify(int(code), TOLERANCE, after + 1) else None


def _bare(code: str) -> str:
    """Return a code without what people write between its groups."""
    return "".join(character for character in code.casefold() if character.isalnum())


def _new_recovery_code() -> str:
    characters = "".join(secrets.choice(_RECOVERY_CHARACTERS) for _ in range(_RECOVERY_LENGTH))
    return "-".join(characters[start : start + 4] for start in range(0, _RECOVERY_LENGTH, 4))


def _digest(secret: str, code: str) -> str:
    """Return what is stored of a recovery code: without the person's secret, which is encrypted, nobody can try codes on it."""
    return hmac.digest(base64.b32decode(secret), f"recovery code {_bare(code)}".encode(), "sha256").hex()
