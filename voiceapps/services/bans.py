"""Bans of source addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from voiceapps.models import Ban
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned
from voiceapps.services import audit
from voiceapps.services.audit import Actor

# An expired ban stays visible for this long.
KEPT = timedelta(days=1)
MAX_MINUTES = 30 * 24 * 60


def ban(report: SourceBanned) -> None:
    """Store a proxy's ban, unless a longer one exists, and delete bans that expired long ago."""
    at, until = datetime.fromtimestamp(report.at, UTC), datetime.fromtimestamp(report.until, UTC)
    held = Ban.objects.select_for_update().filter(pk=report.source_ip).first()
    if held is None or held.expires_at < until or not held.is_in_force(at):
        values = {"reason": report.reason.value, "node": report.node, "banned_at": at, "expires_at": until}
        Ban.objects.update_or_create(source_ip=report.source_ip, defaults=values)
    Ban.objects.filter(expires_at__lt=at - KEPT).delete()


@transaction.atomic
def place(source_ip: str, minutes: int, *, actor: Actor) -> Ban:
    """Ban a source for so many minutes from now; raises ValidationError with the field and the rule."""
    source_ip = checked(source_ip, minutes)
    now = timezone.now()
    values = {"reason": BanReason.OPERATOR.value, "node": "", "banned_at": now, "expires_at": now + timedelta(minutes=minutes)}
    row, _ = Ban.objects.update_or_create(source_ip=source_ip, defaults=values)
    audit.record(actor, "ban.place", source_ip, {"minutes": minutes})
    return row


@transaction.atomic
def lift(row: Ban, *, actor: Actor) -> None:
    """End a ban at once; every proxy learns of it within two seconds."""
    if Ban.objects.filter(pk=row.pk).delete()[0]:
        audit.record(actor, "ban.lift", row.source_ip, {"reason": row.reason})


def checked(source_ip: str, minutes: int) -> str:
    """Return the address as it is stored; raises ValidationError for an address or a time that is not allowed."""
    try:
        address = IPv4Address(source_ip)
    except ValueError:
        raise ValidationError({"source_ip": "Write an IPv4 address, such as 203.0.113.9."}) from None
    if any(address in IPv4Network(network) for network in settings.GUARD_TRUSTED):
        raise ValidationError({"source_ip": "SIPURI_GUARD_TRUSTED names this address: no proxy would ban it."})
    if not 1 <= minutes <= MAX_MINUTES:
        raise ValidationError({"minutes": f"Write 1 to {MAX_MINUTES} minutes."})
    return str(address)
