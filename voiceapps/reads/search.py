"""What is found by an id, an address, a number or a name: a few rows of each kind, each by its index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from voiceapps.models import Account, VoiceApplication, WebhookDelivery
from voiceapps.paging import call_list
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.rules.diagnosis.sought import Sought

MAX_EACH = 5
"""Of one kind that are shown."""
MAX_LOOKED_AT = 1_000
"""Calls that are looked at for those of one account."""
MAX_NAMES = 5_000
"""Applications among whose names a part of one is looked for."""


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call."""

    call_id: str
    from_uri: str
    source_ip: str
    application_name: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class FoundApplication:
    """An application."""

    application_id: UUID
    name: str
    account_id: str


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account."""

    account_id: str
    name: str


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    """A webhook."""

    delivery_id: UUID
    event_type: str
    state: str
    created_at: datetime


def calls(sought: Sought, account_id: str | None, *, personal: bool) -> tuple[FoundCall, ...]:
    """Return the newest calls by id, SIP Call-ID, number or address; without `personal` not by the last two, nor with them."""
    found: dict[str, FoundCall] = {}
    for asked in _filters(sought, account_id or "", personal=personal):
        places = call_list.Search(asked).look(None, newer=False, wanted=MAX_EACH, most=MAX_LOOKED_AT).places
        for line in call_list.lines(places):
            shown = line if personal else call_list.hidden(line)
            found[line.call_id] = FoundCall(line.call_id, shown.from_uri, shown.source_ip, line.application_name, line.started_at)
    return tuple(found.values())[:MAX_EACH]


def applications(sought: Sought, account_id: str | None) -> tuple[FoundApplication, ...]:
    """Return applications by id, by the user of their SIP URI, or by a part of their names."""
    rows = VoiceApplication.objects.order_by() if account_id is None else VoiceApplication.objects.order_by().filter(account=account_id)
    if sought.uuid is not None:
        rows = rows.filter(Q(pk=sought.uuid) | Q(sip_alias=sought.uuid))
    elif sought.name:
        rows = rows.filter(pk__in=rows.order_by("pk").values("pk")[:MAX_NAMES], name__icontains=sought.name)
    else:
        return ()
    return tuple(FoundApplication(*row) for row in rows.values_list("application_id", "name", "account_id")[:MAX_EACH])


def accounts(sought: Sought, account_id: str | None) -> tuple[FoundAccount, ...]:
    """Return the account of an id."""
    if not sought.account_id or account_id not in (None, sought.account_id):
        return ()
    return tuple(FoundAccount(*row) for row in Account.objects.filter(pk=sought.account_id).values_list("account_id", "name"))


def deliveries(sought: Sought, account_id: str | None) -> tuple[FoundDelivery, ...]:
    """Return the webhook of an id."""
    if sought.uuid is None:
        return ()
    rows = WebhookDelivery.objects.filter(pk=sought.uuid, **({} if account_id is None else {"account": account_id}))
    return tuple(FoundDelivery(*row) for row in rows.values_list("delivery_id", "event_type", "state", "created_at"))


def _filters(sought: Sought, account_id: str, *, personal: bool) -> Iterator[CallFilter]:
    """Yield what calls are looked for by."""
    if sought.call_id:
        yield CallFilter(account_id=account_id, call_id=sought.call_id)
    if sought.sip_call_id:
        yield CallFilter(account_id=account_id, sip_call_id=sought.sip_call_id)
    if sought.address and personal:
        yield CallFilter(account_id=account_id, source_ip=sought.address)
    if sought.number and personal:
        yield CallFilter(account_id=account_id, number=sought.number)
