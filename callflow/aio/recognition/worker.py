"""Recognise speech: the program of a process of its own, `python -m callflow.aio.recognition.worker PARENT`.

From its input it reads messages, each behind its length in four octets: first the phrases to listen for (`{"phrases": […]}`, none for
whatever is said), then audio, 16-bit samples at 8 kHz. To its output it writes events, one JSON object a line (`events.py`). It ends
with its input, or with its parent.
"""

from __future__ import annotations

import audioop
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pocketsphinx import Endpointer

from callflow.aio.recognition.events import LENGTH_OCTETS, MAX_TEXT
from callflow.aio.recognition.search import WIDE_RATE, WIDTH, Search, search_for
from daemonkit.orphans import end_with_parent

NICE = 10
"""The pace of packets goes first."""
MAX_UTTERANCE_SECONDS = 60.0
"""What is said without a pause is recognised in pieces of this length, so that no more of it has to be held."""
_RATE = 8_000

Tell = Callable[[dict[str, object]], None]


class Ear:
    """Finds utterances in audio, and tells what is said in each."""

    def __init__(self, search: Search, tell: Tell) -> None:
        self._endpointer = Endpointer(sample_rate=_RATE)
        self._pending = bytearray()
        self._resampling: Any = None
        self._search = search
        self._speaking = False
        self._start, self._seconds = 0.0, 0.0
        self._tell = tell

    def hear(self, samples: bytes) -> None:
        """Take audio."""
        self._pending += samples
        size = self._endpointer.frame_bytes
        while len(self._pending) >= size:
            frame = bytes(self._pending[:size])
            del self._pending[:size]
            self._take(self._endpointer.process(frame))

    def finish(self) -> None:
        """Tell what was said last."""
        if self._endpointer.in_speech:
            self._take(self._endpointer.end_stream(bytes(self._pending) or bytes(WIDTH)))
        if self._speaking:
            self._end()

    def _take(self, speech: bytes | None) -> None:
        if not speech:
            return
        if not self._speaking:
            self._begin(self._endpointer.speech_start)
        wide, self._resampling = audioop.ratecv(speech, WIDTH, 1, _RATE, WIDE_RATE, self._resampling)
        self._search.hear(wide)
        self._seconds += len(speech) / WIDTH / _RATE
        if not self._endpointer.in_speech:
            self._end()
        elif self._seconds >= MAX_UTTERANCE_SECONDS:
            self._end()
            self._begin(self._start + self._seconds)

    def _begin(self, start: float) -> None:
        self._speaking, self._start, self._seconds = True, start, 0.0
        self._resampling = None
        self._tell({"event": "began"})
        self._search.begin()

    def _end(self) -> None:
        self._speaking = False
        text, confidence = self._search.end()
        times = {"start": self._start, "end": self._start + self._seconds}
        self._tell({"event": "words", "text": text[:MAX_TEXT], "confidence": confidence, **times} if text else {"event": "ended"})


def messages(source: BinaryIO) -> Iterator[bytes]:
    """Yield what is behind each length."""
    while len(length := source.read(LENGTH_OCTETS)) == LENGTH_OCTETS:
        yield source.read(int.from_bytes(length, "big"))


def recognise(source: BinaryIO, tell: Tell) -> None:
    """Recognise all audio of one listening."""
    incoming = messages(source)
    search, lacking = search_for(json.loads(next(incoming, b"{}")).get("phrases", ()))
    if lacking:
        tell({"event": "lacking", "words": " ".join(lacking)[:MAX_TEXT]})
    ear = Ear(search, tell)
    for samples in incoming:
        ear.hear(samples)
    ear.finish()
    tell({"event": "over"})


def _say(event: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(event)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_with_parent(signal.SIGKILL, int(sys.argv[1]))
    os.nice(NICE)
    recognise(sys.stdin.buffer, _say)
