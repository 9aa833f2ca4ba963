"""All listeners of one process: opened together, with one interface for datagrams and streams."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from daemonkit.address import Address
from daemonkit.rounds import Rounds
from daemonkit.sockets import open_tcp, open_udp
from daemonkit.udp import UdpEndpoint
from sipproxy.admission.nonces import Claim
from sipproxy.aio.certificates import Certificates
from sipproxy.aio.handover import Handover, OnGranted
from sipproxy.aio.streams import StreamCounters, StreamEndpoint, mark
from sipproxy.config import SipProxyConfig
from sipproxy.transactions.listener import Listener, Transport

CERTIFICATE_SECONDS = 5.0

OnMessage = Callable[[Listener, bytes, Address], None]


class Listeners:
    """The listeners by transport; a stream's message and a datagram arrive by the same callback."""

    def __init__(
        self,
        config: SipProxyConfig,
        *,
        on_message: OnMessage,
        on_lost: Callable[[Listener, Address], None],
        is_trusted: Callable[[str], bool],
        is_banned: Callable[[str], bool],
        on_claim: Callable[[Claim], bool],
    ) -> None:
        """Read the certificate; raises CannotStart if it is unusable."""
        self._certificates = None if config.tls is None else Certificates(config.tls)
        self._renewals = Rounds("certificate", self._renew, lambda: CERTIFICATE_SECONDS)
        self._is_trusted = is_trusted
        self._on_message = on_message
        self._on_lost = on_lost
        self._is_banned = is_banned
        self._all = (*config.external, config.internal)
        self._dscp = config.dscp
        self._handover = Handover(config.worker, self._all, self._on_handed_over, on_claim)
        self._udp = {
            listener: UdpEndpoint(listener.bind, partial(self._on_datagram, listener))
            for listener in self._all
            if not listener.transport.is_stream
        }
        self._streams = {listener: self._stream(listener) for listener in self._all if listener.transport.is_stream}

    def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Open every listener that `sockets` does not hold already; raises AddressUnavailable and leaves none open."""
        with ExitStack() as opened:
            found = dict(sockets)
            for listener in self._all:
                if listener.name not in found:
                    found[listener.name] = open_tcp(listener.bind) if listener.transport.is_stream else open_udp(listener.bind)
                mark(opened.enter_context(found[listener.name]), self._dscp)
            opened.pop_all()
        for listener, endpoint in self._udp.items():
            endpoint.open(found[listener.name])
        for listener, stream in self._streams.items():
            stream.start(found[listener.name])
        self._handover.start(sockets)
        self._renewals.start()

    def stop(self) -> None:
        """Close every listener."""
        self._renewals.stop()
        self._handover.stop()
        for endpoint in self._udp.values():
            endpoint.close()
        for stream in self._streams.values():
            stream.stop()

    def send(self, listener: Listener, data: bytes, address: Address) -> None:
        """Send one message from a listener to an address."""
        endpoint = self._udp.get(listener)
        if endpoint is not None:
            endpoint.send(data, address)
        else:
            self._streams[listener].send(data, address)

    def is_connected(self, listener: Listener, address: Address) -> bool:
        """Return whether a stream's connection with an address is open."""
        return self._streams[listener].is_connected(address)

    def welcome(self, address: Address) -> None:
        """Note an admitted call: a connection with its caller's address belongs to a caller."""
        for stream in self._streams.values():
            stream.welcome(address)

    def ask_worker(self, claim: Claim, on_granted: OnGranted) -> None:
        """Ask another worker of this node for a nonce count of its own."""
        self._handover.ask(claim, on_granted)

    def reload(self) -> None:
        """Read the certificate again."""
        if self._certificates is not None:
            self._certificates.reload()

    # Figures.

    def connections(self, transport: Transport) -> int:
        """Return how many connections of a transport are open."""
        return sum(len(stream) for stream in self._of(transport))

    def counted(self, transport: Transport, read: Callable[[StreamCounters], int]) -> int:
        """Return one count over all listeners of a transport."""
        return sum(read(stream.counters) for stream in self._of(transport))

    @property
    def handed_over(self) -> int:
        """How many responses went on to the worker that waited for them."""
        return self._handover.handed_over

    def _of(self, transport: Transport) -> list[StreamEndpoint]:
        return [stream for listener, stream in self._streams.items() if listener.transport is transport]

    # Inputs.

    def _on_datagram(self, listener: Listener, data: bytes, address: Address) -> None:
        if not self._handover.take(listener, data):
            self._on_message(listener, data, address)

    def _on_handed_over(self, listener: Listener, data: bytes) -> None:
        # A response is matched by its branch, so its source is not needed.
        self._on_message(listener, data, listener.address)

    def _stream(self, listener: Listener) -> StreamEndpoint:
        return StreamEndpoint(
            on_message=partial(self._on_message, listener),
            on_lost=partial(self._on_lost, listener),
            is_trusted=self._is_trusted,
            is_banned=self._is_banned,
            dscp=self._dscp,
            tls=self._context() if listener.transport is Transport.TLS else None,
        )

    def _renew(self) -> None:
        if self._certificates is not None:
            self._certificates.reload_if_changed()

    def _context(self) -> ssl.SSLContext | None:
        return None if self._certificates is None else self._certificates.context
