"""Where a daemon's reports are kept: in the database, and in journals until the database has them."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from voiceapps.daemon.journal import UNFINISHED, Journal
from voiceapps.daemon.lanes import JournalLane
from voiceapps.daemon.report_lines import Cipher
from voiceapps.rules.reports import Batch, Origin

_SUFFIX = ".journal"


class LedgerError(Exception):
    """One sentence that says why journals cannot be kept."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What writes reports, and where their journals lie."""

    write_batch: Callable[[Batch], None]
    """Writes a batch, all or nothing, but what is written already: `voiceapps.services.reports.write_batch`."""
    forget_boots: Callable[[str, Collection[str]], None]
    """Forgets what was written for a node but for some boots: `voiceapps.services.reports.forget_boots`."""
    directory: Path
    """The directory of the journals, which only our user may enter."""
    cipher: Cipher
    """What encrypts passwords in journals."""

    def open(self, node: str) -> Journals:
        """Open a new journal for a node, and those that earlier boots of it have left; raises LedgerError."""
        boot = _new_boot()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            older, living = self._older(node)
            journal = Journal.open(self._path(node, boot))
        except OSError as error:
            raise LedgerError(f"The journal of {node} cannot be opened in {self.directory}: {os.strerror(error.errno or 0)}.") from error
        assert journal is not None  # noqa: S101  # nobody else has a boot of this name
        return Journals(JournalLane(Origin(node, boot, "calls"), journal, self.cipher), older, frozenset({boot, *living}))

    def _older(self, node: str) -> tuple[list[JournalLane], list[str]]:
        """Return the journals of boots that are over, the oldest first, and the names of those that are not."""
        older, living = [], []
        start = _start(node)
        for path in sorted(self.directory.iterdir()):
            boot = path.name.removeprefix(start).removesuffix(_SUFFIX)
            if path != self._path(node, boot):
                continue
            journal = Journal.open(path)
            if journal is None:
                living.append(boot)
            else:
                older.append(JournalLane(Origin(node, boot, "calls"), journal, self.cipher))
        self._remove_unfinished(node, living)
        return older, living

    def _remove_unfinished(self, node: str, living: Collection[str]) -> None:
        """Remove what boots that are over did not finish: their journals hold all of it."""
        for path in list(self.directory.iterdir()):
            if path.name.startswith(_start(node)) and path.suffix == UNFINISHED and path.stem.removeprefix(_start(node)) not in living:
                path.unlink(missing_ok=True)

    def _path(self, node: str, boot: str) -> Path:
        return self.directory / f"{_start(node)}{boot}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Journals:
    """The journals of one node."""

    own: JournalLane
    """That of this boot."""
    older: list[JournalLane]
    """What earlier boots have left."""
    living: frozenset[str]
    """The boots that may still write: this one, and one that has not ended yet."""


def _new_boot() -> str:
    return f"{time.time_ns():x}-{secrets.token_hex(4)}"


def began_at(boot: str) -> float:
    """Return when a boot began, in seconds since the epoch."""
    return int(boot.partition("-")[0], 16) / 1e9


def _start(node: str) -> str:
    """Return how the names of a node's files begin; its own name then holds no `@`."""
    return f"{quote(node, safe='')}@"
