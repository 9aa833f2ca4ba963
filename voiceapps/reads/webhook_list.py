"""The list of webhook deliveries, the newest first, and the hosts that do not take them. The reads return frozen values.

`WALKS` is the table of what a filter may be made of: the first entry whose columns the filter gives, and whose state it asks for, is
walked by its index. What else the filter asks is looked at delivery by delivery, at `MAX_LOOKED_AT` of them a page; where that ends, the
page says so and leads on. An application is known by its calls, so its account's deliveries are walked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber

from voiceapps.models import FailingHost, VoiceApplication, WebhookAttempt, WebhookDelivery
from voiceapps.paging import walks
from voiceapps.paging.walks import Row, Span, Step
from voiceapps.rules.diagnosis.filter_fields import Place
from voiceapps.rules.diagnosis.webhook_filters import WebhookFilter, is_of_host
from voiceapps.services.delivery.failing_hosts import rests
from voiceapps.services.delivery.pacing import host_of

PAGE = 50
MAX_LOOKED_AT = 5_000
"""Deliveries that one page looks at, where more is asked than an index knows."""
AT_ONCE = 1_000
"""Deliveries of one query."""
MAX_HOSTS = 20
"""Failing hosts that the page shows: those that failed last."""

_ORDER = ("created_at", "delivery_id")
_PATHS = {"application_id": ("call__application_id",), "host": ("host", "url")}
"""Where what is looked at stands, unless in a column of its name."""


@dataclass(frozen=True, slots=True)
class Walk:
    """An index that is walked for a filter which gives its columns and, if it holds deliveries of one state only, asks for that."""

    columns: tuple[str, ...]
    index: str
    state: str = ""

    def serves(self, given: Mapping[str, Any]) -> bool:
        """Return whether it is walked for a filter."""
        return set(self.columns) <= given.keys() and self.state in ("", given.get("state"))


WALKS = (
    Walk(("call_id",), "delivery_of_call"),
    Walk((), "delivery_pending", "pending"),
    Walk(("account_id",), "delivery_failed_of", "failed"),
    Walk((), "delivery_failed", "failed"),
    Walk(("account_id",), "delivery_page"),
    Walk((), "delivery_by_time"),
)
"""What is walked, the one that leads to the fewest deliveries first."""


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A delivery in a list, with its newest answer."""

    delivery_id: UUID
    event_type: str
    account_id: str
    application_id: UUID | None
    """None if the application is gone."""
    application_name: str
    call_id: str
    synchronous: bool
    url: str
    host: str
    state: str
    created_at: datetime
    next_attempt_at: datetime | None
    tries: int
    status: int | None
    latency_ms: int | None
    error: str


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of the list, and where its neighbours begin."""

    deliveries: tuple[DeliveryLine, ...]
    newer: Place | None
    older: Place | None
    is_cut: bool
    """Whether it ends because as many deliveries as one page looks at were looked at."""


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host that does not take an account's webhooks."""

    host_id: int
    host: str
    account_id: str
    failures: int
    since: datetime
    last_at: datetime
    error: str
    rests_until: datetime | None
    """Nothing is sent to it until then; None if it does not rest."""
    is_slowed: bool
    """Whether it gets one request at a time."""


