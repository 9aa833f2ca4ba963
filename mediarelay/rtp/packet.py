"""RTP packets (RFC 3550 section 5.1) and what else may share their port."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import NamedTuple, Self

_HEADER = Struct("!BBHII")
_EXTENSION = Struct("!HH")
_PLAIN = 0x80
"""The first octet of a packet without CSRCs, extension and padding."""
_MARKER = 0x80


class Kind(Enum):
    """The kinds of datagrams at a media port, by their first two octets (RFC 7983, RFC 5761 section 4)."""

    RTP = "rtp"
    RTCP = "rtcp"
    STUN = "stun"
    DTLS = "dtls"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """A header extension (RFC 3550 section 5.3.1): `data` is a whole number of 32-bit words."""

    profile: int
    data: bytes


class RtpPacket(NamedTuple):
    """One RTP packet; `padding` counts the octets of padding, the count octet included.

    A tuple, as one is made for each 20 ms of each call: a frozen dataclass takes four times as long.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the packet in `raw`; raises ValueError with a sentence."""
        if len(raw) < 12:
            raise ValueError("The RTP packet is shorter than its fixed header.")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(raw)
        if first == _PLAIN:
            return cls(second & 0x7F, sequence, timestamp, ssrc, raw[12:], second >= _MARKER)
        if first >> 6 != 2:
            raise ValueError("The RTP version is not 2.")
        csrcs, position = _parse_csrcs(raw, first & 0x0F)
        extension: HeaderExtension | None = None
        if first & 0x10:
            extension, position = _parse_extension(raw, position)
        padding = _parse_padding(raw, position) if first & 0x20 else 0
        return cls(
            payload_type=second & 0x7F,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=raw[position : len(raw) - padding],
            marker=second >= _MARKER,
            csrcs=csrcs,
            extension=extension,
            padding=padding,
        )

    def __bytes__(self) -> bytes:
        first = _PLAIN | len(self.csrcs)
        tail = b"".join(csrc.to_bytes(4, "big") for csrc in self.csrcs)
        if self.extension is not None:
            first |= 0x10
            tail += _EXTENSION.pack(self.extension.profile, len(self.extension.data) // 4) + self.extension.data
        end = b""
        if self.padding:
            first |= 0x20
            end = bytes(self.padding - 1) + bytes((self.padding,))
        second = self.payload_type | (_MARKER if self.marker else 0)
        return _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc) + tail + self.payload + end


def plain_packet(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool) -> bytes:
    """Return a packet of header and payload alone: what `bytes(RtpPacket(…))` is, at a fraction of its cost."""
    return _HEADER.pack(_PLAIN, payload_type | _MARKER if marker else payload_type, sequence, timestamp, ssrc) + payload


def classify(data: bytes | bytearray | memoryview, size: int) -> Kind:
    """Return the kind of the first `size` octets of `data`, by the ranges of RFC 7983."""
    if size < 2:
        return Kind.OTHER
    first = data[0]
    if 128 <= first <= 191:
        return Kind.RTCP if is_rtcp(data, size) else Kind.RTP
    if first <= 3:
        return Kind.STUN
    return Kind.DTLS if 20 <= first <= 63 else Kind.OTHER


def is_rtcp(data: bytes | bytearray | memoryview, size: int) -> bool:
    """Return whether the first `size` octets of `data` are RTCP, at less cost than `classify`."""
    return size > 1 and 128 <= data[0] <= 191 and 192 <= data[1] <= 223


def is_well_formed(data: bytes | bytearray | memoryview, size: int) -> bool:
    """Return whether the lengths inside an RTP packet of `size` octets fit it, without building anything."""
    if size < 12 or data[0] >> 6 != 2:
        return False
    end = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if end + 4 > size:
            return False
        end += 4 + 4 * (data[end + 2] << 8 | data[end + 3])
    if end > size:
        return False
    return not data[0] & 0x20 or 0 < data[size - 1] <= size - end


def is_silence(data: bytes | bytearray | memoryview, size: int) -> bool:
    """Return whether a plain RTP packet holds digital silence, in any codec of single octets: all octets are the same.

    So does comfort noise, which is one octet of G.711's payload type 13 (RFC 3389).
    """
    return data[13:size] == data[12 : max(12, size - 1)]


def _parse_csrcs(raw: bytes, count: int) -> tuple[tuple[int, ...], int]:
    end = 12 + 4 * count
    if end > len(raw):
        raise ValueError("The RTP packet is shorter than its CSRC list.")
    return tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(12, end, 4)), end


def _parse_extension(raw: bytes, position: int) -> tuple[HeaderExtension, int]:
    if position + 4 > len(raw):
        raise ValueError("The RTP header extension is truncated.")
    profile, words = _EXTENSION.unpack_from(raw, position)
    end = position + 4 + 4 * words
    if end > len(raw):
        raise ValueError("The RTP header extension is truncated.")
    return HeaderExtension(profile, raw[position + 4 : end]), end


def _parse_padding(raw: bytes, position: int) -> int:
    if position >= len(raw) or not 0 < raw[-1] <= len(raw) - position:
        raise ValueError("The RTP padding is longer than the payload.")
    return raw[-1]
