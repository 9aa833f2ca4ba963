"""Accounts."""

from __future__ import annotations

from django.db import transaction

from voiceapps.models import Account
from voiceapps.services import audit
from voiceapps.services.audit import Actor


@transaction.atomic
def ensure_account(account_id: str, *, actor: Actor, name: str | None = None) -> Account:
    """Return the account, created if it is missing and renamed if `name` is given; raises ValidationError unless the id is digits."""
    account = Account.objects.filter(pk=account_id).first() or Account(account_id=account_id)
    before = {} if account._state.adding else {"name": account.name}
    if account._state.adding or (name is not None and name != account.name):
        account.name = name or ""
        account.full_clean(validate_unique=False)
        account.save()
        audit.record(actor, "account.ensure", account_id, {"name": account.name}, account=account_id, before=before)
    return account


@transaction.atomic
def set_limits(
    account: Account, *, max_calls: int | None, max_calls_per_second: int | None, max_applications: int | None, actor: Actor
) -> Account:
    """Replace the account's limits; None is no limit. What exceeds a new limit stays. Raises ValidationError, Account.DoesNotExist."""
    account = Account.objects.select_for_update().get(pk=account.pk)
    limits = {"max_calls": max_calls, "max_calls_per_second": max_calls_per_second, "max_applications": max_applications}
    changes = {name: value for name, value in limits.items() if getattr(account, name) != value}
    if changes:
        before = {name: getattr(account, name) for name in changes}
        for name, value in changes.items():
            setattr(account, name, value)
        account.full_clean(validate_unique=False)
        account.save()
        audit.record(actor, "account.set_limits", account.pk, dict(changes), account=account.pk, before=before)
    return account


def reveal_secret(account: Account, *, actor: Actor) -> None:
    """Audit that an operator looks at the secret that signs the account's webhooks."""
    audit.record(actor, "account.reveal_secret", account.pk, {}, account=account.pk)
