"""Sounds that are kept for as long as they last, and no more than fit."""

from __future__ import annotations

import pytest

from callflow.aio.sounds import cache as module
from callflow.aio.sounds.cache import SoundCache
from callflow.aio.sounds.spool import Spool, Spooled

SPOOL = Spool("nowhere")


def sound(octets: int = 10) -> Spooled:
    made = SPOOL.new()
    made.append(bytes(octets))
    return made


def key(name: object) -> tuple[str, str, str, str]:
    return "1", f"https://example.com/{name}", "", ""


def test_a_sound_lasts_until_its_time() -> None:
    cache, one = SoundCache(), sound()
    cache.put(key(1), one, 100.0, 5.0)
    assert cache.get(key(1), 104.9) is one
    assert cache.get(key(1), 105.0) is None
    assert cache.get(key(2), 100.0) is None
    cache.put(key(3), one, 100.0, 0.0)
    assert cache.get(key(3), 100.0) is None


@pytest.mark.parametrize(("limit", "value"), [("MAX_KEPT", 3), ("MAX_OCTETS", 35)])
def test_the_least_recently_used_ones_go(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(module, limit, value)
    cache = SoundCache()
    for number in range(3):
        cache.put(key(number), sound(), 0.0, 10.0)
    assert cache.get(key(0), 1.0)
    cache.put(key(3), sound(), 1.0, 10.0)
    assert [number for number in range(4) if cache.get(key(number), 1.0)] == [0, 2, 3]
    for _ in range(10):
        cache.put(key(3), sound(), 1.0, 10.0)
    assert [number for number in range(4) if cache.get(key(number), 1.0)] == [0, 2, 3]


def test_what_is_too_long_for_the_cache_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OCTETS", 35)
    cache = SoundCache()
    cache.put(key(1), sound(36), 0.0, 10.0)
    assert cache.get(key(1), 1.0) is None
