"""Nodes and the audit trail."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from voiceapps.choices import WantedState
from voiceapps.console.base import ReadOnlyAdmin, operator
from voiceapps.models import AuditEntry, Node
from voiceapps.selectors import node_health
from voiceapps.services import nodes


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """The pages of processes, and whether their heartbeats arrive. Operators have them drain and take calls again."""

    list_display = ("role", "name", "health", "wish", "load", "public_address", "transports", "internal_address", "seen_at")
    list_filter = ("role",)
    actions = ("drain", "resume")

    @display(description="State", label={"up": "success", "draining": "warning", "down": "info", "silent": "danger"})
    def health(self, node: Node) -> str:
        """Return the state that the process reports, or "silent", shown as a badge."""
        return node_health(node)

    @display(description="Wanted", label={"up": "success", "draining": "warning"})
    def wish(self, node: Node) -> str:
        """Return the state that an operator wants, shown as a badge."""
        return node.wanted

    def has_order_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may have nodes drain and resume."""
        return request.user.has_perm("voiceapps.change_node")

    @action(description="Drain", permissions=["order"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """Have the chosen nodes drain."""
        _want(request, queryset, WantedState.DRAINING)

    @action(description="Take calls again", permissions=["order"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """Have the chosen nodes take calls again."""
        _want(request, queryset, WantedState.UP)


def _want(request: HttpRequest, queryset: QuerySet[Node], state: WantedState) -> None:
    for node in queryset:
        try:
            when = nodes.want(node.name, state, actor=operator(request))
        except nodes.NodeOrderError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{node.name}: {state.value} {when}.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The pages of audit entries: every change, by whom and from where."""

    list_display = ("at", "chain", "number", "actor", "source_ip", "action", "subject", "changes")
    list_filter = ("action",)
    search_fields = ("chain", "actor", "subject", "request_id")
