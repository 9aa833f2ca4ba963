"""How many answers over UDP a network gets, and who gets all of them.

A resolver asks a few questions a minute, as answers may be cached; whoever forges a victim's address asks thousands. Above the rate a
network gets no whole answers: every second one is truncated, so that a real client there asks again by TCP, the others are
dropped. A client that brings back our cookie (RFC 7873) has shown that it receives at its address, and is not limited.
"""

from __future__ import annotations

import hmac
import struct

from sipproxy.admission.source_limits import Rate, TokenBuckets
from sipproxy.mac import make_tag

ANSWERS = Rate(20.0, 100.0)
"""What the 256 addresses of a network get together."""
MAX_NETWORKS = 16_384
COOKIE_SECONDS = 3_600.0
_TIME = struct.Struct("!I")
_LAYOUT = struct.Struct("!B3xI8s")  # version, reserved, time, tag: the form of RFC 9018
_VERSION = 1


class AnswerLimit:
    """The answers that networks have got lately."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets(max_keys=MAX_NETWORKS)
        self._refused = 0

    def admits(self, source_ip: str, now: float) -> bool:
        """Return whether an address's network may have a whole answer, and count it."""
        return self._buckets.take(source_ip.rpartition(".")[0], ANSWERS, now)

    def slips(self) -> bool:
        """Return whether an answer that is too many goes out truncated, as every second one does."""
        self._refused += 1
        return self._refused % 2 == 0


class Cookies:
    """The cookies of one server; `key` is its secret of at most 32 octets."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, client: bytes, source_ip: str, now: float) -> bytes:
        """Return the server's half for a client's half of 8 octets and its address."""
        return self._cookie(client, source_ip, int(now))

    def is_ours(self, client: bytes, server: bytes, source_ip: str, now: float) -> bool:
        """Return whether we made the server's half for this client lately."""
        if len(server) != _LAYOUT.size:
            return False
        made_at: int = _LAYOUT.unpack(server)[1]
        return abs(now - made_at) <= COOKIE_SECONDS and hmac.compare_digest(server, self._cookie(client, source_ip, made_at))

    def _cookie(self, client: bytes, source_ip: str, made_at: int) -> bytes:
        tag = make_tag(self._key, b"dns", client + _TIME.pack(made_at) + source_ip.encode(), size=8)
        return _LAYOUT.pack(_VERSION, made_at, tag)
