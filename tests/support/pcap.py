"""Read capture files of raw IPv4 packets, checksums included."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from daemonkit.address import Address


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet; the sequence numbers are those of TCP."""

    microseconds: int
    protocol: int
    source: Address
    destination: Address
    payload: bytes
    sequence: int = 0
    acknowledged: int = 0


def read_capture(data: bytes) -> list[Captured]:
    """Read a whole file; ValueError if a length, a checksum or a field is wrong."""
    if struct.unpack_from("<IHHiIII", data) != (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101):
        raise ValueError("It is no capture of raw packets.")
    packets, at = [], 24
    while at < len(data):
        seconds, microseconds, held, real = struct.unpack_from("<IIII", data, at)
        if held != real or microseconds >= 1_000_000 or at + 16 + held > len(data):
            raise ValueError("A record is malformed.")
        packets.append(_packet(seconds * 1_000_000 + microseconds, data[at + 16 : at + 16 + held]))
        at += 16 + held
    return packets


def _packet(microseconds: int, packet: bytes) -> Captured:
    version, length, protocol = packet[0], int.from_bytes(packet[2:4], "big"), packet[9]
    if version != 0x45 or length != len(packet) or not packet[8] or _sum(packet[:20]) != 0xFFFF:
        raise ValueError("The IP header is malformed.")
    body = packet[20:]
    if _sum(packet[12:20] + struct.pack("!HH", protocol, len(body)) + body) != 0xFFFF:
        raise ValueError("The checksum is wrong.")
    source, target = struct.unpack_from("!HH", body)
    ends = (str(IPv4Address(packet[12:16])), source), (str(IPv4Address(packet[16:20])), target)
    if protocol == 17:
        if int.from_bytes(body[4:6], "big") != len(body) or body[6:8] == b"\0\0":
            raise ValueError("The UDP header is malformed.")
        return Captured(microseconds, protocol, *ends, body[8:])
    sequence, acknowledged, offset, flags = struct.unpack_from("!IIBB", body, 4)
    if protocol != 6 or (offset, flags) != (0x50, 0x18):
        raise ValueError("The TCP header is malformed.")
    return Captured(microseconds, protocol, *ends, body[20:], sequence, acknowledged)


def _sum(data: bytes) -> int:
    """Add up word by word (RFC 1071)."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total
