"""The page that an operator keeps open: what needs attention first, then how much of everything there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from voiceapps.console.access.sessions import is_poll
from voiceapps.console.charts import Chart, stacked
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.daemon.certificate import certificate_end
from voiceapps.daemon.geo import country_data_time
from voiceapps.reads.figures import (
    DAY_MINUTES,
    HOUR_MINUTES,
    QUARTER_MINUTES,
    CallPoint,
    DayFigures,
    LiveFigures,
    day_figures,
    live_figures,
)
from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis import histogram, traffic
from voiceapps.rules.diagnosis.attention import RECENT_MINUTES, Facts, Matter, Rate, Topic, attention
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS, Explanation
from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.rules.diagnosis.visible import visible_line
from voiceapps.rules.endings import EndClass, EndReason
from voiceapps.templatetags.console_figures import latency, percent
from voiceapps.templatetags.console_text import span

LIVE = "console/pages/overview/live.html"
SIGNS = {Level.BAD: ("cancel", "Broken"), Level.DOUBTFUL: ("warning", "Look at it")}
MAX_SENTENCE = 200
RATE_MINUTES = 5
"""Whole minutes that the calls of a minute are averaged over."""
GOING_ON = "going_on"
END_TITLES = {
    EndClass.SUCCESS.value: "ended as calls end",
    GOING_ON: "going on",
    EndClass.CLIENT_ERROR.value: "given up by the caller",
    EndClass.POLICY.value: "turned away by the application",
    EndClass.NETWORK.value: "caller lost",
    EndClass.UPSTREAM_ERROR.value: "application failed",
    EndClass.SERVER_ERROR.value: "failed by this system",
}
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure."""

    title: str
    value: str
    note: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """How often one reason was the reason, in words."""

    words: Explanation
    attempts: int
    link: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """Something that needs attention, with its sign and where to look."""

    matter: Matter
    sentence: str
    sign: str
    level: str
    link: str


@page()
def overview(request: HttpRequest) -> HttpResponse:
    """Return the page; each operator sees what their capabilities are about."""
    now = timezone.now()
    live = live_figures(scope(request), now)
    context = {"now": now, **_live(request, live, now)}
    if is_poll(request):
        return fragment(request, LIVE, context)
    return show(request, "console/pages/overview.html", "Overview", part=LIVE, **context, **_day(request, day_figures(scope(request), now)))


def _live(request: HttpRequest, live: LiveFigures, now: datetime) -> dict[str, object]:
    sees = _sees(request)
    installation = _installation(now) if sees["nodes"] else {}
    facts = _facts(live, sees, installation)
    return {
        "sees": sees,
        "pointers": [_pointer(matter) for matter in attention(facts)],
        "tiles": [tile for tiles in (_call_tiles, _refusal_tiles, _webhook_tiles, _node_tiles) for tile in tiles(live, sees)],
        "hour_calls": _hour_chart(live) if sees["calls"] else None,
        "hour_refusals": _refusal_chart(live) if sees["refusals"] else None,
        "refusals": _refusal_lines(_by_reason(live)),
        "webhooks": live.webhooks,
        "nodes": live.nodes,
        "has_certificate": bool(settings.SIP_TLS_CERT),
        **installation,
    }


def _day(request: HttpRequest, day: DayFigures) -> dict[str, object]:
    sees = _sees(request)
    quarters = range(day.quarter - DAY_MINUTES + QUARTER_MINUTES, day.quarter + 1, QUARTER_MINUTES)
    labels = _labels(quarters)
    series = stacked(_by_class(day.calls), END_TITLES, quarters)
    description = "The calls of the last 24 hours in bars of a quarter of an hour, by how they ended."
    return {
        "day_calls": Chart("day-calls", "Calls in 24 hours", description, labels, series) if sees["calls"] else None,
        "day_traffic": traffic.added(point.traffic for point in day.calls),
        "day_refusals": _refusal_lines(day.refusals),
        "day_webhooks": day.webhooks,
    }


