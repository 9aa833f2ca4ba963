"""The console's side bar."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse

_GROUPS = {
    "Calls": (
        ("Calls", "call", "call"),
        ("Refused attempts", "block", "refusedattempt"),
        ("Bans", "gpp_bad", "ban"),
        ("Webhooks", "webhook", "webhookdelivery"),
        ("Failing hosts", "link_off", "failinghost"),
        ("Recordings", "graphic_eq", "recording"),
        ("Transcriptions", "notes", "transcription"),
        ("Simulated calls", "science", "callsimulation"),
    ),
    "Customers": (("Applications", "apps", "voiceapplication"), ("Accounts", "business", "account"), ("API clients", "key", "apiclient")),
    "System": (("Nodes", "dns", "node"), ("Audit", "history", "auditentry"), ("Operators", "person", "auth_user")),
}


def _page(model: str) -> str:
    return model if "_" in model else f"voiceapps_{model}"


def navigation(_request: HttpRequest) -> list[dict[str, object]]:
    """Return the groups of pages, by what operators look for."""
    return [
        {
            "title": title,
            "items": [{"title": label, "icon": icon, "link": reverse(f"admin:{_page(model)}_changelist")} for label, icon, model in pages],
        }
        for title, pages in _GROUPS.items()
    ]
