"""The two lanes of a daemon's reports, so that what must not be lost never waits behind what may be.

`calls` holds what customers pay for and wait for: calls, their ends, webhooks, recordings. It lives in a journal on the disk.
`traces` holds what helps to find faults: messages, refusals, notices. It lives in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from voiceapps.daemon.journal import Journal, JournalFullError
from voiceapps.daemon.report_lines import Cipher, from_line, octets_of, to_line
from voiceapps.rules.reports import Batch, Origin, Report

MAX_QUEUED_REPORTS = 50_000
MAX_QUEUED_OCTETS = 128 * 1024 * 1024
"""Of the lines that the reports in memory are or would be."""
MAX_BATCH = 500
MAX_RECENT = 5_000
MAX_RECENT_OCTETS = 32 * 1024 * 1024
"""Reports of a journal that are known in memory; if there are more, the journal is read."""

log = structlog.get_logger(__name__)


class Lane(Protocol):
    """Numbered reports of one origin, the oldest first."""

    origin: Origin

    def batch(self) -> Batch | None:
        """Return the oldest reports, at most `MAX_BATCH`; None where there are none."""

    def drop(self, batch: Batch) -> None:
        """Drop the reports of the batch that was returned last: they are written, or refused for good."""


T = TypeVar("T")


class _Queue(Generic[T]):
    """A queue that knows how many octets are in it."""

    def __init__(self) -> None:
        self.octets = 0
        self._items: deque[tuple[T, int]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (item for item, _ in self._items)

    def exceeds(self, most: int, most_octets: int) -> bool:
        """Return whether there is more in it than either bound allows."""
        return len(self) > most or self.octets > most_octets

    def has_room(self, octets: int) -> bool:
        """Return whether the bounds of a lane allow one more."""
        return len(self) < MAX_QUEUED_REPORTS and self.octets + octets <= MAX_QUEUED_OCTETS

    def append(self, item: T, octets: int) -> None:
        """Add an item at the end."""
        self._items.append((item, octets))
        self.octets += octets

    def oldest(self) -> T:
        """Return the oldest item."""
        return self._items[0][0]

    def popleft(self) -> T:
        """Take the oldest item."""
        item, octets = self._items.popleft()
        self.octets -= octets
        return item

    def clear(self) -> None:
        """Drop all items."""
        self._items.clear()
        self.octets = 0


class MemoryLane:
    """Reports in memory."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._queue: _Queue[Report] = _Queue()
        self._first = 1

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, report: Report) -> bool:
        """Queue a report; False where there is no room. Raises ValueError for one that cannot be written."""
        octets = octets_of(report)
        if not self._queue.has_room(octets):
            return False
        self._queue.append(report, octets)
        return True

    def batch(self) -> Batch | None:
        """Return the oldest reports."""
        some = tuple(islice(self._queue, MAX_BATCH))
        return Batch(some, self.origin, self._first) if some else None

    def drop(self, batch: Batch) -> None:
        """Drop the oldest reports."""
        for _ in batch.reports:
            self._queue.popleft()
        self._first += len(batch.reports)


class _Known(NamedTuple):
    """A report of a journal that is in memory, too."""

    number: int
    report: Report
    line: bytes


class JournalLane:
    """Reports in a journal; what it cannot take, because the disk is full, waits in memory for room.

    As long as all that the journal holds is also known in memory, nothing is read from it.
    """

    def __init__(self, origin: Origin, journal: Journal, cipher: Cipher) -> None:
        self.origin = origin
        self._journal = journal
        self._cipher = cipher
        self._number = 0
        self._dropped = 0
        self._knows_all = journal.is_empty
        self._recent: _Queue[_Known] = _Queue()
        self._held: _Queue[_Known] = _Queue()
        self._shown: list[bytes] = []
        self.unreadable = 0
        """Lines that could not be read: of another version, or damaged."""

    def __len__(self) -> int:
        return max(self._number - self._dropped, 0 if self._journal.is_empty else 1)

    def put(self, report: Report) -> bool:
        """Append a report; False where neither the disk nor the memory has room. Raises ValueError for one that cannot be written."""
        line = to_line(self._number + 1, report, self._cipher)
        if not self._held.has_room(len(line)):
            return False
        self._number += 1
        self._held.append(_Known(self._number, report, line), len(line))
        self._settle()
        return True

    def batch(self) -> Batch | None:
        """Return the oldest reports whose numbers follow each other."""
        self._settle()
        while not self._knows_all and (lines := self._journal.peek(MAX_BATCH)):
            self._shown = []
            numbered = self._read(lines)
            if numbered:
                return Batch(tuple(report for _, report in numbered), self.origin, numbered[0][0])
            self._drop_shown()
        known = list(islice(chain(self._recent, self._held), MAX_BATCH))
        self._shown = [one.line for one in known]
        return Batch(tuple(one.report for one in known), self.origin, known[0].number) if known else None

    def drop(self, batch: Batch) -> None:
        """Drop the lines that the last batch came from."""
        self._dropped = batch.first + len(batch.reports) - 1
        self._drop_shown()

    def sync(self) -> None:
        """Bring the journal to the disk. Raises OSError."""
        self._journal.sync()

    def close(self) -> bool:
        """Close the journal and return whether nothing is left in it; then it is deleted."""
        is_empty = self.batch() is None
        if is_empty:
            self._journal.remove()
        else:
            self._journal.close()
        return is_empty

    def _settle(self) -> None:
        """Move what waits in memory to the journal, as far as it has room."""
        while self._held:
            try:
                self._journal.append(self._held.oldest().line)
            except (OSError, JournalFullError) as error:
                if len(self._held) == 1:
                    log.warning("journal_full", error=str(error))
                return
            moved = self._held.popleft()
            if self._knows_all:
                self._recent.append(moved, len(moved.line))
                if self._recent.exceeds(MAX_RECENT, MAX_RECENT_OCTETS):
                    self._recent.clear()
                    self._knows_all = False

    def _drop_shown(self) -> None:
        for line in self._shown:
            # A line that was shown from memory may have found room in the journal meanwhile.
            if self._journal.is_empty:
                self._held.popleft()
                continue
            self._journal.drop(len(line))
            if self._recent:
                self._recent.popleft()
        self._shown = []
        self._knows_all = self._knows_all or self._journal.is_empty

    def _read(self, lines: Sequence[bytes]) -> list[tuple[int, Report]]:
        """Read lines up to a gap between their numbers."""
        numbered: list[tuple[int, Report]] = []
        for line in lines:
            report = self._read_one(line)
            if report is not None and numbered and report[0] != numbered[-1][0] + 1:
                break
            self._shown.append(line)
            if report is not None:
                numbered.append(report)
        return numbered

    def _read_one(self, line: bytes) -> tuple[int, Report] | None:
        try:
            return from_line(line, self._cipher)
        except ValueError as error:
            self.unreadable += 1
            log.error("record_unreadable", error=str(error), octets=len(line))
            return None
