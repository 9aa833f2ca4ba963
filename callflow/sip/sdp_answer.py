"""Read a peer's session description and write ours: one G.711 stream with telephone-events (RFC 3264, RFC 4566, RFC 4733).

We take the first stream that offers µ-law or A-law over plain RTP, in the caller's order of preference, and refuse the
others with port 0. An offer of ours names both codecs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Literal, cast

from daemonkit.address import Address

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_STREAMS = 32
"""Streams in one description; each costs a line in our answer."""
EVENT_TYPE = 101
"""Payload type of telephone-events in our own offers."""
_NAMES = {0: "PCMU", 8: "PCMA"}
_FORMATS = ("0", "8")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_ANSWERS: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_HOLD = "0.0.0.0"  # noqa: S104  # RFC 2543's way to say hold, not an address to bind
_EVENTS = re.compile(r"(\d{1,3}) telephone-event/8000", re.IGNORECASE)


class SdpError(ValueError):
    """Say in one sentence why a session description cannot be used."""


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """Hold where the peer wants its audio, in which codec, and whether it wants any."""

    address: Address
    payload_type: int
    """0 (µ-law) or 8 (A-law)."""
    event_payload_type: int | None
    direction: Direction

    @property
    def held(self) -> bool:
        """Tell whether the peer has put us on hold: it wants no audio, or sends none."""
        return self.direction != "sendrecv"

    @property
    def listens(self) -> bool:
        """Tell whether the peer wants to receive audio."""
        return self.direction in ("sendrecv", "recvonly")


@dataclass(slots=True)
class _Stream:
    kind: str
    port: int
    proto: str
    formats: list[str]
    host: str | None
    direction: Direction
    events: list[int] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return self.kind == "audio" and self.port > 0 and self.proto == "RTP/AVP" and self.payload_type is not None

    @property
    def payload_type(self) -> int | None:
        return next((int(text) for text in self.formats if text in _FORMATS), None)

    @property
    def event_payload_type(self) -> int | None:
        return next((number for number in self.events if str(number) in self.formats), None)


class Description:
    """Hold a peer's description; offer and answer are read alike."""

    def __init__(self, streams: list[_Stream]) -> None:
        self._streams = streams
        self._chosen = next((stream for stream in streams if stream.usable), None)

    @classmethod
    def parse(cls, body: bytes) -> Description:
        """Read a body; raises SdpError."""
        lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        if lines[0].strip() != "v=0":
            raise SdpError("The body is no session description.")
        streams: list[_Stream] = []
        session = _Stream("", 0, "", [], None, "sendrecv")
        for line in lines:
            if line.startswith("m="):
                streams.append(_read_stream(line[2:], session))
            else:
                _read_line(line, streams[-1] if streams else session)
        if len(streams) > MAX_STREAMS:
            raise SdpError(f"The description has more than {MAX_STREAMS} streams.")
        return cls(streams)

    def audio(self, codec: int | None = None) -> RemoteMedia:
        """Return the stream that we take; raises SdpError where there is none.

        A codec that is in use already stays where it is offered; else the peer's first one is taken.
        """
        stream = self._chosen
        if stream is None or stream.payload_type is None:
            raise SdpError("The description has no G.711 audio over plain RTP.")
        try:
            host = str(IPv4Address(stream.host or ""))
        except AddressValueError as error:
            raise SdpError("The description names no IPv4 address for its audio.") from error
        direction: Direction = "inactive" if host == _HOLD else stream.direction
        kept = codec if str(codec) in stream.formats else None
        payload_type = stream.payload_type if kept is None else kept
        return RemoteMedia((host, stream.port), payload_type, stream.event_payload_type, direction)

    def answer_lines(self, port: int, media: RemoteMedia) -> list[str]:
        """Return our media lines, one stream for each of the offer's."""
        lines: list[str] = []
        for stream in self._streams:
            if stream is self._chosen:
                lines += _audio_lines(port, (media.payload_type,), media.event_payload_type, _ANSWERS[media.direction])
            else:
                lines.append(f"m={stream.kind} 0 {stream.proto} {' '.join(stream.formats)}")
        return lines


class LocalSession:
    """Write our descriptions; the version in `o=` grows with each change (RFC 3264 section 8)."""

    def __init__(self, address: Address, session_id: int) -> None:
        self.address = address
        self._codec: int | None = None
        self._last: list[str] = []
        self._session_id = session_id
        self._version = 0

    def answer(self, offer: Description) -> tuple[bytes, RemoteMedia]:
        """Return our answer and what it agrees to; raises SdpError."""
        media = offer.audio(self._codec)
        self._codec = media.payload_type
        return self._write(offer.answer_lines(self.address[1], media)), media

    def offer(self) -> bytes:
        """Return our offer."""
        return self._write(_audio_lines(self.address[1], (0, 8), EVENT_TYPE, "sendrecv"))

    def repeat(self) -> bytes:
        """Return the last description unchanged, as the offer of a session refresh."""
        return self._write(self._last) if self._last else self.offer()

    def _write(self, media: list[str]) -> bytes:
        if media != self._last:
            self._version += 1
            self._last = media
        host = self.address[0]
        lines = [
            "v=0",
            f"o=- {self._session_id} {self._version} IN IP4 {host}",
            "s=-",
            f"c=IN IP4 {host}",
            "t=0 0",
            *media,
        ]
        return ("\r\n".join(lines) + "\r\n").encode()


def _audio_lines(port: int, codecs: tuple[int, ...], events: int | None, direction: Direction) -> list[str]:
    formats = [*codecs] if events is None else [*codecs, events]
    lines = [f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}"]
    lines += [f"a=rtpmap:{number} {_NAMES[number]}/8000" for number in codecs]
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    return [*lines, "a=ptime:20", f"a={direction}"]


def _read_line(line: str, stream: _Stream) -> None:
    text = line.strip()
    if text.startswith("c=IN IP4 "):
        stream.host = text[9:].partition("/")[0].strip()
    elif text.startswith("a=rtpmap:"):
        match = _EVENTS.match(text[9:])
        if match:
            stream.events.append(int(match[1]))
    elif text[:2] == "a=" and text[2:] in _DIRECTIONS:
        stream.direction = cast(Direction, text[2:])


def _read_stream(text: str, session: _Stream) -> _Stream:
    """Read what follows `m=`; address and direction start as the session's."""
    parts = text.split()
    if len(parts) < 4 or not re.fullmatch(r"\d{1,5}(/\d{1,3})?", parts[1], re.ASCII):
        raise SdpError("The description has a malformed media line.")
    port = int(parts[1].partition("/")[0])
    if port > 65_535:
        raise SdpError("The description has a malformed media line.")
    return _Stream(parts[0], port, parts[2], parts[3:], session.host, session.direction)
