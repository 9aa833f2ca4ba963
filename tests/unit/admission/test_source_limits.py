from __future__ import annotations

from sipproxy.admission.limits import FAILURE_BURST, MAX_FAILED_CALLS, MAX_SOURCES, REQUEST_BURST, REQUESTS_PER_SECOND
from sipproxy.admission.source_limits import Rate, SourceLimits, TokenBuckets, TrustedSources


def test_a_bucket_empties_and_refills() -> None:
    buckets, rate = TokenBuckets(), Rate(per_second=2.0, burst=3.0)
    assert [buckets.take("a", rate, 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", rate, 0.0)
    assert [buckets.take("a", rate, 0.5), buckets.take("a", rate, 0.5)] == [True, False]
    assert buckets.level("a", rate, 100.0) == 3.0


def test_the_key_unseen_for_longest_makes_room() -> None:
    buckets, rate = TokenBuckets(max_keys=2), Rate(per_second=1.0, burst=1.0)
    for key in ("a", "b", "c"):
        buckets.take(key, rate, 0.0)
    assert len(buckets) == 2
    assert buckets.take("a", rate, 0.0)
    assert not buckets.take("c", rate, 0.0)


def test_a_flood_gets_one_refusal_then_silence() -> None:
    limits = SourceLimits(TrustedSources(()))
    admitted = sum(limits.admit("192.0.2.1", 0.0) for _ in range(5_000))
    assert admitted == REQUEST_BURST
    assert [limits.may_be_told("192.0.2.1") for _ in range(3)] == [True, False, False]
    assert limits.admit("192.0.2.2", 0.0)
    assert limits.admit("192.0.2.1", 1.0 / REQUESTS_PER_SECOND * 1.01)
    assert limits.may_be_told("192.0.2.1")


def test_trusted_sources_have_no_limit() -> None:
    limits = SourceLimits(TrustedSources(("192.0.2.0/24",)))
    assert all(limits.admit("192.0.2.1", 0.0) for _ in range(5_000))
    for number in range(1_000):
        limits.count_failure("192.0.2.1", str(number), 0.0)
    assert limits.admit("192.0.2.1", 0.0)
    assert len(limits) == 0


def test_sources_are_trusted_while_operators_name_them() -> None:
    trusted = TrustedSources(("192.0.2.0/24",))
    trusted.replace(["198.51.100.0/24"])
    assert [trusted(source) for source in ("192.0.2.1", "198.51.100.1", "203.0.113.1")] == [True, True, False]
    trusted.replace([])
    assert [trusted(source) for source in ("192.0.2.1", "198.51.100.1")] == [True, False]


def test_failures_count_once_for_each_call() -> None:
    limits = SourceLimits(TrustedSources(()))
    for _ in range(1_000):
        limits.count_failure("192.0.2.1", "one call", 0.0)
    assert limits.admit("192.0.2.1", 0.0)
    for number in range(int(FAILURE_BURST)):
        limits.count_failure("192.0.2.1", str(number), 0.0)
    assert not limits.admit("192.0.2.1", 0.0)
    assert limits.admit("192.0.2.1", 60.0)


def test_tables_are_bounded() -> None:
    limits = SourceLimits(TrustedSources(()))
    for number in range(MAX_SOURCES + 100):
        limits.admit(str(number), 0.0)
        limits.may_be_told(str(number))
    for number in range(MAX_FAILED_CALLS + 100):
        limits.count_failure("192.0.2.1", str(number), 0.0)
    assert len(limits) == 2 * MAX_SOURCES + MAX_FAILED_CALLS + 1
