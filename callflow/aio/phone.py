"""A telephone of our own: it places calls through a proxy, receives and plays audio, and sends digits.

    phone = Phone(proxy=("127.0.0.1", 6160))
    await phone.open()
    call = await phone.call("sip:…@…", username=…, password=…)     # CallFailed
    await call.wait_heard(2.0, timeout=10)
    await call.send_digits("1#")
    await call.hang_up()
    await phone.close()

One phone may hold many calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from callflow.aio.media import MediaEndpoint, agreement_of, new_session
from callflow.aio.media_clock import MediaClock
from callflow.aio.sip_endpoint import SipEndpoint
from callflow.audio.events import AudioEvent, PlaybackFinished
from callflow.audio.session import AudioSession
from callflow.audio.silence import is_loud
from callflow.sip.events import (
    AgentEvent,
    CallClosed,
    CallEstablished,
    MediaChanged,
    OutgoingCallFailed,
    PeerHungUp,
    PeerLost,
    SipEvent,
    StrangerRefused,
)
from callflow.sip.outgoing import Credentials, Destination
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address
from sipproxy.sip import PeerError, SipUri

RATE = 8_000
HANG_UP_SECONDS = 5.0
"""How long we wait for the answer to our BYE."""
TAIL_SECONDS = 0.06
"""How long we receive after the far end's BYE, which may overtake the last packets of audio."""
OnMessage = Callable[[float, str, str], None]
"""Takes the seconds since the phone was opened, "in" or "out", and the first line of a message."""


class CallFailed(Exception):
    """A call that was not answered; `status` is the final response, 408 if none came."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"The call was not answered: {status} {reason}.")
        self.status = status
        self.reason = reason


class Phone:
    """A socket for SIP, and the calls on it."""

    def __init__(self, *, proxy: Address, local_host: str = "127.0.0.1", on_message: OnMessage | None = None) -> None:
        self._calls: dict[int, PhoneCall] = {}
        self._host = local_host
        self._on_message = on_message
        self._opened_at = 0.0
        self._proxy = proxy
        self._clock = MediaClock()
        self._sip_endpoint = SipEndpoint((local_host, 0), self._on_event, self._trace)

    @property
    def local(self) -> Address:
        """The address of the phone's SIP socket."""
        return self._sip_endpoint.local

    @property
    def is_idle(self) -> bool:
        """True if no call is left, nor the end of one that is not answered yet."""
        return not self._calls

    async def open(self) -> None:
        """Bind a socket; raises AddressUnavailable."""
        self._opened_at = time.monotonic()
        self._sip_endpoint.open()

    async def close(self) -> None:
        """Hang up every call and close the socket."""
        for call in list(self._calls.values()):
            await call.hang_up()
        self._sip_endpoint.close()

    async def call(
        self,
        uri: str,
        *,
        username: str,
        password: str,
        from_user: str = "phone",
        realm: str | None = None,
        timeout: float = 30,
    ) -> PhoneCall:
        """Place a call and return it answered; raises CallFailed.

        A challenge is answered only for `realm`, which is the URI's host unless given; an empty user name answers none.
        """
        credentials = Credentials.of_password(username, password, realm or _host_of(uri)) if username else None
        return await self.dial(Destination(uri, self._proxy, from_user, credentials), timeout)

    async def dial(self, destination: Destination, timeout: float) -> PhoneCall:
        """Place a call as a destination describes it, and return it answered; raises CallFailed."""
        media = MediaEndpoint(self._host, self._clock)
        address = media.open()
        number = self._sip_endpoint.agent.place(destination, address, time.monotonic())
        call = self._calls[number] = PhoneCall(media, address, lambda: self._hang_up(number))
        self._sip_endpoint.pump()
        await call.answered(timeout)
        return call

    def _hang_up(self, number: int) -> None:
        self._sip_endpoint.agent.hang_up(number, time.monotonic())
        self._sip_endpoint.pump()

    def _trace(self, direction: str, data: bytes) -> None:
        if self._on_message:
            line = data.partition(b"\r\n")[0].decode("utf-8", "replace")
            self._on_message(time.monotonic() - self._opened_at, direction, line)

    def _on_event(self, event: AgentEvent) -> None:
        if isinstance(event, StrangerRefused):
            return
        call = self._calls.get(event.call)
        if call:
            call.on_sip_event(event)
        if isinstance(event, CallClosed):
            self._calls.pop(event.call, None)