class Search:
    """The walk that finds what a filter asks for."""

    def __init__(self, asked: WebhookFilter) -> None:
        self._asked = asked
        self._span = Span(*_ORDER, asked.since, asked.until)
        self._given = _given(asked)
        self.walk = next(walk for walk in WALKS if walk.serves(self._walked()))
        known = {*self.walk.columns, *(("state",) if self.walk.state else ())}
        self._rest = [name for name in self._given if name not in known]
        self._looked_at = [path for name in self._rest for path in _PATHS.get(name, (name,))]

    def look(self, place: Place | None, *, newer: bool) -> walks.Found:
        """Return the next deliveries that fit, from a place on."""
        fits = self._fits if self._rest else None
        return walks.look(self._rows, fits, Step(place, newer, MAX_LOOKED_AT), wanted=PAGE + 1, at_once=AT_ONCE)

    def _walked(self) -> Mapping[str, Any]:
        """Return what the walk may be chosen by: an application's deliveries are among those of its account."""
        if "application_id" not in self._given or "account_id" in self._given:
            return self._given
        account = VoiceApplication.objects.filter(pk=self._given["application_id"]).values_list("account_id", flat=True).first()
        self._given = {**self._given, **({"account_id": account} if account else {})}
        return self._given

    def _rows(self, step: Step) -> Sequence[Row]:
        rows = walks.along(WebhookDelivery, self.walk.columns, self._given, self._span, step)
        if self.walk.state:
            rows = rows.filter(state=self.walk.state)
        return list(rows.values_list(*_ORDER, *self._looked_at)[: step.count])

    def _fits(self, values: Row) -> bool:
        seen = dict(zip(self._looked_at, values, strict=True))
        exact = all(seen[_PATHS.get(name, (name,))[0]] == self._given[name] for name in self._rest if name != "host")
        return exact and ("host" not in self._rest or is_of_host(seen["host"] or host_of(seen["url"]), self._given["host"]))


def page(asked: WebhookFilter, place: Place | None = None, *, newer: bool = False) -> DeliveryPage:
    """Return the page of the list that begins behind a place, or the newest one."""
    shown = walks.leaf(Search(asked).look(place, newer=newer), place, PAGE, newer=newer)
    return DeliveryPage(_lines([UUID(one.key) for one in shown.places]), shown.newer, shown.older, shown.is_cut)


def failing_hosts(account_id: str | None) -> tuple[HostLine, ...]:
    """Return the hosts that fail, of an account or of all; one more than `MAX_HOSTS` if there are more."""
    rows = FailingHost.objects.order_by("-last_at")
    if account_id is not None:
        rows = rows.filter(account=account_id)
    return tuple(map(host_line, rows[: MAX_HOSTS + 1]))


def host_line(row: FailingHost) -> HostLine:
    """Return a failing host as pages show it."""
    same = {name: getattr(row, name) for name in ("host", "account_id", "failures", "since", "last_at", "error")}
    return HostLine(row.pk, **same, rests_until=row.rests_until if rests(row) else None, is_slowed=row.rests_until is not None)


def _given(asked: WebhookFilter) -> Mapping[str, Any]:
    """Return what is asked, by column."""
    names = ("state", "event_type", "account_id", "application_id", "host", "call_id")
    return {name: value for name in names if (value := getattr(asked, name))}


def _lines(ids: Sequence[UUID]) -> tuple[DeliveryLine, ...]:
    """Return deliveries in the order of their ids."""
    unread = [f"call__{name}" for name in VoiceApplication.JOINED_SECRETS]
    rows = WebhookDelivery.without_secrets().select_related("call__application").defer("body", *unread)
    found = rows.order_by().in_bulk(ids)
    newest = _newest(ids)
    return tuple(_line(found[one], newest.get(one, {})) for one in ids if one in found)


def _newest(ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return the newest attempt of each delivery, with the number of all."""
    rows: QuerySet[WebhookAttempt, Any] = WebhookAttempt.objects.filter(delivery__in=ids).order_by()
    numbered = rows.annotate(
        nth=Window(RowNumber(), partition_by="delivery", order_by=("-at", "-id")),
        tries=Window(Count("pk"), partition_by="delivery"),
    )
    names = ("status", "latency_ms", "error", "tries")
    return {row.pop("delivery_id"): row for row in numbered.filter(nth=1).values("delivery_id", *names)}


def _line(row: WebhookDelivery, newest: Mapping[str, Any]) -> DeliveryLine:
    application = row.call.application
    same = ("event_type", "account_id", "call_id", "synchronous", "url", "state", "created_at", "next_attempt_at")
    return DeliveryLine(
        delivery_id=row.pk,
        **{name: getattr(row, name) for name in same},
        application_id=row.call.application_id,
        application_name=application.name if application else "",
        host=row.host or host_of(row.url),
        tries=newest.get("tries", 0),
        status=newest.get("status"),
        latency_ms=newest.get("latency_ms"),
        error=newest.get("error", ""),
    )
