"""Session descriptions (RFC 8866) as a relay sees them: received lines, and where in them the addresses stand.

The lines are kept as they came, terminators included. Parsing notes only what a relay must know: the origin, the
connection lines, the media lines with their ports, and the attributes that carry addresses. Everything else is
somebody else's business and is neither checked nor changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

__all__ = ["MAX_LINES", "MAX_MEDIA", "Connection", "Direction", "Media", "RtcpAttribute", "SessionDescription"]

MAX_LINES = 2_000
"""Lines of one description; browsers send some 200."""
MAX_MEDIA = 32
"""Media lines of one description; each live one costs two pairs of ports."""

_NUMBER = re.compile(rb"[0-9]{1,5}")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_DIRECTIONS = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")
_CLOCK_RATE = 8000

Direction = str
"""One of `sendrecv`, `sendonly`, `recvonly`, `inactive`."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection line (RFC 8866 section 5.7)."""

    line: int
    family: str
    """`IP4` or `IP6`."""
    host: str
    """The address or name, without TTL."""

    @property
    def address(self) -> str | None:
        """The host when it is an IPv4 address literal, else None."""
        return self.host if self.family == "IP4" and _IPV4.fullmatch(self.host) else None

    @property
    def unspecified(self) -> bool:
        """Whether the line says `0.0.0.0`, the old way to hold a call."""
        return self.host == "0.0.0.0"


@dataclass(frozen=True, slots=True)
class RtcpAttribute:
    """An `a=rtcp` line (RFC 3605)."""

    line: int
    port: int
    address: str | None


@dataclass(frozen=True, slots=True)
class Media:
    """One media section."""

    line: int
    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None
    """The connection that holds for this section: its own, else the session's."""
    own_connections: tuple[Connection, ...]
    rtcp: RtcpAttribute | None
    rtcp_mux: bool
    direction: Direction
    clock_rate: int
    """Timestamp units a second of the first format."""

    @property
    def live(self) -> bool:
        """Whether the stream has a port; 0 means refused or ended."""
        return self.port != 0

    @property
    def is_rtp(self) -> bool:
        """Whether RTP is what the stream carries; T.38 over UDPTL is not RTP."""
        return "RTP/" in self.protocol

    @property
    def payload_types(self) -> frozenset[int]:
        """The RTP payload types that are offered or accepted."""
        return frozenset(int(name) for name in self.formats if name.isdecimal() and int(name) < 128)

    @property
    def on_hold(self) -> bool:
        """Whether this side asks to hear nothing: `sendonly`, `inactive` or the address 0.0.0.0."""
        held = self.connection is not None and self.connection.unspecified
        return held or self.direction in ("sendonly", "inactive")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A parsed description; `lines` joined by line feeds are the received octets."""

    lines: tuple[bytes, ...]
    origins: tuple[int, ...]
    """Indexes of the origin lines; a second one is wrong, yet it would show an address all the same."""
    connections: tuple[Connection, ...]
    """The session-level connection lines."""
    media: tuple[Media, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the description in `raw`; raises ValueError with a sentence.

        A live stream must have a connection line that is not IPv6.
        """
        lines = tuple(raw.split(b"\n"))
        if len(lines) > MAX_LINES:
            raise ValueError("The session description has too many lines.")
        if not lines[0].startswith(b"v="):
            raise ValueError("The body is not a session description.")
        starts = [index for index, line in enumerate(lines) if line.startswith(b"m=")]
        if len(starts) > MAX_MEDIA:
            raise ValueError("The session description has too many media lines.")
        head = _Section(lines, 0, starts[0] if starts else len(lines))
        bounds = pairwise([*starts, len(lines)])
        direction = head.direction() or "sendrecv"
        media = tuple(_parse_media(_Section(lines, start, end), head.connections, direction) for start, end in bounds)
        origins = tuple(index for index, line in enumerate(lines) if line.startswith(b"o="))
        return cls(lines, origins, head.connections, media)

    def __bytes__(self) -> bytes:
        return b"\n".join(self.lines)


