"""Session descriptions (RFC 8866): the received lines, and where in them the addresses are.

The lines are kept as they were received, terminators included. Parsing reads what a relay and an endpoint need: the origin,
the connection lines, the media lines, and the attributes that carry addresses, directions or RTP payload types. Everything
else is neither checked nor changed. What a lenient reader might take for another line is refused, because an address in it
would pass the relay: a bare carriage return, a NUL, blanks around a line's type.

A stream that cannot be served counts as refused: its port is 0 here, whatever its line says, and the other streams go on
(RFC 3264 section 6). Only a description none of whose streams can be served is refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self, cast

MAX_LINES = 2_000
"""Lines of one description; browsers send some 200."""
MAX_MEDIA = 32
"""Media sections of one description; those behind them count as refused."""

_NUMBER = re.compile(rb"[0-9]{1,5}")
_RTPMAP = re.compile(rb"\s*([0-9]{1,3})\s+([^/]*)/([0-9]{1,7})(?:/0*([0-9]{1,2})(?![0-9]))?(?:[/\s]|\Z)")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_SCOPE = re.compile(rb"/[0-9]{1,3}(?:/[0-9]{1,5})?")
"""What may follow the address of a connection line: the TTL and the number of addresses."""
_TORN = re.compile(rb"\0|\r(?!\n|\Z)")
_BLANK = re.compile(rb"(?m)^(?:[ \t\v\f]+[A-Za-z][ \t\v\f]*=|[A-Za-z][ \t\v\f]+=)")
_ATTRIBUTE = re.compile(rb"a=\s*([^:\s]*)")
DIRECTIONS = frozenset((b"sendrecv", b"sendonly", b"recvonly", b"inactive"))
"""The names of the attributes that say who sends and who receives (RFC 8866 section 6.7)."""
_DEFAULT_RATE = 8000
_STATIC_RATES = {
    6: 16_000, 10: 44_100, 11: 44_100, 14: 90_000, 16: 11_025, 17: 22_050, 25: 90_000, 26: 90_000, 28: 90_000, 31: 90_000, 32: 90_000,
    33: 90_000, 34: 90_000,
}  # fmt: skip
"""Clock rates of the static payload types that are not 8000 (RFC 3551 section 6)."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection line (RFC 8866 section 5.7)."""

    line: int
    family: str
    """`IP4`, `IP6`, or empty if the line cannot be read."""
    host: str
    """The address or name, without TTL."""

    @property
    def fault(self) -> str:
        """Why no stream can use the connection, in one sentence; empty if one can."""
        if not self.family:
            return "A connection line is malformed."
        return "The media address is IPv6, which is not supported." if self.family == "IP6" else ""

    @property
    def address(self) -> str | None:
        """The host if it is an IPv4 address literal, else None."""
        return self.host if self.family == "IP4" and _IPV4.fullmatch(self.host) else None

    @property
    def unspecified(self) -> bool:
        """True if the address is `0.0.0.0`, by which RFC 2543 says hold."""
        return self.host == "0.0.0.0"


@dataclass(frozen=True, slots=True)
class RtcpAttribute:
    """An `a=rtcp` line (RFC 3605)."""

    port: int
    address: str | None


