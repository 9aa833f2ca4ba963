"""The sockets and the timer of an audio session."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import AudioEvent
from callflow.audio.session import AudioSession, is_rtcp, is_rtp
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address
from daemonkit.alarm import Alarm
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint

PAIR_TRIES = 50
_UNSPECIFIED = "0.0.0.0"  # noqa: S104  # the address by which SDP says hold; nothing binds it


def agreement_of(media: RemoteMedia) -> Agreement:
    """Return what an audio session follows after an exchange of offer and answer."""
    remote = None if media.address[0] == _UNSPECIFIED else media.address
    return Agreement(remote, Codec(media.codec), media.payload_type, media.event_payload_type, media.listens, media.keys)


def new_session(media: RemoteMedia) -> AudioSession:
    """Return a session with random beginnings (RFC 3550 section 5.1)."""
    return AudioSession(agreement_of(media), ssrc=secrets.randbits(32), sequence=secrets.randbits(16), timestamp=secrets.randbits(32))


class MediaEndpoint:
    """An even RTP port, the odd RTCP port above it, and one timer.

    Call `pump` after `play`, `send_digits` and the other commands of the session.
    """

    def __init__(self, host: str) -> None:
        self.early_at: float | None = None
        """When the first packet came that had no session yet; who sets it to None hears of the next one."""
        self._alarm = Alarm(self._on_alarm)
        self._host = host
        self._on_event: Callable[[AudioEvent], None] | None = None
        self._pumping = False
        self._session: AudioSession | None = None
        self._sockets: tuple[UdpEndpoint, UdpEndpoint] | None = None

    def open(self) -> Address:
        """Bind a pair and return where RTP is received; raises AddressUnavailable."""
        for _ in range(PAIR_TRIES):
            with contextlib.suppress(AddressUnavailable):
                self._sockets = self._open_pair()
                return self._sockets[0].local
        self._sockets = self._open_pair()
        return self._sockets[0].local

    def attach(self, session: AudioSession, on_event: Callable[[AudioEvent], None]) -> None:
        """Run `session` from now on; its events go to `on_event`."""
        self._session, self._on_event = session, on_event
        self.pump()

    def pump(self) -> None:
        """Deliver events, send datagrams and re-arm the timer; may be called from inside `on_event`."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._session is not None and self._on_event is not None and (event := self._session.next_event()) is not None:
                self._on_event(event)
        finally:
            self._pumping = False
        if self._session is not None:
            self._transmit(self._session)
            self._alarm.set(self._session.get_timer())

    def close(self) -> None:
        """Close the sockets and detach the session."""
        self._alarm.stop()
        self._session = self._on_event = None
        for endpoint in self._sockets or ():
            endpoint.close()
        self._sockets = None

    def _open_pair(self) -> tuple[UdpEndpoint, UdpEndpoint]:
        media = UdpEndpoint((self._host, 0), self._on_datagram)
        media.open()
        port = media.local[1]
        reports = UdpEndpoint((self._host, port + 1), self._on_datagram)
        try:
            if port % 2:
                raise AddressUnavailable("UDP", media.local, OSError(0, "an odd port cannot carry RTP"))
            reports.open()
        except AddressUnavailable:
            media.close()
            raise
        return media, reports

    def _on_alarm(self, now: float) -> None:
        if self._session is not None:
            self._session.handle_timer(now)
            self.pump()

    def _on_datagram(self, data: bytes, address: Address) -> None:
        if self._session is not None:
            self._session.receive_datagram(data, address, time.monotonic())
            self.pump()
        elif self.early_at is None and is_rtp(data):
            self.early_at = time.monotonic()

    def _transmit(self, session: AudioSession) -> None:
        if self._sockets is None:
            return
        media, reports = self._sockets
        for data, address in session.datagrams_to_send():
            (reports if is_rtcp(data) else media).send(data, address)
