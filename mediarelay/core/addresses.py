"""Which addresses media may be sent to (D8): packets must reach neither third parties nor our own machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from daemonkit.address import Address
from voiceapps.rules.cidr import REFUSED_RANGES

_MULTICAST_AND_ABOVE = 0xE0000000
_FIRST_ADDRESS = 0x01000000


class Side(Enum):
    """An interface of the relay, by the name that ng commands use for it."""

    EXTERNAL = "external"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What the application of a call says of where the caller's media may be."""

    learn_nat: bool = False
    """Whether any public source may be learned if the description names a private address: rank 4 of D8."""
    sources: tuple[IPv4Network, ...] = ()
    """Where else than at the source of the SIP messages the caller's equipment is: media is sent there without proof."""

    def trusts(self, host: str) -> bool:
        """Return whether an IPv4 address is in one of the networks."""
        return any(IPv4Address(host) in network for network in self.sources)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides where packets of one side may go."""

    trusted: bool
    """The internal side: its session descriptions are believed without proof."""
    allow_private: bool
    own_addresses: frozenset[str]
    is_own_socket: Callable[[Address], bool]
    """Returns whether an address and port is a media socket of this relay: sending there would be a loop."""

    def permits(self, address: Address) -> bool:
        """Return whether media may be sent to `address` at all."""
        if not 0 < address[1] < 65_536 or self.is_own_socket(address):
            return False
        if self.trusted or self.allow_private:
            return _is_unicast(address[0])
        return address[0] not in self.own_addresses and is_public(address[0])

    def counts_as_public(self, host: str) -> bool:
        """Return whether a host needs no help with NAT."""
        return is_public(host) or (self.allow_private and _is_unicast(host))


def is_public(host: str) -> bool:
    """Return whether `host` is an IPv4 address that is neither private nor special by the table of D13."""
    try:
        address = IPv4Address(host)
    except AddressValueError:
        return False
    return not any(address in network for network, _ in REFUSED_RANGES)


def _is_unicast(host: str) -> bool:
    try:
        return _FIRST_ADDRESS <= int(IPv4Address(host)) < _MULTICAST_AND_ABOVE
    except AddressValueError:
        return False
