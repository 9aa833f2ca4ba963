"""The room for sounds: what lies in memory, what on the disk, and what there is none for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from callflow.aio.sounds import spool as module
from callflow.aio.sounds.octet_file import OctetFile
from callflow.aio.sounds.spool import NoRoomError, Spool, Spooled

MEMORY, EACH, DISK = 2_000, 1_000, 5_000


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    for name, most in (("MAX_MEMORY", MEMORY), ("MAX_MEMORY_EACH", EACH), ("MAX_DISK", DISK)):
        monkeypatch.setattr(module, name, most)
    spool = Spool(str(tmp_path))
    yield spool
    assert (spool.memory.held, spool.disk.held) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def held(spool: Spool, octets: bytes) -> Spooled:
    sound = spool.new()
    for at in range(0, len(octets), 100):
        sound.append(octets[at : at + 100])
    return sound


@pytest.mark.parametrize("size", [0, 1, EACH, EACH + 1, DISK])
def test_what_was_put_in_comes_out(spool: Spool, size: int) -> None:
    octets = os.urandom(size)
    sound = held(spool, octets)
    assert len(sound) == size
    assert sound[:] == octets
    assert sound[size - 3 : size + 3] == octets[size - 3 : size + 3]
    assert sound[size:] == sound[size + 5 : size + 9] == b""
    assert (spool.memory.held, spool.disk.held) == ((size, 0) if size <= EACH else (0, size))


@pytest.mark.parametrize("size", [EACH, EACH + 500])
def test_a_part_can_be_written_over_and_the_rest_cut(spool: Spool, size: int) -> None:
    sound = held(spool, bytes(size))
    sound.put(10, b"abc")
    sound.cut(12)
    assert (len(sound), sound[:]) == (12, bytes(10) + b"ab")
    assert spool.memory.held + spool.disk.held == 12


def test_all_sounds_share_the_memory(spool: Spool) -> None:
    sounds = [held(spool, bytes([number]) * 700) for number in range(4)]
    assert (spool.memory.held, spool.disk.held) == (1_400, 1_400)
    assert [sound[:] for sound in sounds] == [bytes([number]) * 700 for number in range(4)]
    del sounds[0]
    assert spool.memory.held == 700


def test_all_sounds_share_the_disk(spool: Spool) -> None:
    first = held(spool, bytes(DISK - EACH))
    with pytest.raises(NoRoomError, match=f"There is no room for sounds: those of other calls take {DISK} octets."):
        held(spool, bytes(EACH + 100))
    assert spool.disk.held == len(first)
    assert len(held(spool, bytes(EACH))) == EACH
    del first
    assert len(held(spool, bytes(DISK))) == DISK


@pytest.mark.parametrize(
    ("blocks", "free", "fits"),
    [(10**7, 10**6, True), (10**7, 2**18 + 1, True), (10**7, 2**18, False), (1_000, 101, True), (1_000, 100, False)],
)
def test_a_part_of_the_disk_stays_free(spool: Spool, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, fits: bool) -> None:
    disk = SimpleNamespace(f_blocks=blocks, f_bavail=free, f_frsize=4096)
    monkeypatch.setattr("callflow.aio.sounds.spool.os.statvfs", lambda _: disk)
    if fits:
        held(spool, bytes(EACH + 100))
        return
    with pytest.raises(NoRoomError, match="the disk is nearly full"):
        held(spool, bytes(EACH + 100))
    held(spool, bytes(EACH))


def test_a_disk_that_fails_says_so(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callflow.aio.sounds.octet_file.os.pwrite", fail)
    with pytest.raises(NoRoomError, match="There is no room for sounds: No space left on device."):
        held(spool, bytes(EACH + 100))


def test_a_directory_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="There is no room for sounds: No such file or directory."):
        Spool(str(tmp_path / "nowhere")).new().append(bytes(module.MAX_MEMORY_EACH + 1))


def test_a_disk_that_gives_nothing_back_is_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sound"
    path.write_bytes(b"abc")
    sound = OctetFile.open(str(path))

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("callflow.aio.sounds.octet_file.os.pread", fail)
    assert (len(sound), sound[0:2]) == (3, b"")


def test_a_file_is_read_also_when_it_has_lost_its_name(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(b"abc")
    sound = OctetFile.open(str(path))
    path.unlink()
    assert sound[1:9] == b"bc"
