"""Token buckets, and the rate limits of source addresses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from sipproxy.admission.limits import FAILURE_BURST, FAILURES_PER_SECOND, MAX_FAILED_CALLS, MAX_SOURCES, REQUEST_BURST, REQUESTS_PER_SECOND

MAX_REMEMBERED = 4_096  # addresses known to be trusted or not


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen."""

    per_second: float
    """In the long run."""
    burst: float
    """At once."""


REQUESTS = Rate(REQUESTS_PER_SECOND, REQUEST_BURST)
FAILURES = Rate(FAILURES_PER_SECOND, FAILURE_BURST)


class TokenBuckets:
    """Token buckets by key; the key that was unseen for longest makes room for a new one."""

    def __init__(self, *, max_keys: int = MAX_SOURCES) -> None:
        self._max = max_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, rate: Rate, now: float, tokens: float = 1.0) -> bool:
        """Take tokens from a bucket; False if there are not so many left."""
        level = self.level(key, rate, now)
        taken = level >= tokens
        self._levels[key] = (level - tokens if taken else level, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._max:
            self._levels.popitem(last=False)
        return taken

    def level(self, key: str, rate: Rate, now: float) -> float:
        """Return how many tokens are left."""
        held = self._levels.get(key)
        return rate.burst if held is None else min(rate.burst, held[0] + (now - held[1]) * rate.per_second)

    def forget(self, key: str) -> None:
        """Refill a bucket; an unknown key is ignored."""
        self._levels.pop(key, None)


class TrustedSources:
    """The ranges that are neither limited nor banned: those of the configuration, and those that operators name while the proxy runs."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = tuple(configured)
        self._named: tuple[str, ...] = ()
        self._is_trusted = _test_of(self._configured)

    def __call__(self, source_ip: str) -> bool:
        """Return whether a source is trusted."""
        return self._is_trusted(source_ip)

    def replace(self, named: Iterable[str]) -> None:
        """Take the ranges that operators name now."""
        ranges = tuple(named)
        if ranges != self._named:
            self._named = ranges
            self._is_trusted = _test_of((*self._configured, *ranges))


def _test_of(ranges: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that says whether an address lies in one of the ranges. It is called several times per datagram, so it caches."""
    networks = tuple(IPv4Network(text) for text in ranges)

    @lru_cache(maxsize=MAX_REMEMBERED)
    def is_trusted(source_ip: str) -> bool:
        return any(IPv4Address(source_ip) in network for network in networks)

    return is_trusted if networks else lambda _source_ip: False


class SourceLimits:
    """The rate limits of sources: on unauthenticated requests and on failed digests. Trusted sources have none."""

    def __init__(self, is_trusted: Callable[[str], bool]) -> None:
        self.is_trusted = is_trusted
        self._requests = TokenBuckets()
        self._failures = TokenBuckets()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._failed_calls: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests) + len(self._failures) + len(self._told) + len(self._failed_calls)

    def admit(self, source_ip: str, now: float) -> bool:
        """Count one unauthenticated request; False if its source is over a limit."""
        if self.is_trusted(source_ip):
            return True
        if self._failures.level(source_ip, FAILURES, now) >= 1.0 and self._requests.take(source_ip, REQUESTS, now):
            self._told.pop(source_ip, None)
            return True
        return False

    def is_silenced(self, source_ip: str, now: float) -> bool:
        """Return whether a source is over a limit and had its refusal: requests that the limit counts get no response."""
        if source_ip not in self._told:
            return False
        return self._failures.level(source_ip, FAILURES, now) < 1.0 or self._requests.level(source_ip, REQUESTS, now) < 1.0

    def may_be_told(self, source_ip: str) -> bool:
        """Return True once per overload: a refusal may be sent to the source, then it gets silence."""
        if source_ip in self._told:
            return False
        self._told[source_ip] = None
        if len(self._told) > MAX_SOURCES:
            self._told.popitem(last=False)
        return True

    def count_failure(self, source_ip: str, sip_call_id: str, now: float) -> bool:
        """Count a failed digest, once for each Call-ID: some phones send the same wrong one fifteen times. Returns whether it counted."""
        call = (source_ip, sip_call_id)
        if self.is_trusted(source_ip) or call in self._failed_calls:
            return False
        self._failed_calls[call] = None
        if len(self._failed_calls) > MAX_FAILED_CALLS:
            self._failed_calls.popitem(last=False)
        self._failures.take(source_ip, FAILURES, now)
        return True

    def forgive(self, source_ip: str) -> None:
        """Clear the failures of a source that has sent a correct digest."""
        self._failures.forget(source_ip)