@dataclass(frozen=True, slots=True)
class Media:
    """One media section."""

    line: int
    end: int
    """Index of the line after its last."""
    kind: str
    port: int
    """0 if the stream is refused, has ended, or cannot be served."""
    fault: str
    """Why the stream cannot be served, in one sentence; empty if it can, or if nobody wants it."""
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None
    """The first usable connection line of this section, else its first one; those of the session if it has none of its own."""
    own_connections: tuple[Connection, ...]
    rtcp: RtcpAttribute | None
    rtcp_mux: bool
    keyed: bool
    """True if the section names keys (RFC 4568)."""
    direction: Direction
    clock_rates: Mapping[int, int]
    """Timestamp units a second by RTP payload type, in the order of the formats."""
    encodings: Mapping[int, str]
    """Encoding names in lower case by RTP payload type, as `a=rtpmap` gives them and in its order; `l16/2` has two channels."""

    @property
    def live(self) -> bool:
        """True if the stream has a port and can be served."""
        return self.port != 0

    @property
    def is_rtp(self) -> bool:
        """True if the stream carries RTP, with or without feedback and encryption; T.38 over UDPTL does not."""
        return "RTP/" in self.protocol.upper()

    @property
    def is_dtls(self) -> bool:
        """True if the ends negotiate keys by DTLS on the stream's port (RFC 5764)."""
        return "TLS/" in self.protocol.upper()

    @property
    def is_encrypted(self) -> bool:
        """True if what this party sends is SRTP and SRTCP, or will be if the other one has keys, too (RFC 8643)."""
        return self.keyed or "/SAVP" in self.protocol.upper()

    @property
    def clock_rate(self) -> int:
        """Timestamp units a second of the first payload type."""
        return next(iter(self.clock_rates.values()), _DEFAULT_RATE)

    @property
    def payload_types(self) -> frozenset[int]:
        """The RTP payload types that are offered or accepted."""
        return frozenset(self.clock_rates)

    @property
    def on_hold(self) -> bool:
        """True if this side wants to receive nothing: `sendonly`, `inactive` or the address 0.0.0.0."""
        held = self.connection is not None and self.connection.unspecified
        return held or self.direction in ("sendonly", "inactive")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A parsed description; `lines` joined by line feeds are the received octets."""

    lines: tuple[bytes, ...]
    names: tuple[bytes, ...]
    """For each line the name of its attribute in lower case; empty for lines that are not attributes."""
    origins: tuple[int, ...]
    """Indexes of the origin lines; a second one is an error, but it shows an address as well."""
    connections: tuple[Connection, ...]
    """The session-level connection lines."""
    media: tuple[Media, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the description in `raw`; raises ValueError with a sentence, also if it has streams and none can be served."""
        lines = tuple(raw.split(b"\n"))
        _check_lines(raw, lines)
        names = tuple([_attribute_name(line) if line[:2] == b"a=" else b"" for line in lines])
        starts = [at for at, line in enumerate(lines) if line[:2] == b"m="]
        head = _Section(lines, names, 0, starts[0] if starts else len(lines))
        sections = (_Section(lines, names, start, end) for start, end in pairwise([*starts, len(lines)]))
        media = tuple([_parse_media(section, head, served=index < MAX_MEDIA) for index, section in enumerate(sections)])
        faults = [one.fault for one in media if one.fault]
        if faults and not any(one.live for one in media):
            raise ValueError(faults[0])
        origins = tuple([at for at, line in enumerate(lines) if line[:2] == b"o="])
        return cls(lines, names, origins, head.connections, media)

    def __bytes__(self) -> bytes:
        return b"\n".join(self.lines)


class _Section:
    """A run of lines: the session's head or one medium."""

    def __init__(self, lines: tuple[bytes, ...], names: tuple[bytes, ...], start: int, end: int) -> None:
        self.lines, self.names, self.start, self.end = lines[start:end], names[start:end], start, end
        self.connections = tuple([_parse_connection(line, start + at) for at, line in enumerate(self.lines) if line[:2] == b"c="])

    def direction(self) -> Direction | None:
        """Return the section's last direction attribute, or None."""
        return next((cast(Direction, name.decode()) for name in reversed(self.names) if name in DIRECTIONS), None)

    def values(self, name: bytes) -> list[bytes]:
        """Return the value of each `a=name:value`."""
        return [line.partition(b":")[2] for line, known in zip(self.lines, self.names, strict=True) if known == name]


def _attribute_name(line: bytes) -> bytes:
    match = _ATTRIBUTE.match(line)
    return match[1].lower() if match else b""


def _check_lines(raw: bytes, lines: tuple[bytes, ...]) -> None:
    if len(lines) > MAX_LINES:
        raise ValueError("The session description has too many lines.")
    if not lines[0].startswith(b"v="):
        raise ValueError("The body is not a session description.")
    if _TORN.search(raw):
        raise ValueError("A line of the session description holds a NUL or a bare carriage return.")
    if _BLANK.search(raw):
        raise ValueError("A line of the session description has a blank before its equals sign.")


