"""Callers: some calls a second, each of some seconds, to the first of several proxies that takes it (RFC 3263 section 4.3)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from callflow.aio.phone import CallFailed, Phone, PhoneCall
from daemonkit.address import Address
from tests.support.fleet import Application

NEXT_TARGET_SECONDS = 2.0
"""How long a proxy is waited for while another one may be asked."""
LAST_TARGET_SECONDS = 32.0
NOBODY = 408
CALLS_EACH = 10_000
"""Numbers of calls that a line has for itself."""


@dataclass(slots=True)
class Attempt:
    """One call as its caller saw it; times are epoch seconds."""

    number: int
    begun_at: float
    dead: int = 0
    """Proxies that did not answer."""
    refused: list[int] = field(default_factory=list)
    """Final responses that were no answer."""
    answered_at: float | None = None
    ended_at: float | None = None
    packets_sent: int = 0
    """Of audio: fewer than 50 a second where this process was late, as a telephone makes up for no silence."""
    is_cut: bool = False
    """Whether somebody else ended it."""
    proxy: Address | None = None
    """The one that took it, to which its BYE goes."""
    asked: int = 0
    """How many proxies it has asked: each of them may make a record."""

    @property
    def user(self) -> str:
        """What records name it by."""
        return f"{users_of(self.number)}{self.number % CALLS_EACH:04d}"

    @property
    def from_user(self) -> str:
        """The user part of its From at the proxy that it has asked last."""
        return f"{self.user}-{self.asked}"


def users_of(first: int) -> str:
    """Return what the From users of a line begin with, given the number of its first call."""
    return f"chaos{first // CALLS_EACH:02d}"


@dataclass(frozen=True, slots=True)
class CallPlace:
    """From where calls are placed, and to where."""

    host: str
    """The callers' address."""
    proxies: Sequence[Address]
    """All that a caller may learn of."""
    resolve: Callable[[], list[Address]]
    """Returns those that DNS names at present."""


class Callers:
    """Places calls at a rate until it is told to stop."""

    def __init__(self, application: Application, place: CallPlace, *, rate: float, seconds: tuple[float, float], first: int) -> None:
        self.attempts: list[Attempt] = []
        self._application = application
        self._phones = {proxy: Phone(proxy=proxy, local_host=place.host) for proxy in place.proxies}
        self._resolve = place.resolve
        self._rate, self._seconds, self._first = rate, seconds, first
        self._dice = random.Random(first)  # noqa: S311  # lengths of calls
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Begin calls for some seconds, and wait for the last one's end."""
        for phone in self._phones.values():
            await phone.open()
        began = time.monotonic()
        for number in range(round(seconds * self._rate)):
            await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
            task = asyncio.create_task(self._call(self._first + number))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        while self._calls:
            await asyncio.wait(self._calls)
        # A telephone repeats a BYE for half a minute.
        while not all(phone.is_idle for phone in self._phones.values()):
            await asyncio.sleep(0.1)
        for phone in self._phones.values():
            await phone.close()

    async def _call(self, number: int) -> None:
        attempt = Attempt(number, time.time())
        self.attempts.append(attempt)
        call = await self._answered(attempt)
        if call is None:
            return
        # Not now: this process may be late.
        attempt.answered_at = time.time() - time.monotonic() + call.answered_at
        try:
            await call.wait_ended(self._dice.uniform(*self._seconds))
            attempt.is_cut = True
        except TimeoutError:
            pass
        attempt.ended_at = time.time()
        await call.hang_up()
        attempt.packets_sent = call.session.packets_sent if call.session else 0

    async def _answered(self, attempt: Attempt) -> PhoneCall | None:
        """Ask one proxy after the other."""
        order = self._resolve()
        if not order:
            attempt.dead += 1
        self._dice.shuffle(order)
        for proxy in order:
            is_last = proxy is order[-1]
            attempt.asked += 1
            try:
                call = await self._phones[proxy].call(
                    self._application.sip_uri,
                    username=self._application.application_id,
                    password=self._application.password,
                    from_user=attempt.from_user,
                    timeout=LAST_TARGET_SECONDS if is_last else NEXT_TARGET_SECONDS,
                )
            except CallFailed as failed:
                if failed.status == NOBODY:
                    attempt.dead += 1
                else:
                    attempt.refused.append(failed.status)
            else:
                attempt.proxy = proxy
                return call
        return None
