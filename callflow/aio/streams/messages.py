"""The messages of a stream, as JSON texts: ours (`start`, `media`, `transcription`, `stop`, `mark`), and those that come (`playAudio`,
`clear`, `mark`).

`playAudio` names its format: `audio/pcmu`, or `audio/pcm` with 8, 16 or 24 kHz and signed 16-bit samples, the low octet first. `mark`
is our extension: it comes back when all audio that was sent before it has been heard, or was cleared.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from voiceapps.rules.transcripts import Clip

PCM_RATES = (8_000, 16_000, 24_000)
PCMU_RATE = 8_000
MAX_MARK_LENGTH = 256
MAX_PARTS = 100
"""Members and items of a message: what we understand has five."""
MAX_TYPE_LENGTH = 256
"""Of a content type."""
_PCM_RULES = {"channels": "1", "bit-depth": "16", "endian": "little", "encoding": "signed"}


class MessageError(ValueError):
    """A message that cannot be understood; the text says why in one sentence."""


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """Audio for the caller; `rate` is None for µ-law, and else that of linear samples."""

    audio: bytes
    rate: int | None


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what was not heard yet."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Tell when what came before has been heard."""

    name: str


Received = PlayAudio | Clear | Mark


def start_message(metadata: Mapping[str, object], params: Mapping[str, str], called: str = "streamParams") -> str:
    """Return the first message of a stream; parameters, if there are any, are `called` so."""
    message: dict[str, object] = {"eventType": "start", "metadata": metadata}
    return _text(message | {called: dict(params)} if params else message)


def media_message(track: str, sequence: int, ulaw: bytes) -> bytes:
    """Return 20 ms of a track, as the octets of its text: there are many of them."""
    payload = binascii.b2a_base64(ulaw, newline=False)
    return b'{"eventType":"media","track":"%b","sequenceNumber":"%d","payload":"%b"}' % (track.encode(), sequence, payload)


def words_message(track: str, language: str, clip: Clip) -> str:
    """Return an utterance of a track, with its times in seconds."""
    said = {"startTime": clip.start, "endTime": clip.end}
    item = {"content": clip.text, **said, "confidence": clip.confidence, "stable": True, "type": "PRONUNCIATION"}
    whole = {"track": track, **said, "isPartial": False, "language": language, "transcript": clip.text, "items": [item]}
    return _text({"eventType": "transcription", **whole})


def stop_message(metadata: Mapping[str, object]) -> str:
    """Return the last message of a stream."""
    return _text({"eventType": "stop", "metadata": metadata})


def mark_message(name: str) -> str:
    """Return the answer to a mark."""
    return _text({"eventType": "mark", "name": name})


def parse_message(text: str) -> Received:
    """Read a message that came; raises MessageError."""
    if max(map(text.count, ",[{")) > MAX_PARTS:
        # Reading it would take tens of milliseconds, in which no other call is served.
        raise MessageError(f"It has more than {MAX_PARTS} parts.")
    try:
        message = json.loads(text)
    except ValueError as error:
        raise MessageError("It is not JSON.") from error
    if not isinstance(message, dict):
        raise MessageError("It is no JSON object.")
    match message.get("eventType"):
        case "playAudio":
            return _play_audio(message.get("media"))
        case "clear":
            return Clear()
        case "mark":
            name = message.get("name")
            if not isinstance(name, str) or len(name) > MAX_MARK_LENGTH:
                raise MessageError(f"A mark needs a name of at most {MAX_MARK_LENGTH} characters.")
            return Mark(name)
        case str(other):
            raise MessageError(f"eventType must be playAudio, clear or mark, not {other[:40]!r}.")
        case _:
            raise MessageError("eventType must be playAudio, clear or mark.")


def _play_audio(media: object) -> PlayAudio:
    if not isinstance(media, dict) or not isinstance(media.get("payload"), str):
        raise MessageError("playAudio needs media with contentType and payload.")
    rate = _rate_of(str(media.get("contentType", "audio/pcmu")))
    try:
        audio = base64.b64decode(media["payload"], validate=True)
    except ValueError as error:
        raise MessageError("The payload is not base64.") from error
    if rate is not None and len(audio) % 2:
        raise MessageError("The payload ends in half a sample.")
    return PlayAudio(audio, rate)


def _rate_of(content_type: str) -> int | None:
    """Return the rate of linear samples, None for µ-law; raises MessageError."""
    if len(content_type) > MAX_TYPE_LENGTH or not content_type.isascii():
        raise MessageError("contentType is too long, or holds more than ASCII.")
    kind, *rest = (part.strip().lower() for part in content_type.split(";"))
    parameters = {name.strip(): value.strip().strip('"') for name, _, value in (part.partition("=") for part in rest)}
    rate = str(parameters.get("rate", PCMU_RATE))
    if kind == "audio/pcmu" and rate == str(PCMU_RATE):
        return None
    rules = all(str(parameters.get(name, wanted)).lower() == wanted for name, wanted in _PCM_RULES.items())
    if kind == "audio/pcm" and rules and rate in map(str, PCM_RATES):
        return int(rate)
    raise MessageError(f"contentType must be audio/pcmu, or audio/pcm of 8, 16 or 24 kHz, not {content_type[:80]!r}.")


def _text(message: Mapping[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"))