def _parse_clock_rates(maps: Mapping[int, tuple[str, int]], formats: Iterable[str]) -> dict[int, int]:
    """Return the clock rate of each payload type: from its map, else its static rate, else 8000."""
    types = [int(name) for name in formats if len(name) < 4 and name.isdecimal()]
    mapped = {number: rate for number, (_, rate) in maps.items()}
    return {number: mapped.get(number) or _STATIC_RATES.get(number, _DEFAULT_RATE) for number in types if number < 128}


def _parse_connection(line: bytes, index: int) -> Connection:
    """Return a connection line; words behind the address are ignored."""
    parts = line[2:].split()
    if len(parts) < 3 or parts[0] != b"IN" or parts[1] not in (b"IP4", b"IP6"):
        return Connection(index, "", "")
    host, slash, _ = parts[2].partition(b"/")
    if slash and not _SCOPE.fullmatch(parts[2], len(host)):
        return Connection(index, "", "")
    return Connection(index, parts[1].decode(), host.decode("latin-1"))


def _parse_media(section: _Section, head: _Section, *, served: bool) -> Media:
    parts = section.lines[0][2:].split()
    if len(parts) < 3:
        raise ValueError("A media line is malformed.")
    kind, protocol, *formats = (word.decode("latin-1") for word in (parts[0], *parts[2:]))
    connections = section.connections or head.connections
    connection = next((one for one in connections if not one.fault), connections[0] if connections else None)
    port = _parse_port(parts[1].split(b"/")[0])
    fault = "" if port == 0 else "A media line names no format." if not formats else _find_fault(port, connection, served=served)
    rtcp = section.values(b"rtcp")
    maps = _parse_rtpmaps(section)
    return Media(
        line=section.start,
        end=section.end,
        kind=kind,
        port=0 if fault or port is None else port,
        fault=fault,
        protocol=protocol,
        formats=tuple(formats),
        connection=connection,
        own_connections=section.connections,
        rtcp=_parse_rtcp(rtcp[0]) if rtcp else None,
        rtcp_mux=b"rtcp-mux" in section.names,
        keyed=b"crypto" in section.names,
        direction=section.direction() or head.direction() or "sendrecv",
        clock_rates=_parse_clock_rates(maps, formats),
        encodings={number: name for number, (name, _) in maps.items()},
    )


def _find_fault(port: int | None, connection: Connection | None, *, served: bool) -> str:
    """Return why a stream cannot be served, in one sentence; empty if it can."""
    if not served:
        return "The session description has too many media sections."
    if port is None:
        return "A port in the session description is malformed."
    return connection.fault if connection is not None else "A media section has no connection line."


def _parse_port(raw: bytes) -> int | None:
    """Return a port number, or None if it is none."""
    return int(raw) if _NUMBER.fullmatch(raw) and int(raw) <= 65_535 else None


def _parse_rtcp(value: bytes) -> RtcpAttribute | None:
    """Return the value of `a=rtcp`, or None if it is malformed: RTCP then goes where it does without the attribute."""
    parts = value.split()
    port = _parse_port(parts[0]) if len(parts) in (1, 4) else None
    if port is None:
        return None
    host = parts[3].decode("latin-1") if len(parts) == 4 else None
    return RtcpAttribute(port, host if host and _IPV4.fullmatch(host) else None)


def _parse_rtpmaps(section: _Section) -> dict[int, tuple[str, int]]:
    """Return encoding name and clock rate by payload type; the first map of a type counts."""
    maps: dict[int, tuple[str, int]] = {}
    for match in map(_RTPMAP.match, section.values(b"rtpmap")):
        if match and int(match[3]):
            name = match[2].decode("latin-1").lower()
            channels = int(match[4] or 1)
            maps.setdefault(int(match[1]), (name if channels == 1 else f"{name}/{channels}", int(match[3])))
    return maps
