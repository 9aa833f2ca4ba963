"""Count in Django's cache: failed proofs of a client, and requests of a client.

Counts belong to spans of time that begin at the same moment everywhere, so a count needs no state but itself and says when it ends. Without
Redis the cache is a process's own, and so are the counts.
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
    """Something that may happen so often to each subject in a span of `seconds`."""

    name: str
    seconds: int

    def count(self, *subject: str) -> int:
        """Return how often it has happened in this span."""
        return int(cache.get(self._key(subject), 0))

    def add(self, *subject: str) -> int:
        """Count once more and return how often it has happened."""
        key = self._key(subject)
        cache.add(key, 0, self.seconds)
        # The key may go between the two; then the count begins anew.
        with suppress(ValueError):
            return int(cache.incr(key))
        return 1

    def reset(self, *subject: str) -> None:
        """Begin anew."""
        cache.delete(self._key(subject))

    def remaining(self) -> int:
        """Return the seconds until the span ends."""
        return self.seconds - int(timezone.now().timestamp()) % self.seconds

    def _key(self, subject: tuple[str, ...]) -> str:
        # A peer chooses what it is called: the key has one length whatever that is.
        digest = hashlib.sha256("\0".join(subject).encode(errors="replace")).hexdigest()
        return f"{self.name}:{int(timezone.now().timestamp()) // self.seconds}:{digest}"


FAILURES = Counter("client-failures", 300)
MAX_FAILURES = 10
"""Failed proofs of one client from one source in a span: whoever tries elsewhere never locks the client out."""
MAX_SOURCE_FAILURES = 50
"""Failed proofs of any clients from one source in a span; it also bounds the counters that a source can make."""

REQUESTS = Counter("api-requests", 60)


def is_guessing(client_id: str, source: str) -> bool:
    """Tell whether a source has failed too often to be heard."""
    return FAILURES.count(source) >= MAX_SOURCE_FAILURES or FAILURES.count(source, client_id) >= MAX_FAILURES


def count_failure(client_id: str, source: str) -> None:
    """Remember that a proof failed."""
    FAILURES.add(source)
    FAILURES.add(source, client_id)


def count_success(client_id: str, source: str) -> None:
    """Forget the failures of the client from this source."""
    FAILURES.reset(source, client_id)


class ClientRate(BaseThrottle):
    """Let each client make `SIPURI_API_RATE` requests a minute."""

    def allow_request(self, request: Request, _view: APIView) -> bool:
        """Tell whether the request may go on; those without a token are refused before this or are public."""
        if not settings.API_RATE or request.auth is None:
            return True
        token: Any = request.auth
        made = REQUESTS.add(str(token.application_id))
        return made <= int(settings.API_RATE)

    def wait(self) -> float:
        """Return the seconds until the client may go on."""
        return REQUESTS.remaining()
