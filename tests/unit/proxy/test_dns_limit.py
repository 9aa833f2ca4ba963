"""How many answers a network gets."""

from __future__ import annotations

from sipproxy.aio.dns_limit import ANSWERS, MAX_NETWORKS, AnswerLimit


def test_the_addresses_of_a_network_share_its_answers() -> None:
    limit = AnswerLimit()
    assert all(limit.admits(f"198.51.100.{number % 256}", 1.0) for number in range(int(ANSWERS.burst)))
    assert not limit.admits("198.51.100.255", 1.0)
    assert limit.admits("198.51.101.1", 1.0)
    assert limit.admits("198.51.100.1", 1.0 + 1 / ANSWERS.per_second)


def test_every_second_answer_that_is_too_many_goes_out_truncated() -> None:
    limit = AnswerLimit()
    assert [limit.slips() for _ in range(4)] == [False, True, False, True]


def test_the_networks_that_are_remembered_are_bounded() -> None:
    limit = AnswerLimit()
    for number in range(MAX_NETWORKS + 10):
        limit.admits(f"10.{number >> 8}.{number & 0xFF}.1", 1.0)
    assert len(limit._buckets) == MAX_NETWORKS
