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
from voiceapps.daemon.ledger import began_at
from voiceapps.models import Node, OpenCall
from voiceapps.models.nodes import CLOCKS_DIFFER
from voiceapps.rules.reports import CallFacts, CallForwarded

# After this time a call whose node is silent is lost. A new call also gets this long to reach its call-flow node.
SILENT_NODE_SECONDS = 60.0

# As long as a proxy waits for any message of a call at a static target, so long one whose proxy is gone, or began anew, counts as up.
UNHEARD_SECONDS = 3_660.0

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
    """Return the calls whose holder is gone: a later boot of it has told all that it knew, or it has been silent for a minute.

    A call that a static target has answered goes on without its proxy, which keeps no dialogs: its BYE may come for an hour yet.
    """
    nodes = {node.name: node for node in Node.objects.all()}
    now = timezone.now()
    return [held.call_id for held in OpenCall.objects.order_by("started_at") if _is_lost(held, nodes, now)]


def _is_lost(held: OpenCall, nodes: Mapping[str, Node], now: datetime) -> bool:
    name, boot = (held.callflow_node, held.callflow_boot) if held.callflow_node else (held.proxy_node, held.proxy_boot)
    node = nodes.get(name)
    has_later_boot = node is not None and bool(boot) and _is_over(boot, node, now)
    if held.callflow_node and held.callflow_node == held.proxy_node:
        last_known = held.started_at if node is None else _began_at(node) if has_later_boot else node.seen_at
        return last_known < now - timedelta(seconds=UNHEARD_SECONDS)
    silent_since = now - timedelta(seconds=SILENT_NODE_SECONDS)
    is_live = node is not None and node.state != NodeState.DOWN and silent_since <= node.seen_at <= now + CLOCKS_DIFFER
    is_new = silent_since <= held.started_at <= now + CLOCKS_DIFFER
    return has_later_boot or (not is_live and not is_new)


def _is_over(boot: str, node: Node, now: datetime) -> bool:
    """Return whether a boot of a node came before its present one; one from the future did, if it is another one."""
    return boot < node.boot or (boot != node.boot and began_at(boot) > (now + CLOCKS_DIFFER).timestamp())


def _began_at(node: Node) -> datetime:
    return datetime.fromtimestamp(began_at(node.boot), UTC)


def _row(call: CallFacts) -> dict[str, object]:
    return {
        "call_id": call.call_id,
        "account_id": call.account_id,
        "application_id": UUID(call.application_id) if call.application_id else None,
        "started_at": datetime.fromtimestamp(call.started_at, UTC),
    }