def _sees(request: HttpRequest) -> dict[str, bool]:
    return {
        "calls": may(request, Capability.SEE_CALLS),
        "refusals": may(request, Capability.SEE_REFUSALS),
        "webhooks": may(request, Capability.SEE_WEBHOOKS),
        "nodes": may(request, Capability.SEE_NODES),
        "bans": may(request, Capability.SEE_BANS),
    }


def _installation(now: datetime) -> dict[str, float | None]:
    """Return what is known of files of this machine: days until the certificate ends, and the age of the country data."""
    end, made = certificate_end(settings.SIP_TLS_CERT) if settings.SIP_TLS_CERT else None, country_data_time(settings.GEOIP_DB)
    return {
        "certificate_days": (end - now).total_seconds() / _DAY_SECONDS if end else None,
        "country_days": (now - made).total_seconds() / _DAY_SECONDS if made else None,
    }


def _facts(live: LiveFigures, sees: dict[str, bool], installation: dict[str, float | None]) -> Facts:
    """Return what attention is drawn to: nothing that the operator may not see."""
    ends: Counter[EndClass] = Counter()
    for point in live.calls:
        if point.end_reason:
            ends[EndReason(point.end_reason).end_class] += point.traffic.calls
    return Facts(
        nodes=live.nodes if sees["nodes"] else None,
        refusals=_rates(live) if sees["refusals"] else {},
        calls=sum(point.traffic.calls for point in live.calls) if sees["calls"] else 0,
        ends=ends if sees["calls"] else {},
        unheard=live.unheard if sees["calls"] else (),
        webhook_attempts=sum(one.attempts for one in live.webhooks) if sees["webhooks"] else 0,
        webhook_failures=sum(one.failures for one in live.webhooks) if sees["webhooks"] else 0,
        resting_hosts=live.resting_hosts if sees["webhooks"] else 0,
        resting_host=live.resting_host,
        has_certificate=bool(settings.SIP_TLS_CERT) and sees["nodes"],
        certificate_days=installation.get("certificate_days"),
        country_data_days=installation.get("country_days"),
    )


def _rates(live: LiveFigures) -> dict[Reason, Rate]:
    rates: dict[Reason, Rate] = {}
    for point in live.refusals:
        rate = rates.get(point.reason, Rate(0, 0))
        is_recent = point.minute > live.minute - RECENT_MINUTES
        recent, before = (point.attempts, 0) if is_recent else (0, point.attempts)
        rates[point.reason] = Rate(rate.recent + recent, rate.before + before)
    return rates


def _pointer(matter: Matter) -> Pointer:
    sign, level = SIGNS[matter.level]
    # Names of hosts come from customers' URLs.
    return Pointer(matter, visible_line(matter.sentence)[:MAX_SENTENCE], sign, level, _link(matter))


_PAGES = {
    Topic.NODES: ("console:nodes", ""),
    Topic.PORTS: ("console:nodes", ""),
    Topic.CALLS: ("console:calls", "?since=1h&verdict=bad"),
    Topic.AUDIO: ("console:calls", "?since=1h&verdict=bad&app={subject}"),
    Topic.REFUSALS: ("console:refused", "?since=1h&reason={subject}"),
    Topic.HOSTS: ("console:webhooks", "#failing-hosts"),
    Topic.WEBHOOKS: ("console:webhooks", "?state=failed&since=1h"),
    Topic.CERTIFICATE: ("console:health", ""),
    Topic.COUNTRIES: ("console:health", ""),
}


def _link(matter: Matter) -> str:
    """Return where to look."""
    name, query = _PAGES[matter.topic]
    return reverse(name) + query.format(subject=matter.subject)


def _call_tiles(live: LiveFigures, sees: dict[str, bool]) -> Iterator[Tile]:
    if not sees["calls"]:
        return
    total = traffic.added(point.traffic for point in live.calls)
    recent = sum(point.traffic.calls for point in live.calls if live.minute - RATE_MINUTES <= point.minute < live.minute)
    yield Tile("Live calls", str(live.open_calls), "up now", reverse("console:live"))
    yield Tile("Calls a minute", f"{recent / RATE_MINUTES:.1f}", f"{total.calls} in 60 min")
    yield Tile("Answered (ASR)", percent(total.answer_ratio), f"{total.answered} of {total.decided}")
    yield Tile("Average talk (ACD)", _span(total.average_talk), f"of {total.talked} calls that are over")
    median, most = histogram.percentile(live.setups, 0.5), histogram.percentile(live.setups, 0.95)
    yield Tile("Set-up, 95 %", latency(most), f"half within {latency(median)}" if median else "")


