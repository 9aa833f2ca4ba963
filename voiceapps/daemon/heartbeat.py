"""The beats that keep a daemon's node row fresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from daemonkit.rounds import Rounds
from voiceapps.rules.reports import NodeBeat

BEAT_SECONDS = 2.0
# Until the first beat `describe` is asked more often.
FIRST_BEAT_SECONDS = 0.1


class Writer(Protocol):
    """Takes the beats: a ReportWriter."""

    def put(self, record: NodeBeat, /) -> None:
        """Queue a record."""


class Heartbeat:
    """Writes a daemon's state every other second; `describe` returns None while nobody should know of the process yet."""

    def __init__(self, writer: Writer, describe: Callable[[], NodeBeat | None]) -> None:
        self._writer = writer
        self._describe = describe
        self._last: NodeBeat | None = None
        self._rounds = Rounds("heartbeat", self.beat, lambda: BEAT_SECONDS if self._last else FIRST_BEAT_SECONDS)

    def start(self) -> None:
        """Start beating."""
        self._rounds.start()

    def beat(self) -> None:
        """Beat now: something changed."""
        beat = self._describe()
        if beat is not None:
            self._writer.put(beat)
            self._last = beat

    def stop(self) -> None:
        """Stop beating and write the state `down`; the writer must still be open."""
        self._rounds.stop()
        if self._last is not None:
            now = self._describe() or self._last
            self._writer.put(replace(now, state="down"))
