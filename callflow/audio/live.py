"""Audio that somebody speaks into a leg while it goes on: what has come and was not sent yet."""

from __future__ import annotations

from collections import deque

from callflow.audio.frames import FRAME_OCTETS, SAMPLE_RATE
from mediarelay.rtp.g711 import ULAW_SILENCE

MAX_OCTETS = 600 * SAMPLE_RATE
"""Ten minutes: speakers may be ahead of the time, as their engines are faster."""
MAX_MARKS = 1_000


class LiveAudio:
    """A queue of µ-law, read frame by frame. A mark is reached when all audio before it has been read."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        """The marks that were reached since somebody took them."""
        self._audio = bytearray()
        self._marks: deque[tuple[int, str]] = deque()
        """Each mark, and how many octets of all that were ever written stand before it."""
        self._read = 0
        self._waited = False

    def __len__(self) -> int:
        return len(self._audio)

    def write(self, ulaw: bytes) -> bool:
        """Append audio, or return False where there is no room for it."""
        if len(self._audio) + len(ulaw) > MAX_OCTETS:
            return False
        self._audio += ulaw
        return True

    def mark(self, name: str) -> bool:
        """Append a mark, or return False where there are too many."""
        if len(self._marks) + len(self.reached) >= MAX_MARKS:
            return False
        self._marks.append((self._read + len(self._audio), name))
        self._reach()
        return True

    def clear(self) -> None:
        """Drop the audio that was not read; its marks are reached."""
        self._read += len(self._audio)
        self._audio.clear()
        self._reach()

    def take(self) -> bytes | None:
        """Return the next frame, or None for silence. A part of one waits for a frame's time, as the rest may be on its way."""
        size = len(self._audio)
        if not size or (size < FRAME_OCTETS and not self._waited):
            self._waited = bool(size)
            return None
        frame = bytes(self._audio[:FRAME_OCTETS])
        del self._audio[:FRAME_OCTETS]
        self._read += len(frame)
        self._waited = False
        self._reach()
        return frame.ljust(FRAME_OCTETS, bytes((ULAW_SILENCE,)))

    def _reach(self) -> None:
        while self._marks and self._marks[0][0] <= self._read:
            self.reached.append(self._marks.popleft()[1])
