"""Have speech recognised, where the extra `asr` is installed.

pocketsphinx hears English. No part of it runs in our process or in our event loop: each listening has a process of its own at a low
priority (`worker.py`), as many as there are processors. One more is kept warm: it has started and loaded what all listenings need.

Accounts share the places: each may have all that are free. Where none is, the account that has the most gives one up to whoever has at
least two fewer, the one that it has had for longest. So the places become equal, and none is taken back again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar

from callflow.aio.recognition.listening import Listening, OnEvent
from callflow.aio.recognition.process import Process
from callflow.engine.listening import knows, unknown_language

MAX_LISTENING = max(1, os.cpu_count() or 1)
"""Listenings at once on a node: one keeps most of a processor busy while somebody speaks."""
_LIBRARY, _PROGRAM = "pocketsphinx", "callflow.aio.recognition.worker"


class RecognitionUnavailable(Exception):
    """Speech that is not recognised; the text says why in one sentence."""

    reason: ClassVar[str]
    """The word for it in metrics."""


class NoRecogniser(RecognitionUnavailable):
    """Nothing that recognises speech is installed, or wanted."""

    reason: ClassVar[str] = "none"


class RecognitionFailed(RecognitionUnavailable):
    """What recognises speech died, hangs or makes no sense."""

    reason: ClassVar[str] = "failed"


class RecogniserBusy(RecognitionUnavailable):
    """There are as many listenings as there may be."""

    reason: ClassVar[str] = "busy"


class PlaceTaken(RecognitionUnavailable):
    """Another account needed the place."""

    reason: ClassVar[str] = "taken"


class UnknownLanguage(RecognitionUnavailable):
    """Nobody here understands the language."""

    reason: ClassVar[str] = "language"


def find_recogniser(most: int = MAX_LISTENING) -> Recogniser | None:
    """Return the recogniser, None where the extra is not installed."""
    return None if find_spec(_LIBRARY) is None else Recogniser((sys.executable, "-m", _PROGRAM, str(os.getpid())), most)


class Recogniser:
    """All listenings of this process; `command` starts the one of each."""

    language = "en-US"
    """What its model was made of."""

    def __init__(self, command: Sequence[str], most: int = MAX_LISTENING) -> None:
        self._command = tuple(command)
        self._keeps_warm = False
        self._listenings: set[Listening] = set()
        self._most = most
        self._places: dict[Listening, str] = {}
        """The account of each that counts, the oldest first: those that were given up are only still ending."""
        self._warm: asyncio.Task[Process] | None = None

    def __len__(self) -> int:
        """Return how many processes listen."""
        return len(self._listenings)

    def listen(self, account_id: str, language: str, phrases: Sequence[str], on_event: OnEvent) -> Listening:
        """Begin to listen for phrases, or without any for whatever is said; raises RecogniserBusy, UnknownLanguage."""
        if not self.knows(language):
            raise UnknownLanguage(unknown_language(language))
        if len(self._places) >= self._most:
            self._make_room(account_id)
        listening = Listening(self._take_warm(), phrases, on_event, self._forget)
        self._listenings.add(listening)
        self._places[listening] = account_id
        self._warm_up()
        return listening

    def knows(self, language: str) -> bool:
        """Return whether it understands a language, or one of its dialects."""
        return knows(language)

    def keep_warm(self) -> None:
        """Have a process ready for the next listening, from now on."""
        self._keeps_warm = True
        self._warm_up()

    async def close(self) -> None:
        """End all processes."""
        self._keeps_warm = False
        listenings = list(self._listenings)
        for listening in listenings:
            listening.close()
        for listening in listenings:
            await listening.closed()
        warm, self._warm = self._warm, None
        if warm is not None:
            await asyncio.wait([warm])
            if warm.exception() is None:
                await warm.result().end()

    def check_room(self, account_id: str, places: int) -> None:
        """Raise RecogniserBusy unless an account can have so many places now: who needs all of them takes none from others in vain."""
        held = Counter(self._places.values())
        for _ in range(places):
            if held.total() >= self._most:
                held[_richest(held, account_id)] -= 1
            held[account_id] += 1

    def _make_room(self, account_id: str) -> None:
        """Take a place from the account that has the most; raises RecogniserBusy."""
        richest = _richest(Counter(self._places.values()), account_id)
        oldest = next(listening for listening, account in self._places.items() if account == richest)
        del self._places[oldest]
        oldest.give_up("Another account needed the recogniser, of whose places this one had the most.")

    def _start(self) -> asyncio.Task[Process]:
        return asyncio.get_running_loop().create_task(Process.start(self._command))

    def _forget(self, listening: Listening) -> None:
        self._listenings.discard(listening)
        self._places.pop(listening, None)
        self._warm_up()

    def _warm_up(self) -> None:
        if self._keeps_warm and self._warm is None and len(self._places) < self._most:
            self._warm = self._start()

    def _take_warm(self) -> asyncio.Task[Process]:
        warm, self._warm = self._warm, None
        usable = warm is not None and (not warm.done() or (warm.exception() is None and warm.result().runs))
        return warm if warm is not None and usable else self._start()


def _richest(held: Counter[str], account_id: str) -> str:
    """Return the account that has the most places; raises RecogniserBusy where a place of its own would make nobody more equal."""
    richest = max(held, key=lambda account: held[account])
    if held[richest] < held[account_id] + 2:
        raise RecogniserBusy("The recogniser is busy with other callers.")
    return richest