class PhoneCall:
    """One call of a phone; made by `Phone.call`."""

    def __init__(self, media: MediaEndpoint, local: Address, hang_up: Callable[[], None]) -> None:
        self.answered_at = 0.0
        """When the answer came, by the monotonic clock."""
        self.ended_at = 0.0
        """When the call ended, by the same clock; 0 until then."""
        self.ended_by = ""
        """Who ended it, `remote` or `local`; empty until then."""
        self.heard = bytearray()
        """All audio received, in order: µ-law at 8 kHz, gaps filled with silence."""
        self.local = local
        self.remote: RemoteMedia | None = None
        """What the far end agreed to, None until it has answered."""
        self.session: AudioSession | None = None
        """The audio stream and its figures: packets_sent, packets_received, lost, jitter_ms."""
        self.status = 0
        self._closed = asyncio.Event()
        self._done: set[int] = set()
        self._hang_up = hang_up
        self._sound_at = 0.0
        """When the last sound came, that is more than silence."""
        self._sound_from: int | None = None
        """Where in `heard` the first sound is."""
        self._media = media
        self._news = asyncio.Event()
        self._refusal: CallFailed | None = None

    @property
    def ended(self) -> bool:
        """True if the call is over."""
        return bool(self.ended_by)

    @property
    def heard_seconds(self) -> float:
        """How much has been received since the first sound."""
        return 0.0 if self._sound_from is None else (len(self.heard) - self._sound_from) / RATE

    # For the user.

    async def hang_up(self) -> None:
        """Hang up. If the call was answered, wait for the answer to our BYE, at most `HANG_UP_SECONDS`."""
        if self.ended:
            return
        self._end("local")
        self._hang_up()
        if self.status:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), HANG_UP_SECONDS)

    async def play(self, ulaw: bytes) -> None:
        """Send µ-law audio; return when it has been sent or the call has ended."""
        if self.session and ulaw and not self.ended:
            playing = self.session.play(ulaw)
            self._media.pump()
            await self._wait(lambda: playing in self._done or self.ended)

    async def send_digits(self, digits: str) -> None:
        """Send digits as telephone events (RFC 4733), or as tones; return when they have been sent or the call has ended."""
        if self.session and digits and not self.ended:
            sending = self.session.send_digits(digits)
            self._media.pump()
            await self._wait(lambda: sending in self._done or self.ended)

    async def wait_ended(self, timeout: float) -> str:
        """Return who ended the call, "remote" or "local"; raises TimeoutError."""
        await asyncio.wait_for(self._wait(lambda: self.ended), timeout)
        return self.ended_by

    async def wait_heard(self, seconds: float, timeout: float) -> None:
        """Wait until `seconds` have been received since the first sound; raises TimeoutError."""
        await asyncio.wait_for(self._wait(lambda: self.heard_seconds >= seconds), timeout)

    async def wait_silence(self, seconds: float, timeout: float) -> None:
        """Wait until nothing but silence has come for `seconds`, or the call has ended; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            started = time.monotonic()
            while not self.ended:
                left = max(self._sound_at, started) + seconds - time.monotonic()
                if left <= 0:
                    return
                await asyncio.sleep(left)

    # For the phone.

    async def answered(self, seconds: float) -> None:
        """Wait for the answer; raises CallFailed."""
        try:
            await asyncio.wait_for(self._wait(lambda: self.status or self._refusal), seconds)
        except TimeoutError:
            await self.hang_up()
            raise CallFailed(408, "Request Timeout") from None
        if self._refusal:
            self._media.close()
            raise self._refusal

    def on_sip_event(self, event: SipEvent) -> None:
        """Take an event of the user agent that concerns this call."""
        match event:
            case CallEstablished(_, media, at):
                self.answered_at = at
                self._connect(media)
            case MediaChanged(_, media):
                self._connect(media)
            case OutgoingCallFailed(_, status, reason):
                self._refusal = CallFailed(status, reason)
            case PeerHungUp():
                asyncio.get_running_loop().call_later(TAIL_SECONDS, self._end, "remote")
            case PeerLost():
                self._end("remote")
                asyncio.get_running_loop().call_soon(self._hang_up)
            case CallClosed():
                self._closed.set()
            case _:
                return
        self._news.set()

    def _connect(self, media: RemoteMedia) -> None:
        self.status, self.remote = 200, media
        if self.session:
            self.session.agree(agreement_of(media))
            return
        self.session = new_session(media)
        self.session.inbound.attach(self._hear)
        self._media.attach(self.session, self._on_audio)

    def _end(self, by: str) -> None:
        if not self.ended:
            self.ended_by, self.ended_at = by, time.monotonic()
            self._media.close()
            self._news.set()

    def _on_audio(self, event: AudioEvent) -> None:
        if isinstance(event, PlaybackFinished):
            self._done.add(event.number)
            self._news.set()

    def _hear(self, ulaw: bytes) -> None:
        if is_loud(ulaw):
            self._sound_at = time.monotonic()
            if self._sound_from is None:
                self._sound_from = len(self.heard)
        self.heard += ulaw
        self._news.set()

    async def _wait(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()


def _host_of(uri: str) -> str:
    try:
        return SipUri.parse(uri).host
    except PeerError as error:
        raise CallFailed(400, f"{uri} is no SIP URI ({error.reason})") from error
