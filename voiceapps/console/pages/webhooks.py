"""Webhooks: every delivery with what came of it, the hosts that take none, and the ways to send again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qs
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.choices import DeliveryState
from voiceapps.console import filters
from voiceapps.console.base import of_account, operator
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may, scope
from voiceapps.models import FailingHost, WebhookDelivery
from voiceapps.models.webhooks import MAX_SHOWN_ATTEMPTS
from voiceapps.reads import webhook_list
from voiceapps.reads.list_choices import application_choices
from voiceapps.reads.webhook_list import MAX_HOSTS, MAX_LOOKED_AT, DeliveryLine, DeliveryPage, HostLine
from voiceapps.reads.webhook_report import DeliveryReport, delivery_report
from voiceapps.rules.diagnosis.deliveries import kind
from voiceapps.rules.diagnosis.filter_fields import Asked, says_zones
from voiceapps.rules.diagnosis.webhook_filters import FIELDS, WebhookFilter, place, read
from voiceapps.services import webhooks as outbox
from voiceapps.services.delivery import failing_hosts
from voiceapps.services.delivery.failing_hosts import NotRestingError
from voiceapps.services.webhooks import DeliveryPendingError, NotHurriedError, NotReplayableError

MAX_REPLAYED = 100
"""Deliveries that are sent again at once."""
MAX_NAMED = 10
"""Deliveries that one answer names, of those that could not be sent again."""


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as the list shows it."""

    line: DeliveryLine
    sign: str
    level: str
    kind: str


@dataclass(frozen=True, slots=True)
class Host:
    """A failing host as the page shows it, with the link to what was to go there."""

    line: HostLine
    state: str
    query: str


@page(Capability.SEE_WEBHOOKS)
def webhooks(request: HttpRequest) -> HttpResponse:
    """Return the page of the list that the query asks for, or the form with what is wrong with it."""
    bound = scope(request)
    query = request.GET.dict()
    asked = read({**query, "account": bound} if bound is not None else query, timezone.localtime())
    if not says_zones(request.GET, asked):
        return redirect(filters.same_place(asked, request))
    found: DeliveryPage | None = None
    newer = "before" in query
    try:
        start = place(text) if (text := query.get("before" if newer else "after", "")) else None
    except ValueError as error:
        asked = replace(asked, found=None, errors={**asked.errors, "after": str(error)})
    else:
        found = webhook_list.page(asked.found, start, newer=newer) if asked.found else None
    hosts = webhook_list.failing_hosts(bound)
    return show(
        request,
        "console/pages/webhooks.html",
        "Webhooks",
        asked=asked,
        filter_form=filters.webhooks_form(asked, application_choices(bound), is_bound=bound is not None),
        states=filters.states(asked),
        spans=filters.webhook_spans(asked),
        hosts=[_host(line) for line in hosts[:MAX_HOSTS]],
        has_more_hosts=len(hosts) > MAX_HOSTS,
        may_replay=may(request, Capability.REPLAY_WEBHOOKS),
        may_see_calls=may(request, Capability.SEE_CALLS),
        most=MAX_LOOKED_AT,
        most_replayed=MAX_REPLAYED,
        **(_listed(asked, found) if found else {}),
    )


