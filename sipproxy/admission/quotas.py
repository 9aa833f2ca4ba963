"""What applications and accounts use of their limits, as far as this proxy knows.

Concurrent calls are counted over the whole fleet: our own exactly, those of other nodes as the database knew them when the
application was read. New calls per second are counted at this node alone, so a fleet of n proxies may admit n times the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from sipproxy.admission.limits import MAX_RATED
from sipproxy.admission.source_limits import Rate, TokenBuckets
from voiceapps.rules.admission import AdmissionSnapshot, CallCount
from voiceapps.rules.limits import Usage

CountCalls = Callable[[str, str], CallCount]
"""Returns how many calls an application and an account, by their ids, have at this proxy."""


class Quotas:
    """The use of the limits, measured for each new call and counted for each admitted one."""

    def __init__(self, count_calls: CountCalls, *, max_keys: int = MAX_RATED) -> None:
        self._count_calls = count_calls
        self._applications = TokenBuckets(max_keys=max_keys)
        self._accounts = TokenBuckets(max_keys=max_keys)

    def __len__(self) -> int:
        return len(self._applications) + len(self._accounts)

    def usage(self, application: AdmissionSnapshot, now: float) -> Usage:
        """Return the usage that the next call of an application would find; nothing is counted."""
        here, elsewhere = self._count_calls(application.application_id, application.account_id), application.calls_elsewhere
        return Usage(
            up=CallCount(here.application + elsewhere.application, here.account + elsewhere.account),
            recent=CallCount(
                _recent(self._applications, application.application_id, application.application_limits.max_calls_per_second, now),
                _recent(self._accounts, application.account_id, application.account_limits.max_calls_per_second, now),
            ),
        )

    def count(self, application: AdmissionSnapshot, now: float) -> None:
        """Count a call that is admitted."""
        for buckets, key, limits in (
            (self._applications, application.application_id, application.application_limits),
            (self._accounts, application.account_id, application.account_limits),
        ):
            if limits.max_calls_per_second is not None:
                buckets.take(key, _rate(limits.max_calls_per_second), now)


def _recent(buckets: TokenBuckets, key: str, limit: int | None, now: float) -> int:
    """Return how many tokens are used, a part of one as a whole: less than one token left is none left."""
    # Round what is left, never the difference: 15 - 0.9999999999999996 is 14.0, and the limit would admit an uncounted call.
    return 0 if limit is None else limit - floor(buckets.level(key, _rate(limit), now))


def _rate(limit: int) -> Rate:
    return Rate(limit, limit)
