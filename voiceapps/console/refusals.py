"""Refused attempts: the reason, and what the failed rule saw and expected."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from voiceapps.console.base import ReadOnlyAdmin
from voiceapps.models import RefusedAttempt, VoiceApplication


@admin.register(RefusedAttempt)
class RefusedAttemptAdmin(ReadOnlyAdmin):
    """The pages of refused attempts, one row a minute. A row shows the failed rule, a page all rules."""

    list_display = ("last_at", "application", "source", "why", "seen", "expected", "status", "count")
    list_filter = ("reason", "status")
    list_select_related = ("application",)
    unread = VoiceApplication.JOINED_SECRETS
    search_fields = ("source_ip", "request_user", "sip_call_id", "application__name")
    exclude = ("key", "trace")
    readonly_fields = ("rules",)

    @admin.display(description="Source")
    def source(self, attempt: RefusedAttempt) -> str:
        """Return address and country of the caller, or that the row is about many."""
        if attempt.source_ip is None:
            return "further sources"
        return f"{attempt.source_ip} {attempt.country}".strip()

    @display(description="Reason", label=True)
    def why(self, attempt: RefusedAttempt) -> str:
        """Return the reason, shown as a badge."""
        return attempt.get_reason_display()

    @admin.display(description="Seen")
    def seen(self, attempt: RefusedAttempt) -> str:
        """Return what the failed rule saw."""
        return self._failed(attempt).get("seen", "")

    @admin.display(description="Expected")
    def expected(self, attempt: RefusedAttempt) -> str:
        """Return what the failed rule expected."""
        return self._failed(attempt).get("expected", "")

    @admin.display(description="Rules")
    def rules(self, attempt: RefusedAttempt) -> SafeString:
        """Return the whole trace as a table."""
        rows = ((r["rule"], r["verdict"], r["expected"], r["seen"]) for r in attempt.trace)
        row = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"
        head = SafeString("<table class='sipuri-table'><tr><th>Rule</th><th>Verdict</th><th>Expected</th><th>Seen</th></tr>")
        return head + format_html_join("", row, rows) + SafeString("</table>")

    @staticmethod
    def _failed(attempt: RefusedAttempt) -> dict[str, str]:
        return next((result for result in attempt.trace if result["verdict"] == "failed"), {})
