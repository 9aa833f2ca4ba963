"""Nodes and the audit trail."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import AuditEntry, Node
from voiceapps.selectors import NODE_LIVE_SECONDS


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """The pages of processes, and whether their heartbeats arrive."""

    list_display = ("role", "name", "health", "load", "public_address", "transports", "internal_address", "seen_at")
    list_filter = ("role",)

    @display(description="State", label={"up": "success", "draining": "warning", "down": "info", "silent": "danger"})
    def health(self, node: Node) -> str:
        """Return the state that the process reports, or "silent", shown as a badge."""
        silent = (timezone.now() - node.seen_at).total_seconds() > NODE_LIVE_SECONDS
        return "silent" if silent and node.state != "down" else node.state


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The pages of audit entries: every change, by whom and from where."""

    list_display = ("at", "chain", "number", "actor", "source_ip", "action", "subject", "changes")
    list_filter = ("action",)
    search_fields = ("chain", "actor", "subject", "request_id")
