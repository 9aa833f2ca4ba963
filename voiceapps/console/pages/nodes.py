"""Nodes: which processes are heard, what they carry, what is wanted of them, and what DNS answers now."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from voiceapps.choices import WantedState
from voiceapps.console.access.sessions import is_poll
from voiceapps.console.base import operator
from voiceapps.console.pages.fragments import fragment
from voiceapps.console.pages.shell import page, show
from voiceapps.console.roles import Capability, may
from voiceapps.daemon.dns_question import Asker, NoAnswerError
from voiceapps.models import Node
from voiceapps.selectors import node_health
from voiceapps.services import nodes
from voiceapps.services.nodes import OBEYING_ROLES, NodeOrderError

LIVE = "console/pages/nodes/processes.html"
SIGNS = {
    "up": ("check_circle", "good"),
    "draining": ("hourglass_top", "doubtful"),
    "down": ("stop_circle", "good"),
    "silent": ("cancel", "bad"),
}
MAX_CHOSEN = 500
ORDERS = {"drain": WantedState.DRAINING, "resume": WantedState.UP}
_dns = Asker()


@dataclass(frozen=True, slots=True)
class Row:
    """One node as the page shows it."""

    node: Node
    health: str
    sign: str
    level: str
    order: str
    """What it can be told: `drain`, `resume` or nothing."""

    @property
    def is_heard(self) -> bool:
        """Whether it beats."""
        return self.health in ("up", "draining")


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What a DNS server of ours answers to one question."""

    question: str
    records: tuple[str, ...]
    fault: str


@page(Capability.SEE_NODES)
def listed(request: HttpRequest) -> HttpResponse:
    """Return the page, which follows what the nodes do."""
    rows = [_row(node) for node in Node.objects.order_by("role", "name")]
    has_dns = any(row.node.role == "sipdns" and row.is_heard for row in rows)
    context = {
        "rows": rows,
        "answers": _answers() if has_dns else [],
        "domain": settings.SIP_DOMAIN,
        "may_order": may(request, Capability.ORDER_NODES),
    }
    if is_poll(request):
        return fragment(request, LIVE, context)
    return show(request, "console/pages/nodes.html", "Nodes", part=LIVE, now=timezone.now(), **context)


@require_POST
@page(Capability.SEE_NODES, Capability.ORDER_NODES)
def order(request: HttpRequest) -> HttpResponse:
    """Have one node, or those that are chosen, drain or take calls again; one that cannot is named, and the others do."""
    verb, _, only = request.POST.get("order", "").partition(" ")
    wanted = ORDERS.get(verb)
    names = [only] if only else request.POST.getlist("name")[:MAX_CHOSEN]
    if wanted is None or not names:
        messages.error(request, "Choose nodes, and whether they are to drain or to take calls again.")
        return redirect("console:nodes")
    for name in names:
        try:
            when = nodes.want(name, wanted, actor=operator(request))
        except NodeOrderError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{name}: {wanted.value} {when}.")
    return redirect("console:nodes")


def _row(node: Node) -> Row:
    health = node_health(node)
    other = "resume" if node.wanted == WantedState.DRAINING else "drain"
    return Row(node, health, *SIGNS[health], other if node.role in OBEYING_ROLES else "")


def _questions() -> tuple[tuple[str, str], ...]:
    domain = settings.SIP_DOMAIN
    return ("A", domain), ("SRV", f"_sip._udp.{domain}"), ("SRV", f"_sip._tcp.{domain}")


def _answers() -> list[DnsAnswer]:
    """Return what DNS answers, up to the first question without an answer: the others would have the same."""
    answers: list[DnsAnswer] = []
    for kind, name in _questions():
        answers.append(_answer(kind, name))
        if answers[-1].fault:
            break
    return answers


def _answer(kind: str, name: str) -> DnsAnswer:
    try:
        return DnsAnswer(f"{name} {kind}", _dns.ask(settings.DNS_BIND, name, kind), "")
    except NoAnswerError as error:
        return DnsAnswer(f"{name} {kind}", (), str(error))
