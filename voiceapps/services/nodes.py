"""The list of processes, and what operators want of them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction

from voiceapps.choices import WantedState
from voiceapps.models import Node
from voiceapps.rules.reports import NodeBeat
from voiceapps.selectors import node_health
from voiceapps.services import audit
from voiceapps.services.audit import Actor

OBEYING_ROLES = ("sipproxy", "mediarelay", "callflow", "sipdns")
"""The roles whose processes drain and resume."""


class NodeOrderError(Exception):
    """One sentence that says why a node cannot be told anything."""


class UnknownNodeError(NodeOrderError):
    """There is no node of this name."""


class DisobedientNodeError(NodeOrderError):
    """The node's role has no calls to drain."""


def beat(report: NodeBeat) -> None:
    """Store a heartbeat of a process; what is wanted of it stays."""
    Node.objects.update_or_create(
        name=report.name,
        defaults={
            "role": report.role,
            "state": report.state,
            "public_address": report.public_address,
            "internal_address": report.internal_address,
            "transports": report.transports,
            "metrics_address": report.metrics_address,
            "load": report.load,
            "ports_used": report.ports_used,
            "ports_total": report.ports_total,
            "boot": report.boot,
            "seen_at": datetime.fromtimestamp(report.at, UTC),
        },
    )


_OBEYS = {"down": "as soon as it is started", "silent": "as soon as it reaches the database"}


@transaction.atomic
def want(name: str, state: WantedState, *, actor: Actor) -> str:
    """Have a node drain, or take calls again, and return when it obeys, in words. Raises UnknownNodeError, DisobedientNodeError."""
    node = Node.objects.select_for_update().filter(pk=name).first()
    if node is None:
        raise UnknownNodeError(f"No node is called {name}.")
    if node.role not in OBEYING_ROLES:
        raise DisobedientNodeError(f"{name} takes no calls: a {node.role} is stopped by SIGTERM at any time.")
    if node.wanted != state:
        before, node.wanted = node.wanted, state
        node.save(update_fields=["wanted"])
        audit.record(actor, "node.want", name, {"wanted": state.value}, before={"wanted": before})
    return _OBEYS.get(node_health(node), "within two seconds")