def _refusal_tiles(live: LiveFigures, sees: dict[str, bool]) -> Iterator[Tile]:
    if sees["refusals"]:
        count = sum(point.attempts for point in live.refusals)
        yield Tile("Refused", str(count), "attempts in 60 min", reverse("console:refused"))
    if sees["bans"]:
        yield Tile("Bans", str(live.bans), "in force", reverse("console:security"))


def _webhook_tiles(live: LiveFigures, sees: dict[str, bool]) -> Iterator[Tile]:
    if sees["webhooks"]:
        latencies = histogram.added(one.latencies for one in live.webhooks)
        attempts, failures = sum(one.attempts for one in live.webhooks), sum(one.failures for one in live.webhooks)
        note, link = f"{failures} of {attempts} failed", reverse("console:webhooks")
        yield Tile("Webhooks, 95 %", latency(histogram.percentile(latencies, 0.95)), note, link)


def _node_tiles(live: LiveFigures, sees: dict[str, bool]) -> Iterator[Tile]:
    if not sees["nodes"]:
        return
    states = Counter(node.health for node in live.nodes)
    others = ", ".join(f"{states[state]} {state}" for state in ("draining", "silent", "down") if states[state])
    yield Tile("Nodes", f"{states['up']} up", others or "none is silent", reverse("console:nodes"))
    relays = [node for node in live.nodes if node.ports_total and node.health in ("up", "draining")]
    if relays:
        used, total = sum(node.ports_used for node in relays), sum(node.ports_total for node in relays)
        yield Tile("Media ports", percent(used / total), f"{used} of {total} pairs in use")


def _hour_chart(live: LiveFigures) -> Chart:
    minutes = _hour(live)
    series = stacked(_by_class(live.calls), END_TITLES, minutes)
    description = "The calls that began in each of the last 60 minutes, by how they ended."
    return Chart("hour-calls", "Calls each minute, by how they ended", description, _labels(minutes), series)


def _refusal_chart(live: LiveFigures) -> Chart:
    minutes = _hour(live)
    counts: Counter[int] = Counter()
    for point in live.refusals:
        counts[point.minute] += point.attempts
    series = stacked({"refused": counts}, {"refused": "refused"}, minutes)
    description = "The attempts that were refused in each of the last 60 minutes."
    return Chart("hour-refusals", "Refused attempts each minute", description, _labels(minutes), series)


def _hour(live: LiveFigures) -> range:
    return range(live.minute - HOUR_MINUTES + 1, live.minute + 1)


def _labels(minutes: Iterable[int]) -> tuple[str, ...]:
    zone = timezone.get_current_timezone()
    return tuple(f"{datetime.fromtimestamp(minute * 60, zone):%H:%M %Z}" for minute in minutes)


def _by_class(points: Iterable[CallPoint]) -> dict[str, dict[int, int]]:
    counts: dict[str, Counter[int]] = {name: Counter() for name in END_TITLES}
    for point in points:
        name = EndReason(point.end_reason).end_class.value if point.end_reason else GOING_ON
        counts[name][point.minute] += point.traffic.calls
    return {name: dict(by_minute) for name, by_minute in counts.items()}


def _by_reason(live: LiveFigures) -> dict[Reason, int]:
    counts: Counter[Reason] = Counter()
    for point in live.refusals:
        counts[point.reason] += point.attempts
    return dict(counts)


def _refusal_lines(counts: dict[Reason, int]) -> list[RefusalLine]:
    """Return the reasons, the most frequent first."""
    link = reverse("console:refused")
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return [RefusalLine(EXPLANATIONS[reason], attempts, f"{link}?reason={reason.value}") for reason, attempts in ordered]


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else span(seconds)
