"""Counters in Django's cache: failed authentications of a client, and requests of a client.

Every counter belongs to a span of time that begins at the same moment in every process, so it needs no state of its own and the end of
the span is known. Without Redis each process has its own cache and so its own counters.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of one kind of event, by subject and by span of `seconds`."""

    name: str
    seconds: int

    def count(self, *subject: str) -> int:
        """Return the subject's count in this span."""
        return int(cache.get(self._key(subject), 0))

    def add(self, *subject: str) -> int:
        """Add one to the subject's count and return it."""
        key = self._key(subject)
        cache.add(key, 0, self.seconds)
        # The key may expire between the two calls; then counting begins again at 1.
        with suppress(ValueError):
            return int(cache.incr(key))
        return 1

    def reset(self, *subject: str) -> None:
        """Set the subject's count back to 0."""
        cache.delete(self._key(subject))

    def remaining(self) -> int:
        """Return the seconds until the span ends."""
        return self.seconds - int(timezone.now().timestamp()) % self.seconds

    def _key(self, subject: tuple[str, ...]) -> str:
        # A peer chooses its own name: the digest bounds the key's length.
        digest = hashlib.sha256("\0".join(subject).encode(errors="replace")).hexdigest()
        return f"{self.name}:{int(timezone.now().timestamp()) // self.seconds}:{digest}"


FAILURES = Counter("client-failures", 300)
MAX_FAILURES = 10
"""Failed authentications of one client from one source in a span. Failures from elsewhere never lock the client out."""
MAX_SOURCE_FAILURES = 50
"""Failed authentications of any clients from one source in a span. It also bounds the counters that a source can create."""

REQUESTS = Counter("api-requests", 60)


def is_guessing(client_id: str, source: str) -> bool:
    """Return whether a source has failed too often to be answered."""
    return FAILURES.count(source) >= MAX_SOURCE_FAILURES or FAILURES.count(source, client_id) >= MAX_FAILURES


def count_failure(client_id: str, source: str) -> None:
    """Count a failed authentication."""
    FAILURES.add(source)
    FAILURES.add(source, client_id)


def count_success(client_id: str, source: str) -> None:
    """Reset the client's failures from this source."""
    FAILURES.reset(source, client_id)


class ClientRate(BaseThrottle):
    """A limit of `SIPURI_API_RATE` requests a minute for each client."""

    def allow_request(self, request: Request, _view: APIView) -> bool:
        """Return whether the request may go on. Requests without a token have been refused already, or are public."""
        if not settings.API_RATE or request.auth is None:
            return True
        token: Any = request.auth
        made = REQUESTS.add(str(token.application_id))
        return made <= int(settings.API_RATE)

    def wait(self) -> float:
        """Return the seconds until the client may send again."""
        return REQUESTS.remaining()
