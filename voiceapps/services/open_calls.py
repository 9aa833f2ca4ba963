"""The calls that are up, and who holds them.

A call has a row from its admission to its end. Whoever writes one holds the lock on the call's own row, so that a late report never
opens a call again that has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.utils import timezone

from voiceapps.choices import NodeState
from voiceapps.daemon.bulk import BulkInsert, BulkUpdate
from voiceapps.models import Node, OpenCall
from voiceapps.rules.reports import CallFacts, CallForwarded

# After this time a call whose node is silent is lost. A new call also gets this long to reach its call-flow node.
SILENT_NODE_SECONDS = 60.0

_HELD_BY_PROXY = BulkInsert(OpenCall, key=("call_id",), update=("proxy_node", "proxy_boot"))
_HELD_BY_CALLFLOW = BulkInsert(OpenCall, key=("call_id",), update=("callflow_node", "callflow_boot"))
_FORWARDED = BulkUpdate(OpenCall, update=("callflow_node", "callflow_boot"))


def hold_by_proxy(calls: Sequence[tuple[CallFacts, str]], boot: str) -> None:
    """Open calls that proxies have admitted, each with its proxy's name."""
    _HELD_BY_PROXY.write([_row(call) | {"proxy_node": node, "proxy_boot": boot} for call, node in calls])


def hold_by_callflow(calls: Sequence[tuple[CallFacts, str]], boot: str) -> None:
    """Open calls that call-flow nodes have answered, or note that these hold them, each with its node's name."""
    _HELD_BY_CALLFLOW.write([_row(call) | {"callflow_node": node, "callflow_boot": boot} for call, node in calls])


def forward(reports: Sequence[CallForwarded]) -> None:
    """Note which call-flow nodes got calls; one that has ended meanwhile has no row."""
    _FORWARDED.write({report.call_id: {"callflow_node": report.node, "callflow_boot": report.boot} for report in reports})


def close(call_ids: Collection[str]) -> None:
    """Close calls that have ended."""
    OpenCall.objects.filter(pk__in=call_ids).delete()


def lost() -> list[str]:
    """Return the calls whose holder is gone: a later boot of it has told all that it knew, or it has been silent for a minute."""
    nodes = {node.name: node for node in Node.objects.all()}
    silent_since = timezone.now() - timedelta(seconds=SILENT_NODE_SECONDS)
    return [held.call_id for held in OpenCall.objects.order_by("started_at") if _is_lost(held, nodes, silent_since)]


def _is_lost(held: OpenCall, nodes: Mapping[str, Node], silent_since: datetime) -> bool:
    name, boot = (held.callflow_node, held.callflow_boot) if held.callflow_node else (held.proxy_node, held.proxy_boot)
    node = nodes.get(name)
    if node is not None and boot and boot < node.boot:
        return True
    is_live = node is not None and node.state != NodeState.DOWN and node.seen_at >= silent_since
    return not is_live and held.started_at < silent_since


def _row(call: CallFacts) -> dict[str, object]:
    return {
        "call_id": call.call_id,
        "account_id": call.account_id,
        "application_id": UUID(call.application_id) if call.application_id else None,
        "started_at": datetime.fromtimestamp(call.started_at, UTC),
    }
