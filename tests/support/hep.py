"""Read HEP version 3 packets, as a collector does."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from daemonkit.address import Address


@dataclass(frozen=True, slots=True)
class HepPacket:
    """The contents of one packet."""

    protocol: int
    source: Address
    destination: Address
    at: float
    agent_id: int
    correlation: str
    key: bytes | None
    payload: bytes


def decode(packet: bytes) -> HepPacket:
    """Read a packet about SIP over IPv4; ValueError if a length or a chunk is wrong."""
    chunks = _chunks(packet)
    if (chunks.pop(1), chunks.pop(11)) != (b"\x02", b"\x01"):
        raise ValueError("It is not about SIP over IPv4.")
    seconds, microseconds = _number(chunks.pop(9), 4), _number(chunks.pop(10), 4)
    found = HepPacket(
        protocol=_number(chunks.pop(2), 1),
        source=(str(IPv4Address(chunks.pop(3))), _number(chunks.pop(7), 2)),
        destination=(str(IPv4Address(chunks.pop(4))), _number(chunks.pop(8), 2)),
        at=seconds + microseconds / 1_000_000,
        agent_id=_number(chunks.pop(12), 4),
        correlation=chunks.pop(0x11).decode(),
        key=chunks.pop(0x0E, None),
        payload=chunks.pop(0x0F),
    )
    if chunks or microseconds >= 1_000_000:
        raise ValueError(f"Nobody asked for the chunks {sorted(chunks)}.")
    return found


def _chunks(packet: bytes) -> dict[int, bytes]:
    if packet[:4] != b"HEP3" or _number(packet[4:6], 2) != len(packet):
        raise ValueError("It is no HEP packet of this length.")
    found: dict[int, bytes] = {}
    at = 6
    while at < len(packet):
        vendor, number, length = struct.unpack_from("!HHH", packet, at)
        if vendor or number in found or length < 6 or at + length > len(packet):
            raise ValueError(f"The chunk at {at} is malformed.")
        found[number] = packet[at + 6 : at + length]
        at += length
    return found


def _number(data: bytes, size: int) -> int:
    if len(data) != size:
        raise ValueError(f"{len(data)} octets stand where {size} should.")
    return int.from_bytes(data, "big")
