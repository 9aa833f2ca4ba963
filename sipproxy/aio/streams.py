"""SIP over TCP and TLS, with connections hidden behind the addresses of their far ends (RFC 3261 18).

The core knows addresses, not connections. A message of a connection comes with the address of its far end, and what is sent to
that address goes back along the connection. If none is open, TCP connects anew; TLS does not, as an address has no name that a
certificate could prove. The core is told when a connection ends, and gives up the requests that went along it.

Each connection is bounded: one message must arrive within ten seconds of its first octet, a silent connection is closed after five
minutes, and so is one whose peer does not read. One source, and one network, may have only a share of the connections; for a new one the
longest connected stranger makes room. A banned source has none. A connection has its place from the moment in which it is accepted, before
the TLS handshake, for which a stranger can take ten seconds.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from daemonkit.acceptor import Acceptor
from daemonkit.address import Address
from sipproxy.aio.limits import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    MAX_CONNECTING,
    MAX_UNSENT_MESSAGES,
    MAX_WRITE_BUFFER,
    MESSAGE_SECONDS,
)
from sipproxy.aio.places import NoRoomError, Places
from sipproxy.sip import PeerError
from sipproxy.sip.framing import PING, PONG, StreamFraming

_RESPONSE = b"SIP/2.0 "


@dataclass(slots=True)
class StreamCounters:
    """Counts of what happened to connections; each only grows."""

    refused: int = 0
    """Connections for which there was no room, or of banned sources."""
    displaced: int = 0
    """Connections of strangers that made room for newer ones."""
    overdue: int = 0
    """Connections that were silent for too long, or in the middle of a handshake or a message."""
    unreadable: int = 0
    """Connections whose stream could not be cut into messages."""
    unread: int = 0
    """Connections whose peer left too much unread."""


@dataclass(slots=True)
class _Attempt:
    """A connection that is being opened, and what waits for it."""

    task: asyncio.Task[None]
    unsent: list[bytes] = field(default_factory=list)


class StreamEndpoint:
    """The connections of one listener; each of their messages goes to a callable."""

    def __init__(
        self,
        *,
        on_message: Callable[[bytes, Address], None],
        on_lost: Callable[[Address], None],
        is_trusted: Callable[[str], bool],
        is_banned: Callable[[str], bool],
        dscp: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.counters = StreamCounters()
        self._on_message = on_message
        self._on_lost = on_lost
        self._is_trusted = is_trusted
        self.is_banned = is_banned
        self.dscp = dscp
        self._tls = tls
        self._acceptor = Acceptor(self._arrive)
        self._open: dict[Address, _Connection] = {}
        self._attempts: dict[Address, _Attempt] = {}
        self._places = Places()

    def __len__(self) -> int:
        return len(self._open)

    def start(self, sock: socket.socket) -> None:
        """Accept connections on a listening socket."""
        self._acceptor.start(sock)

    def stop(self) -> None:
        """Close the listener and every connection."""
        self._acceptor.stop()
        for attempt in self._attempts.values():
            attempt.task.cancel()
        for connection in tuple(self._open.values()):
            connection.close()

    def is_connected(self, address: Address) -> bool:
        """Return whether a connection with an address is open, and its handshake done."""
        connection = self._open.get(address)
        return connection is not None and connection.is_made

    def send(self, data: bytes, address: Address) -> None:
        """Send a message along the connection with an address, or along one that is opened for it."""
        connection = self._open.get(address)
        if connection is not None and connection.is_made:
            if not data.startswith(_RESPONSE):
                # We ask only callers whose calls we know.
                self.welcome(address)
            if not connection.write(data):
                self.counters.unread += 1
            return
        attempt = self._attempts.get(address) or self._connect(address)
        if attempt is None:
            # Not now: the core is still sending, and must not be called back before it has finished.
            asyncio.get_running_loop().call_soon(self._on_lost, address)
        elif len(attempt.unsent) < MAX_UNSENT_MESSAGES:
            attempt.unsent.append(data)

    def welcome(self, address: Address) -> None:
        """Note that a call goes along the connection with an address, if one is open: it does not make room for strangers."""
        self._places.know(address)

    # Connections.

    def opened(self, connection: _Connection) -> bool:
        """Take a new connection, in the place of a stranger if there is no other; False if a cap or a ban forbids it."""
        address, host = connection.address, connection.address[0]
        if self._open.get(address) is connection:
            return True
        trusted = self._is_trusted(host)
        try:
            if self.is_banned(host):
                raise NoRoomError
            # One that has the same address is over, though nobody has told.
            leaving = address if address in self._open else self._places.who_leaves(address, trusted=trusted)
        except NoRoomError:
            self.counters.refused += 1
            return False
        if leaving is not None:
            self._displace(leaving)
        self._open[address] = connection
        self._places.take(address, trusted=trusted)
        return True

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        if self._open.get(connection.address) is not connection:
            return
        del self._open[connection.address]
        self._places.leave(connection.address)
        self._on_lost(connection.address)

    def received(self, message: bytes, address: Address) -> None:
        """Take one message of a connection."""
        self._on_message(message, address)

    def _displace(self, address: Address) -> None:
        self.counters.displaced += 1
        stranger = self._open[address]
        stranger.abort()
        # Its end is told later; its place is needed now.
        self.closed(stranger)

    def _arrive(self, sock: socket.socket, address: Address) -> None:
        connection = _Connection(self, address)
        if self.opened(connection):
            connection.arriving = asyncio.create_task(self._make(connection, sock))
        else:
            sock.close()

    async def _make(self, connection: _Connection, sock: socket.socket) -> None:
        handshake = None if self._tls is None else MESSAGE_SECONDS
        loop = asyncio.get_running_loop()
        try:
            if connection.begin():
                await loop.connect_accepted_socket(lambda: connection, sock, ssl=self._tls, ssl_handshake_timeout=handshake)
        except ConnectionAbortedError:
            self.counters.overdue += 1
        except OSError:
            pass  # The far end went away, or cannot shake hands.
        finally:
            if not connection.is_made:
                sock.close()
                self.closed(connection)

    def _connect(self, address: Address) -> _Attempt | None:
        if self._tls is not None or len(self._attempts) >= MAX_CONNECTING or self.is_banned(address[0]):
            return None
        attempt = self._attempts[address] = _Attempt(asyncio.create_task(self._open_to(address)))
        return attempt

    async def _open_to(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: _Connection(self, address), *address)
        except OSError:
            self._attempts.pop(address)
            self._on_lost(address)
            return
        unsent = self._attempts.pop(address).unsent
        if address not in self._open:
            # A cap forbade the connection: sending would try to connect again.
            self._on_lost(address)
            return
        for data in unsent:
            self.send(data, address)


class _Connection(asyncio.Protocol):
    """One connection: its octets become messages, its timers end it."""

    def __init__(self, endpoint: StreamEndpoint, address: Address) -> None:
        self.address = address
        self.arriving: asyncio.Task[None] | None = None
        """What makes a transport of an accepted socket."""
        self._endpoint = endpoint
        self._framing = StreamFraming()
        self._transport: asyncio.Transport | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._message_due: float | None = None
        self._idle_due = 0.0
        self._has_begun = self._is_aborted = False

    @property
    def is_made(self) -> bool:
        """True once messages can pass."""
        return self._transport is not None

    def begin(self) -> bool:
        """Note that the task which makes the transport runs; False if the connection was aborted before that."""
        self._has_begun = True
        return not self._is_aborted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        mark(transport.get_extra_info("socket"), self._endpoint.dscp)
        if self._is_aborted or not self._endpoint.opened(self):
            self._transport.abort()
            return
        now = asyncio.get_running_loop().time()
        # A peer connects to send something: its first message is due as if it had begun.
        self._message_due, self._idle_due = now + MESSAGE_SECONDS, now + IDLE_SECONDS
        self._look_at_clock()

    def data_received(self, data: bytes) -> None:
        if self._endpoint.is_banned(self.address[0]):
            self.abort()
            return
        try:
            messages = self._framing.feed(data)
        except PeerError:
            self._endpoint.counters.unreadable += 1
            self.close()
            return
        now = asyncio.get_running_loop().time()
        self._idle_due = now + IDLE_SECONDS
        if self._framing.is_between_messages:
            self._message_due = None
        elif messages or self._message_due is None:
            self._message_due = now + MESSAGE_SECONDS
        for message in messages:
            if message == PING:
                self.write(PONG)
            else:
                self._endpoint.received(message, self.address)

    def connection_lost(self, error: Exception | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._endpoint.closed(self)

    def write(self, data: bytes) -> bool:
        """Send octets; False if the peer has left so much unread that the connection is closed."""
        if self._transport is None or self._transport.is_closing():
            return True
        if self._transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self._transport.abort()
            return False
        self._transport.write(data)
        self._idle_due = asyncio.get_running_loop().time() + IDLE_SECONDS
        return True

    def close(self) -> None:
        """Close the connection after what is queued has been sent."""
        if self._transport is not None:
            self._transport.close()
        else:
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._is_aborted = True
        if self._transport is not None:
            self._transport.abort()
        elif self.arriving is not None and self._has_begun:
            # A task that has not begun would end without closing the socket.
            self.arriving.cancel()

    def _look_at_clock(self) -> None:
        loop = asyncio.get_running_loop()
        if self._endpoint.is_banned(self.address[0]):
            self.abort()
            return
        due = min(self._idle_due, self._message_due or self._idle_due)
        if due <= loop.time() and self._transport is not None:
            self._endpoint.counters.overdue += 1
            self._transport.abort()
        else:
            self._clock = loop.call_at(min(due, loop.time() + MESSAGE_SECONDS), self._look_at_clock)


def mark(sock: socket.socket, dscp: int) -> None:
    """Mark what a socket sends for routers (RFC 2474); the field is the upper six bits of the octet."""
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
