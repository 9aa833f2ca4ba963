"""The audit trail: who changed what.

Each account has a chain of entries, and the installation has one more. An entry carries the digest of the entry before it and a
digest of itself, so an export can be checked without the database: altering or removing an entry would require writing all
later ones again. `verify` does that check.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from voiceapps.models import AuditChain, AuditEntry

SYSTEM = ""
"""The chain of changes that belong to no account."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change: an API client, an operator or a command, with the source address and the request id."""

    name: str
    source_ip: str | None = None
    request_id: str = ""


@transaction.atomic
def record(actor: Actor, action: str, subject: str, changes: dict[str, object], *, account: str = SYSTEM) -> None:
    """Add an entry to an account's chain in the caller's transaction; `changes` must hold no secret."""
    AuditChain.objects.get_or_create(chain=account)
    chain = AuditChain.objects.select_for_update().get(chain=account)
    entry = AuditEntry(
        chain=account,
        number=chain.number + 1,
        at=timezone.now(),
        actor=actor.name,
        source_ip=actor.source_ip,
        request_id=actor.request_id,
        action=action,
        subject=subject,
        changes=changes,
        previous_digest=chain.digest,
    )
    entry.digest = digest_of(entry)
    entry.save(force_insert=True)
    chain.number, chain.digest = entry.number, entry.digest
    chain.save()


def as_json(entry: AuditEntry) -> dict[str, object]:
    """Return the content of an entry that its digest covers."""
    return {
        "number": entry.number,
        "time": entry.at.isoformat(),
        "actor": entry.actor,
        "sourceIp": entry.source_ip,
        "requestId": entry.request_id,
        "action": entry.action,
        "subject": entry.subject,
        "changes": entry.changes,
        "previousDigest": entry.previous_digest,
    }


def exported(entry: AuditEntry) -> dict[str, object]:
    """Return an entry with its digest."""
    return {**as_json(entry), "digest": entry.digest}


def digest_of(entry: AuditEntry) -> str:
    """Return SHA-256 over the entry's sorted JSON without blanks, in hex."""
    return hashlib.sha256(json.dumps(as_json(entry), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(chain: str) -> str | None:
    """Return in one sentence what is wrong with a chain, None if it is intact."""
    end = AuditChain.objects.filter(chain=chain).first() or AuditChain(chain=chain)
    return first_break(AuditEntry.objects.filter(chain=chain).order_by("number").iterator(), end.number, end.digest)


def first_break(entries: Iterable[AuditEntry], count: int, last_digest: str) -> str | None:
    """Return the first fault of a chain that should have `count` entries and end with `last_digest`, None if it is intact."""
    number, digest = 0, ""
    for entry in entries:
        number += 1
        if entry.number != number:
            return f"Entry {number} is missing."
        if entry.previous_digest != digest or digest_of(entry) != entry.digest:
            return f"Entry {number} is not as it was written."
        digest = entry.digest
    if number != count or digest != last_digest:
        return f"The chain has {number} entries, {count} were written."
    return None
