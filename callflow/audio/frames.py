"""Make a continuous sequence of 20 ms frames from received audio, as long as the time that has passed.

Theory of operation. Two clocks say where a packet belongs: the sender's timestamps and our own time. Timestamps are exact but
may lie: they stand while a gateway suppresses silence, stand altogether, jump when the sender restarts, or belong to packets of
long ago. Our time never lies, but packets arrive early and late. So a gap is what the timestamps say, as long as our time
allows it. Our time decides
- if the timestamps claim more time than has passed, or jump back: the sender has restarted them;
- if a marker begins a talkspurt and the timestamps claim less: they stood while the sender was silent;
- if the audio has been behind for so long that no delayed packets can be on their way any more.

A packet that overlaps the one before is appended: the receiver has removed duplicates, so its timestamp is wrong. The audio
may get ahead of the time by `MAX_AHEAD_SAMPLES`, which two mixed streams or a flood would exceed; beyond that it is dropped. The
next gap is then shorter by as much.

What a caller does not send becomes silence: `fill` adds it as time passes, `HELD_SAMPLES` late because packets may still come;
`flush` adds all of it, when a recording begins or ends.
"""

from __future__ import annotations

from mediarelay.rtp.g711 import ULAW_SILENCE

FRAME_OCTETS = 160
SAMPLE_RATE = 8000
SILENCE_FRAME = bytes((ULAW_SILENCE,)) * FRAME_OCTETS
SLACK_SAMPLES = 4000
"""How far the two clocks may differ before one of them is wrong: half a second of jitter."""
MARKER_SLACK_SAMPLES = 1600
"""The same at the beginning of a talkspurt, which says itself that there was silence."""
HELD_SAMPLES = 3 * SAMPLE_RATE
"""Silence that is not added yet, because the packets of a stalled network may still come."""
LATE_SECONDS = 0.3
"""How long the audio may be behind while packets come: a stalled network delivers what it held at once."""
MAX_AHEAD_SAMPLES = 2 * SAMPLE_RATE
MAX_FILL_SAMPLES = 60 * SAMPLE_RATE
"""The longest silence that one step adds: nobody called `fill` for longer, because the process stood still."""


class FrameAssembler:
    """Turns timestamped audio into whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._made = 0
        """Samples so far, those in the buffer included."""
        self._next: int | None = None
        self._ssrc: int | None = None
        self._started_at: float | None = None
        self._behind_since: float | None = None
        self._filled = 0
        """Silence since the last packet, in the place of audio that may still come."""

    def start(self, now: float) -> None:
        """Count the time from now on."""
        if self._started_at is None:
            self._started_at = now

    def push(self, ssrc: int, timestamp: int, ulaw: bytes, now: float, *, marker: bool = False) -> list[bytes]:
        """Add a packet's audio and return the frames that are complete."""
        self.start(now)
        # Whole frames: then a frame of a sender of 20 ms packets is a packet.
        behind = self._behind(now)
        due = _whole(behind - len(ulaw))
        missing = max(0, self._missing(ssrc, timestamp, due, marker=marker))
        self._ssrc, self._next, self._filled = ssrc, (timestamp + len(ulaw)) & 0xFFFF_FFFF, 0
        if missing - due > MAX_AHEAD_SAMPLES:
            return []
        is_frame = not missing and not self._buffer and len(ulaw) == FRAME_OCTETS
        if is_frame and behind - FRAME_OCTETS <= SLACK_SAMPLES:
            self._made += FRAME_OCTETS
            self._behind_since = None
            return [ulaw]
        self._append(missing, ulaw)
        self._watch_lag(now)
        return self._take_frames()

    def fill(self, now: float) -> list[bytes]:
        """Return the silence that is certain by now."""
        return self._fill(self._behind(now) - HELD_SAMPLES)

    def flush(self, now: float) -> list[bytes]:
        """Return all silence up to now."""
        return self._fill(self._behind(now))

    def _missing(self, ssrc: int, timestamp: int, due: int, *, marker: bool) -> int:
        """Return the samples of silence before a packet; `due` is how many the time asks for."""
        if self._next is None or ssrc != self._ssrc:
            return due
        step = (timestamp - self._next + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        if step < -SLACK_SAMPLES - self._filled or step > due + SLACK_SAMPLES:
            return due
        return due if marker and due - max(0, step) > MARKER_SLACK_SAMPLES else max(0, step)

    def _watch_lag(self, now: float) -> None:
        """Add the silence that the sender's clock has left out, once the lag is no delay of the network."""
        if self._behind(now) <= SLACK_SAMPLES:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since >= LATE_SECONDS:
            self._append(_whole(self._behind(now)), b"")
            self._behind_since = None

    def _behind(self, now: float) -> int:
        """Return by how many samples the audio is behind the time; negative if it is ahead."""
        return 0 if self._started_at is None else round((now - self._started_at) * SAMPLE_RATE) - self._made

    def _fill(self, missing: int) -> list[bytes]:
        if missing < FRAME_OCTETS:
            return []
        missing = _whole(missing)
        self._append(missing, b"")
        self._filled += missing
        if self._next is not None:
            self._next = (self._next + missing) & 0xFFFF_FFFF
        return self._take_frames()

    def _append(self, silence: int, ulaw: bytes) -> None:
        self._buffer += bytes((ULAW_SILENCE,)) * min(silence, MAX_FILL_SAMPLES) + ulaw
        self._made += silence + len(ulaw)

    def _take_frames(self) -> list[bytes]:
        whole = len(self._buffer) // FRAME_OCTETS * FRAME_OCTETS
        frames = [bytes(self._buffer[at : at + FRAME_OCTETS]) for at in range(0, whole, FRAME_OCTETS)]
        del self._buffer[:whole]
        return frames


def _whole(samples: int) -> int:
    return samples - samples % FRAME_OCTETS
