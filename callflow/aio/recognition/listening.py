"""One listening: audio goes to a process of its own, and what it understands comes back.

Theory of operation. A process serves one listening and ends with it: none inherits the faults of another one, and one that dies or
hangs costs no more than that. Two things go on at once: `_feed` hands it the audio as fast as it takes it, `_read` takes what it says.
Whatever happens, `Over` comes once, and last; only `close` ends all of it in silence.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from callflow.aio.recognition.events import Event, Over, parse_event
from callflow.aio.recognition.process import Process
from mediarelay.rtp.g711 import ulaw_to_pcm16

RATE = 8_000
MAX_WAITING_SECONDS = 10
"""Audio that waits for a slow process; what is older is dropped."""
PART_SECONDS = 0.1
"""Frames go to the process so many seconds at a time."""
FINISH_SECONDS = 20.0
"""How long the process may take for the rest when no more audio comes."""
MAX_EVENTS_A_SECOND = 10
"""Of audio: nobody begins and ends to speak that often."""
_FIRST_EVENTS = 20
_MAX_WAITING = MAX_WAITING_SECONDS * RATE
_PART = int(PART_SECONDS * RATE)
_SHOWN = 100

OnEvent = Callable[[Event], None]

log = structlog.get_logger(__name__)


class Listening:
    """One listening: `starting` becomes its process, `on_end` runs when that is gone."""

    def __init__(
        self, starting: asyncio.Task[Process], phrases: Sequence[str], on_event: OnEvent, on_end: Callable[[Listening], None]
    ) -> None:
        self.dropped = 0
        """Octets of audio that were dropped."""
        self._closed = False
        # What is done for another call is logged under this one's id all the same.
        self._context = contextvars.copy_context()
        self._finished = False
        self._heard = 0
        self._news, self._taken = asyncio.Event(), asyncio.Event()
        self._on_end = on_end
        self._on_event = on_event
        self._patience: asyncio.Timeout | None = None
        self._phrases = tuple(phrases)
        self._starting = starting
        self._waiting = bytearray()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def hear(self, ulaw: bytes) -> None:
        """Take audio, µ-law at 8 kHz, but none after `finish`; never blocks, never raises."""
        if self._finished:
            return
        self._waiting += ulaw
        excess = len(self._waiting) - _MAX_WAITING
        if excess > 0:
            self.dropped += excess
            del self._waiting[:excess]
        if len(self._waiting) >= _PART:
            self._news.set()

    def finish(self) -> None:
        """Have what is left recognised; no more audio comes."""
        self._finished = True
        self._news.set()
        self._hurry()

    def close(self) -> None:
        """End it; nothing more is told."""
        self._closed = True
        # Not at once: a task that is cancelled before its first step never runs, and so would not end its process.
        asyncio.get_running_loop().call_soon(self._task.cancel)

    def give_up(self, sentence: str) -> None:
        """End it for others, and say so soon, not before this returns."""
        asyncio.get_running_loop().call_soon(self._give_up, sentence, context=self._context)

    async def closed(self) -> None:
        """Wait until its process is gone."""
        await asyncio.wait([self._task])

    async def wait_for_room(self) -> None:
        """Wait until little of the audio waits, or all is over."""
        while len(self._waiting) > _PART and not self._task.done():
            self._taken.clear()
            await self._taken.wait()

    async def _run(self) -> None:
        sentence: str | None = "An unexpected error ended the recogniser."
        try:
            async with asyncio.timeout(None) as self._patience:
                self._hurry()
                # Whoever ends this listening ends the process, and not its start, which would leave it behind.
                sentence = await self._listen(await asyncio.shield(self._starting))
        except TimeoutError:
            sentence = f"The recogniser took longer than {FINISH_SECONDS:g} s."
        except OSError as error:
            sentence = f"The recogniser cannot be started: {error.strerror or error}."
        except Exception:
            log.exception("listening_failed")
        finally:
            self._patience = None
            await self._end()
        self._tell(Over(sentence))

    def _hurry(self) -> None:
        if self._finished and self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + FINISH_SECONDS)

    async def _listen(self, process: Process) -> str | None:
        """Feed a process until it is over, and return what went wrong."""
        feeding = asyncio.get_running_loop().create_task(self._feed(process))
        try:
            return await self._read(process)
        finally:
            feeding.cancel()

    async def _feed(self, process: Process) -> None:
        # Where the process has ended, who reads sees it.
        with suppress(OSError):
            await process.send(json.dumps({"phrases": self._phrases}).encode())
            while not self._finished:
                await self._news.wait()
                self._news.clear()
                while len(self._waiting) >= _PART:
                    await process.send(self._next_part())
            while self._waiting:
                await process.send(self._next_part())
            process.finish()

    def _next_part(self) -> bytes:
        part = bytes(self._waiting[:_PART])
        del self._waiting[: len(part)]
        self._heard += len(part)
        self._taken.set()
        return ulaw_to_pcm16(part)

    async def _read(self, process: Process) -> str | None:
        """Tell what a process says, and return what went wrong."""
        events, line = 0, b""
        try:
            while line := await process.read():
                event = parse_event(line)
                events += 1
                if isinstance(event, Over):
                    return None
                if events > _FIRST_EVENTS + self._heard / RATE * MAX_EVENTS_A_SECOND:
                    return "The recogniser says more than anybody can have said."
                self._tell(event)
        except ValueError:
            return f"The recogniser says what makes no sense: {line[:_SHOWN]!r}."
        return f"The recogniser has ended. {await process.complaint()}".rstrip()

    def _give_up(self, sentence: str) -> None:
        self._tell(Over(sentence, is_taken=True))
        self.close()

    def _tell(self, event: Event) -> None:
        if not self._closed:
            self._on_event(event)

    async def _end(self) -> None:
        """End the process, as soon as it has started."""
        try:
            with suppress(OSError):
                await (await self._starting).end()
        finally:
            self._waiting.clear()
            self._taken.set()
            self._on_end(self)
