"""The journal against the file system: what is appended is there, whole, until it is dropped."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voiceapps.daemon import journal as journals
from voiceapps.daemon.journal import Journal, JournalFullError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.boot.journal"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal.open(path)
    assert opened is not None
    yield opened
    opened.close()


def test_lines_come_in_their_order_and_stay_until_they_are_dropped(journal: Journal) -> None:
    for number in range(5):
        journal.append(b"%d\n" % number)
    assert journal.peek(2) == [b"0\n", b"1\n"]
    assert journal.peek(2) == [b"0\n", b"1\n"]
    journal.drop(4)
    assert journal.peek(9) == [b"2\n", b"3\n", b"4\n"]


def test_an_owner_that_lives_keeps_its_journal(journal: Journal, path: Path) -> None:
    assert Journal.open(path) is None


def test_the_next_one_finds_what_was_left(path: Path) -> None:
    first = Journal.open(path)
    assert first is not None
    first.append(b"a\n")
    first.close()
    second = Journal.open(path)
    assert second is not None
    assert second.peek(9) == [b"a\n"]
    second.remove()
    assert not path.exists()


def test_a_line_that_was_cut_off_is_none(path: Path) -> None:
    path.write_bytes(b"a\nb")
    opened = Journal.open(path)
    assert opened is not None
    assert opened.peek(9) == [b"a\n"]
    opened.close()


def test_only_we_may_read_it(journal: Journal, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_it_has_a_size(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_JOURNAL_BYTES", 8)
    for line in (b"abc\n", b"def\n"):
        journal.append(line)
    with pytest.raises(JournalFullError):
        journal.append(b"g\n")
    journal.drop(4)
    journal.append(b"g\n")
    assert journal.peek(9) == [b"def\n", b"g\n"]


def test_a_line_that_finds_no_room_leaves_nothing(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append(b"abc\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    with pytest.raises(OSError, match="took 2 of 4"):
        journal.append(b"def\n")
    monkeypatch.undo()
    journal.append(b"ghi\n")
    assert path.read_bytes() == b"abc\nghi\n"


def test_what_was_read_does_not_fill_the_disk(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_SLACK_BYTES", 100)
    for number in range(1000):
        journal.append(b"%03d\n" % number)
        if number > 2:
            journal.drop(4)
    assert path.stat().st_size < 300
    assert journal.peek(9) == [b"997\n", b"998\n", b"999\n"]
    assert Journal.open(path) is None


def test_no_large_file_is_copied_at_once(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_SLACK_BYTES", 4)
    monkeypatch.setattr(journals, "_MAX_COPIED", 40)
    for number in range(100):
        journal.append(b"%03d\n" % number)
    journal.drop(300)
    assert path.stat().st_size == 400
    journal.drop(60)
    assert path.stat().st_size == 40
    monkeypatch.setattr(journals, "MAX_JOURNAL_BYTES", 200)
    for number in range(190):
        journal.append(b"%03d\n" % number)
        journal.drop(4)
    assert path.stat().st_size < 400


def test_a_disk_without_room_for_a_smaller_file_loses_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_SLACK_BYTES", 4)
    for number in range(10):
        journal.append(b"%d\n" % number)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    journal.drop(16)
    monkeypatch.undo()
    assert journal.peek(9) == [b"8\n", b"9\n"]


class JournalModel(RuleBasedStateMachine):
    """A journal beside a queue that does the same, with restarts at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(os.environ["PYTEST_JOURNALS"])
        self.path = self.directory / "model.journal"
        self.path.unlink(missing_ok=True)
        self.model: deque[bytes] = deque()
        self.open()

    def open(self) -> None:
        opened = Journal.open(self.path)
        assert opened is not None
        self.journal = opened

    @rule(line=st.binary(max_size=9))
    def append(self, line: bytes) -> None:
        line = line.replace(b"\n", b"").replace(b"\r", b"") + b"\n"
        self.journal.append(line)
        self.model.append(line)

    @rule(most=st.integers(1, 4))
    def drop(self, most: int) -> None:
        lines = self.journal.peek(most)
        assert lines == list(self.model)[:most]
        self.journal.drop(sum(map(len, lines)))
        for _ in lines:
            self.model.popleft()

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.open()
        # What was dropped may come again: whoever reads it knows what it has.
        everything = self.journal.peek(1000)
        again = len(everything) - len(self.model)
        assert everything[again:] == list(self.model)
        self.journal.drop(sum(map(len, everything[:again])))

    @invariant()
    def tells_whether_it_is_empty(self) -> None:
        assert self.journal.is_empty is not bool(self.model)

    def teardown(self) -> None:
        self.journal.close()


def test_any_order_of_appends_drops_and_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_SLACK_BYTES", 10)
    monkeypatch.setenv("PYTEST_JOURNALS", str(tmp_path))
    JournalModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
    JournalModel.TestCase("runTest").runTest()


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"") + b"\n"), max_size=20))
@settings(max_examples=30, deadline=None)
def test_long_lines_are_read_in_pieces(lines: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "_READ_BYTES", 7)
        path = Path(f"/dev/shm/sipuri-journal-{os.getpid()}")  # noqa: S108  # a file of one example
        opened = Journal.open(path)
        assert opened is not None
        for line in lines:
            opened.append(line)
        assert opened.peek(1000) == lines
        opened.remove()
