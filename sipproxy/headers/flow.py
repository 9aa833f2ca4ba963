"""How a caller is reached, and what the call flow keeps for us when that changes.

The route set of a dialog never changes (RFC 3261 12.2), so what the route token says of the caller is what its first INVITE said.
A caller that moves, to another network or another connection, tells so by a target refresh: an INVITE or UPDATE inside the dialog.
Then the flow that this request came by is written into the Contact that the call flow gets, as a sealed parameter. The call flow
makes it the Request-URI of what it sends from then on, if it accepts the refresh, and so returns it. The parameter is taken out
again before a request leaves.

A flow belongs to one proxy: its address is what the caller's NAT lets in, and only its process holds a connection. The parameter
names that proxy by its internal address, so that any other can pass a request on to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from daemonkit.address import Address
from sipproxy.seal import DialogSeal, sealed_length
from sipproxy.transactions.listener import Listener, Transport

_LAYOUT = struct.Struct("!B4sH4sH")
_LENGTH = sealed_length(_LAYOUT.size)
_PURPOSE = b"flow"
_BEHIND_NAT = 0x01
_TRANSPORT_SHIFT, _TRANSPORT_MASK = 1, 0x03
_INDEX_SHIFT = 3
_TRANSPORTS = tuple(Transport)
MAX_LISTENERS = 16  # of one transport: what the flags have room for
FLOW_PARAMETER = "sipuri-flow"


@dataclass(frozen=True, slots=True)
class Flow:
    """How a caller was seen to come."""

    caller: Address
    """The source address of its request."""
    behind_nat: bool = False
    """Whether the request's Via named another address than that."""
    transport: Transport = Transport.UDP
    """The transport of the request."""
    index: int = 0
    """Which of our listeners with that transport it came to."""

    @classmethod
    def of(cls, listener: Listener, source: Address, *, behind_nat: bool) -> Self:
        """Return the flow of a request that came to a listener."""
        return cls(source, behind_nat, listener.transport, listener.index)

    @classmethod
    def from_flags(cls, flags: int, caller: Address) -> Self | None:
        """Read what `flags` holds; None for a transport that there is not."""
        number = flags >> _TRANSPORT_SHIFT & _TRANSPORT_MASK
        if number >= len(_TRANSPORTS):
            return None
        return cls(caller, bool(flags & _BEHIND_NAT), _TRANSPORTS[number], flags >> _INDEX_SHIFT)

    @property
    def flags(self) -> int:
        """All but the address in seven bits."""
        return int(self.behind_nat) | _TRANSPORTS.index(self.transport) << _TRANSPORT_SHIFT | self.index << _INDEX_SHIFT

    @property
    def reach(self) -> str:
        """What the call flow is told of it: `stream`, `nat` or `direct`."""
        if self.transport.is_stream:
            return "stream"
        return "nat" if self.behind_nat else "direct"


@dataclass(frozen=True, slots=True)
class MovedFlow:
    """The flow of a caller's last target refresh, and the proxy that it belongs to."""

    flow: Flow
    proxy: Address
    """The internal address of the proxy that the caller came to."""

    @classmethod
    def parse(cls, raw: str, seal: DialogSeal) -> Self | None:
        """Read the parameter of a dialog. Returns None where it is forged or belongs to another dialog."""
        payload = seal.open(_PURPOSE, raw) if len(raw) == _LENGTH else None
        if payload is None:
            return None
        flags, host, port, proxy_host, proxy_port = _LAYOUT.unpack(payload)
        flow = Flow.from_flags(flags, (dotted(host), port))
        return None if flow is None else cls(flow, (dotted(proxy_host), proxy_port))

    def sign(self, seal: DialogSeal) -> str:
        """Return the parameter's text for one dialog."""
        return seal.close(_PURPOSE, _LAYOUT.pack(self.flow.flags, *packed(self.flow.caller), *packed(self.proxy)))


def dotted(octets: bytes) -> str:
    """Return four octets as an IPv4 address."""
    return ".".join(map(str, octets))


def packed(address: Address) -> tuple[bytes, int]:
    """Return an IPv4 address as four octets, and its port."""
    return bytes(map(int, address[0].split("."))), address[1]
