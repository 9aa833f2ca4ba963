"""Put the relay's addresses and ports into a session description and leave every other octet as it came."""

from __future__ import annotations

from collections.abc import Sequence

from mediarelay.sdp.description import Connection, Media, SessionDescription

__all__ = ["rewrite"]

_ICE = frozenset(
    (
        b"candidate", b"remote-candidates", b"end-of-candidates", b"ice-ufrag", b"ice-pwd", b"ice-options", b"ice-lite",
        b"ice-mismatch", b"ice-pacing", b"ice2", b"alt",
    )
)  # fmt: skip
"""Attributes of ICE (RFC 8839), and `alt`, with which older softphones did the same."""
_FILTERS = frozenset((b"source-filter",))
"""Attributes that name who may send (RFC 4570): through a relay the answer is always the relay."""


def rewrite(
    description: SessionDescription, address: str, ports: Sequence[int], *, origin: bool = False, remove_ice: bool = False
) -> bytes:
    """Return the description with `address` for every connection and `ports[i]` for live stream i.

    `ports` holds one RTP port for each media section; RTCP is the next one. The port of a section that has none stays
    0, its addresses are replaced all the same. `0.0.0.0` stays, because it says hold. `origin` replaces the address of
    the origin line too, `remove_ice` drops what would lead media around the relay.
    """
    lines: list[bytes | None] = list(description.lines)
    for index in description.origins if origin else ():
        lines[index] = _with_origin(description.lines[index], address)
    for connection in description.connections:
        _replace_connection(lines, connection, address)
    for media, port in zip(description.media, ports, strict=True):
        _replace_media(lines, media, address, port)
    dropped = _FILTERS | _ICE if remove_ice else _FILTERS
    return b"\n".join(line for line in lines if line is not None and _attribute_name(line) not in dropped)


def _attribute_name(line: bytes) -> bytes:
    return line[2:].partition(b":")[0].strip() if line.startswith(b"a=") else b""


def _replace_connection(lines: list[bytes | None], connection: Connection, address: str) -> None:
    if not connection.unspecified:
        lines[connection.line] = b"c=IN IP4 " + address.encode() + _ending(lines[connection.line])


def _replace_media(lines: list[bytes | None], media: Media, address: str, port: int) -> None:
    for connection in media.own_connections:
        _replace_connection(lines, connection, address)
    if media.live:
        lines[media.line] = _with_port(lines[media.line], port)
    if media.rtcp is not None:
        line = lines[media.rtcp.line] or b""
        rtcp_port = port + 1 if media.live else media.rtcp.port
        tail = b" IN IP4 " + address.encode() if b" IN " in line else b""
        lines[media.rtcp.line] = b"a=rtcp:%d" % rtcp_port + tail + _ending(line)


def _with_origin(line: bytes, address: str) -> bytes:
    """Return the origin line with its last three words replaced; a malformed one is replaced whole."""
    words = line[2:].split()
    if len(words) < 6:
        return b"o=- 0 0 IN IP4 " + address.encode() + _ending(line)
    return b"o=" + b" ".join(words[:-3]) + b" IN IP4 " + address.encode() + _ending(line)


def _with_port(line: bytes | None, port: int) -> bytes | None:
    """Return the media line with its port word replaced and the rest, spacing included, as it came."""
    if line is None:
        return None
    kind, word = line[2:].split()[:2]
    start = line.index(word, line.index(kind, 2) + len(kind))
    end = start + len(word)
    return line[:start] + b"%d" % port + line[end:]


def _ending(line: bytes | None) -> bytes:
    return b"\r" if line is not None and line.endswith(b"\r") else b""
