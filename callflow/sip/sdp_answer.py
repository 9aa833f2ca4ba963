"""Decide on a peer's session description and write ours: one G.711 stream with telephone-events (RFC 3264, RFC 4733).

We take the first stream that offers µ-law or A-law over RTP to an IPv4 address, in the peer's order of preference,
and refuse the others with port 0. Where the call's audio may be encrypted, streams with keys of SDES are taken, too: by RTP/SAVP,
or by RTP/AVP from a caller that goes on without keys if it gets none (RFC 8643). A peer may give a codec another number than its
static one by `a=rtpmap` (RFC 3551 section 3): that one then stands for it in both directions. RTP/AVPF is plain RTP, too: it only
allows more RTCP (RFC 4585). Our own offers name both codecs. `mediarelay.sdp` reads the descriptions: the relay in front of us
refuses what this reader refuses, so one reader serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from callflow.secure.sdes import Crypto, KeyRing, Keys, usable
from daemonkit.address import Address
from mediarelay.sdp.description import Direction, Media, SessionDescription
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import PeerError

EVENT_TYPE = 101
"""Payload type of telephone-events in our own offers."""
_NAMES = {0: "PCMU", 8: "PCMA"}
_STATIC = {number: number for number in _NAMES}
_CODECS = {name.lower(): number for number, name in _NAMES.items()}
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_OUR_MEDIA = "audio", _PLAIN[0]
_OUR_SECURE_MEDIA = "audio", _SECURE[0]
NEEDS_TLS = "The application takes encrypted audio only, and its keys only by TLS."
NEEDS_KEYS = "The application takes encrypted audio only: RTP/SAVP with keys of a suite that it knows in a=crypto."
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
    keys: Keys | None = None
    """What encrypts the audio in both directions; None if nothing does."""

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

    def __init__(self, description: SessionDescription, security: MediaSecurity) -> None:
        self._security = security
        self._streams = description.media
        secure = security is not MediaSecurity.PLAIN
        self._crypto = {media.line: _crypto(description, media) for media in description.media} if secure else {}
        self._g711 = [media for media in description.media if _is_g711(media)]
        self._chosen = next((media for media in self._g711 if self._takes(media) and _address(media)), None)

    @classmethod
    def parse(cls, body: bytes, security: MediaSecurity = MediaSecurity.PLAIN) -> Self:
        """Read a body; raises SdpError."""
        try:
            description = SessionDescription.parse(body)
        except ValueError as error:
            raise SdpError(str(error)) from error
        if description.lines[0].rstrip() != b"v=0":
            raise SdpError("The session description has another version than 0.")
        return cls(description, security)

    def audio(self, in_use: RemoteMedia | None = None) -> RemoteMedia:
        """Return the stream that we take; raises SdpError if there is none.

        The codec that is in use stays if the peer still offers it, by its number if that is there; otherwise the peer's first one is taken.
        """
        self._check()
        stream = self._chosen
        address = _address(stream) if stream else None
        if stream is None or address is None:
            raise SdpError("The description names no IPv4 address for its audio.")
        payload_type, codec = _choose(_codecs(stream), in_use)
        direction: Direction = "inactive" if address == _HOLD else stream.direction
        return RemoteMedia((address, stream.port), payload_type, codec, _event_payload_type(stream), direction)

    @property
    def crypto(self) -> tuple[Crypto, ...]:
        """The keys of the stream that we take, in the peer's order of preference."""
        return self._crypto.get(self._chosen.line, ()) if self._chosen else ()

    def _takes(self, stream: Media) -> bool:
        """Return whether a stream is as secure as the call has to be, and no more than we can."""
        keyed = bool(self._crypto.get(stream.line))
        return keyed if _is_secure(stream) else keyed or self._security in (MediaSecurity.PLAIN, MediaSecurity.OPTIONAL)

    def _check(self) -> None:
        """Raise SdpError if no stream has audio for this call."""
        if self._security is MediaSecurity.IMPOSSIBLE:
            raise SdpError(NEEDS_TLS)
        if not any(not _is_secure(stream) or self._crypto for stream in self._g711):
            raise SdpError("The description has no G.711 audio over plain RTP.")
        if not any(map(self._takes, self._g711)):
            raise SdpError(NEEDS_KEYS)

    def answer_lines(self, port: int, media: RemoteMedia) -> list[str]:
        """Return our media lines, one stream for each of the offer's."""
        lines: list[str] = []
        for stream in self._streams:
            if stream is self._chosen:
                codecs, named = {media.payload_type: media.codec}, (stream.kind, stream.protocol)
                ours = (media.keys.ours,) if media.keys else ()
                lines += _audio_lines(port, codecs, media.event_payload_type, _ANSWERS[media.direction], named, ours)
            else:
                lines.append(f"m={stream.kind} 0 {stream.protocol} {' '.join(stream.formats) or _ANY_FORMAT}")
        return lines


