"""The health of the installation."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from voiceapps.api.wire.errors import DATABASE_AWAY, RETRY_SECONDS
from voiceapps.selectors import live_nodes

ROLES = ("sipproxy", "mediarelay", "callflow", "sipdns", "worker")


def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer whether each role has a live process: 200 if all have, else 503, as while the database is away."""
    try:
        return _answer()
    except DATABASE_AWAY:
        away = {"status": "degraded", "roles": {"web": "ok"}, "database": "away"}
        return JsonResponse(away, status=503, headers={"Retry-After": str(RETRY_SECONDS)})


def _answer() -> JsonResponse:
    roles = {role: "ok" if any(node.state == "up" for node in live_nodes(role)) else "missing" for role in ROLES}
    roles["web"] = "ok"
    healthy = all(state == "ok" for state in roles.values())
    return JsonResponse({"status": "ok" if healthy else "degraded", "roles": roles}, status=200 if healthy else 503)
