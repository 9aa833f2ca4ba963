"""The lanes: numbers without gaps, nothing lost on a full disk, nothing lost by a kill."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from voiceapps.daemon import lanes
from voiceapps.daemon.journal import Journal
from voiceapps.daemon.lanes import JournalLane, MemoryLane
from voiceapps.rules.reports import Batch, LadderMessage, Origin

CIPHER = Fernet(Fernet.generate_key())
ORIGIN = Origin("node", "boot", "calls")


def message(number: int) -> LadderMessage:
    return LadderMessage("c-1", float(number), "caller", "a:1", "b:2", f"message {number}", "text")


def opened(path: Path) -> JournalLane:
    journal = Journal.open(path)
    assert journal is not None
    return JournalLane(ORIGIN, journal, CIPHER)


def taken(lane: JournalLane | MemoryLane) -> list[int]:
    """Take all that a lane has, and return the numbers; they say which report it was."""
    numbers: list[int] = []
    while (batch := lane.batch()) is not None:
        numbers += range(batch.first, batch.first + len(batch.reports))
        assert list(batch.reports) == [message(number) for number in numbers[-len(batch.reports) :]]
        lane.drop(batch)
    return numbers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.boot.journal"


@pytest.fixture
def lane(path: Path) -> Iterator[JournalLane]:
    made = opened(path)
    yield made
    made.close()


@pytest.mark.parametrize("most", [1, 2, 500])
def test_batches_are_numbered_without_gaps(lane: JournalLane, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_BATCH", most)
    memory = MemoryLane(ORIGIN)
    for number in range(1, 6):
        assert lane.put(message(number))
        assert memory.put(message(number))
    assert len(lane) == len(memory) == 5
    assert taken(lane) == taken(memory) == [1, 2, 3, 4, 5]
    assert lane.put(message(6))
    assert taken(lane) == [6]
    assert len(lane) == 0


def test_a_batch_comes_again_until_it_is_dropped(lane: JournalLane) -> None:
    lane.put(message(1))
    assert lane.batch() == lane.batch() == Batch((message(1),), ORIGIN, 1)


def test_what_was_not_dropped_is_there_after_a_kill(path: Path) -> None:
    killed = opened(path)
    for number in range(1, 4):
        killed.put(message(number))
    os.close(killed._journal._descriptor)
    successor = opened(path)
    assert len(successor) == 1
    assert taken(successor) == [1, 2, 3]
    assert successor.close()
    assert not path.exists()


def test_a_journal_with_something_in_it_is_kept(path: Path) -> None:
    lane = opened(path)
    lane.put(message(1))
    assert not lane.close()
    assert taken(opened(path)) == [1]


def test_a_full_disk_loses_nothing(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lane.put(message(1))
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        for number in (2, 3):
            assert lane.put(message(number))
        assert lane.batch() == Batch(tuple(map(message, (1, 2, 3))), ORIGIN, 1)
    assert lane.put(message(4))
    assert taken(lane) == [1, 2, 3, 4]


def test_the_database_gets_what_the_disk_did_not_take(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        for number in (1, 2, 3):
            lane.put(message(number))
        batch = lane.batch()
        assert batch is not None
        assert len(batch.reports) == 3
    # Now there is room again: what was shown from memory is in the journal when it is dropped.
    lane.put(message(4))
    lane.drop(batch)
    assert taken(lane) == [4]


def test_memory_has_a_size(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lanes, "MAX_QUEUED_REPORTS", 2)
    memory = MemoryLane(ORIGIN)
    assert [memory.put(message(number)) for number in (1, 2, 3)] == [True, True, False]
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        assert [lane.put(message(number)) for number in (1, 2, 3)] == [True, True, False]
    assert taken(lane) == taken(memory) == [1, 2]
    lane.put(message(3))
    assert taken(lane) == [3]


def test_long_reports_are_fewer(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lanes, "MAX_QUEUED_OCTETS", 10_000)
    long = replace(message(0), text="x" * 4_000)
    memory = MemoryLane(ORIGIN)
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        for some in (lane, memory):
            assert [some.put(long) for _ in range(3)] == [True, True, False]
            assert some.put(message(3))
    for some in (lane, memory):
        batch = some.batch()
        assert batch is not None
        assert len(batch.reports) == 3
        some.drop(batch)
        assert some.put(long)


def test_long_reports_are_read_from_the_journal_sooner(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_RECENT_OCTETS", 1_000)
    for number in range(1, 20):
        lane.put(message(number))
    with monkeypatch.context() as unread:
        unread.setattr(Journal, "peek", None)
        with pytest.raises(TypeError):
            lane.batch()
    assert taken(lane) == list(range(1, 20))


def test_more_than_memory_holds_is_read_from_the_journal(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_RECENT", 3)
    monkeypatch.setattr(lanes, "MAX_BATCH", 2)
    for number in range(1, 8):
        lane.put(message(number))
    first = lane.batch()
    assert first is not None
    lane.put(message(8))
    lane.drop(first)
    assert taken(lane) == [3, 4, 5, 6, 7, 8]
    lane.put(message(9))
    with monkeypatch.context() as unread:
        unread.setattr(Journal, "peek", None)
        assert taken(lane) == [9]


def test_what_overflows_while_a_batch_is_written_is_not_lost(lane: JournalLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_RECENT", 3)
    lane.put(message(1))
    batch = lane.batch()
    assert batch is not None
    for number in range(2, 7):
        lane.put(message(number))
    lane.drop(batch)
    assert taken(lane) == [2, 3, 4, 5, 6]


def test_a_line_that_cannot_be_read_is_counted_and_passed_over(path: Path) -> None:
    before = opened(path)
    before.put(message(1))
    before.close()
    with path.open("ab") as file:
        file.write(b"\0\0\0\n[2,\n")
    after = opened(path)
    assert taken(after) == [1]
    assert after.unreadable == 2
    assert after.close()


def test_only_lines_that_cannot_be_read_are_no_batch(path: Path) -> None:
    path.write_bytes(b"\0\n" * 3)
    lane = opened(path)
    assert lane.batch() is None
    assert lane.close()


def test_numbers_that_do_not_follow_each_other_are_batches_of_their_own(path: Path) -> None:
    one, other = opened(path), path.with_name("other")
    for number in range(1, 5):
        one.put(message(number))
    one.close()
    lines = path.read_bytes().splitlines(keepends=True)
    other.write_bytes(lines[0] + lines[2] + lines[3])
    lane = opened(other)
    assert [batch.first for batch in _batches(lane)] == [1, 3]
    lane.close()


def _batches(lane: JournalLane) -> Iterator[Batch]:
    while (batch := lane.batch()) is not None:
        yield batch
        lane.drop(batch)
