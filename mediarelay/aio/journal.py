"""The file that holds what a restarted relay needs: a head, then a line for each change of a session.

It is written at once and never flushed to the disk: it outlives the process, not the machine, and neither do calls. A
machine that has started since is told by its boot id. Now and then the file is written anew with what is still true.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

from mediarelay.core.journal import Record

__all__ = ["JournalFile"]

SLACK_LINES = 2_000
MAX_OCTETS = 1 << 28
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class JournalFile:
    """One relay's journal; `fingerprint` says which rules in the kernel it speaks of."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._head = {"boot": _BOOT_ID.read_text(encoding="ascii").strip(), "rules": fingerprint}
        self._lines: dict[str, str] = {}
        self._file: TextIO | None = None
        self._written = 0

    def load(self) -> tuple[list[Record], bool]:
        """Return the sessions of before, and whether the rules in the kernel are still ours.

        What another boot wrote is nothing; so is a last line that was cut off.
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
        records: dict[str, Record] = {}
        for line in lines:
            try:
                entry = json.loads(line)
                records.pop(entry["call"], None)
                if "streams" in entry:
                    records[entry["call"]] = entry
            except (ValueError, KeyError, TypeError):
                continue
        return list(records.values()), known.get("rules") == self._head["rules"]

    def open(self) -> None:
        """Begin a new file; raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def put(self, call_id: str, record: Record | None) -> None:
        """Write a session down as it is now, or that it is gone; raises OSError."""
        if self._file is None:
            return
        line = json.dumps(record or {"call": call_id}, separators=(",", ":"))
        if record is None:
            self._lines.pop(call_id, None)
        else:
            self._lines[call_id] = line
        if self._written >= 4 * len(self._lines) + SLACK_LINES:
            self._rewrite()
            return
        self._file.write(line + "\n")
        self._file.flush()
        self._written += 1

    def close(self) -> None:
        """Remove the file: what ends in order leaves nothing to take up."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    def _rewrite(self) -> None:
        if self._file is not None:
            self._file.close()
        new = self._path.with_suffix(".new")
        self._file = new.open("w", encoding="utf-8")
        self._file.write("".join(f"{line}\n" for line in (json.dumps(self._head), *self._lines.values())))
        self._file.flush()
        os.replace(new, self._path)
        self._written = len(self._lines)
