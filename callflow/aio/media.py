"""Give an audio session its sockets and its clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from callflow.audio.events import AudioEvent
from callflow.audio.session import AudioSession, is_rtcp
from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint

PAIR_TRIES = 50


class MediaEndpoint:
    """An even RTP port, the odd RTCP port above it, and one timer.

    After `play`, `send_digits` and the other commands of the session call `pump`.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._sockets: tuple[UdpEndpoint, UdpEndpoint] | None = None
        self._session: AudioSession | None = None
        self._on_event: Callable[[AudioEvent], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._pumping = False

    def open(self) -> Address:
        """Bind a pair and return where RTP is received; raises AddressUnavailable."""
        for _ in range(PAIR_TRIES):
            with contextlib.suppress(AddressUnavailable):
                self._sockets = self._open_pair()
                return self._sockets[0].local
        self._sockets = self._open_pair()
        return self._sockets[0].local

    def attach(self, session: AudioSession, on_event: Callable[[AudioEvent], None]) -> None:
        """Serve `session` from now on; its events go to `on_event`."""
        self._session, self._on_event = session, on_event
        self.pump()

    def pump(self) -> None:
        """Send what is to be sent, deliver events, re-arm the timer; may be called from inside `on_event`."""
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
            self._rearm(self._session)

    def close(self) -> None:
        """Close the sockets and let go of the session."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = self._session = self._on_event = None
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

    def _on_datagram(self, data: bytes, address: Address) -> None:
        if self._session is not None:
            self._session.receive_datagram(data, address, asyncio.get_running_loop().time())
            self.pump()

    def _on_timer(self, due: float) -> None:
        self._due = None
        if self._session is not None:
            # The loop may call a little early; the session must not see time before its own deadline.
            self._session.handle_timer(max(due, asyncio.get_running_loop().time()))
            self.pump()

    def _rearm(self, session: AudioSession) -> None:
        due = session.get_timer()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._on_timer, due) if due is not None else None

    def _transmit(self, session: AudioSession) -> None:
        if self._sockets is None:
            return
        media, reports = self._sockets
        for data, address in session.datagrams_to_send():
            (reports if is_rtcp(data) else media).send(data, address)
