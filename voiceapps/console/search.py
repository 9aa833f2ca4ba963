"""Search on Ctrl-K: pages by their titles, and records by an id, an address, a number or a name.

It takes the place of the theme's own, which keeps answers for five minutes by the words in small letters, and looks through models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from voiceapps.console.navigation import open_to
from voiceapps.console.pages.shell import page
from voiceapps.console.roles import Capability, may, scope
from voiceapps.reads import search as found
from voiceapps.rules.diagnosis.sought import Sought, read
from voiceapps.templatetags.console_text import line, moment

MAX_SHOWN = 80
"""Characters of a text from a stranger."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found: a link, and what it is."""

    title: str
    note: str
    link: str
    icon: str


@never_cache
@page()
def search(request: HttpRequest) -> HttpResponse:
    """Return what fits the text `s`, for the palette."""
    sought = read(request.GET.get("s", ""))
    hits = list(_hits(request, sought)) if sought else []
    return render(request, "console/search_results.html", {"hits": hits, "sought": sought})


def _hits(request: HttpRequest, sought: Sought) -> Iterator[Hit]:
    yield from _records(request, sought)
    yield from _lists(request, sought)
    yield from _pages(request, sought)


def _records(request: HttpRequest, sought: Sought) -> Iterator[Hit]:
    bound, personal = scope(request), may(request, Capability.SEE_PERSONAL)
    if may(request, Capability.SEE_CALLS):
        for call in found.calls(sought, bound, personal=personal):
            note = f"call of {moment(call.started_at)} · {call.source_ip} · {call.application_name}"
            yield Hit(line(call.from_uri, MAX_SHOWN), line(note, MAX_SHOWN), reverse("console:call", args=[call.call_id]), "call")
    if may(request, Capability.SEE_APPLICATIONS):
        for one in found.applications(sought, bound):
            link = reverse("console:app", args=[one.application_id])
            yield Hit(line(one.name, MAX_SHOWN), f"application of account {one.account_id}", link, "apps")
    if may(request, Capability.SEE_ACCOUNTS):
        for account in found.accounts(sought, bound):
            link = reverse("admin:voiceapps_account_change", args=[account.account_id])
            yield Hit(account.account_id, line(f"account {account.name}", MAX_SHOWN), link, "business")
    if may(request, Capability.SEE_WEBHOOKS):
        for delivery in found.deliveries(sought, bound):
            link = reverse("console:webhook", args=[delivery.delivery_id])
            yield Hit(line(delivery.event_type, MAX_SHOWN), f"webhook of {moment(delivery.created_at)} · {delivery.state}", link, "webhook")


def _lists(request: HttpRequest, sought: Sought) -> Iterator[Hit]:
    """Yield the lists of what came from an address or a number, whether there is anything or not."""
    if not may(request, Capability.SEE_PERSONAL):
        return
    if sought.address and may(request, Capability.SEE_REFUSALS):
        yield Hit(f"Refused attempts from {sought.address}", "list", _list("refused", ip=sought.address, since="7d"), "block")
    if sought.address and may(request, Capability.SEE_CALLS):
        yield Hit(f"All calls from {sought.address}", "list", _list("calls", ip=sought.address), "call")
    if sought.number and may(request, Capability.SEE_CALLS):
        yield Hit(f"All calls from number {sought.number}", "list", _list("calls", number=sought.number), "call")


def _pages(request: HttpRequest, sought: Sought) -> Iterator[Hit]:
    """Yield the pages of the side bar that the operator may open."""
    for title, icon, link in open_to(request):
        if sought.text.lower() in title.lower():
            yield Hit(title, "page", link, icon)


def _list(name: str, **query: str) -> str:
    return f"{reverse(f'console:{name}')}?{urlencode(query)}"
