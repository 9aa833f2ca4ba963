"""The sockets of an audio session, and its turns."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from callflow.aio.media_clock import MediaClock
from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import AudioEvent
from callflow.audio.sender import FRAME_SECONDS
from callflow.audio.session import AudioSession, is_rtcp, is_rtp
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint

PAIR_TRIES = 50
_UNSPECIFIED = "0.0.0.0"  # noqa: S104  # the address by which SDP says hold; nothing binds it


def agreement_of(media: RemoteMedia) -> Agreement:
    """Return what an audio session follows after an exchange of offer and answer."""
    remote = None if media.address[0] == _UNSPECIFIED else media.address
    return Agreement(remote, Codec(media.codec), media.payload_type, media.event_payload_type, media.listens, media.keys)


def new_session(media: RemoteMedia) -> AudioSession:
    """Return a session with random beginnings (RFC 3550 section 5.1).

    The numbers begin in the lower half: who misses the first packets and sees the numbers begin anew would take what is encrypted for
    forged, as it would count one round too few (RFC 3711 section 3.3.1).
    """
    return AudioSession(agreement_of(media), ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32))


class MediaEndpoint:
    """An even RTP port, and the odd RTCP port above it.

    Once a session is attached, its packets are read and sent at its turns, which its slots follow. Call `pump` after commands of the
    session that have events.
    """

    def __init__(self, host: str, clock: MediaClock) -> None:
        self.early_at: float | None = None
        """When the first packet came that had no session yet; who sets it to None hears of the next one."""
        self._clock = clock
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
        """Start `session` and run it from now on; its events go to `on_event`. Raises RuntimeError unless the ports are open."""
        if self._sockets is None:
            raise RuntimeError("A session needs open ports.")
        self._session, self._on_event = session, on_event
        self._sockets[0].stop_reading()
        session.start(time.monotonic(), self._clock.join(self._turn))
        self.pump()

    def read(self) -> None:
        """Hand the session what has come since its last turn."""
        if self._sockets is not None:
            self._sockets[0].read()

    def pump(self) -> None:
        """Deliver events and send datagrams; may be called from inside `on_event`."""
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

    def close(self) -> None:
        """Close the sockets and detach the session."""
        self._clock.leave(self._turn)
        self._session = self._on_event = None
        for endpoint in self._sockets or ():
            endpoint.close()
        self._sockets = None

    def _open_pair(self) -> tuple[UdpEndpoint, UdpEndpoint]:
        media = UdpEndpoint((self._host, 0), self._on_media, stamped=True)
        media.open()
        port = media.local[1]
        reports = UdpEndpoint((self._host, port + 1), lambda data, address: self._on_datagram(data, address, time.monotonic()))
        try:
            if port % 2:
                raise AddressUnavailable("UDP", media.local, OSError(0, "an odd port cannot carry RTP"))
            reports.open()
        except AddressUnavailable:
            media.close()
            raise
        return media, reports

    def _turn(self, now: float) -> None:
        if self._sockets is not None and self._session is not None:
            # What is missing may stand behind what is fresh.
            self._sockets[0].read(0.0 if self._session.lacks_packets else FRAME_SECONDS)
        if self._session is not None:
            self._session.handle_timer(now)
            if self._session.has_events:
                self.pump()
            else:
                self._transmit(self._session)

    def _on_media(self, data: bytes, address: Address) -> None:
        if self._sockets is not None:
            self._on_datagram(data, address, self._sockets[0].came_at)

    def _on_datagram(self, data: bytes, address: Address, came_at: float) -> None:
        if self._session is not None:
            self._session.receive_datagram(data, address, came_at)
        elif self.early_at is None and is_rtp(data):
            self.early_at = came_at

    def _transmit(self, session: AudioSession) -> None:
        if self._sockets is None:
            return
        media, reports = self._sockets
        for data, address in session.datagrams_to_send():
            (reports if is_rtcp(data) else media).send(data, address)
