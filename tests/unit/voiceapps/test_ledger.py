from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from voiceapps.daemon import journal as journals
from voiceapps.daemon.journal import Journal
from voiceapps.daemon.ledger import Ledger


def ledger(directory: Path) -> Ledger:
    return Ledger(lambda _batch: None, lambda _node, _living: None, directory, Fernet(Fernet.generate_key()))


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_killed_boots_did_not_finish_is_removed_and_nothing_else(tmp_path: Path) -> None:
    living = ledger(tmp_path).open("node").own
    kept = [f"node@{living.origin.boot}.new", "node-2@1.new", "other.new"]
    for name in ("node@1.journal", "node@1.new", "node@2.new", *kept):
        (tmp_path / name).write_bytes(b"")
    again = ledger(tmp_path).open("node")
    assert left(tmp_path) == sorted(["node@1.journal", *kept, *(f"node@{boot}.journal" for boot in again.living)])
    assert [lane.origin.boot for lane in again.older] == ["1"]
    for lane in (living, again.own, *again.older):
        lane.close()


def test_a_boot_that_is_killed_while_it_shrinks_its_journal_leaves_nothing_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for the end of the process: nothing after it runs."""

    def kill(*_: object) -> None:
        raise Killed

    journal = Journal.open(tmp_path / "node@1.journal")
    assert journal is not None
    for line in (b"the first one\n", b"the last\n"):
        journal.append(line)
    monkeypatch.setattr(journals, "_SLACK_BYTES", 1)
    monkeypatch.setattr(os, "fdatasync", kill)
    with pytest.raises(Killed):
        journal.drop(len(b"the first one\n"))
    monkeypatch.undo()
    journal.close()
    assert left(tmp_path) == ["node@1.journal", "node@1.new"]
    again = ledger(tmp_path).open("node")
    assert left(tmp_path) == ["node@1.journal", f"node@{again.own.origin.boot}.journal"]
    assert (tmp_path / "node@1.journal").read_bytes() == b"the first one\nthe last\n"
    for lane in (again.own, *again.older):
        lane.close()
