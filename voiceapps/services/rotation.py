"""Encrypt and sign what is stored with the first of `SIPURI_FIELD_KEYS`, so that the others can be removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.fernet import InvalidToken
from django.db import models, transaction

from voiceapps import fields
from voiceapps.models import AuditChain, KeyCheck
from voiceapps.services import audit, key_check
from voiceapps.services.audit import Actor

BATCH_ROWS = 200
"""Rows of one transaction: SQLite's other writers wait for it."""


@dataclass(slots=True)
class Rewriting:
    """What became of one field that is encrypted, or signed."""

    field: str
    current: int = 0
    """Values that the first key had written."""
    rewritten: int = 0
    unreadable: int = 0
    """Values that no key opens, or has signed."""
    missed: int = 0
    """Values that somebody else wrote meanwhile."""


def rewrite(*, actor: Actor, dry_run: bool) -> Iterator[Rewriting]:
    """Bring every encrypted field and every signature under the first key, in batches, and return what became of each.

    What is done stays done: a run that was interrupted goes on where it ended. The key check comes last, and only if nothing was
    missed: until then, a start without the old key fails.
    """
    done: list[Rewriting] = []
    for model, name in key_check.encrypted_fields():
        if model is KeyCheck:
            if any(field.missed for field in done):
                return
            done.append(_sign_chains(dry_run=dry_run))
            yield done[-1]
        done.append(_rewrite_field(model, name, dry_run=dry_run))
        yield done[-1]
    if not dry_run:
        counts = {field.field: field.rewritten for field in done if field.rewritten}
        audit.record(actor, "keys.rotate", key_check.FIELD_KEYS, dict(counts))


def _rewrite_field(model: type[models.Model], name: str, *, dry_run: bool) -> Rewriting:
    outcome = Rewriting(f"{model.__name__}.{name}")
    rows = key_check.stored_tokens(model, name)
    batch = list(rows.values_list("pk", "stored_token")[:BATCH_ROWS])
    while batch:
        with transaction.atomic():
            for pk, token in batch:
                _rewrite_value(rows.filter(pk=pk, stored_token=token), name, token, outcome, dry_run=dry_run)
        batch = list(rows.filter(pk__gt=batch[-1][0]).values_list("pk", "stored_token")[:BATCH_ROWS])
    return outcome


def _sign_chains(*, dry_run: bool) -> Rewriting:
    outcome = Rewriting("AuditChain.signature")
    for chain in list(AuditChain.objects.order_by("pk").values_list("pk", flat=True)):
        match audit.sign_anew(chain, dry_run=dry_run):
            case None:
                outcome.unreadable += 1
            case True:
                outcome.rewritten += 1
            case False:
                outcome.current += 1
    return outcome


def _rewrite_value(row: models.QuerySet[models.Model], name: str, token: str, outcome: Rewriting, *, dry_run: bool) -> None:
    """Rewrite one value unless it has changed since it was read."""
    if fields.is_current(token):
        outcome.current += 1
        return
    try:
        new = fields.rewritten(token)
    except InvalidToken:
        outcome.unreadable += 1
        return
    # As an expression it is stored as it is: the field would encrypt it once more.
    if dry_run or row.order_by().update(**{name: models.Value(new, output_field=models.TextField())}):
        outcome.rewritten += 1
    else:
        outcome.missed += 1
