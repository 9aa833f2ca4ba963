"""The calls that are up, as the console shows them: one query, which reads rows of large tables only of the calls that are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import CharField, Count, OuterRef, QuerySet, Subquery, Value

from voiceapps.models import Call, MediaLeg, OpenCall
from voiceapps.reads.json_array import JsonArray
from voiceapps.reads.prepared import Asked, Prepared

MAX_CALLS = 200
"""Calls that are shown, the newest."""
_FIGURES = ("packets_in", "packets_out", "lost", "jitter_ms", "mos", "node")
"""In the order in which `Side` takes them."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a call has sent and got so far; a relay tells it every ten seconds."""

    packets_in: int
    packets_out: int
    lost: int
    jitter_ms: float
    mos: float | None
    node: str
    """The relay."""

    @property
    def loss(self) -> float:
        """The share of this side's packets that were lost."""
        return max(self.lost, 0) / max(1, self.packets_in + max(self.lost, 0))


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that is up."""

    call_id: str
    account_id: str
    application_id: str
    """Empty if the application is gone."""
    application_name: str
    from_uri: str
    source_ip: str
    country: str
    state: str
    started_at: datetime
    answered_at: datetime | None
    proxy_node: str
    callflow_node: str
    caller: Side | None
    """None before the first report, and where no relay of ours carries the audio."""
    callflow: Side | None


@dataclass(frozen=True, slots=True)
class LiveCalls:
    """The newest calls that are up."""

    shown: tuple[LiveCall, ...]
    total: int


def live_calls(account_id: str | None) -> LiveCalls:
    """Return the newest calls that are up, of an account or of all, and how many there are."""
    rows = list(_newest(MAX_CALLS, is_bound=account_id is not None).rows(account_id=account_id))
    return LiveCalls(tuple(_live_call(*row) for row in rows), rows[0][0] if rows else 0)


def live_call(call_id: str, account_id: str | None) -> LiveCall | None:
    """Return a call if it is up; None otherwise, and if it belongs to another account."""
    rows = list(_with_figures(_open(account_id).filter(pk=call_id).values("pk"), account_id))
    return _live_call(*rows[0]) if rows else None


@cache
def _newest(most: int, *, is_bound: bool) -> Prepared:
    account_id = Asked("account_id", CharField()) if is_bound else None
    return Prepared(_with_figures(_open(account_id).order_by("-started_at").values("pk")[:most], account_id))


def _open(account_id: str | Asked | None) -> QuerySet[OpenCall]:
    return OpenCall.objects.all() if account_id is None else OpenCall.objects.filter(account_id=account_id)


def _with_figures(wanted: QuerySet[Any], account_id: str | Asked | None) -> QuerySet[Any]:
    """Return the calls that are wanted, each behind the number of all that are up, and with the figures of both sides."""
    counted = _open(account_id).order_by().values(all_=Value(1)).annotate(total=Count("pk")).values("total")
    calls = Call.objects.filter(pk__in=wanted).order_by("-started_at", "pk")
    return calls.annotate(total=Subquery(counted), caller=_side("external"), callflow=_side("internal")).values_list(
        *("total", "call_id", "account_id", "application_id", "application__name", "from_uri", "source_ip", "country", "state"),
        *("started_at", "answered_at", "proxy_node", "callflow_node", "caller", "callflow"),
    )


def _side(leg: str) -> Subquery:
    figures = MediaLeg.objects.filter(call_id=OuterRef("pk"), leg=leg).order_by()
    return Subquery(figures.values(figures=JsonArray(*_FIGURES)))


def _live_call(_total: int, call_id: str, account_id: str, application: UUID | None, name: str | None, *facts: Any) -> LiveCall:
    """Return a row as it is shown; its facts are those of a call in their order, and the figures of both sides."""
    *rest, caller, callflow = facts
    sides = (Side(*figures) if figures else None for figures in (caller, callflow))
    return LiveCall(call_id, account_id, str(application or ""), name or "", *rest, *sides)
