"""Write down who changed what.

Each account has a chain of entries, the installation has one more. An entry carries the digest of the one before it
and a digest over itself, so an export can be checked without the database: whoever alters or removes an entry has to
write all later ones anew. `verify` does that check.
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
"""The chain of what belongs to no account."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an API client, an operator or a command, from which address and by which request."""

    name: str
    source_ip: str | None = None
    request_id: str = ""


@transaction.atomic
def record(actor: Actor, action: str, subject: str, changes: dict[str, object], *, account: str = SYSTEM) -> None:
    """Add an entry to an account's chain in the caller's transaction; `changes` holds no secret."""
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
    """Return what an entry says and its digest covers."""
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
    """Return what is wrong with a chain, in one sentence, or None if every entry is there as it was written."""
    end = AuditChain.objects.filter(chain=chain).first() or AuditChain(chain=chain)
    return first_break(AuditEntry.objects.filter(chain=chain).order_by("number").iterator(), end.number, end.digest)


def first_break(entries: Iterable[AuditEntry], count: int, last_digest: str) -> str | None:
    """Return the first fault of a chain that should have `count` entries and end in `last_digest`."""
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
