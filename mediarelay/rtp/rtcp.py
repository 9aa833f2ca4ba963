"""RTCP packets (RFC 3550 section 6): SR, RR, SDES and BYE, alone and in compound datagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Self

MAX_PACKETS = 32
"""Packets in one compound datagram; real ones hold two or three."""
CNAME = 1
"""SDES item type of the canonical name (RFC 3550 section 6.5.1)."""

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_HEADER = Struct("!BBH")
_WORD = Struct("!I")
_SENDER = Struct("!IQIII")
_BLOCK = Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver saw of one source (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    """Cumulative, signed 24 bits: duplicates make it negative."""
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the block in exactly 24 octets; raises ValueError."""
        if len(raw) != _BLOCK.size:
            raise ValueError("The RTCP report block is truncated.")
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack(raw)
        lost = loss & 0xFFFFFF
        return cls(ssrc, loss >> 24, lost - (1 << 24) if lost >> 23 else lost, highest, jitter, last_sr, delay)

    def __bytes__(self) -> bytes:
        lost = max(-(1 << 23), min((1 << 23) - 1, self.packets_lost)) & 0xFFFFFF
        loss = self.fraction_lost << 24 | lost
        return _BLOCK.pack(self.ssrc, loss, self.highest_sequence, self.jitter, self.last_sr, self.delay_since_last_sr)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """An SR; `ntp` is the 64-bit timestamp of RFC 3550 section 4."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse_body(cls, body: bytes, count: int) -> Self:
        """Return the report in the octets after the common header; raises ValueError."""
        if len(body) < _SENDER.size:
            raise ValueError("The RTCP sender report is truncated.")
        ssrc, ntp, rtp_timestamp, packets, octets = _SENDER.unpack_from(body)
        return cls(ssrc, ntp, rtp_timestamp, packets, octets, _parse_blocks(body, _SENDER.size, count))

    def __bytes__(self) -> bytes:
        body = _SENDER.pack(self.ssrc, self.ntp, self.rtp_timestamp, self.packets, self.octets)
        return _frame(_SR, len(self.blocks), body + b"".join(map(bytes, self.blocks)))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """An RR: the reports of a participant that has sent nothing lately."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse_body(cls, body: bytes, count: int) -> Self:
        """Return the report in the octets after the common header; raises ValueError."""
        if len(body) < 4:
            raise ValueError("The RTCP receiver report is truncated.")
        return cls(_word(body, 0), _parse_blocks(body, 4, count))

    def __bytes__(self) -> bytes:
        return _frame(_RR, len(self.blocks), _WORD.pack(self.ssrc) + b"".join(map(bytes, self.blocks)))


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """An SDES packet: for each source its items as (type, value)."""

    chunks: tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]

    @classmethod
    def parse_body(cls, body: bytes, count: int) -> Self:
        """Return the chunks in the octets after the common header; raises ValueError."""
        chunks = []
        position = 0
        for _ in range(count):
            if position + 4 > len(body):
                raise ValueError("The RTCP source description is truncated.")
            items, end = _parse_items(body, position + 4)
            chunks.append((_word(body, position), items))
            position = end
        return cls(tuple(chunks))

    def __bytes__(self) -> bytes:
        body = b""
        for ssrc, items in self.chunks:
            text = b"".join(bytes((kind, len(value))) + value for kind, value in items)
            body += _WORD.pack(ssrc) + text + bytes(4 - len(text) % 4)
        return _frame(_SDES, len(self.chunks), body)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A BYE: sources that leave, and why."""

    sources: tuple[int, ...]
    reason: bytes = b""

    @classmethod
    def parse_body(cls, body: bytes, count: int) -> Self:
        """Return the sources in the octets after the common header; raises ValueError."""
        end = 4 * count
        if end > len(body):
            raise ValueError("The RTCP goodbye is truncated.")
        sources = tuple(_word(body, at) for at in range(0, end, 4))
        if end == len(body):
            return cls(sources)
        reason = body[end + 1 : end + 1 + body[end]]
        if len(reason) != body[end]:
            raise ValueError("The RTCP goodbye's reason is truncated.")
        return cls(sources, reason)

    def __bytes__(self) -> bytes:
        body = b"".join(map(_WORD.pack, self.sources))
        if self.reason:
            text = bytes((len(self.reason),)) + self.reason
            body += text + bytes(-len(text) % 4)
        return _frame(_BYE, len(self.sources), body)


@dataclass(frozen=True, slots=True)
class UnknownPacket:
    """A packet of a type that this module does not read: APP, feedback, XR."""

    packet_type: int
    count: int
    body: bytes

    def __bytes__(self) -> bytes:
        return _frame(self.packet_type, self.count, self.body)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | UnknownPacket

_READERS: dict[int, type[SenderReport] | type[ReceiverReport] | type[SourceDescription] | type[Goodbye]] = {
    _SR: SenderReport,
    _RR: ReceiverReport,
    _SDES: SourceDescription,
    _BYE: Goodbye,
}


def parse_compound(raw: bytes) -> tuple[RtcpPacket, ...]:
    """Return the packets of a datagram in order; raises ValueError with a sentence.

    RFC 3550 section 6.1 wants a report first; RFC 5506 lifts that, so any order is accepted.
    """
    packets: list[RtcpPacket] = []
    position = 0
    while position < len(raw):
        if len(packets) == MAX_PACKETS:
            raise ValueError("The RTCP datagram holds too many packets.")
        if position + 4 > len(raw):
            raise ValueError("The RTCP header is truncated.")
        first, packet_type, words = _HEADER.unpack_from(raw, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2:
            raise ValueError("The RTCP version is not 2.")
        if end > len(raw):
            raise ValueError("The RTCP packet is truncated.")
        body = _without_padding(raw[position + 4 : end]) if first & 0x20 else raw[position + 4 : end]
        packets.append(_parse_one(packet_type, first & 0x1F, body))
        position = end
    if not packets:
        raise ValueError("The RTCP datagram is empty.")
    return tuple(packets)


def build_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """Return the datagram that holds `packets` in order."""
    return b"".join(map(bytes, packets))


def ntp_from_seconds(seconds: float) -> int:
    """Return `seconds` as a 64-bit NTP timestamp; any steady clock will do (RFC 3550 section 4)."""
    return int(seconds * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def _frame(packet_type: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    if start + count * _BLOCK.size > len(body):
        raise ValueError("The RTCP report block is truncated.")
    ends = range(start, start + count * _BLOCK.size, _BLOCK.size)
    return tuple(ReportBlock.parse(body[at : at + _BLOCK.size]) for at in ends)


def _parse_items(body: bytes, position: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """Return the items of a chunk and where the next chunk begins (a 32-bit boundary)."""
    items: list[tuple[int, bytes]] = []
    while position < len(body) and body[position]:
        end = position + 2 + body[position + 1] if position + 1 < len(body) else len(body) + 1
        if end > len(body):
            raise ValueError("The RTCP source description item is truncated.")
        items.append((body[position], body[position + 2 : end]))
        position = end
    return tuple(items), (position // 4 + 1) * 4


def _parse_one(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    reader = _READERS.get(packet_type)
    return UnknownPacket(packet_type, count, body) if reader is None else reader.parse_body(body, count)


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise ValueError("The RTCP padding is longer than the packet.")
    if body[-1] % 4:
        raise ValueError("The RTCP padding is not a multiple of four octets.")
    return body[: -body[-1]]


def _word(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")
