"""The file with what a restarted relay needs: a header, then a line for each change of a session.

Lines are written at once and never flushed to the disk: the file outlives the process, not the machine, and so do the
calls. A boot id in the header shows whether the machine has restarted since. Now and then the file is rewritten with
only the current sessions.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, TextIO

import structlog

from mediarelay.core.journal import JournalEntry

SLACK_LINES = 2_000
MAX_OCTETS = 1 << 28
RETRY_SHARE = 8
"""Once the disk has refused a change, the file is rewritten after one change for every this many sessions."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = structlog.get_logger(__name__)


class JournalFile:
    """One relay's journal; `fingerprint` identifies the kernel rules that it belongs to."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._head = {"boot": _BOOT_ID.read_text(encoding="ascii").strip(), "rules": fingerprint}
        self._lines: dict[str, str] = {}
        self._is_open = False
        self._file: TextIO | None = None
        """None after the disk has refused a change: the file is then behind."""
        self._written = 0
        """Lines in the file, or changes since it fell behind."""

    def load(self) -> tuple[list[JournalEntry], bool]:
        """Return the journalled sessions, and whether the rules in the kernel are still ours.

        A file of another boot is ignored, and so is a last line that was cut off.
        """
        try:
            if self._path.stat().st_size > MAX_OCTETS:
                return [], False
            head, *lines = self._path.read_text(encoding="utf-8").splitlines()
            known: Any = json.loads(head)
        except (OSError, ValueError):
            return [], False
        if not isinstance(known, dict) or known.get("boot") != self._head["boot"]:
            return [], False
        entries: dict[str, JournalEntry] = {}
        for line in lines:
            try:
                entry = json.loads(line)
                entries.pop(entry["call"], None)
                if "streams" in entry:
                    entries[entry["call"]] = entry
            except (ValueError, KeyError, TypeError):
                continue
        return list(entries.values()), known.get("rules") == self._head["rules"]

    def open(self) -> None:
        """Begin a new file; raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()
        self._is_open = True

    def put(self, call_id: str, entry: JournalEntry | None) -> None:
        """Write down a session's present state, or that it is gone; what a full disk refuses is written once there is room."""
        if not self._is_open:
            return
        line = json.dumps(entry or {"call": call_id}, separators=(",", ":"))
        if entry is None:
            self._lines.pop(call_id, None)
        else:
            self._lines[call_id] = line
        self._written += 1
        try:
            self._write(line)
        except OSError as error:
            self._let_go(error)

    def close(self) -> None:
        """Remove the file: an orderly stop leaves nothing to resume."""
        if self._is_open:
            self._is_open = False
            self._let_go(None)
            self._path.with_suffix(".new").unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        """Append a line. If the file is behind, rewrite it whole, but seldom: each rewrite costs in proportion to the sessions."""
        if self._file is None:
            if RETRY_SHARE * self._written >= len(self._lines):
                self._rewrite()
                log.info("journal_written_again")
        elif self._written > 4 * len(self._lines) + SLACK_LINES:
            self._rewrite()
        else:
            self._file.write(line + "\n")
            self._file.flush()

    def _let_go(self, error: OSError | None) -> None:
        if error is not None and self._file is not None:
            log.error("journal_not_written", error=str(error))
        file, self._file = self._file, None
        self._written = 0
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _rewrite(self) -> None:
        new = self._path.with_suffix(".new")
        file = new.open("w", encoding="utf-8")
        try:
            file.write("".join(f"{line}\n" for line in (json.dumps(self._head), *self._lines.values())))
            file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                file.close()
            raise
        os.replace(new, self._path)
        if self._file is not None:
            self._file.close()
        self._file = file
        self._written = len(self._lines)
