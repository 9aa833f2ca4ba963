"""A call that our own phone places to an application, to hear what a caller hears."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

from callflow.aio.phone import RATE, CallFailed, Phone, PhoneCall
from callflow.sip.outgoing import Destination
from voiceapps.rules.trials.placed_call import MAX_LINES, Dialling, Outcome, SipLine

RING_SECONDS = 30.0
SIGN_SECONDS = 4.0
"""Within these a proxy that lives has said something: after them the next one is tried (RFC 3263 section 4.3)."""
SILENCE_SECONDS = 1.0
"""How long the application says nothing before digits are pressed."""


async def place_call(destination: Destination, dialling: Dialling, local_host: str) -> Outcome | None:
    """Place a call and return what came of it; None if the proxy gave no sign of life. Raises AddressUnavailable."""
    trial = _Trial(destination, dialling, local_host)
    await trial.phone.open()
    try:
        return await trial.run()
    finally:
        await trial.phone.close()


class _Trial:
    def __init__(self, destination: Destination, dialling: Dialling, local_host: str) -> None:
        self.phone = Phone(proxy=destination.proxy, local_host=local_host, on_message=self._on_message)
        self._destination = destination
        self._dialling = dialling
        self._lines: list[SipLine] = []
        self._sign = asyncio.Event()

    async def run(self) -> Outcome | None:
        """Dial, talk and tell."""
        began_at = time.monotonic()
        dialled = asyncio.create_task(self.phone.dial(self._destination, RING_SECONDS))
        try:
            if not await self._is_alive(dialled):
                return None
            call = await dialled
        except CallFailed as error:
            return self._outcome(status=error.status, reason=error.reason)
        finally:
            dialled.cancel()
        await self._talk(call)
        return self._told(call, began_at)

    async def _is_alive(self, dialled: asyncio.Task[PhoneCall]) -> bool:
        """Return whether the proxy says something soon."""
        sign = asyncio.create_task(self._sign.wait())
        await asyncio.wait((sign, dialled), timeout=SIGN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        sign.cancel()
        return self._sign.is_set() or dialled.done()

    async def _talk(self, call: PhoneCall) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._dialling.seconds):
                for group in self._dialling.digits:
                    await call.wait_silence(SILENCE_SECONDS, self._dialling.seconds)
                    await call.send_digits(group)
                await call.wait_ended(self._dialling.seconds)
        await call.hang_up()

    def _told(self, call: PhoneCall, began_at: float) -> Outcome:
        heard, session = bytes(call.heard), call.session
        sounds = call.heard_seconds
        return replace(
            self._outcome(status=call.status, reason="OK"),
            answered_after=call.answered_at - began_at,
            lasted=call.ended_at - call.answered_at,
            ended_by=call.ended_by,
            first_sound=len(heard) / RATE - sounds if sounds else None,
            packets=session.packets_received if session else 0,
            lost=session.lost if session else 0,
            heard=heard,
        )

    def _outcome(self, status: int, reason: str) -> Outcome:
        proxy, source = ("{}:{}".format(*address) for address in (self._destination.proxy, self.phone.local))
        return Outcome(proxy, source, status, reason, lines=tuple(self._lines))

    def _on_message(self, at: float, direction: str, line: str) -> None:
        if direction == "in":
            self._sign.set()
        if len(self._lines) < MAX_LINES:
            self._lines.append(SipLine(at, direction, line))
