"""SIP over TCP and TLS: connections as a datagram socket's equal (RFC 3261 18).

The core knows addresses, not connections. A message of a connection comes with the address of its far end, and what is sent
to that address goes back along it. Where none is open, TCP connects anew; TLS does not, as an address has no name that
a certificate could prove. A connection that ends is told to the core, which gives up the requests that went along it.

Each connection is bounded: one message must arrive within ten seconds of its first octet, silence ends after five
minutes, a peer that does not read is dropped, one source has a share of the connections only, and a banned one has none.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from daemonkit.address import Address
from sipproxy.aio.limits import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    MAX_CONNECTING,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_SOURCE,
    MAX_UNSENT_MESSAGES,
    MAX_WRITE_BUFFER,
    MESSAGE_SECONDS,
)
from sipproxy.sip import PeerError
from sipproxy.sip.framing import PING, PONG, StreamFraming


@dataclass(slots=True)
class StreamCounters:
    """Count what connections met; each only grows."""

    refused: int = 0
    """Connections over a cap, or of banned sources."""
    overdue: int = 0
    """Connections that were silent for too long, or in the middle of a message."""
    unreadable: int = 0
    """Streams that could not be cut into messages."""
    unread: int = 0
    """Peers that left too much unread."""


@dataclass(slots=True)
class _Attempt:
    """A connection that is being opened, and what waits for it."""

    task: asyncio.Task[None]
    unsent: list[bytes] = field(default_factory=list)


class StreamEndpoint:
    """Deliver each message of all connections of one listener to a callable."""

    def __init__(
        self,
        *,
        on_message: Callable[[bytes, Address], None],
        on_lost: Callable[[Address], None],
        is_trusted: Callable[[str], bool],
        is_banned: Callable[[str], bool],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.counters = StreamCounters()
        self._on_message = on_message
        self._on_lost = on_lost
        self._is_trusted = is_trusted
        self.is_banned = is_banned
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: dict[Address, _Connection] = {}
        self._attempts: dict[Address, _Attempt] = {}
        self._per_source: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on a listening socket."""
        loop = asyncio.get_running_loop()
        handshake = None if self._tls is None else MESSAGE_SECONDS
        self._server = await loop.create_server(self._accept, sock=sock, ssl=self._tls, ssl_handshake_timeout=handshake)

    def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for attempt in self._attempts.values():
            attempt.task.cancel()
        for connection in tuple(self._open.values()):
            connection.close()

    def is_connected(self, address: Address) -> bool:
        """Return whether a connection with an address is open."""
        return address in self._open

    def send(self, data: bytes, address: Address) -> None:
        """Send a message along the connection with an address, or along one that is opened for it."""
        connection = self._open.get(address)
        if connection is not None:
            if not connection.write(data):
                self.counters.unread += 1
            return
        attempt = self._attempts.get(address) or self._connect(address)
        if attempt is None:
            # The core must not hear of it while it is still sending.
            asyncio.get_running_loop().call_soon(self._on_lost, address)
        elif len(attempt.unsent) < MAX_UNSENT_MESSAGES:
            attempt.unsent.append(data)

    # Connections.

    def opened(self, connection: _Connection) -> bool:
        """Take a connection that has come up; False where a cap or a ban forbids it."""
        host = connection.address[0]
        crowded = self._per_source[host] >= MAX_CONNECTIONS_PER_SOURCE and not self._is_trusted(host)
        if crowded or self.is_banned(host) or len(self._open) >= MAX_CONNECTIONS:
            self.counters.refused += 1
            return False
        self._open[connection.address] = connection
        self._per_source[host] += 1
        return True

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        if self._open.get(connection.address) is not connection:
            return
        del self._open[connection.address]
        host = connection.address[0]
        self._per_source[host] -= 1
        if not self._per_source[host]:
            del self._per_source[host]
        self._on_lost(connection.address)

    def received(self, message: bytes, address: Address) -> None:
        """Take one message of a connection."""
        self._on_message(message, address)

    def _accept(self) -> _Connection:
        return _Connection(self)

    def _connect(self, address: Address) -> _Attempt | None:
        if self._tls is not None or len(self._attempts) >= MAX_CONNECTING or self.is_banned(address[0]):
            return None
        attempt = self._attempts[address] = _Attempt(asyncio.create_task(self._open_to(address)))
        return attempt

    async def _open_to(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(self._accept, *address)
        except OSError:
            self._attempts.pop(address)
            self._on_lost(address)
            return
        unsent = self._attempts.pop(address).unsent
        if address not in self._open:
            # A cap forbade it: to send would connect again.
            self._on_lost(address)
            return
        for data in unsent:
            self.send(data, address)


class _Connection(asyncio.Protocol):
    """One connection: octets to messages, and the clocks that end it."""

    def __init__(self, endpoint: StreamEndpoint) -> None:
        self.address: Address = ("", 0)
        self._endpoint = endpoint
        self._framing = StreamFraming()
        self._transport: asyncio.Transport | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._message_due: float | None = None
        self._idle_due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = (peer[0], peer[1]) if peer else ("", 0)
        if not peer or not self._endpoint.opened(self):
            self._transport.abort()
            return
        now = asyncio.get_running_loop().time()
        # Who connects has something to say: the first message is due as one that has begun.
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
        """Send octets; False where the peer has left so much unread that the connection ends."""
        if self._transport is None or self._transport.is_closing():
            return True
        if self._transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self._transport.abort()
            return False
        self._transport.write(data)
        self._idle_due = asyncio.get_running_loop().time() + IDLE_SECONDS
        return True

    def close(self) -> None:
        """End the connection; what is on its way still goes out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

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
