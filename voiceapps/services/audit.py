"""The audit trail: who changed what.

Each account has a chain of entries, and the installation has one more. An entry carries the digest of the entry before it and a
digest of itself, so an export can be checked without the database: altering or removing an entry would require writing all
later ones again. Somebody who can write to the database could do that, so the end of each chain is signed by a key derived from
`SIPURI_FIELD_KEYS`, and so is the number of chains.

The entry after an end whose signature is wrong leaves the end without one, or it would hide what was done; an operator may accept it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from voiceapps.models import Account, AuditChain, AuditEntry

SYSTEM = ""
"""The chain of changes that belong to no account."""
REGISTER = "chains"
"""The row whose number is that of the chains; an account's id has digits only."""
MAX_NAMED = 10
"""Accounts that a sentence names."""
_PURPOSE = b"audit chain ends"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change: an API client, an operator or a command, with the source address and the request id."""

    name: str
    source_ip: str | None = None
    request_id: str = ""


@transaction.atomic
def record(
    actor: Actor,
    action: str,
    subject: str,
    changes: dict[str, object],
    *,
    account: str = SYSTEM,
    before: Mapping[str, object] | None = None,
) -> None:
    """Add an entry to an account's chain in the caller's transaction; neither `changes` nor what was `before` them may hold a secret."""
    chain = _locked(account)
    if not chain.number:
        register = _locked(REGISTER)
        _move_end(register, register.number + 1)
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
        before=dict(before or {}),
        previous_digest=chain.digest,
    )
    entry.digest = digest_of(entry)
    entry.save(force_insert=True)
    _move_end(chain, entry.number, entry.digest)


def as_json(entry: AuditEntry) -> dict[str, object]:
    """Return the content of an entry that its digest covers."""
    before = {"before": entry.before} if entry.before else {}
    return {
        "number": entry.number,
        "time": entry.at.isoformat(),
        "actor": entry.actor,
        "sourceIp": entry.source_ip,
        "requestId": entry.request_id,
        "action": entry.action,
        "subject": entry.subject,
        "changes": entry.changes,
        **before,
        "previousDigest": entry.previous_digest,
    }


def exported(entry: AuditEntry) -> dict[str, object]:
    """Return an entry with its digest."""
    return {**as_json(entry), "digest": entry.digest}


def digest_of(entry: AuditEntry) -> str:
    """Return SHA-256 over the entry's sorted JSON without blanks, in hex."""
    return hashlib.sha256(json.dumps(as_json(entry), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# Verification.


def faults() -> Iterator[str]:
    """Yield a line for each chain that is not as it was written, and one if chains are missing."""
    for chain in names():
        fault = verify(chain)
        if fault:
            yield f"{chain or 'installation'}: {fault}"
    fault = verify_register()
    if fault:
        yield fault


def names() -> list[str]:
    """Return the names of the chains of which anything is left."""
    held = AuditEntry.objects.order_by().values_list("chain", flat=True).distinct()
    return sorted({*_chains().values_list("chain", flat=True), *held})


def verify(chain: str) -> str | None:
    """Return in one sentence what is wrong with a chain, None if it is intact."""
    end = AuditChain.objects.filter(chain=chain).first() or AuditChain(chain=chain)
    entries = AuditEntry.objects.filter(chain=chain).order_by("number")
    known = entries.filter(number__lte=end.number).iterator()
    return first_break(known, end.number, end.digest) or _signature_fault(end) or _excess(entries, chain)


def _excess(entries: QuerySet[AuditEntry], chain: str) -> str | None:
    """Return whether a chain has entries behind its end, which grows while it is verified."""
    last = entries.last()
    written = AuditChain.objects.filter(chain=chain).values_list("number", flat=True).first() or 0
    return f"The chain has {last.number} entries, {written} were written." if last and last.number > written else None


def verify_register() -> str | None:
    """Return in one sentence whether chains are missing as a whole, None if all that were begun are there."""
    register = AuditChain.objects.filter(chain=REGISTER).first() or AuditChain(chain=REGISTER)
    count = _chains().count()
    if count == register.number:
        fault = _signature_fault(register) if count else None
        return f"number of chains: {fault}" if fault else None
    without = Account.objects.exclude(pk__in=_chains().values("chain")).values_list("pk", flat=True)[:MAX_NAMED]
    named = f" Accounts without one: {', '.join(without)}." if without else ""
    return f"{register.number} chains were begun, {count} are there.{named}"


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


# Signatures.


def is_signed(end: AuditChain) -> bool:
    """Return whether one of our keys has signed the end of a chain as it is."""
    return any(hmac.compare_digest(end.signature, held) for held in _signatures(end))


@transaction.atomic
def sign_anew(chain: str, *, dry_run: bool) -> bool | None:
    """Sign an end by the first key if another one of ours has; return whether that was needed, None if no key of ours has signed it."""
    end = _locked(chain)
    if not is_signed(end):
        return None
    first = _signatures(end)[0]
    if hmac.compare_digest(end.signature, first):
        return False
    if not dry_run:
        AuditChain.objects.filter(chain=chain).update(signature=first)
    return True


@transaction.atomic
def accept(chain: str, *, actor: Actor) -> None:
    """Sign a chain as its entries are now, and count the chains anew: an operator has seen what was wrong, and an entry tells it."""
    end, register = _locked(chain), _locked(REGISTER)
    last = AuditEntry.objects.filter(chain=chain).order_by("number").last()
    found, digest = (last.number, last.digest) if last else (0, "")
    changes: dict[str, object] = {"entries": found, "entries_before": end.number, "chains_before": register.number}
    _store_end(end, found, digest)
    _store_end(register, _chains().count())
    record(actor, "audit.accept", chain or "installation", changes, account=chain)


def _chains() -> QuerySet[AuditChain]:
    """Return the ends of the chains that have entries."""
    return AuditChain.objects.exclude(chain=REGISTER).filter(number__gt=0)


def _locked(chain: str) -> AuditChain:
    AuditChain.objects.get_or_create(chain=chain)
    return AuditChain.objects.select_for_update().get(chain=chain)


def _move_end(end: AuditChain, number: int, digest: str = "") -> None:
    """Store a chain's new end, signed unless the old one should have been and was not."""
    signed = not end.number or is_signed(end)
    if not signed:
        log.error("audit_end_not_signed", chain=end.chain, number=end.number)
    _store_end(end, number, digest, signed=signed)


def _store_end(end: AuditChain, number: int, digest: str = "", *, signed: bool = True) -> None:
    end.number, end.digest = number, digest
    end.signature = _signatures(end)[0] if signed else ""
    end.save()


def _signature_fault(end: AuditChain) -> str | None:
    if is_signed(end):
        return None
    if not end.signature:
        return "Its end has no signature."
    return "Its end is not the one that was signed: entries were cut off, or it was written anew."


def _signatures(end: AuditChain) -> list[str]:
    """Return the signature of an end by each of our keys; the first one signs."""
    text = f"{end.chain}\n{end.number}\n{end.digest}".encode()
    keys = (hmac.digest(key.encode(), _PURPOSE, "sha256") for key in settings.SIPURI_FIELD_KEYS)
    return [hmac.digest(key, text, "sha256").hex() for key in keys]
