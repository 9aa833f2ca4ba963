"""The console's side bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest
from django.urls import reverse

from voiceapps.console.roles import Capability, may

_GROUPS = {
    "Now": (
        ("Overview", "monitoring", "console:overview", None),
        ("Live calls", "sensors", "console:live", Capability.SEE_CALLS),
    ),
    "Calls": (
        ("Calls", "call", "console:calls", Capability.SEE_CALLS),
        ("Refused attempts", "block", "console:refused", Capability.SEE_REFUSALS),
        ("Security", "gpp_bad", "console:security", Capability.SEE_BANS),
        ("Webhooks", "webhook", "console:webhooks", Capability.SEE_WEBHOOKS),
        ("Recordings", "graphic_eq", "admin:voiceapps_recording_changelist", Capability.HEAR_RECORDINGS),
        ("Transcriptions", "notes", "admin:voiceapps_transcription_changelist", Capability.HEAR_RECORDINGS),
        ("Bench", "experiment", "console:bench", Capability.TRY_OUT),
        ("Simulated calls", "science", "admin:voiceapps_callsimulation_changelist", Capability.TRY_OUT),
    ),
    "Customers": (
        ("Applications", "apps", "console:apps", Capability.SEE_APPLICATIONS),
        ("Accounts", "business", "admin:voiceapps_account_changelist", Capability.SEE_ACCOUNTS),
        ("API clients", "key", "admin:voiceapps_apiclient_changelist", Capability.SEE_CLIENTS),
    ),
    "System": (
        ("Health", "monitor_heart", "console:health", Capability.SEE_NODES),
        ("Nodes", "dns", "console:nodes", Capability.SEE_NODES),
        ("Audit", "history", "console:audit", Capability.SEE_AUDIT),
        ("Operators", "person", "admin:auth_user_changelist", Capability.MANAGE_PEOPLE),
    ),
}


def account_links(_request: HttpRequest) -> list[dict[str, object]]:
    """Return the pages about oneself."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Second factor", "link": reverse("console:second_factor")},
    ]


def open_to(request: HttpRequest) -> Iterator[tuple[str, str, str]]:
    """Yield title, icon and link of each page that an operator may open."""
    for pages in _GROUPS.values():
        for label, icon, name, capability in pages:
            if _asks(capability)(request):
                yield label, icon, reverse(name)


def _asks(capability: Capability | None) -> Callable[[HttpRequest], bool]:
    """Return the question whether an operator may open a page; None is a page for all of them."""
    return lambda request: capability is None or may(request, capability)


def navigation(_request: HttpRequest) -> list[dict[str, object]]:
    """Return the groups of pages, by what operators look for; the theme leaves out those that an operator may not open."""
    return [
        {
            "title": title,
            "items": [
                {"title": label, "icon": icon, "link": reverse(name), "permission": _asks(capability)}
                for label, icon, name, capability in pages
            ],
        }
        for title, pages in _GROUPS.items()
    ]
