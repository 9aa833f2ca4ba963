from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.addresses import Side
from mediarelay.core.allocation import Allocator
from mediarelay.core.ports import QUARANTINE_SECONDS, QUIET_SECONDS, PortPool


def pool(first: int, last: int) -> PortPool:
    return PortPool((first, last), random.Random(3).randrange)


def test_pairs_are_even_and_whole() -> None:
    assert pool(30001, 30010).size == 4
    assert pool(30000, 40000).size == 5000
    drawn = {pool(30001, 30010).take() for _ in range(1)}
    assert drawn <= {30002, 30004, 30006, 30008}


def test_pairs_are_not_drawn_in_order() -> None:
    ports = pool(30000, 40000)
    drawn = [ports.take() for _ in range(20)]
    assert drawn != sorted(port for port in drawn if port)


def test_an_empty_pool_returns_none_and_no_pair_is_taken_twice() -> None:
    ports = pool(30000, 30019)
    drawn = [ports.take() for _ in range(11)]
    assert drawn.pop() is None
    assert len(set(drawn)) == 10
    assert (ports.free, ports.in_use, ports.quarantined) == (0, 10, 0)


def test_a_released_pair_rests_for_30_seconds() -> None:
    ports = pool(30000, 30099)
    port = ports.take()
    assert port is not None
    ports.release(port, 10.0)
    assert ports.next_expiry() == 10.0 + QUARANTINE_SECONDS
    assert ports.expire(10.0 + QUARANTINE_SECONDS - 0.001) == []
    assert ports.expire(10.0 + QUARANTINE_SECONDS) == [port]
    assert (ports.free, ports.in_use, ports.quarantined, ports.next_expiry()) == (50, 0, 0, None)


def test_when_ports_are_scarce_the_oldest_quiet_ones_return_after_two_seconds() -> None:
    ports = pool(30000, 30019)
    drawn = [port for port in (ports.take() for _ in range(10)) if port is not None]
    for second, port in enumerate(drawn[:5]):
        ports.release(port, float(second))
    ports.note_packet(drawn[0] + 1, 4.5)
    assert ports.next_expiry() == 4.5 + QUIET_SECONDS
    # Three have been quiet for long enough, the first has not; two suffice to bring a fifth of the range back.
    assert ports.expire(5.5) == drawn[1:4]
    assert ports.free == 3


def test_an_expiry_looks_at_the_oldest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = pool(30000, 39999)
    for second in range(1_000):
        port = ports.take()
        assert port is not None
        ports.release(port, second * 0.01)
    asked: list[int] = []
    is_scarce = PortPool._scarce

    def counted(held: PortPool, regained: int) -> bool:
        asked.append(regained)
        return is_scarce(held, regained)

    monkeypatch.setattr(PortPool, "_scarce", counted)
    assert len(ports.expire(QUARANTINE_SECONDS + 0.015)) == 2
    assert len(asked) == 3


def test_only_as_many_return_early_as_are_needed() -> None:
    ports = pool(30000, 30199)
    drawn = [port for port in (ports.take() for _ in range(100)) if port is not None]
    for port in drawn[:40]:
        ports.release(port, 0.0)
    assert ports.expire(QUIET_SECONDS) == drawn[:21]
    assert ports.quarantined == 19


@given(st.lists(st.tuples(st.sampled_from(["take", "release", "expire", "packet"]), st.integers(0, 50)), max_size=80))
def test_no_pair_is_ever_lost(steps: list[tuple[str, int]]) -> None:
    ports = pool(30000, 30019)
    used: list[int] = []
    now = 0.0
    for step, number in steps:
        now += number / 10
        if step == "take" and (port := ports.take()) is not None:
            used.append(port)
        elif step == "release" and used:
            ports.release(used.pop(number % len(used)), now)
        elif step == "expire":
            ports.expire(now)
        elif step == "packet":
            ports.note_packet(30000 + number % 20, now)
        assert ports.free + ports.in_use + ports.quarantined == ports.size
    for port in used:
        ports.release(port, now)
    ports.expire(now + QUARANTINE_SECONDS)
    assert ports.free == ports.size


def test_the_fuller_side_tells_how_many_are_in_use() -> None:
    small, large = pool(30000, 30009), pool(40000, 40199)
    allocator = Allocator({Side.EXTERNAL: large, Side.INTERNAL: small}, deque())
    assert allocator.use() == (0, 100)
    for ports in (small, small, large, large, large):
        ports.take()
    assert allocator.use() == (2, 5)