@page(Capability.SEE_WEBHOOKS)
def webhook(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Return the page of one delivery."""
    report = delivery_report(delivery_id, scope(request), personal=may(request, Capability.SEE_PERSONAL))
    if report is None:
        raise Http404(f"There is no webhook {delivery_id}.")
    may_replay, is_pending = may(request, Capability.REPLAY_WEBHOOKS), report.state == DeliveryState.PENDING
    sign, level = filters.STATE_SIGNS[report.state]
    return show(
        request,
        "console/pages/webhook.html",
        "Webhook",
        report=report,
        sign=sign,
        level=level,
        kind=kind(report.state, report.status, synchronous=report.synchronous),
        heading=_heading(report),
        can_replay=may_replay and not report.synchronous and not is_pending,
        can_hurry=may_replay and is_pending and not report.is_sending and report.rests_until is None,
        may_see_traces=may(request, Capability.SEE_TRACES),
        may_see_calls=may(request, Capability.SEE_CALLS),
        may_see_application=may(request, Capability.SEE_APPLICATIONS),
        may_try=may(request, Capability.TRY_OUT) and may(request, Capability.SEE_TRACES),
        is_cut=len(report.attempts) == MAX_SHOWN_ATTEMPTS,
    )


@require_POST
@page(Capability.SEE_WEBHOOKS, Capability.REPLAY_WEBHOOKS)
def replay(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Send a delivery again, and return to its page, or to the page of its call."""
    delivery = _own(request, delivery_id)
    try:
        outbox.replay(delivery.pk, actor=operator(request))
    except (NotReplayableError, DeliveryPendingError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The webhook is sent again.")
    return _shown_again(request, delivery)


@require_POST
@page(Capability.SEE_WEBHOOKS, Capability.REPLAY_WEBHOOKS)
def hurry(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Have a delivery that waits tried now, and return to its page, or to the page of its call."""
    delivery = _own(request, delivery_id)
    try:
        outbox.hurry(delivery.pk, actor=operator(request))
    except NotHurriedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The webhook is tried now.")
    return _shown_again(request, delivery)


@require_POST
@page(Capability.SEE_WEBHOOKS, Capability.REPLAY_WEBHOOKS)
def replay_some(request: HttpRequest) -> HttpResponse:
    """Send the chosen deliveries again, each by itself, and return to the list; what cannot be sent is named."""
    chosen = list(dict.fromkeys(request.POST.getlist("delivery")))
    if not chosen or len(chosen) > MAX_REPLAYED:
        messages.error(request, f"Choose 1 to {MAX_REPLAYED} webhooks." if chosen else "Choose the webhooks that are to be sent again.")
        return _back(request)
    refused = [sentence for one in chosen if (sentence := _refusal(request, one))]
    if sent := len(chosen) - len(refused):
        messages.success(request, "1 webhook is sent again." if sent == 1 else f"{sent} webhooks are sent again.")
    for sentence in refused[:MAX_NAMED]:
        messages.error(request, sentence)
    if len(refused) > MAX_NAMED:
        messages.error(request, f"{len(refused) - MAX_NAMED} more could not be sent again.")
    return _back(request)


@require_POST
@page(Capability.SEE_WEBHOOKS, Capability.REPLAY_WEBHOOKS)
def ask_host(request: HttpRequest, host_id: int) -> HttpResponse:
    """End the rest of a host, and return to the list."""
    host = get_object_or_404(of_account(request, FailingHost.objects.all(), "account_id"), pk=host_id)
    try:
        is_asked = failing_hosts.ask_now(host.pk, actor=operator(request))
    except NotRestingError as error:
        messages.error(request, str(error))
    else:
        follows = "one webhook is sent to it now" if is_asked else "no webhook waits for it: the next one is sent to it"
        messages.success(request, f"{host.host} rests no longer; {follows}. If that fails, it rests again.")
    return _back(request)


def _shown_again(request: HttpRequest, delivery: WebhookDelivery) -> HttpResponse:
    """Return to where the order was given."""
    if request.POST.get("back") == "call":
        return redirect(f"{reverse('console:call', args=[delivery.call_id])}?tab=webhooks")
    return redirect("console:webhook", delivery.pk)


def _own(request: HttpRequest, delivery_id: UUID) -> WebhookDelivery:
    return get_object_or_404(of_account(request, WebhookDelivery.without_secrets(), "account_id"), pk=delivery_id)


def _refusal(request: HttpRequest, chosen: str) -> str | None:
    """Send one of the chosen deliveries again; return why not, None if it is sent."""
    try:
        delivery = of_account(request, WebhookDelivery.without_secrets(), "account_id").get(pk=UUID(chosen))
        outbox.replay(delivery.pk, actor=operator(request))
    except (ValueError, WebhookDelivery.DoesNotExist):
        return f"There is no webhook {chosen[:36]}."
    except (NotReplayableError, DeliveryPendingError) as error:
        return f"{delivery}: not sent again. {error}"
    return None


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the list as it was filtered, at the place that was shown."""
    kept = {name: values[0] for name, values in parse_qs(request.POST.get("back", "")).items() if name in (*FIELDS, "after", "before")}
    return redirect(reverse("console:webhooks", query=kept))


def _listed(asked: Asked[WebhookFilter], found: DeliveryPage) -> dict[str, object]:
    """Return what the template shows of a page."""
    return {
        "found": found,
        "rows": [_row(line) for line in found.deliveries],
        "newer": asked.query(before=str(found.newer)) if found.newer else "",
        "older": asked.query(after=str(found.older)) if found.older else "",
    }


def _row(line: DeliveryLine) -> Row:
    return Row(line, *filters.STATE_SIGNS[line.state], kind(line.state, line.status, synchronous=line.synchronous))


def _host(line: HostLine) -> Host:
    state = "left alone" if line.rests_until else "asked by one request at a time" if line.is_slowed else "fails now and then"
    return Host(line, state, Asked({"account": line.account_id, "host": line.host}, None).query())


def _heading(report: DeliveryReport) -> str:
    """Return in a few words how it stands."""
    answer = "" if report.status is None else f", {report.status}"
    return f"{report.event_type}: {report.state}{answer}"
