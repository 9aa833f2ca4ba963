"""Make a continuous sequence of 20 ms frames from received audio.

The timestamps say where each packet belongs. A gap becomes silence, so that a recording is as long as the call; an overlap
is cut. A gap cannot be longer than the time that has passed: if a timestamp claims more, or jumps back, the sender has
restarted its timestamps, and the time since the last packet is filled instead.
"""

from __future__ import annotations

from mediarelay.rtp.g711 import ULAW_SILENCE

FRAME_OCTETS = 160
SAMPLE_RATE = 8000
SLACK_SAMPLES = 4000
"""How far a timestamp may be ahead of the clock: half a second of jitter."""
MAX_FILL_SAMPLES = 60 * SAMPLE_RATE
"""The longest gap that is filled, so that one packet cannot make an hour of audio."""


class FrameAssembler:
    """Turns timestamped audio into whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._next: int | None = None
        self._ssrc: int | None = None
        self._last_at = 0.0

    def push(self, ssrc: int, timestamp: int, ulaw: bytes, now: float) -> list[bytes]:
        """Add a packet's audio and return the frames that are complete."""
        if self._next is None:
            missing = 0
        elif ssrc != self._ssrc:
            missing = max(0, self._passed(now) - len(ulaw))
        else:
            missing = self._missing(timestamp, len(ulaw), now)
        if missing <= -len(ulaw):
            return []
        if missing < 0:
            ulaw = ulaw[-missing:]
            timestamp -= missing
            missing = 0
        self._buffer += bytes((ULAW_SILENCE,)) * min(missing, MAX_FILL_SAMPLES) + ulaw
        self._ssrc, self._next, self._last_at = ssrc, (timestamp + len(ulaw)) & 0xFFFF_FFFF, now
        return self._take_frames()

    def _missing(self, timestamp: int, size: int, now: float) -> int:
        """Return the samples between the last packet and this one; negative if they overlap."""
        step = (timestamp - (self._next or 0) + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        if -SLACK_SAMPLES <= step <= self._passed(now) + SLACK_SAMPLES:
            return step
        return max(0, self._passed(now) - size)

    def _passed(self, now: float) -> int:
        return int((now - self._last_at) * SAMPLE_RATE)

    def _take_frames(self) -> list[bytes]:
        whole = len(self._buffer) // FRAME_OCTETS * FRAME_OCTETS
        frames = [bytes(self._buffer[at : at + FRAME_OCTETS]) for at in range(0, whole, FRAME_OCTETS)]
        del self._buffer[:whole]
        return frames
