"""The filters to which operators have given names."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from voiceapps.models import SavedFilter
from voiceapps.models.call_lists import NAME_LENGTH, QUERY_LENGTH
from voiceapps.services import audit
from voiceapps.services.audit import Actor

MAX_FILTERS = 30
"""Of one operator, for one page."""


@transaction.atomic
def save(operator_id: int, page: str, name: str, query: str, *, actor: Actor) -> SavedFilter:
    """Keep a filter under a name, in place of the one that has it; raises ValidationError with the rule."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise ValidationError(f"A name has 1 to {NAME_LENGTH} characters.")
    if len(query) > QUERY_LENGTH:
        raise ValidationError(f"A filter that is kept has at most {QUERY_LENGTH} characters.")
    # Two requests of one operator are counted one after the other.
    User.objects.select_for_update(no_key=True).get(pk=operator_id)
    names = set(SavedFilter.objects.filter(operator=operator_id, page=page).values_list("name", flat=True))
    if name not in names and len(names) >= MAX_FILTERS:
        raise ValidationError(f"You have {MAX_FILTERS} filters; remove one first.")
    row, _ = SavedFilter.objects.update_or_create(operator_id=operator_id, page=page, name=name, defaults={"query": query})
    audit.record(actor, "filter.save", name, {"page": page, "query": query})
    return row


@transaction.atomic
def remove(operator_id: int, filter_id: int, *, actor: Actor) -> None:
    """Forget a filter of an operator, if there is such a one."""
    row = SavedFilter.objects.filter(pk=filter_id, operator=operator_id).first()
    if row is not None:
        row.delete()
        audit.record(actor, "filter.remove", row.name, {"page": row.page, "query": row.query})
