"""The files of synthesised prompts."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from callflow.aio.sounds import prompt_cache as module
from callflow.aio.sounds.prompt_cache import MAX_CACHED_PROMPTS, PromptCache


def names(directory: Path) -> set[str]:
    return {path.stem for path in directory.iterdir()}


def fill(directory: Path, files: int, octets: int = 0) -> None:
    """Make files, the first one the least recently used."""
    for number in range(files):
        path = directory / f"{number:05}.ulaw"
        path.write_bytes(bytes(octets))
        os.utime(path, (number, number))


def test_a_sound_that_was_written_can_be_opened(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path / "made")
    assert cache.open("a") is None
    cache.write("a", bytes(range(200)) * 1_000)
    sound = cache.open("a")
    assert sound is not None
    assert sound[:] == bytes(range(200)) * 1_000


def test_the_least_recently_used_go_when_there_are_too_many(tmp_path: Path) -> None:
    fill(tmp_path, MAX_CACHED_PROMPTS)
    cache = PromptCache(tmp_path)
    assert cache.open("00000") is not None
    cache.write("new", b"x")
    kept = names(tmp_path)
    assert len(kept) == MAX_CACHED_PROMPTS * 3 // 4
    assert {"new", "00000"} < kept
    assert "00001" not in kept


def test_the_least_recently_used_go_when_they_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED_BYTES", 1_000)
    fill(tmp_path, 9, 100)
    cache = PromptCache(tmp_path)
    cache.write("tenth", bytes(100))
    assert len(names(tmp_path)) == 10
    cache.write("one more", bytes(100))
    assert names(tmp_path) == {"00004", "00005", "00006", "00007", "00008", "tenth", "one more"}
    for number in range(3):
        cache.write(f"again {number}", bytes(100))
    assert len(names(tmp_path)) == 10


def test_nothing_is_left_of_a_sound_that_the_disk_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callflow.aio.sounds.prompt_cache.os.replace", fail)
    PromptCache(tmp_path).write("a", b"x")
    assert names(tmp_path) == set()


def test_a_disk_that_is_nearly_full_gets_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callflow.aio.sounds.spool.os.statvfs", lambda _: SimpleNamespace(f_blocks=1000, f_bavail=101, f_frsize=4096))
    cache = PromptCache(tmp_path)
    cache.write("fits", bytes(4096))
    cache.write("does not", bytes(4097))
    assert cache.open("fits") is not None
    assert cache.open("does not") is None
