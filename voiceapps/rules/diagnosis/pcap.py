"""Stored SIP messages as a capture file for tools such as Wireshark.

The classic format with raw IPv4 packets (LINKTYPE_RAW, 101). Only the messages were stored, so their packets are synthesised:
UDP as it was; TCP as one segment for each message, with consistent sequence numbers and without a handshake; TLS as TCP
without encryption.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

LINKTYPE_RAW = 101
MAX_PACKET = 65_535
CONTENT_TYPE = "application/vnd.tcpdump.pcap"
_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_TCP = struct.Struct("!HHIIBBHHH")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UDP_NUMBER, _TCP_NUMBER = 17, 6
_PUSH_AND_ACK = 0x18
_WINDOW = 65_535
_HOPS = 64
_FIRST_SEQUENCE = 1

_End = tuple[bytes, int]
"""Four octets of an address, and a port."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a call; addresses as `ip:port`."""

    at: datetime
    transport: str
    source: str
    destination: str
    text: str


def capture(messages: Iterable[StoredMessage]) -> Iterator[bytes]:
    """Yield a capture file in pieces: its header, then each message in the order given."""
    yield _HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, MAX_PACKET, LINKTYPE_RAW)
    sequences: dict[tuple[_End, _End], int] = {}
    for message in messages:
        source, target = _end(message.source), _end(message.destination)
        data = message.text.encode()[: MAX_PACKET - _IP.size - _TCP.size]
        if message.transport == "UDP":
            packet = _packet(_UDP_NUMBER, source, target, _datagram(source, target, data))
        else:
            packet = _packet(_TCP_NUMBER, source, target, _segment(source, target, data, sequences))
        yield _RECORD.pack(*divmod((message.at - _EPOCH) // _MICROSECOND, 1_000_000), len(packet), len(packet)) + packet


def _end(text: str) -> _End:
    """Return the address in `ip:port`, or 0.0.0.0:0 for other text, which old rows may hold."""
    host, _, port = text.rpartition(":")
    try:
        return IPv4Address(host).packed, int(port) & 0xFFFF
    except ValueError:
        return bytes(4), 0


def _datagram(source: _End, target: _End, data: bytes) -> bytes:
    head = (source[1], target[1], _UDP.size + len(data))
    # In UDP a checksum of zero means that there is none (RFC 768).
    total = _checksum(_pseudo(source, target, _UDP_NUMBER, head[2]) + _UDP.pack(*head, 0) + data) or 0xFFFF
    return _UDP.pack(*head, total) + data


def _segment(source: _End, target: _End, data: bytes, sequences: dict[tuple[_End, _End], int]) -> bytes:
    sent, heard = sequences.get((source, target), _FIRST_SEQUENCE), sequences.get((target, source), _FIRST_SEQUENCE)
    sequences[source, target] = (sent + len(data)) & 0xFFFFFFFF
    words = _TCP.size // 4 << 4
    head = (source[1], target[1], sent, heard, words, _PUSH_AND_ACK, _WINDOW)
    total = _checksum(_pseudo(source, target, _TCP_NUMBER, _TCP.size + len(data)) + _TCP.pack(*head, 0, 0) + data)
    return _TCP.pack(*head, total, 0) + data


def _packet(protocol: int, source: _End, target: _End, body: bytes) -> bytes:
    head = (0x45, 0, _IP.size + len(body), 0, 0, _HOPS, protocol)
    total = _checksum(_IP.pack(*head, 0, source[0], target[0]))
    return _IP.pack(*head, total, source[0], target[0]) + body


def _pseudo(source: _End, target: _End, protocol: int, length: int) -> bytes:
    """Return the pseudo header that a checksum covers (RFC 768, RFC 9293 §3.1)."""
    return source[0] + target[0] + struct.pack("!HH", protocol, length)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): a sum with end-around carry is a remainder modulo 0xFFFF."""
    remainder = int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF
    # A sum of data that are not all zeros is never zero.
    return 0xFFFF - (remainder or 0xFFFF)
