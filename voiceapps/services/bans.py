"""Bans of source addresses, and the ranges that operators trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from voiceapps.models import Ban, TrustedRange
from voiceapps.rules.bans import WIDEST_TRUST, BanReason
from voiceapps.rules.cidr import contains
from voiceapps.rules.reports import SourceBanned
from voiceapps.selectors import trusted_ranges
from voiceapps.services import audit
from voiceapps.services.audit import Actor

# An expired ban stays visible for this long.
KEPT = timedelta(days=1)
MAX_MINUTES = 30 * 24 * 60
MAX_TRUSTED = 200
"""Ranges: proxies compare sources with each of them."""


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


@transaction.atomic
def trust(network: str, note: str, *, actor: Actor) -> TrustedRange:
    """Trust a range from now on, and lift the bans in it; raises ValidationError with the field and the rule."""
    wanted = _checked_range(network)
    if TrustedRange.objects.exclude(pk=str(wanted)).count() >= MAX_TRUSTED:
        raise ValidationError({"network": f"At most {MAX_TRUSTED} ranges can be trusted. Remove one that is no longer used."})
    row, _ = TrustedRange.objects.update_or_create(network=str(wanted), defaults={"note": note})
    row.full_clean(validate_unique=False)
    lifted = [address for address in Ban.objects.values_list("source_ip", flat=True) if IPv4Address(address) in wanted]
    Ban.objects.filter(pk__in=lifted).delete()
    audit.record(actor, "source.trust", row.network, {"note": note} | ({"lifted": lifted} if lifted else {}))
    return row


@transaction.atomic
def distrust(row: TrustedRange, *, actor: Actor) -> None:
    """Trust a range no longer; every proxy learns of it within two seconds."""
    if TrustedRange.objects.filter(pk=row.pk).delete()[0]:
        audit.record(actor, "source.distrust", row.network, {"note": row.note})


def _checked_range(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text.strip())
    except ValueError:
        raise ValidationError({"network": "Write an IPv4 range, such as 203.0.113.0/24, or an address."}) from None
    if network.prefixlen < WIDEST_TRUST:
        raise ValidationError({"network": f"A range wider than a /{WIDEST_TRUST} is everybody's: name your own."})
    return network


def checked(source_ip: str, minutes: int) -> str:
    """Return the address as it is stored; raises ValidationError for an address or a time that is not allowed."""
    try:
        address = IPv4Address(source_ip)
    except ValueError:
        raise ValidationError({"source_ip": "Write an IPv4 address, such as 203.0.113.9."}) from None
    for ranges, where in ((settings.GUARD_TRUSTED, "SIPURI_GUARD_TRUSTED names"), (trusted_ranges(), "The list of trusted ranges has")):
        if contains(ranges, str(address)):
            raise ValidationError({"source_ip": f"{where} this address: no proxy would ban it."})
    if not 1 <= minutes <= MAX_MINUTES:
        raise ValidationError({"minutes": f"Write 1 to {MAX_MINUTES} minutes."})
    return str(address)