class _Section:
    """A run of lines: the session's head or one medium."""

    def __init__(self, lines: tuple[bytes, ...], start: int, end: int) -> None:
        self.lines, self.start, self.end = lines, start, end
        self.connections = tuple(_parse_connection(lines[at], at) for at in self._starting(b"c="))

    def attribute(self, name: bytes) -> int | None:
        """Return the index of the first `a=name` or `a=name:…`."""
        for at in self._starting(b"a=" + name):
            if self.lines[at][2 + len(name) :].rstrip()[:1] in (b"", b":"):
                return at
        return None

    def direction(self) -> Direction | None:
        """Return the section's direction attribute, or None."""
        found = [name for name in _DIRECTIONS if self.attribute(name) is not None]
        return found[-1].decode() if found else None

    def find(self, prefix: bytes) -> int | None:
        """Return the index of the first line that begins with `prefix`."""
        return next(self._starting(prefix), None)

    def _starting(self, prefix: bytes) -> Iterator[int]:
        return (at for at in range(self.start, self.end) if self.lines[at].startswith(prefix))


def _parse_clock_rate(section: _Section, formats: tuple[str, ...]) -> int:
    prefix = b"a=rtpmap:%b " % (formats[0].encode() if formats else b"")
    at = section.find(prefix)
    parts = section.lines[at][len(prefix) :].split(b"/") if at is not None else []
    rate = parts[1].strip() if len(parts) > 1 else b""
    return int(rate) if rate.isdigit() and 0 < len(rate) < 8 and int(rate) else _CLOCK_RATE


def _parse_connection(line: bytes, index: int) -> Connection:
    parts = line[2:].split()
    if len(parts) != 3 or parts[0] != b"IN" or parts[1] not in (b"IP4", b"IP6"):
        raise ValueError("A connection line is malformed.")
    return Connection(index, parts[1].decode(), parts[2].split(b"/")[0].decode("latin-1"))


def _parse_media(section: _Section, inherited: tuple[Connection, ...], direction: Direction) -> Media:
    parts = section.lines[section.start][2:].split()
    if len(parts) < 4:
        raise ValueError("A media line is malformed.")
    kind, port, protocol, formats = parts[0], parts[1], parts[2], tuple(name.decode("latin-1") for name in parts[3:])
    connections = section.connections or inherited
    media = Media(
        line=section.start,
        kind=kind.decode("latin-1"),
        port=_parse_port(port.split(b"/")[0]),
        protocol=protocol.decode("latin-1"),
        formats=formats,
        connection=connections[0] if connections else None,
        own_connections=section.connections,
        rtcp=_parse_rtcp(section),
        rtcp_mux=section.attribute(b"rtcp-mux") is not None,
        direction=section.direction() or direction,
        clock_rate=_parse_clock_rate(section, formats),
    )
    if media.live and media.connection is None:
        raise ValueError("A media section has no connection line.")
    if media.live and media.connection is not None and media.connection.family == "IP6":
        raise ValueError("The media address is IPv6, which is not supported.")
    return media


def _parse_port(raw: bytes) -> int:
    if not _NUMBER.fullmatch(raw) or int(raw) > 65_535:
        raise ValueError("A port in the session description is malformed.")
    return int(raw)


def _parse_rtcp(section: _Section) -> RtcpAttribute | None:
    at = section.attribute(b"rtcp")
    if at is None:
        return None
    parts = section.lines[at].partition(b":")[2].split()
    if len(parts) not in (1, 4):
        raise ValueError("An a=rtcp line is malformed.")
    host = parts[3].decode("latin-1") if len(parts) == 4 else None
    return RtcpAttribute(at, _parse_port(parts[0]), host if host and _IPV4.fullmatch(host) else None)
