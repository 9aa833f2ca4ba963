"""The rules for source ranges that a customer may allow.

`ipaddress.is_private` cannot be used: it also covers the documentation ranges, which are allowed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

MAX_SOURCE_RANGES = 25

_SHAPE = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})/(\d{1,2})", re.ASCII)
EVERYWHERE = IPv4Network("0.0.0.0/0")

REFUSED_RANGES: tuple[tuple[IPv4Network, str], ...] = (
    (IPv4Network("10.0.0.0/8"), "RFC 1918 private range"),
    (IPv4Network("172.16.0.0/12"), "RFC 1918 private range"),
    (IPv4Network("192.168.0.0/16"), "RFC 1918 private range"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
    (IPv4Network("100.64.0.0/10"), "carrier-grade NAT range (RFC 6598)"),
    (IPv4Network("0.0.0.0/8"), "this-network range; only 0.0.0.0/0 means everywhere"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved range"),
)


def parse_range(text: str) -> IPv4Network:
    """Return the public IPv4 range that `text` denotes in canonical form; raises ValueError with the rule that it breaks."""
    if ":" in text:
        raise ValueError("IPv6 is not supported.")
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError(_shape_error(text))
    network = _strict_network(text, *shape.groups())
    if network != EVERYWHERE:
        _refuse_special(network)
    return network


def parse_address(text: str) -> str:
    """Return the IPv4 address that `text` denotes in canonical form; raises ValueError with the rule that it breaks."""
    if ":" in text:
        raise ValueError("IPv6 is not supported.")
    if _SHAPE.fullmatch(text):
        raise ValueError("A single address has no prefix length.")
    shape = _SHAPE.fullmatch(f"{text}/32")
    if shape is None or any(int(part) > 255 for part in shape[1].split(".")):
        raise ValueError("Not an IPv4 address, such as 203.0.113.9.")
    return str(_strict_network(f"{text}/32", *shape.groups()).network_address)


def contains(ranges: Iterable[str], address: str) -> bool:
    """Return whether an IPv4 address lies in one of the stored ranges."""
    ip = IPv4Address(address)
    return any(ip in IPv4Network(entry) for entry in ranges)


def _shape_error(text: str) -> str:
    try:
        IPv4Address(text)
    except ValueError:
        return "Not an IPv4 range in CIDR form, such as 203.0.113.0/24."
    return f"A single address needs its prefix length: write {text}/32."


def _strict_network(text: str, address: str, prefix: str) -> IPv4Network:
    if any(len(part) > 1 and part.startswith("0") for part in (*address.split("."), prefix)):
        raise ValueError("Leading zeros are ambiguous.")
    try:
        return IPv4Network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("Host bits are set: the range is ambiguous.") from None
        raise ValueError("Not an IPv4 range in CIDR form, such as 203.0.113.0/24.") from None


def _refuse_special(network: IPv4Network) -> None:
    for refused, why in REFUSED_RANGES:
        if network.overlaps(refused):
            raise ValueError(f"Overlaps {refused}: {why}.")
