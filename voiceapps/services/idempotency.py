"""Requests with an Idempotency-Key: a repeated request gets the answer to the first one.

The key's row and the mutation are written in one transaction. A copy that arrives meanwhile waits for the row's
unique key and then reads the answer. A request that failed leaves no row, so it can be corrected and sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from voiceapps.models import ApiClient, IdempotentAnswer

KEEP = timedelta(hours=24)


class KeyReusedError(Exception):
    """The key was used for another request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer, without secrets."""

    status: int
    body: Any
    headers: dict[str, str]


@transaction.atomic
def answer_once(client: ApiClient, key: str, fingerprint: str, act: Callable[[], Answer]) -> Answer | None:
    """Run `act`, store its answer and return None, or return the stored answer of an earlier run. Raises KeyReusedError."""
    IdempotentAnswer.objects.filter(client=client, key=key, created_at__lt=timezone.now() - KEEP).delete()
    row, fresh = IdempotentAnswer.objects.get_or_create(
        client=client, key=key, defaults={"fingerprint": fingerprint, "status": 0, "headers": {}}
    )
    if not fresh:
        if row.fingerprint != fingerprint:
            raise KeyReusedError("The key was used for another request.")
        return Answer(row.status, json.loads(row.document), row.headers)
    answer = act()
    row.status, row.document, row.headers = answer.status, json.dumps(answer.body), answer.headers
    row.save()
    return None


def sweep() -> int:
    """Delete the answers that have expired and return their number."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEEP).delete()[0]