class LocalSession:
    """Our side of the session; the version in `o=` grows with each change (RFC 3264 section 8)."""

    def __init__(self, address: Address, session_id: int, security: MediaSecurity, ring: KeyRing) -> None:
        self.address = address
        self._security = security
        self._ring = ring
        self._in_use: RemoteMedia | None = None
        self._last: list[str] = []
        self._session_id = session_id
        self._version = 0

    def answer(self, offer: RemoteSdp) -> tuple[bytes, RemoteMedia]:
        """Return our answer to an offer, and the media that it agrees on; raises SdpError."""
        media = offer.audio(self._in_use)
        if offer.crypto:
            media = replace(media, keys=self._ring.answer(offer.crypto, self._keys))
        self._in_use = media
        return self._write(offer.answer_lines(self.address[1], media)), media

    def offer(self) -> bytes:
        """Return an offer of both codecs."""
        secure = self._security in (MediaSecurity.REQUIRED, MediaSecurity.IMPOSSIBLE)
        keys = () if self._security is MediaSecurity.PLAIN else self._ring.offer(self._keys)
        named = _OUR_SECURE_MEDIA if secure else _OUR_MEDIA
        return self._write(_audio_lines(self.address[1], _STATIC, EVENT_TYPE, "sendrecv", named, keys))

    def take_answer(self, answer: RemoteSdp) -> RemoteMedia:
        """Return what the answer to our offer agrees on; raises SdpError."""
        media = answer.audio(self._in_use)
        keys = self._ring.agree(answer.crypto) if answer.crypto else None
        if answer.crypto and keys is None:
            raise SdpError("The answer names no key that we have offered.")
        self._in_use = replace(media, keys=keys)
        return self._in_use

    def repeat(self) -> bytes:
        """Return our last description unchanged, for the offer of a session refresh."""
        return self._write(self._last) if self._last else self.offer()

    @property
    def _keys(self) -> Keys | None:
        return self._in_use.keys if self._in_use else None

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
    port: int,
    codecs: Mapping[int, int],
    events: int | None,
    direction: Direction,
    named: tuple[str, str] = _OUR_MEDIA,
    keys: Iterable[Crypto] = (),
) -> list[str]:
    """Return the lines of one stream; `named` is its kind and its profile, as the offer spells them, `keys` are ours."""
    kind, profile = named
    formats = [*codecs] if events is None else [*codecs, events]
    lines = [f"m={kind} {port} {profile} {' '.join(map(str, formats))}"]
    lines += [f"a=rtpmap:{number} {_NAMES[codec]}/8000" for number, codec in codecs.items()]
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    lines += [f"a=crypto:{bytes(line).decode()}" for line in keys]
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
    return stream.kind.lower() == "audio" and stream.live and stream.protocol.upper() in (*_PLAIN, *_SECURE) and bool(_codecs(stream))


def _is_secure(stream: Media) -> bool:
    return stream.protocol.upper() in _SECURE


def _crypto(description: SessionDescription, stream: Media) -> tuple[Crypto, ...]:
    """Return the keys of a stream that we can honour."""
    lines = zip(description.names[stream.line : stream.end], description.lines[stream.line : stream.end], strict=True)
    return usable(line.partition(b":")[2].decode("latin-1").strip() for name, line in lines if name == b"crypto")
