"""The health of the installation."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse

from voiceapps.api.wire.errors import RETRY_SECONDS
from voiceapps.selectors import live_nodes

ROLES = ("sipproxy", "mediarelay", "callflow", "sipdns", "worker", "webhooks")
ANSWER_SECONDS = 1.0
"""How long the database may take; one that is locked, stopped or cut off can take minutes to say so."""

States = dict[str, str]


def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer whether each role has a live process: 200 if all have, else 503, as while the database gives no answer."""
    try:
        states = _question.ask().result(ANSWER_SECONDS)
    except (Error, LateError):
        away = {"status": "degraded", "roles": {"web": "ok"}, "database": "away"}
        return JsonResponse(away, status=503, headers={"Retry-After": str(RETRY_SECONDS)})
    healthy = all(state == "ok" for state in states.values())
    return JsonResponse({"status": "ok" if healthy else "degraded", "roles": states}, status=200 if healthy else 503)


class _Question:
    """What the database is asked, by one thread for all: who asks meanwhile waits for the same answer."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "health-database")
        self._lock = threading.Lock()
        self._asked: Future[States] | None = None

    def ask(self) -> Future[States]:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = self._thread.submit(_states)
            return self._asked


def _states() -> States:
    try:
        states = {role: "ok" if any(node.state == "up" for node in live_nodes(role)) else "missing" for role in ROLES}
    finally:
        # The next question needs one that works, and whoever stops the database waits for nobody.
        connection.close()
    return states | {"web": "ok"}


_question = _Question()
