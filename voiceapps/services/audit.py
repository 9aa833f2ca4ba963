"""Write down who changed what."""

from __future__ import annotations

from dataclasses import dataclass

from voiceapps.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an API client, an operator or a command, and from which address."""

    name: str
    source_ip: str | None = None


def record(actor: Actor, action: str, subject: str, changes: dict[str, object]) -> None:
    """Add an entry in the caller's transaction; `changes` holds no secret."""
    AuditEntry.objects.create(actor=actor.name, source_ip=actor.source_ip, action=action, subject=subject, changes=changes)
