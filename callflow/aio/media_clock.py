"""One clock for the audio of all calls: each has its turn every 20 ms.

Theory of operation. A wake-up of the event loop costs more than what a packet does, so there is none for each packet. Calls are spread
over ten phases of 2 ms. One timer wakes the loop for a phase in which there are calls, and each of them reads what came for it and sends
what is due. The times are absolute: a turn that comes late moves none of those behind it, and one that was missed altogether is made up
for once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from callflow.audio.sender import FRAME_SECONDS

PHASES = 10
PHASE_SECONDS = FRAME_SECONDS / PHASES

Turn = Callable[[float], None]
"""Takes the time, which is never before that of the turn."""

log = structlog.get_logger(__name__)


class MediaClock:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._began = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._phases: list[dict[Turn, None]] = [{} for _ in range(PHASES)]
        self._tick = 0
        """The next one, counted from the beginning; it belongs to the phase `_tick % PHASES`."""

    def join(self, turn: Turn) -> float:
        """Give a call its turns from now on, and return when the first one begins, in monotonic seconds."""
        if not any(self._phases):
            self._began, self._tick = time.monotonic(), 1
        # What is due already stays due: the others have their turns at once.
        ahead = max(self._tick, self._tick_at(time.monotonic()) + 1)
        phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        self._phases[phase][turn] = None
        self._arm()
        return self._time_of(ahead + (phase - ahead) % PHASES)

    def leave(self, turn: Turn) -> None:
        """Give a call no more turns; one that has none is ignored."""
        for phase in self._phases:
            phase.pop(turn, None)
        self._arm()

    def _arm(self) -> None:
        """Set the timer to the next tick that has calls."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        upcoming = (tick for tick in range(self._tick, self._tick + PHASES) if self._phases[tick % PHASES])
        tick = next(upcoming, None)
        if tick is not None:
            delay = max(0.0, self._time_of(tick) - time.monotonic())
            self._handle = asyncio.get_running_loop().call_later(delay, self._fire, tick)

    def _fire(self, due: int) -> None:
        """Give all their turns whose ticks have come; the loop may fire a little early."""
        self._handle = None
        current = max(due, self._tick_at(time.monotonic()))
        first, self._tick = max(self._tick, current - PHASES + 1), current + 1
        for tick in range(first, current + 1):
            for turn in tuple(self._phases[tick % PHASES]):
                _take(turn, max(self._time_of(tick), time.monotonic()))
        self._arm()

    def _tick_at(self, now: float) -> int:
        return int((now - self._began) / PHASE_SECONDS)

    def _time_of(self, tick: int) -> float:
        return self._began + tick * PHASE_SECONDS


def _take(turn: Turn, now: float) -> None:
    """Give a call its turn; what goes wrong in it costs the others nothing."""
    try:
        turn(now)
    except Exception:  # whatever it is, the other calls have their turns, and it has its next one
        log.exception("turn_failed")
