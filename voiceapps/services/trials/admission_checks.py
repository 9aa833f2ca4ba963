"""Admission checks: whether a call would be admitted, rule by rule, without placing one. Nothing is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from voiceapps.daemon.admission_reads import admission_snapshots
from voiceapps.daemon.geo import CountryLookup
from voiceapps.models import Call, VoiceApplication
from voiceapps.rules.admission import AdmissionSnapshot, CallCount, Decision, DigestState, RequestFacts, decide
from voiceapps.rules.limits import Usage, apply_limits


@dataclass(frozen=True, slots=True)
class ImaginedCall:
    """A call to the application's own SIP URI, as it would reach the proxy."""

    source_ip: str
    country: str | None
    """None is a country that nobody knows."""
    digest: DigestState
    """What the caller's credentials are worth."""


def country_of(source_ip: str) -> str | None:
    """Return the country of an address as the proxy looks it up, None if nobody knows it."""
    return _countries().country_of(source_ip)


def check(application: VoiceApplication, call: ImaginedCall) -> Decision:
    """Return the decision about a call; raises VoiceApplication.DoesNotExist if the application is gone meanwhile."""
    user = application.sip_user or str(application.pk)
    snapshot = admission_snapshots([user], asking=None).get(user)
    if snapshot is None:
        raise VoiceApplication.DoesNotExist
    facts = RequestFacts(
        host=settings.SIP_DOMAIN,
        host_is_ours=True,
        request_user=user,
        to_user=user,
        source_ip=call.source_ip,
        country=call.country,
        digest=call.digest,
        source_limited=False,
    )
    decision = decide(facts, request_application=snapshot, to_application=snapshot)
    return apply_limits(decision, snapshot, Usage(up=snapshot.calls_elsewhere, recent=_recent(snapshot)))


@cache
def _countries() -> CountryLookup:
    return CountryLookup(settings.GEOIP_DB, settings.REGION_OVERRIDES)


def _recent(snapshot: AdmissionSnapshot) -> CallCount:
    """Return the new calls of the last second at all proxies, zeros if no limit needs them."""
    if snapshot.application_limits.max_calls_per_second is None and snapshot.account_limits.max_calls_per_second is None:
        return CallCount()
    calls = Call.objects.filter(account_id=snapshot.account_id, started_at__gt=timezone.now() - timedelta(seconds=1))
    return CallCount(**calls.aggregate(application=Count("pk", filter=Q(application_id=snapshot.application_id)), account=Count("pk")))
