"""Copies of messages for a collector such as Homer: HEP version 3, one UDP datagram each.

A packet is `HEP3`, its length, and chunks of vendor, type, length and value, all in network order (HEP/EEP reference,
revision 36). TLS is no IP protocol and has no number: its messages are sent as TCP.
"""

from __future__ import annotations

import struct

from daemonkit.address import Address
from sipproxy.core.events import MessageSeen

MAX_PAYLOAD = 60_000  # an IPv4 datagram takes 65,507 bytes; a longer message is cut
_CHUNK = struct.Struct("!HHH")
_IPV4, _SIP = 2, 1
_UDP, _TCP = 17, 6
_KEY, _PAYLOAD, _CORRELATION = 0x0E, 0x0F, 0x11


def encode(message: MessageSeen, *, agent_id: int, key: bytes = b"") -> bytes:
    """Return the packet for one message; its correlation id is the internal call id."""
    seconds, microseconds = divmod(round(message.at * 1_000_000), 1_000_000)
    chunks = [
        _chunk(1, bytes((_IPV4,))),
        _chunk(2, bytes((_TCP if message.transport.is_stream else _UDP,))),
        _chunk(3, _packed(message.source)),
        _chunk(4, _packed(message.destination)),
        _chunk(7, message.source[1].to_bytes(2, "big")),
        _chunk(8, message.destination[1].to_bytes(2, "big")),
        _chunk(9, seconds.to_bytes(4, "big")),
        _chunk(10, microseconds.to_bytes(4, "big")),
        _chunk(11, bytes((_SIP,))),
        _chunk(12, agent_id.to_bytes(4, "big")),
        _chunk(_CORRELATION, message.call_id.encode()),
    ]
    if key:
        chunks.append(_chunk(_KEY, key))
    chunks.append(_chunk(_PAYLOAD, message.data[:MAX_PAYLOAD]))
    body = b"".join(chunks)
    return b"HEP3" + (len(body) + 6).to_bytes(2, "big") + body


def _chunk(number: int, value: bytes) -> bytes:
    return _CHUNK.pack(0, number, _CHUNK.size + len(value)) + value


def _packed(address: Address) -> bytes:
    return bytes(map(int, address[0].split(".")))
