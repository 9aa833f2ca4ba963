"""Put the relay's addresses and ports into a session description, and leave every other octet as it was received.

Attributes that would lead media around the relay, or that are wrong behind it, are removed: ICE, alternative connections,
source filters, and bundling, because each section has its own ports at the relay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from mediarelay.sdp.description import DIRECTIONS, Connection, Media, SessionDescription

_AROUND = frozenset((b"alt", b"altc", b"ccap", b"ice2", b"source-filter", b"bundle-only"))
"""Other paths to a party: older softphones' `alt`, RFC 6947, RFC 7006, ICE; source filters (RFC 4570); bundles (RFC 8843)."""
_MUX = frozenset((b"rtcp-mux", b"rtcp-mux-only"))
_BEFORE_ATTRIBUTES = (b"i=", b"c=", b"b=", b"k=")
"""Lines that may come between a media line and its attributes (RFC 8866 section 5)."""
_ADDRESS = re.compile(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the receiver of a description reaches the relay."""

    address: str
    ports: Sequence[int]
    """One RTP port for each media section, 0 for a stream that is refused; RTCP uses the next one."""
    origin: bool = False
    """True to replace the address in the origin line, too."""
    mux: Sequence[bool | None] | None = None
    """For each media section True to have `a=rtcp-mux`, False to remove it, None to leave it."""
    zero_address: bool = False
    """True to replace the address 0.0.0.0, too, and to say hold by a direction instead."""


class _RtcpPlace(NamedTuple):
    """Where RTCP of one section reaches the relay; the port is 0 for a refused stream."""

    address: str
    port: int


def rewrite(description: SessionDescription, placement: Placement) -> bytes:
    """Return the description with the relay's address for every connection and its ports for the streams.

    The addresses of refused streams are replaced, too. `0.0.0.0` stays, because it says hold, unless that is to be said otherwise.
    """
    head = description.media[0].line if description.media else len(description.lines)
    lines: list[bytes | None] = [
        None if name and _is_dropped(name, line, at < head) else line
        for at, (name, line) in enumerate(zip(description.names, description.lines, strict=True))
    ]
    for at in description.origins if placement.origin else ():
        lines[at] = _with_origin(description.lines[at], placement.address)
    for connection in description.connections:
        _replace_connection(lines, connection, placement)
    wanted: Iterable[bool | None] = repeat(None, len(description.media)) if placement.mux is None else placement.mux
    for media, given, mux in zip(description.media, placement.ports, wanted, strict=True):
        port = given if media.live else 0
        for connection in media.own_connections:
            _replace_connection(lines, connection, placement)
        lines[media.line] = _with_port(description.lines[media.line], port)
        _replace_rtcp(lines, description, media, _RtcpPlace(placement.address, port and port + (not _shares_port(media, mux))))
        _replace_mux(lines, description, media, mux)
        if placement.zero_address and media.connection is not None and media.connection.unspecified:
            _hold(lines, description, media)
    return b"\n".join(line for line in lines if line is not None)


def _is_dropped(name: bytes, line: bytes, in_head: bool) -> bool:
    if name == b"group":
        return line.partition(b":")[2].split()[:1] == [b"BUNDLE"]
    if name == b"acap":
        # A capability (RFC 5939) is an attribute that the answer may put into force.
        inner = [word.partition(b":")[0].lower() for word in line.partition(b":")[2].split()[1:2]]
        return inner == [b"rtcp"] or any(map(_leads_around, inner))
    # RFC 3605 defines `rtcp` in media sections only; in the session's head no port of ours belongs to it.
    return _leads_around(name) or (in_head and name == b"rtcp")


def _leads_around(name: bytes) -> bool:
    return name in _AROUND or name.startswith(b"ice-") or b"candidate" in name


def _replace_connection(lines: list[bytes | None], connection: Connection, placement: Placement) -> None:
    line = lines[connection.line] or b""
    if connection.unspecified and not placement.zero_address:
        # What stands behind the address goes nowhere.
        lines[connection.line] = b"c=" + b" ".join(line[2:].split()[:3]) + _ending(line)
    else:
        lines[connection.line] = b"c=IN IP4 " + placement.address.encode() + _ending(line)


def _hold(lines: list[bytes | None], description: SessionDescription, media: Media) -> None:
    """Say by the section's direction that its sender wants to hear nothing."""
    direction = b"a=inactive" if media.direction in ("recvonly", "inactive") else b"a=sendonly"
    for at in range(media.line, media.end):
        if description.names[at] in DIRECTIONS:
            lines[at] = None
    _add_attribute(lines, description, media, direction)


def _replace_mux(lines: list[bytes | None], description: SessionDescription, media: Media, wanted: bool | None) -> None:
    if wanted is False:
        for at in range(media.line, media.end):
            if description.names[at] in _MUX:
                lines[at] = None
    elif wanted and not media.rtcp_mux:
        _add_attribute(lines, description, media, b"a=rtcp-mux")


def _add_attribute(lines: list[bytes | None], description: SessionDescription, media: Media, attribute: bytes) -> None:
    """Put an attribute before those of a section."""
    at = media.line
    while at + 1 < media.end and description.lines[at + 1].startswith(_BEFORE_ATTRIBUTES):
        at += 1
    line = lines[at] or b""
    lines[at] = line + b"\n" + attribute + _ending(line)


def _replace_rtcp(lines: list[bytes | None], description: SessionDescription, media: Media, place: _RtcpPlace) -> None:
    names = description.names[media.line : media.end]
    for at, name in enumerate(names, media.line) if b"rtcp" in names else ():
        if name == b"rtcp":
            lines[at] = _with_rtcp(description.lines[at], place)


def _shares_port(media: Media, mux: bool | None) -> bool:
    """Return whether `a=rtcp` names the RTP port; otherwise it says where RTCP goes without multiplexing (RFC 5761 section 5.1.1)."""
    multiplexed = media.rtcp_mux if mux is None else mux
    return multiplexed and media.rtcp is not None and media.rtcp.port == media.port


def _with_origin(line: bytes, address: str) -> bytes:
    """Return the origin line with our address. A user name that is an address becomes `-`; a malformed line is replaced as a whole."""
    words = line[2:].split()[:-3]
    if len(words) < 3 or any(_ADDRESS.search(word) for word in words[1:]):
        words = [b"-", b"0", b"0"]
    elif _ADDRESS.search(words[0]):
        words[0] = b"-"
    return b"o=" + b" ".join(words) + b" IN IP4 " + address.encode() + _ending(line)


def _with_port(line: bytes, port: int) -> bytes:
    """Return the media line with its port replaced; the rest, spacing included, stays."""
    kind, word = line[2:].split()[:2]
    start = line.index(word, line.index(kind, 2) + len(kind))
    return line[:start] + b"%d" % port + line[start + len(word) :]


def _with_rtcp(line: bytes, place: _RtcpPlace) -> bytes | None:
    """Return the line with our address and port, or None if it is malformed; a refused stream keeps its port."""
    words = line.partition(b":")[2].split()
    if len(words) not in (1, 4) or not words[0].isdigit():
        return None
    number = b"%d" % place.port if place.port else words[0]
    tail = b" IN IP4 " + place.address.encode() if len(words) == 4 else b""
    return b"a=rtcp:" + number + tail + _ending(line)


def _ending(line: bytes | None) -> bytes:
    return b"\r" if line is not None and line.endswith(b"\r") else b""
