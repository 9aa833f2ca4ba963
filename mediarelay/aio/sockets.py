"""Media sockets: plain non-blocking ones behind an epoll of their own.

Theory of operation. asyncio's datagram transport would cost several times as much per packet, and so would one call of
the event loop for each ready socket. So the loop watches one descriptor, the epoll; when that is ready, we ask it for
all ready sockets and take one datagram from each. All read into one buffer, because a datagram is judged and sent on
before the next is read.

Each port has a socket that receives from any source. Once an RTP port has passed on enough packets of one source, a
second socket is bound to the port and connected to that source. The kernel prefers it for packets of that source and
finds it without a route, and neither the kernel nor Python builds or reads an address for each packet, which saves about
a quarter of the whole cost. It is only a shortcut: the core still gets the source of every packet and decides as before.
Packets of other sources still arrive at the first socket; if one of them becomes the source, the second socket follows.
If descriptors run short, the second sockets are closed first.

Waking up for a packet can cost more than the packet, above all if this thread has priority and cuts into the very
program that sends. So if one wake follows another closely, we stay and look again after short rests, as a network card's
driver does, until nothing more has come. Other programs have the core during these rests.

Between its bind and its connect the second socket receives from any source, too. So it is read like the first until it
has been empty once: after that it holds nothing but what the connected source has sent.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import time
from collections.abc import Callable, Sequence

import structlog

from daemonkit.address import Address
from mediarelay.core.flow import Flow
from mediarelay.relay import MediaRelay

ROUNDS_PER_WAKE = 64
SOCKETS_PER_ROUND = 512
DATAGRAMS_PER_WAKE = 1_024
"""Datagrams taken before commands have their turn."""
SOON_SECONDS, REST_SECONDS = 0.0003, 0.0002
"""A wake within this time of the last one is worth staying for; the rest before each look, by which packets may be delayed."""
LOOKS_PER_WAKE = 8
DATAGRAM_BYTES = 65_535
REGULAR_PACKETS = 25
"""After this many of one source, an RTP port gets a connected socket: half a second of audio, by when the kernel plane has its flows."""
MAX_CONNECTED = 4_000
"""Connected sockets; more sources than one process can serve."""
MAX_EARLY = 64
"""Datagrams that a socket may hold from before it was connected; one that holds more is given up."""

log = structlog.get_logger(__name__)


class _Port:
    """A bound port, and the source whose packets it passed on last."""

    __slots__ = ("connects", "local", "packets", "sock", "source")

    def __init__(self, sock: socket.socket, *, connects: bool) -> None:
        self.sock = sock
        self.local: Address = sock.getsockname()
        self.connects = connects
        self.source: Address | None = None
        self.packets = 0
        """Consecutive packets of this source."""

    def note(self, source: Address) -> bool:
        """Count a packet; return whether its source now deserves a connected socket."""
        if source != self.source:
            self.source, self.packets = source, 0
        self.packets += 1
        return self.connects and self.packets % REGULAR_PACKETS == 0


class _Connected:
    """A second socket of a port, connected to one source."""

    __slots__ = ("local", "receive", "remote", "send", "sock")

    def __init__(self, sock: socket.socket, local: Address, remote: Address) -> None:
        self.sock, self.local, self.remote = sock, local, remote
        self.receive, self.send = sock.recv_into, sock.send


class MediaSockets:
    """The bound ports of a relay; `on_events` is called after packets that made the core emit events, `dscp` is theirs."""

    def __init__(self, relay: MediaRelay, clock: Callable[[], float], on_events: Callable[[], None], *, dscp: int) -> None:
        self.errors = 0
        """Reads and sends that the system refused."""
        self._core = relay
        self._clock = clock
        self._dscp = dscp
        self._on_events = on_events
        self._by_local: dict[Address, _Port] = {}
        self._ports: dict[int, _Port] = {}
        self._connected: dict[int, _Connected] = {}
        self._beside: dict[Address, _Connected] = {}
        self._regulars: list[_Port] = []
        self._poller: select.epoll | None = None
        self._is_starved = False
        self._left_at = 0.0
        self._buffer = bytearray(DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)

    def __len__(self) -> int:
        return len(self._ports)

    @property
    def connected(self) -> int:
        """The number of sources that have a socket of their own."""
        return len(self._connected)

    def open_pair(self, host: str, port: int) -> bool:
        """Bind `port` and the next one; return whether both could be bound."""
        try:
            opened = _bind_pair(host, port, self._dscp)
        except OSError as error:
            if not self._make_room(error):
                return False
            return self.open_pair(host, port)
        self._is_starved = False
        for sock in opened:
            entry = _Port(sock, connects=sock is opened[0])
            self._by_local[entry.local] = self._ports[sock.fileno()] = entry
            self._watch(sock)
        return True

    def close_pair(self, host: str, port: int) -> None:
        """Close what `open_pair` opened; a pair that was never open is ignored."""
        for number in (port, port + 1):
            entry = self._by_local.pop((host, number), None)
            if entry is not None:
                self._disconnect(entry.local)
                del self._ports[entry.sock.fileno()]
                entry.sock.close()

    def close(self) -> None:
        """Close all ports."""
        for host, port in list(self._by_local):
            self.close_pair(host, port & ~1)
        if self._poller is not None:
            asyncio.get_running_loop().remove_reader(self._poller)
            self._poller.close()

    def _make_room(self, error: OSError) -> bool:
        """If the system is out of descriptors or memory, close all connected sockets; return whether there were any.

        If there were none, log it once. Other errors, such as a port that another program has, are not logged.
        """
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return False
        if self._connected:
            for own in list(self._connected.values()):
                self._disconnect(own.local)
            return True
        if not self._is_starved:
            self._is_starved = True
            log.error("no_media_socket", error=error.strerror, sockets=len(self))
        return False

    def _on_ready(self, poller: select.epoll) -> None:
        looks = LOOKS_PER_WAKE if self._clock() - self._left_at < SOON_SECONDS else 0
        taken = more = self._take_all(poller)
        while looks and more and taken < DATAGRAMS_PER_WAKE:
            time.sleep(REST_SECONDS)
            more = self._take_all(poller)
            taken, looks = taken + more, looks - 1
        if self._regulars:
            self._connect_regulars()
        if self._core.has_events():
            self._on_events()
        self._left_at = self._clock()

    def _take_all(self, poller: select.epoll) -> int:
        """Relay the datagrams that wait; return their number."""
        taken = 0
        for _ in range(ROUNDS_PER_WAKE):
            ready = poller.poll(0, SOCKETS_PER_ROUND)
            taken += len(ready)
            if not ready or taken > DATAGRAMS_PER_WAKE:
                break
            self._relay(ready, self._clock())
        return taken

    def _relay(self, ready: Sequence[tuple[int, int]], now: float) -> None:
        """Take one datagram from each socket and send it on; runs some ten thousand times a second, so it is all in one function."""
        buffer, view, connected, beside, judge = self._buffer, self._view, self._connected, self._beside, self._core.receive_media
        for number, _ in ready:
            own = connected.get(number)
            if own is None:
                self._take(self._ports[number], now)
                continue
            try:
                size = own.receive(buffer)
            except OSError as error:
                self._note_error(error)
                continue
            flow = judge(own.local, buffer, size, own.remote, now)
            if flow is None:
                continue
            out = beside.get(flow.local)
            if out is not None and out.remote == flow.target:
                try:
                    out.send(view[:size])
                    continue
                except OSError:
                    # An ICMP error about an earlier packet surfaced; this packet has not been sent.
                    pass
            self._send(flow, size)

    def _take(self, port: _Port, now: float) -> bool:
        """Take one datagram from a port's first socket and send it on; return whether there may be more."""
        try:
            size, source = port.sock.recvfrom_into(self._buffer)
        except BlockingIOError:
            return False
        except OSError as error:
            # There may be datagrams behind it.
            self._note_error(error)
            return True
        flow = self._core.receive_media(port.local, self._buffer, size, source, now)
        if flow is not None:
            self._send(flow, size)
            if port.note(source):
                self._regulars.append(port)
        return True

    def _send(self, flow: Flow, size: int) -> None:
        """Send from a port's first socket."""
        try:
            self._by_local[flow.local].sock.sendto(self._view[:size], flow.target)  # type: ignore[arg-type]  # a flow that is returned has one
        except OSError as error:
            self._note_error(error)

    def _note_error(self, error: OSError) -> None:
        if not isinstance(error, BlockingIOError | ConnectionRefusedError):
            self.errors += 1

    def _connect_regulars(self) -> None:
        regulars, self._regulars = self._regulars, []
        for port in regulars:
            own = self._beside.get(port.local)
            if port.source is not None and (own is None or own.remote != port.source):
                self._disconnect(port.local)
                if len(self._connected) < MAX_CONNECTED:
                    self._connect(port, port.source)

    def _connect(self, port: _Port, remote: Address) -> None:
        """Give a source a socket of its own, if possible."""
        try:
            sock = _bind_beside(port.sock, remote, self._dscp)
        except OSError:
            return
        # In order of arrival: from now on the source's packets come to the second socket only.
        for entry in (port, _Port(sock, connects=False)):
            is_empty = not all(self._take(entry, self._clock()) for _ in range(MAX_EARLY))
        if not is_empty:
            sock.close()
            return
        self._connected[sock.fileno()] = self._beside[port.local] = _Connected(sock, port.local, remote)
        self._watch(sock)

    def _disconnect(self, local: Address) -> None:
        """Close the connected socket of a port, if it has one."""
        own = self._beside.pop(local, None)
        if own is not None:
            del self._connected[own.sock.fileno()]
            own.sock.close()

    def _watch(self, sock: socket.socket) -> None:
        if self._poller is None:
            self._poller = select.epoll()
            asyncio.get_running_loop().add_reader(self._poller, self._on_ready, self._poller)
        self._poller.register(sock, select.EPOLLIN)


def _bind_pair(host: str, port: int, dscp: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for number in (port, port + 1):
            opened.append(_socket(dscp))
            opened[-1].bind((host, number))
    except OSError:
        for sock in opened:
            sock.close()
        raise
    return opened


def _bind_beside(first: socket.socket, remote: Address, dscp: int) -> socket.socket:
    """Return a second, connected socket at a port; the port is shared for this moment only. Raises OSError."""
    sock = _socket(dscp)
    try:
        for one in (first, sock):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(first.getsockname())
        sock.connect(remote)
    except OSError:
        sock.close()
        raise
    finally:
        # From here on nobody else can share the port, even with SO_REUSEADDR.
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return sock


def _socket(dscp: int) -> socket.socket:
    """Return an unbound, non-blocking UDP socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    # The lower two bits of the octet are those of congestion notification.
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    return sock
