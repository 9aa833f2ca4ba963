"""Decide on a peer's session description and write ours: one G.711 stream with telephone-events (RFC 3264, RFC 4733).

We take the first stream that offers µ-law or A-law over plain RTP to an IPv4 address, in the peer's order of preference,
and refuse the others with port 0. A peer may give a codec another number than its static one by `a=rtpmap` (RFC 3551 section 3): that
one then stands for it in both directions. RTP/AVPF is plain RTP, too: it only allows more RTCP (RFC 4585). Our own offers name both
codecs. `mediarelay.sdp` reads the descriptions: the relay in front of us refuses what this reader refuses, so one reader serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from daemonkit.address import Address
from mediarelay.sdp.description import Direction, Media, SessionDescription
from sipproxy.sip import PeerError

EVENT_TYPE = 101
"""Payload type of telephone-events in our own offers."""
_NAMES = {0: "PCMU", 8: "PCMA"}
_STATIC = {number: number for number in _NAMES}
_CODECS = {name.lower(): number for number, name in _NAMES.items()}
_PROFILES = ("RTP/AVP", "RTP/AVPF")
_OUR_MEDIA = "audio", _PROFILES[0]
_CLOCK_RATE = 8_000
_ANSWERS: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_ANY_FORMAT = "0"
"""What a refused stream shows whose offer forgot its formats: a line without any is malformed."""
_HOLD = "0.0.0.0"  # noqa: S104  # how RFC 2543 says hold; nothing binds it


class SdpError(PeerError):
    """A session description that cannot be used, which 488 refuses; the text says why in one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(488, sentence)


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """Where the peer receives audio, in which codec, and whether it wants any."""

    address: Address
    payload_type: int
    """The number that stands for the codec."""
    codec: int
    """0 (µ-law) or 8 (A-law)."""
    event_payload_type: int | None
    direction: Direction

    @property
    def held(self) -> bool:
        """True if the peer has put us on hold: it wants no audio, or sends none."""
        return self.direction != "sendrecv"

    @property
    def listens(self) -> bool:
        """True if the peer wants to receive audio."""
        return self.direction in ("sendrecv", "recvonly")


class RemoteSdp:
    """A peer's session description as this endpoint sees it; offer and answer are read alike."""

    def __init__(self, description: SessionDescription) -> None:
        self._streams = description.media
        self._g711 = [media for media in description.media if _is_g711(media)]
        self._chosen = next((media for media in self._g711 if _address(media)), None)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a body; raises SdpError."""
        try:
            description = SessionDescription.parse(body)
        except ValueError as error:
            raise SdpError(str(error)) from error
        if description.lines[0].rstrip() != b"v=0":
            raise SdpError("The session description has another version than 0.")
        return cls(description)

    def audio(self, in_use: RemoteMedia | None = None) -> RemoteMedia:
        """Return the stream that we take; raises SdpError if there is none.

        The codec that is in use stays if the peer still offers it, by its number if that is there; otherwise the peer's first one is taken.
        """
        if not self._g711:
            raise SdpError("The description has no G.711 audio over plain RTP.")
        stream = self._chosen
        address = _address(stream) if stream else None
        if stream is None or address is None:
            raise SdpError("The description names no IPv4 address for its audio.")
        payload_type, codec = _choose(_codecs(stream), in_use)
        direction: Direction = "inactive" if address == _HOLD else stream.direction
        return RemoteMedia((address, stream.port), payload_type, codec, _event_payload_type(stream), direction)

    def answer_lines(self, port: int, media: RemoteMedia) -> list[str]:
        """Return our media lines, one stream for each of the offer's."""
        lines: list[str] = []
        for stream in self._streams:
            if stream is self._chosen:
                codecs, named = {media.payload_type: media.codec}, (stream.kind, stream.protocol)
                lines += _audio_lines(port, codecs, media.event_payload_type, _ANSWERS[media.direction], named)
            else:
                lines.append(f"m={stream.kind} 0 {stream.protocol} {' '.join(stream.formats) or _ANY_FORMAT}")
        return lines


class LocalSession:
    """Our side of the session; the version in `o=` grows with each change (RFC 3264 section 8)."""

    def __init__(self, address: Address, session_id: int) -> None:
        self.address = address
        self._in_use: RemoteMedia | None = None
        self._last: list[str] = []
        self._session_id = session_id
        self._version = 0

    def answer(self, offer: RemoteSdp) -> tuple[bytes, RemoteMedia]:
        """Return our answer to an offer, and the media that it agrees on; raises SdpError."""
        media = self._in_use = offer.audio(self._in_use)
        return self._write(offer.answer_lines(self.address[1], media)), media

    def offer(self) -> bytes:
        """Return an offer of both codecs."""
        return self._write(_audio_lines(self.address[1], _STATIC, EVENT_TYPE, "sendrecv"))

    def take_answer(self, answer: RemoteSdp) -> RemoteMedia:
        """Return what the answer to our offer agrees on; raises SdpError."""
        self._in_use = answer.audio(self._in_use)
        return self._in_use

    def repeat(self) -> bytes:
        """Return our last description unchanged, for the offer of a session refresh."""
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
        return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def _address(stream: Media) -> str | None:
    return stream.connection.address if stream.connection else None


def _audio_lines(
    port: int, codecs: Mapping[int, int], events: int | None, direction: Direction, named: tuple[str, str] = _OUR_MEDIA
) -> list[str]:
    """Return the lines of one stream; `named` is its kind and its profile, as the offer spells them."""
    kind, profile = named
    formats = [*codecs] if events is None else [*codecs, events]
    lines = [f"m={kind} {port} {profile} {' '.join(map(str, formats))}"]
    lines += [f"a=rtpmap:{number} {_NAMES[codec]}/8000" for number, codec in codecs.items()]
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    return [*lines, "a=ptime:20", f"a={direction}"]


def _codecs(stream: Media) -> dict[int, int]:
    """Return the codec of each G.711 payload type of a stream, in the peer's order of preference."""
    mapped = {number: _CODECS[name] for number, name in stream.encodings.items() if name in _CODECS}
    found = {**{number: codec for number, codec in mapped.items() if stream.clock_rates.get(number) == _CLOCK_RATE}, **_STATIC}
    return {number: found[number] for number in stream.clock_rates if number in found}


def _choose(offered: Mapping[int, int], in_use: RemoteMedia | None) -> tuple[int, int]:
    """Return the payload type that we take, and its codec."""
    if in_use is not None:
        alike = [number for number, codec in offered.items() if codec == in_use.codec]
        if alike:
            return in_use.payload_type if in_use.payload_type in alike else alike[0], in_use.codec
    return next(iter(offered.items()))


def _event_payload_type(stream: Media) -> int | None:
    """Return the payload type of telephone-events at our clock rate, None if the peer takes none."""
    mapped = (number for number, name in stream.encodings.items() if name == "telephone-event")
    return next((number for number in mapped if stream.clock_rates.get(number) == _CLOCK_RATE), None)


def _is_g711(stream: Media) -> bool:
    return stream.kind.lower() == "audio" and stream.live and stream.protocol.upper() in _PROFILES and bool(_codecs(stream))
